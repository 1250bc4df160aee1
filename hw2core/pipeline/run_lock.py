"""One run per workspace, and signals that end it in order."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from hw2core.errors import Interrupted


@contextmanager
def signals_raise() -> Iterator[None]:
    """Raise Interrupted on Ctrl-C, SIGTERM and SIGHUP, so that all three end the run in the same orderly way."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
