"""What can be followed while a training runs: history.csv, and TensorBoard's event files if params ask for them."""

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hw2core.engine.journal import Row, csv_lines, write_history
from hw2core.errors import UserError


class Curves:
    """The history of a training in files, a row longer with each evaluation."""

    def __init__(self, folder: Path, scratch: Path, events: Path | None) -> None:
        """`folder` gets history.csv, `events` the event files; in `scratch` are the samples of each step."""
        self.folder, self.scratch, self.events = folder, scratch, events
        self.rows = 0
        """How many are in the files."""
        if events and find_spec("tensorboard") is None:
            raise UserError(
                "engine.tensorboard needs the package tensorboard: pip install hw2core[tensorboard]"
            )

    def show(self, history: Sequence[Row]) -> None:
        """Add the rows that the files do not have yet. The first time, another process may have written them."""
        if self.rows == 0:
            write_history(self.folder, history)
        else:
            # In one write, so that a kill leaves whole lines.
            with (self.folder / "history.csv").open("ab", buffering=0) as file:
                file.write(csv_lines(history[self.rows :]))
        if self.events:
            self.write_events(self.events, history[self.rows :])
        self.rows = len(history)

    def write_events(self, events: Path, rows: Sequence[Row]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        if self.rows == 0:
            shutil.rmtree(events, ignore_errors=True)
            self.writer = SummaryWriter(str(events))
        for row in rows:
            step = row["step"]
            for name, value in row.items():
                if name != "step":
                    self.writer.add_scalar(name, value, step)
            if (samples := samples_file(self.scratch, step)).exists():
                self.writer.add_images("samples", np.load(samples), step, dataformats="NHWC")
        self.writer.flush()


def samples_file(scratch: Path, step: int) -> Path:
    """Where a training of a generator keeps the images of a step."""
    return scratch / f"progress-{step:08d}.npy"
