"""Tables as LaTeX: every table, every cell, no character that LaTeX would take for a command."""

import webbrowser

import pytest
from conftest import Hw2, Workspace

from hw2core.report.latex import tables
from hw2core.stages import report as stage

TEXT = """# R & D

## 50 % of _it_

| system | accuracy, % |
|:---|---:|
| a_b \u2192 c | **1.0\u00a0±\u00a00.5** (`x_1`) |
| {d} | \u2013 |

text

## Second

| x |
|:---|
| ~\\\\^ |
"""


def test_tables_are_escaped_and_have_their_heading_as_caption() -> None:
    text = tables(TEXT)
    first, second = text.split("\\begin{table}\n")[1:]
    assert "\\caption{50 \\% of \\emph{it}}" in first
    assert "\\begin{tabular}{lr}" in first
    assert "    system & accuracy, \\% \\\\\n    \\midrule" in first
    assert "a\\_b $\\to$ c & \\textbf{1.0~$\\pm$~0.5} (\\texttt{x\\_1}) \\\\" in first
    assert "\\{d\\} & -- \\\\" in first
    assert "\\caption{Second}" in second
    assert "\\textasciitilde{}\\textbackslash{}\\textasciicircum{} \\\\" in second
    assert "R \\& D" not in text


def test_the_report_is_opened_and_written_as_latex_when_asked(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(stage, "draw", lambda figures: ({}, dict.fromkeys(figures, "not drawn")))
    assert hw2("report").status == 0
    assert opened == []
    assert not (workspace.layout.reports / "tables.tex").exists()
    assert hw2("report", "--latex", "--open").status == 0
    assert opened == [(workspace.layout.reports / "report.html").as_uri()]
    text = (workspace.layout.reports / "tables.tex").read_text(encoding="utf-8")
    assert text.count("\\begin{table}") == text.count("\\bottomrule") > 5
