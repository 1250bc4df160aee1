"""Parallel map over processes, with results in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from hw2core.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 3  # submitted tasks per process: enough to keep it busy, few enough to fit in memory


def map_in_order(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Like map, in one process per usable core. Tasks are generated lazily, AHEAD per process."""
    # spawn: a fork of a process with threads, which numerical libraries start, can deadlock.
    context = multiprocessing.get_context("spawn")
    pending: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(usable_cores(), context, prepare_worker) as executor:
        try:
            for task in tasks:
                if len(pending) == AHEAD * usable_cores():
                    yield pending.popleft().result()
                pending.append(executor.submit(function, task))
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed, perhaps because memory ran out; free some and try again"
            ) from None


def prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and exit when the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def usable_cores() -> int:
    """The CPU cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
