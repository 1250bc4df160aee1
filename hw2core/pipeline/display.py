"""What a run shows: on a terminal a line for the whole run and one for each running stage, in a log plain lines.

Stages write how far they are into small files (hw2core/progress.py), which this reads a few times a second.
"""

import json
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from hw2core.pipeline.estimate import duration, longest_paths

HEARTBEAT = 30.0  # seconds between two lines in a log about what runs
BAR = 24  # characters


@dataclass
class Display:
    """The state of a run, as it is shown. A context in which it is shown."""

    todo: list[str]
    upstream: Mapping[str, set[str]]
    seconds: Mapping[str, float]
    """Of each stage in its last run."""
    slots: int
    progress: Path
    """The folder of the files that running stages write."""
    started: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    """The seconds of each finished stage; 0 if it did not run."""
    numbers: dict[str, int] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.over, self.stack = threading.Event(), ExitStack()
        if self.console.is_terminal:
            live = Live(
                get_renderable=self.render, console=self.console, refresh_per_second=2, transient=True
            )
            self.stack.enter_context(live)
        else:
            thread = threading.Thread(target=self.beat, daemon=True)
            thread.start()
            self.stack.callback(thread.join)
        self.stack.callback(self.over.set)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def starts(self, name: str) -> None:
        with self.lock:
            self.progress_file(name).unlink(missing_ok=True)
            self.started[name] = time.monotonic()
            if not self.console.is_terminal:
                self.say(name, "starts")

    def ends(self, name: str, text: str, seconds: float = 0.0) -> None:
        """A stage has finished, or did not have to run."""
        with self.lock:
            self.started.pop(name, None)
            self.finished[name] = seconds
            self.say(name, text)

    def say(self, name: str, text: str) -> None:
        number = self.numbers.setdefault(name, len(self.numbers) + 1)
        width, digits = max(map(len, self.todo)), len(str(len(self.todo)))
        self.console.print(f"[{number:{digits}}/{len(self.todo)}] {name:{width}}  {text}", markup=False)

    def progress_file(self, name: str) -> Path:
        return self.progress / f"{name.replace('/', '_')}.json"

    def progress_of(self, name: str) -> tuple[int, int, float, str] | None:
        """Steps done, all steps, steps per second, and the last value that was logged."""
        try:
            found = json.loads(self.progress_file(name).read_text(encoding="utf-8"))
            return found["step"], found["steps"], found["rate"], found["last"]
        except (OSError, ValueError, KeyError):
            return None

    def left_of(self, name: str) -> float | None:
        """Seconds that a running stage will still take: by its own rate, else by its last run at this run's speed."""
        if (steps := self.progress_of(name)) and steps[2] > 0:
            return (steps[1] - steps[0]) / steps[2]
        if name not in self.seconds:
            return None
        return max(0.0, self.seconds[name] * self.slowness() - (time.monotonic() - self.started[name]))

    def slowness(self) -> float:
        """The time that finished stages took, relative to their last run."""
        known = [name for name, seconds in self.finished.items() if seconds and name in self.seconds]
        before = sum(self.seconds[name] for name in known)
        return sum(self.finished[name] for name in known) / before if before > 0 else 1.0

    def left(self) -> float | None:
        """Seconds to the end of the run; None without a last run to estimate from."""
        open_stages = [name for name in self.todo if name not in self.finished]
        if not all(name in self.seconds for name in open_stages):
            return None
        seconds = {name: self.seconds[name] * self.slowness() for name in open_stages}
        for name in self.started:
            seconds[name] = self.left_of(name) or 0.0
        longest = max(longest_paths(open_stages, self.upstream, seconds).values(), default=0.0)
        return max(longest, sum(seconds.values()) / self.slots)

    def summary(self) -> str:
        left = self.left()
        text = f"{len(self.finished)} of {len(self.todo)} stages, {duration(time.monotonic() - self.begun)}"
        return text if left is None else f"{text}, about {duration(left)} left"

    def render(self) -> Table:
        """The lines below what has scrolled by."""
        table = Table.grid(padding=(0, 2))
        with self.lock:
            table.add_row("all", ProgressBar(len(self.todo), len(self.finished), BAR), self.summary())
            for name in self.started:
                table.add_row(name, *self.bar_and_text(name))
        return table

    def bar_and_text(self, name: str) -> tuple[ProgressBar | str, str]:
        steps, left = self.progress_of(name), self.left_of(name)
        text = f"{duration(time.monotonic() - self.started[name])}"
        text += "" if left is None else f", about {duration(left)} left"
        if steps is None:
            return "", text
        done, total, rate, last = steps
        texts = [f"step {done:,} of {total:,}", f"{rate:.3g} steps/s", last, text]
        return ProgressBar(total, done, BAR), ", ".join(filter(None, texts))

    def beat(self) -> None:
        while not self.over.wait(HEARTBEAT):
            with self.lock:
                running = ", ".join(f"{name} {self.bar_and_text(name)[1]}" for name in self.started)
                self.console.print(f"{self.summary()}; running: {running or 'nothing'}", markup=False)
