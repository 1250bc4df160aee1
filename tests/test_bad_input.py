"""Bad input of every kind ends in one line, in little time, and never in a traceback."""

import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, Hw2, Raw, Workspace, complaint, refused

from hw2core import cli
from hw2core.data import archives
from hw2core.data.trees import MAX_VISITS, open_tree
from hw2core.settings.validation import SHOWN, validate
from hw2core.stages import dispatch

LONG = "x" * 5000


# --- params, profiles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("data.source", ["embedded"], "data.source: must be embedded, public, course or folder"),
        ("data.source", {"usps": ["public"]}, "data.source.usps: must be embedded"),
        ("data.faces", ["drawn_faces"], "data.faces: must be a valid string"),
        ("data.domains", [["usps"], {"a": 1}], "data.domains.0: must be a valid string"),
        ("seeds", list(range(1001)), "seeds: list should have at most 1000 items"),
    ],
)
def test_a_value_of_another_type_than_its_key_has_is_named(
    raw: Raw, path: str, value: object, said: str
) -> None:
    *parents, key = path.split(".")
    section = raw
    for parent in parents:
        section = section[parent]
    section[key] = value
    assert said in (complaint(lambda: validate(raw, "params.yaml")) or "")


def test_of_very_many_problems_the_first_are_named(raw: Raw) -> None:
    raw["seeds"] = ["x"] * 1000
    lines = (complaint(lambda: validate(raw, "params.yaml")) or "").splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[-1].endswith("more problems")


def test_a_profile_is_a_file_of_profiles_and_any_bytes_can_stand_in_one(
    empty_workspace: Workspace, hw2: Hw2
) -> None:
    for name in ("../params", str(ROOT / "profiles" / "smoke"), LONG):
        refused(hw2("profile", name), "unknown profile")
    (empty_workspace.root / "profiles" / "latin.yaml").write_bytes(b"# caf\xe9\n")
    assert "latin" in hw2("profile", "--list").out
    refused(hw2("profile", "latin"), "latin.yaml: not a text file in UTF-8")


# --- arguments ---------------------------------------------------------------------------------------------------


def test_an_empty_argument_is_refused(empty_workspace: Workspace, hw2: Hw2) -> None:
    """As a path it would be the current folder."""
    refused(hw2("judge", "faces", ""), "an argument is empty")


@pytest.mark.parametrize(
    "command", [("data",), ("train_gan", LONG), (), ("gate", "--base"), ("score", "no.csv")]
)
def test_the_middle_of_a_long_line_is_left_out(
    empty_workspace: Workspace, hw2: Hw2, command: tuple[str, ...]
) -> None:
    outcome = hw2(*command, LONG)
    assert outcome.status == 2
    assert all(len(line) < 1100 for line in outcome.problems)


@pytest.mark.parametrize("jobs", ["9" * 5000, "10000"])
def test_too_many_jobs_are_refused(empty_workspace: Workspace, hw2: Hw2, jobs: str) -> None:
    refused(hw2("repro", "--jobs", jobs), "--jobs: must be auto or a number of stages from 1 to 9999")


def test_control_characters_are_escaped(empty_workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("score", "\x1b[2J\r", "no.csv"), r"\x1b[2J\r: no such file")


# --- files -------------------------------------------------------------------------------------------------------


def test_a_pipe_can_be_scored_and_a_folder_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hw2: Hw2
) -> None:
    monkeypatch.chdir(tmp_path)
    table = "image_name,label\na.png,1\n"
    Path("labels.csv").write_text(table)
    os.mkfifo("pipe.csv")
    writer = threading.Thread(target=Path("pipe.csv").write_text, args=(table,), daemon=True)
    writer.start()
    assert "accuracy 100.00 %" in hw2("score", "pipe.csv", "labels.csv").out
    writer.join()
    refused(hw2("score", ".", "labels.csv"), "is a folder, not a csv")


def test_a_pipe_in_an_archives_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set.zip")
    assert "neither a folder nor a regular file" in (complaint(lambda: open_tree(tmp_path / "set.zip")) or "")


def test_folders_that_link_to_each_other_are_refused_before_they_multiply(tmp_path: Path) -> None:
    for one in range(12):
        (tmp_path / str(one)).mkdir()
        for other in range(12):
            os.symlink(f"../{other}", tmp_path / str(one) / f"to{other}")
    message = complaint(lambda: open_tree(tmp_path)) or ""
    assert f"is reached in more than {MAX_VISITS} ways through links" in message


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("hw2core.data.trees.MAX_FILE", 1000)
    monkeypatch.setattr(archives, "MAX_FILE", 1000)
    if kind == "folder":
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "a.png").write_bytes(bytes(1001))
    else:
        with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", bytes(1_000_000))
    tree = open_tree(tmp_path / ("set" if kind == "folder" else "set.zip"))
    assert "is larger than" in (complaint(lambda: tree.read("a.png")) or "")


def test_a_compressed_tar_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(bytes(100_000))
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.png", "a.png")
    free = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=100_000))
    monkeypatch.setattr(archives, "psutil", free)
    message = complaint(lambda: open_tree(tmp_path / "set.tar.gz")) or ""
    assert "does not fit into memory; unpack it" in message


# --- unforeseen errors -----------------------------------------------------------------------------------------


def test_an_unforeseen_error_is_one_line_with_the_place_of_its_traceback(
    empty_workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(dispatch, "run_stage", fail)
    outcome = hw2("download", "printed")
    (saved,) = (empty_workspace.layout.runs / "errors").iterdir()
    assert outcome.status == 70
    (line,) = outcome.problems
    assert line.startswith("hw2: a defect of hw2core, not of your input (RuntimeError: two lines); ")
    assert str(saved.relative_to(empty_workspace.root)) in line
    assert "CONTRIBUTING.md" in line
    assert "Traceback" in saved.read_text()
    assert "raise RuntimeError" in saved.read_text()


def test_without_a_place_for_a_traceback_the_line_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.errors, "error_folders", lambda: [tmp_path / "file" / "below"])
    (tmp_path / "file").write_text("")
    assert "no traceback could be kept" in cli.errors.save_traceback(ValueError("x"))


def test_streams_can_be_closed_or_unable_to_encode(tmp_path: Path) -> None:
    """In a process of its own: what Python makes of closed streams when it starts."""
    command = f"'{sys.executable}' -m hw2core"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    for call, said in {
        f"{command} --version <&- >&- 2>&-; echo $?": "0\n",
        f"{command} --help > /dev/full 2>&1; echo $?": "2\n",
        f"{command} --help; echo $?": "0\n",
        f"({command} --help; echo $? >&2) 2>&1 >&- | cat": "0\n",
    }.items():
        done = subprocess.run(
            ["sh", "-c", call], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.stdout.endswith(said), call
        assert "Traceback" not in done.stdout + done.stderr, call
