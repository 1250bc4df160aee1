"""One run per workspace, and signals that end it in order."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO


class Interrupted(BaseException):
    """Ctrl-C, or another signal that ends the run."""

    def __init__(self, number: int) -> None:
        self.number = number


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
def only_run(path: Path) -> Iterator[bool]:
    """Wait until no other run works in this workspace. Yield whether the last one was killed.

    The file holds a line while a run works. If it is still there, that run was killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        if not try_lock(lock):
            print("Waiting for another `hw2 repro` in this workspace to end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        left_unfinished = lock.read() != ""
        lock.write("this run is not over, or was killed\n")
        lock.flush()
        yield left_unfinished
        lock.truncate(0)


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
