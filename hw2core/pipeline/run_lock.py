"""One run per workspace."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Wait until no other run works in this workspace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        if not try_lock(lock):
            print("Waiting for another `hw2 repro` in this workspace to end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
