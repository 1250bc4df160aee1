"""The progress display of a training: a bar on a terminal, plain lines in a log. No result depends on it.

For `hw2 repro`, which shows all running stages, it is also written into the file that the variable HW2_PROGRESS names.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

VARIABLE = "HW2_PROGRESS"
LOG_LINE_EVERY = 10.0  # seconds between two lines where there is no terminal
FILE_EVERY = 0.5  # seconds


class Progress:
    """Shows steps, rate and time left."""

    def __init__(self, title: str, steps: int, done: int) -> None:
        self.bar = tqdm(total=steps, initial=done, desc=title, unit="step", leave=False, disable=None)
        self.title, self.steps, self.first = title, steps, done
        self.last = ""
        self.started = self.last_line = self.last_file = time.monotonic()
        self.file = Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None
        if done:
            print(f"{title}: resumes at step {done} of {steps}", file=sys.stderr)

    def note(self, row: Mapping[str, float]) -> None:
        """A row of the history is there; the last of its columns is shown."""
        name, value = [*row.items()][-1]
        self.last = f"{name} {value:.4g}"
        self.bar.set_postfix_str(self.last, refresh=False)

    def step(self, k: int) -> None:
        """Step k is done."""
        now = time.monotonic()
        rate = (k + 1 - self.first) / max(now - self.started, 1e-9)
        if self.file and now - self.last_file > FILE_EVERY:
            self.last_file = now
            write_progress(self.file, k + 1, self.steps, rate, self.last)
        if not self.bar.disable:
            self.bar.update()
        elif now - self.last_line > LOG_LINE_EVERY:
            self.last_line = now
            left = (self.steps - k - 1) / rate
            texts = [f"step {k + 1} of {self.steps}", f"{rate:.3g} steps/s", self.last, f"{left:.0f} s left"]
            print(f"{self.title}: {', '.join(filter(None, texts))}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self.bar.close()


def write_progress(path: Path, step: int, steps: int, rate: float, last: str) -> None:
    """Replace the file as a whole, so that a reader never finds a part of it."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps({"step": step, "steps": steps, "rate": rate, "last": last}), encoding="utf-8")
    draft.replace(path)
