"""The pages of the report: one file each, that says what was measured and needs nothing else."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Hw2, Workspace, call_main
from PIL import Image
from ruamel.yaml import YAML

from hw2core.engine.journal import read_json
from hw2core.report import pages, references


@pytest.fixture(scope="module")
def reported_once(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("reported") / "workspace"
    shutil.copytree(finished.root, root, copy_function=os.link)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert call_main("report") == 0
    return Workspace(root)


@pytest.fixture
def reported(reported_once: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a report, as the current folder; not to be changed."""
    monkeypatch.chdir(reported_once.root)
    return reported_once


def test_the_report_says_what_was_measured_and_how(reported: Workspace) -> None:
    reports = reported.layout.reports
    text = (reports / "report.md").read_text(encoding="utf-8")
    metrics = read_json(reported.layout.stage("evaluate", "dann-blended-handwritten") / "metrics.json")
    assert f"{metrics['accuracy']['last']['mean']:.1f}" in text
    assert metrics["device"] in text
    for domain in ("handwritten", "blended", "printed"):
        assert domain in text
    assert not re.search(r"\bnan\b|None\b|\{\{|\{%", text)


def test_no_figure_of_stand_in_data_is_shown_without_saying_so(reported: Workspace) -> None:
    text = (reported.layout.reports / "report.md").read_text(encoding="utf-8")
    assert "embedded" in text
    assert "compare with nothing that was measured on" in text


def test_others_figures_stand_in_a_table_beside_our_own(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded pair has the name of none of theirs; here it is given one."""
    pair = "blended-handwritten"
    theirs = references.Reference("R99", pair, 12.34, 98.76, {"dann": 55.55})
    monkeypatch.setattr(references, "REPORTS", (theirs,))
    monkeypatch.setattr(references, "BEST", {pair: "77 (DSN)"})
    assert hw2("report").status == 0
    text = (workspace.layout.reports / "report.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (here,) = [row for row in rows if row[1:2] == ["here"]]
    assert here[0] == "blended \u2192 handwritten"
    assert here[-2:] == ["77 (DSN)", "\u2013"]
    (report,) = [row for row in rows if row[1:2] == ["R99"]]
    assert report == ["", "R99", "12.3", "55.5", "\u2013", "\u2013", "\u2013", "98.8", "", ""]


def test_the_report_begins_with_the_reference_that_params_name(workspace: Workspace, hw2: Hw2) -> None:
    workspace.change("report.reference", "R21")
    assert hw2("report").status == 0
    text = (workspace.layout.reports / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"^## .*", text, re.M)[:2] == ["## Beside R21", "## Faces"]
    # These are not the course's images, so that there is nothing of ours to stand beside.
    assert "| GAN, FID | 27.9 | \u2013 |" in text
    assert "| usps \u2192 svhn, DSN | 34.36 | \u2013 |" in text


def test_every_picture_that_the_report_shows_is_there(reported: Workspace) -> None:
    reports = reported.layout.reports
    text = (reports / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) >= 5
    for picture in pictures:
        with Image.open(reports / picture) as image:
            image.load()


def test_the_page_is_one_file_that_asks_for_no_other(reported: Workspace) -> None:
    page = (reported.layout.reports / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert "@import" not in page
    assert "url(http" not in page


def test_the_report_made_again_has_the_same_bytes(reported: Workspace, hw2: Hw2) -> None:
    before = reported.tree()
    assert hw2("report").status == 0
    assert reported.tree() == before


def test_the_tables_hold_the_reports_figures(reported: Workspace) -> None:
    import pandas as pd

    table = pd.read_csv(reported.layout.reports / "tables" / "accuracy_last.csv").set_index("pair")
    metrics = read_json(reported.layout.stage("evaluate", "dann-blended-handwritten") / "metrics.json")
    assert table.loc["blended-handwritten", "dann"] == pytest.approx(metrics["accuracy"]["last"]["mean"])


def test_a_missing_figure_is_a_dash() -> None:
    row = {"a": 12.345, "a std": 0.55, "b": float("nan"), "b std": float("nan"), "c": 3.0, "c std": None}
    assert pages.figure(row, "a") == "12.3\u00a0±\u00a00.6"
    assert pages.figure(row, "b") == "–"
    assert pages.figure(row, "c") == "3.0"
    assert pages.share({"gap": 74.6}, "gap") == "75 %"
    assert pages.share({"gap": float("nan")}, "gap") == "–"


def test_html_in_the_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    page = pages.html("# T\n\n<script>alert(1)</script>\n", "<T>", tmp_path)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "<title>&lt;T&gt;</title>" in page


def test_pictures_are_put_into_the_page(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    page = pages.html("![A black square](black.png)\n", "T", tmp_path)
    assert 'src="data:image/png;base64,iVBOR' in page
    assert 'alt="A black square"' in page


def test_params_are_shown_as_yaml_that_reads_back() -> None:
    params = {"seeds": [0, 1], "dann": {"lr": 3e-4, "arch": "R19"}, "pairs": {"a-b": {"source": "a"}}}
    assert YAML(typ="safe", pure=True).load(pages.as_yaml(params)) == params
