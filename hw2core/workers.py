"""Work spread over processes, its results in order."""

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

AHEAD = 3  # tasks under way for each process: enough that none waits, few enough to keep in memory


def map_in_order(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Like map, in as many processes as there are cores to use. A task is made only when it can be taken soon."""
    # Fresh processes, as a fork of one that has threads, as numerical libraries do, may hang.
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(usable_cores(), context, prepare_worker) as executor:
        try:
            for task in tasks:
                if len(waiting) == AHEAD * usable_cores():
                    yield waiting.popleft().result()
                waiting.append(executor.submit(function, task))
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a process that did part of the work was killed, perhaps for want of memory; free some and try again"
            ) from None


def prepare_worker() -> None:
    """Ctrl-C is the parent's to answer; and a worker whose parent was killed ends by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def usable_cores() -> int:
    """The CPU cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
