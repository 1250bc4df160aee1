"""What a run shows: progress of the whole and of each running stage, and the time left."""

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from hw2core import progress
from hw2core.pipeline import display as module
from hw2core.pipeline.display import Display
from hw2core.progress import Progress

UPSTREAM: dict[str, set[str]] = {
    "data": set(),
    "train": {"data"},
    "other": {"data"},
    "report": {"train", "other"},
}
SECONDS = {"data": 10.0, "train": 100.0, "other": 30.0, "report": 5.0}


def display(folder: Path, slots: int, **state: dict[str, float]) -> Display:
    return Display(list(UPSTREAM), UPSTREAM, SECONDS, slots, folder, **state)


def test_time_left_is_the_longest_path_or_all_work_at_the_speed_of_this_run(tmp_path: Path) -> None:
    assert display(tmp_path, 1).left() == sum(SECONDS.values())
    assert display(tmp_path, 2).left() == 115  # data, train, report
    # Finished stages took twice their last time.
    assert display(tmp_path, 2, finished={"data": 20.0}).left() == 2 * (100 + 5)
    # A stage that came from the cache says nothing about the speed.
    assert display(tmp_path, 2, finished={"data": 0.0}).left() == 105
    started = {"train": time.monotonic() - 60}
    assert display(tmp_path, 2, finished={"data": 10.0}, started=started).left() == pytest.approx(45, abs=1)


def test_without_a_last_run_there_is_no_time_left(tmp_path: Path) -> None:
    new = Display(list(UPSTREAM), UPSTREAM, {"data": 1.0}, 1, tmp_path)
    assert new.left() is None
    assert "left" not in new.summary()


def test_a_running_stage_is_shown_with_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = display(tmp_path, 2, finished={"data": 10.0}, started={"train": time.monotonic()})
    monkeypatch.setenv(progress.VARIABLE, str(shown.progress_file("train")))
    monkeypatch.setattr(progress, "FILE_EVERY", 0)
    training = Progress("train", 2000, 0)
    training.started -= 10
    training.note({"step": 400, "score": 97.25})
    training.step(499)
    training.close()
    found = json.loads(shown.progress_file("train").read_text())
    assert (found["step"], found["steps"]) == (500, 2000)
    assert found["rate"] == pytest.approx(50, rel=0.02)
    assert shown.left_of("train") == pytest.approx(30, abs=1)

    text = io.StringIO()
    Console(file=text, width=120, force_terminal=True, color_system=None).print(shown.render())
    first, second = text.getvalue().splitlines()
    assert "all" in first
    assert "1 of 4 stages" in first
    assert "train" in second
    assert "step 500 of 2,000, " in second
    assert " steps/s, score 97.25, 0 s, about 30 s left" in second


def test_a_log_has_a_heartbeat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = display(tmp_path, 2)
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    with shown:
        shown.starts("train")
        text = ""
        while (
            "running: train" not in text
        ):  # a test without heartbeats does not end: the runner's limit ends it
            text += capsys.readouterr().out
    assert "0 of 4 stages, 0 s, about " in text
