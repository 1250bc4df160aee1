"""Ctrl-C, SIGTERM and SIGHUP are noted, and the work ends at its next point where it can: a training after a step and
with a checkpoint, a run of the pipeline between two stages. An exception anywhere could leave a lock of a library behind,
or be lost in a callback."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hw2core.errors import Interrupted

GRACE = 3.0  # seconds after which what runs is broken off
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """The signal that has arrived, if one has."""

    number: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal. A second one, or the end of the time of grace, ends the work at once."""
        if self.number is not None:
            raise Interrupted(self.number)
        self.number = number
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def check(self) -> None:
        """End the work if a signal has arrived."""
        if self.number is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Interrupted(self.number)


@contextmanager
def interruption_noted() -> Iterator[Interruption]:
    """Within, these signals are noted instead of ending the process. Signals reach the main thread alone."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interruption.note)
    try:
        yield interruption
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
