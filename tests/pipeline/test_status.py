"""`hw2 status`: what would run, why, and for how long."""

from pathlib import Path

import pytest
from toys import ENGINE, stage, workspace

from hw2core.pipeline.estimate import duration
from hw2core.pipeline.scheduler import reproduce
from hw2core.pipeline.status import report_status


def test_reasons_are_the_keys_and_files_that_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = stage("first", "cat code.py > /dev/null") + stage("second", deps="first") + stage("alone")
    layout = workspace(tmp_path / "toy", stages.replace("deps: []", "deps: [code.py]", 1))
    code = layout.root / "code.py"
    code.write_text("1")
    assert report_status(layout, 2) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 of 3 stages are stale:",
        "  never ran: first, second, alone",
        "None of them has run on this machine yet: no estimate of the time.",
    ]
    reproduce(layout, ENGINE, "2")
    capsys.readouterr()
    report_status(layout, 2)
    assert capsys.readouterr().out == "All 3 stages are up to date.\n"

    code.write_text("2")
    (layout.root / "out" / "alone").unlink()
    report_status(layout, 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [
        "3 of 3 stages are stale:",
        "  code.py has changed: first",
        "  out/alone is missing: alone",
        "  downstream of these: 1 more, if their inputs change",
    ]
    assert lines[-1].startswith("About ")

    (layout.root / "params.yaml").write_text("number: 2\n")
    report_status(layout, 2)
    assert "  number: 1 -> 2: first, second, alone" in capsys.readouterr().out.splitlines()


def test_of_a_section_only_the_keys_that_changed_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(tmp_path / "toy", stage("a"))
    (layout.root / "params.yaml").write_text("number: {lr: 0.1, steps: 5}\n")
    reproduce(layout, ENGINE, "1")
    (layout.root / "params.yaml").write_text("number: {lr: 0.1, steps: 7}\n")
    report_status(layout, 1)
    assert "  number.steps: 5 -> 7: a" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"), (9000, "2.5 h")]
)
def test_durations_have_the_unit_of_their_size(seconds: float, text: str) -> None:
    assert duration(seconds) == text
