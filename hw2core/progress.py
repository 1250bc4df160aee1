"""The progress display of a training: a bar on a terminal, plain lines in a log. No result depends on it."""

import sys
import time

from tqdm import tqdm

LOG_LINE_EVERY = 10.0  # seconds between two lines where there is no terminal


class Progress:
    """Shows steps, rate and time left."""

    def __init__(self, title: str, steps: int, done: int) -> None:
        self.bar = tqdm(total=steps, initial=done, desc=title, unit="step", leave=False, disable=None)
        self.title, self.steps, self.first = title, steps, done
        self.started = self.last_line = time.monotonic()
        if done:
            print(f"{title}: resumes at step {done} of {steps}", file=sys.stderr)

    def step(self, k: int) -> None:
        """Step k is done."""
        if not self.bar.disable:
            self.bar.update()
        elif (now := time.monotonic()) - self.last_line > LOG_LINE_EVERY:
            self.last_line = now
            rate = (k + 1 - self.first) / (now - self.started)
            left = (self.steps - k - 1) / rate
            print(
                f"{self.title}: step {k + 1} of {self.steps}, {rate:.3g} steps/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        self.bar.close()
