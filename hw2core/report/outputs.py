"""Reading what the stages wrote. A file that is missing or malformed is one line that names the stage to run.

The report prints that line in place of what a missing file would have shown; a malformed file ends it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hw2core.engine.images import read_about
from hw2core.engine.tiles import read_tiles
from hw2core.errors import UserError
from hw2core.evaluation.seeds import combine
from hw2core.layout import Layout

Read = TypeVar("Read")
P = ParamSpec("P")


class MissingError(UserError):
    """A stage has not written its file yet."""


def if_there(read: Callable[P, Read], *args: P.args, **kwargs: P.kwargs) -> Read | None:
    """What `read` returns; None if a file that it reads is missing."""
    try:
        return read(*args, **kwargs)
    except MissingError:
        return None


def missing(layout: Layout, output: Path, file: Path) -> str:
    """Why an output cannot be used: its file is missing, or it is of other params or data."""
    if not file.is_file():
        return "not there"
    if output.relative_to(layout.root).as_posix() in layout.outdated:
        return "of other params or data"
    return ""


def about_data(layout: Layout, dataset: str) -> dict[str, Any]:
    """The about.json of a dataset in data/ready."""
    folder = layout.ready(dataset)
    if problem := missing(layout, folder, folder / "about.json"):
        raise MissingError(
            f"data/ready/{dataset}: {problem}; run stage preprocess of {dataset} with `hw2 repro`"
        )
    return read_about(layout.ready(dataset))


@dataclass(frozen=True)
class Output:
    """What one stage wrote for an item, and for one seed if the stage has seeds."""

    layout: Layout
    stage: str
    item: str
    seed: int | None = None

    def __str__(self) -> str:
        return f"{self.stage} of {self.item}" + ("" if self.seed is None else f", seed {self.seed}")

    @property
    def folder(self) -> Path:
        return self.layout.stage(self.stage, self.item, self.seed)

    def metrics(self, *needed: str) -> dict[str, Any]:
        """metrics.json, which must have the keys `needed`; "accuracy.last" is a key below a key."""
        metrics = self.read("metrics.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(metrics, dict):
            raise self.error("metrics.json", "not readable; rerun")
        for key in needed:
            value: Any = metrics
            for part in key.split("."):
                if not isinstance(value, dict) or part not in value:
                    raise self.error("metrics.json", f"has no {key}; run")
                value = value[part]
        return metrics

    def table(self, name: str, *needed: str) -> pd.DataFrame:
        """A csv file, which must have the columns `needed`."""
        table = self.read(name, pd.read_csv)
        for column in needed:
            if column not in table:
                raise self.error(name, f"has no column {column}; run")
        return table

    def tiles(self, name: str, rows: int, columns: int) -> NDArray[np.uint8]:
        """A picture of rows x columns images."""
        if not rows or not columns:
            raise self.error(name, "shows no images; rerun")
        return self.read(name, lambda path: read_tiles(path, rows, columns))

    def read(self, name: str, reader: Callable[[Path], Read]) -> Read:
        path = self.folder / name
        if problem := missing(self.layout, path, path):
            raise MissingError(str(self.error(name, f"{problem}; run")))
        try:
            return reader(path)
        except (UserError, ValueError, OSError):
            raise self.error(name, "not readable; rerun") from None

    def error(self, name: str, problem: str) -> UserError:
        """One line: the file, the problem, and the stage that writes the file."""
        path = (self.folder / name).relative_to(self.layout.root)
        return UserError(f"{path}: {problem} stage {self} with `hw2 repro`")


@dataclass(frozen=True)
class Outputs:
    """What one stage wrote for an item, for every seed."""

    layout: Layout
    stage: str
    item: str
    seeds: Sequence[int]

    def of(self, seed: int) -> Output:
        return Output(self.layout, self.stage, self.item, seed)

    @property
    def first(self) -> Output:
        """The first seed's, which pictures are of."""
        return self.of(self.seeds[0])

    def each(self, *needed: str) -> list[dict[str, Any]]:
        """Every seed's metrics."""
        return [self.of(seed).metrics(*needed) for seed in self.seeds]

    def combined(self, *needed: str) -> dict[str, Any]:
        """The metrics with the seeds' mean and standard deviation of every number."""
        combined: dict[str, Any] = combine(self.each(*needed))
        return combined

    def history(self, *needed: str) -> pd.DataFrame:
        """The histories of all seeds, one below the other, with a column `seed`."""
        tables = [
            self.of(seed).table("history.csv", "step", *needed).assign(seed=seed) for seed in self.seeds
        ]
        return pd.concat(tables, ignore_index=True)
