"""What can be followed while a training runs: history.csv grows, and event files have the same numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hw2core.engine import curves
from hw2core.engine.curves import Curves, samples_file
from hw2core.engine.journal import write_history
from hw2core.errors import UserError

ROWS: list[dict[str, Any]] = [
    {"step": step, "loss": 1 / step, "score": float(step)} for step in (3, 6, 9, 12)
]


def whole(folder: Path, rows: list[dict[str, Any]]) -> bytes:
    write_history(folder, rows)
    return (folder / "history.csv").read_bytes()


def test_the_file_grows_by_whole_lines_to_that_of_the_whole_history(tmp_path: Path) -> None:
    growing = Curves(tmp_path / "stage", tmp_path, None)
    for count in range(1, 5):
        growing.show(ROWS[:count])
        text = (tmp_path / "stage" / "history.csv").read_bytes()
        assert text == whole(tmp_path / "other", ROWS[:count])


def test_the_file_is_extended_in_place_so_that_it_can_be_followed(tmp_path: Path) -> None:
    growing = Curves(tmp_path, tmp_path, None)
    growing.show(ROWS[:1])
    with (tmp_path / "history.csv").open() as followed:
        followed.read()
        growing.show(ROWS[:2])
        assert followed.read() == "6,0.166667,6.0\n"


def test_a_resumed_training_replaces_what_a_killed_one_had_written(tmp_path: Path) -> None:
    """The killed one had logged steps after its last checkpoint; a line may be cut off by a full disk."""
    killed = Curves(tmp_path, tmp_path, None)
    killed.show(ROWS[:3])
    with (tmp_path / "history.csv").open("ab") as file:
        file.write(b"12,0.08")
    resumed = Curves(tmp_path, tmp_path, None)
    resumed.show(ROWS[:2])
    resumed.show(ROWS[:3])
    assert (tmp_path / "history.csv").read_bytes() == whole(tmp_path / "other", ROWS[:3])


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_event_files_have_the_history_and_the_samples(tmp_path: Path) -> None:
    samples = np.zeros((2, 8, 8, 3), np.uint8)
    np.save(samples_file(tmp_path, 6), samples)
    growing = Curves(tmp_path / "stage", tmp_path, tmp_path / "events")
    growing.show(ROWS[:1])
    growing.show(ROWS[:3])
    found = events(tmp_path / "events")
    assert [(each.step, each.value) for each in found.Scalars("score")] == [(3, 3.0), (6, 6.0), (9, 9.0)]
    assert set(found.Tags()["scalars"]) == {"loss", "score"}
    assert [(each.step, each.width, each.height) for each in found.Images("samples")] == [(6, 16, 8)]


def test_a_resumed_training_has_event_files_without_repeated_steps(tmp_path: Path) -> None:
    for count in (3, 2, 4):  # each in another process
        resumed = Curves(tmp_path / "stage", tmp_path, tmp_path / "events")
        resumed.show(ROWS[:count])
    assert [each.step for each in events(tmp_path / "events").Scalars("loss")] == [3, 6, 9, 12]


def test_without_tensorboard_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"^engine\.tensorboard needs the package tensorboard: pip install"):
        Curves(tmp_path, tmp_path, tmp_path / "events")
    Curves(tmp_path, tmp_path, None)
