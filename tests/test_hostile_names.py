"""Names that HTML or a shell would act on: refused where they name what is run, escaped where they are printed."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Hw2, Raw, Workspace, complaint
from PIL import Image

from hw2core.gate.rules import Comparison
from hw2core.gate.tables import as_markdown
from hw2core.pipeline.fork_server import plain_words
from hw2core.report.figures.style import figure_files
from hw2core.settings.validation import validate
from hw2core.stages import report

SCRIPT, COMMAND = "<script>alert(1)</script>", "$(touch x)"
HOSTILE = [SCRIPT, COMMAND, "a b", "a;touch x", "a`touch x`", "../a", "a'", "a\ntouch x", "-a"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", ["domains", "pairs", "digits", "faces", "color_jitter", "adapters", "gans"])
def test_no_such_name_of_what_is_run_is_valid(raw: Raw, key: str, name: str) -> None:
    """They stand in commands of dvc.yaml."""
    section: Any = raw if key in raw else raw["data"]
    if key == "pairs":
        section[key][name] = {"source": name, "target": "printed"}
    else:
        section[key] = [*section[key], name] if isinstance(section[key], list) else name
    assert complaint(lambda: validate(raw, "params.yaml"))


def test_a_command_with_such_a_name_is_not_split_into_words() -> None:
    assert plain_words(f"python -m hw2core download {COMMAND}") == []


def test_the_report_escapes_what_data_sets_say_of_themselves(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a folder of images, its attributes and the names of its source."""
    for dataset in ("handwritten", "drawn_faces"):
        path = workspace.layout.ready(dataset) / "about.json"
        about = json.loads(path.read_text())
        about["made"] = f"the folder {SCRIPT} | {COMMAND} <img src=x onerror=alert(1)>"
        if "attributes" in about:
            about["attributes"][0] = SCRIPT
        path.unlink()
        path.write_text(json.dumps(about))
    (workspace.root / "profiles" / f"{COMMAND}.yaml").write_text(f"# {SCRIPT}\n")
    blank = figure_files(Image.new("RGB", (1, 1)))
    monkeypatch.setattr(report, "draw", lambda figures: (dict.fromkeys(figures, blank), {}))
    assert hw2("report").status == 0
    page = (workspace.root / "reports" / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert not Path("x").exists()


def test_a_branch_of_such_a_name_is_escaped_in_the_gates_comment() -> None:
    changed = Comparison(f"evaluate/{SCRIPT}`|", "x|y", "up", None, None, None, "new")
    text = as_markdown([changed], f"main|{SCRIPT}", "0123456789")
    assert "<script>" not in text.replace(f"`evaluate/{SCRIPT}", "")  # within backticks it is text
    assert all(line.replace(r"\|", "").count("|") == 7 for line in text.splitlines() if line.startswith("|"))


def test_images_of_such_names_are_predicted_by_name(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted([f"{COMMAND}.png", "<script>.png", "a;touch x.png", "quote\"'.png", "ü, .png", "-n.png"])
    Path("images").mkdir()
    for name in names:
        Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(Path("images", name))
    assert hw2("predict", "--run", "classifier/handwritten", "images", "out.csv").status == 0
    with open("out.csv", encoding="utf-8", newline="") as file:
        assert [row["image_name"] for row in csv.DictReader(file)] == names
    Path("labels.csv").write_bytes(Path("out.csv").read_bytes())
    assert "6 of 6 images right" in hw2("score", "out.csv", "labels.csv").out
    assert not Path("x").exists()


def test_a_workspace_can_have_such_a_name(
    empty_workspace: Workspace, monkeypatch: pytest.MonkeyPatch, hw2: Hw2
) -> None:
    root = empty_workspace.root.rename(empty_workspace.root.with_name(f"{COMMAND} 'ü"))
    monkeypatch.chdir(root)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    assert hw2("download", "printed").status == 0
    assert (root / "data" / "raw" / "printed").is_dir()
    assert not (root / "x").exists()
