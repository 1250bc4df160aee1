"""The pages: numbers as they are printed, text that is shown as it is, and one HTML file that needs no other."""

import base64
import re

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from hw2core.report import html, pages
from hw2core.report.figures.style import figure_files


def test_a_metric_has_its_standard_deviation_and_a_missing_one_is_a_dash() -> None:
    row = {"a": 12.345, "a std": 0.55, "b": float("nan"), "b std": float("nan"), "c": 3.0, "c std": None}
    assert pages.metric(row, "a") == "12.3\u00a0±\u00a00.6"
    assert pages.metric(row, "b") == "–"
    assert pages.metric(row, "c") == "3.0"
    assert (pages.signed(3.14), pages.signed(-2.0), pages.signed(-0.01)) == ("+3.1", "-2.0", "+0.0")
    assert pages.over_seeds([0, 3]) == "mean ± standard deviation over 2 seeds (0, 3)"
    assert pages.over_seeds([3]) == "one seed (3)"
    assert pages.count(1234.0) == "1,234"
    assert pages.count(None) == "–"


TEXTS = [
    "a | b",
    "<b>bold</b>",
    "*a* and _b_",
    "`code` [link](x)",
    "C:\\new|\\_",
    "two\nlines",
    "drawn_faces",
    "2 * 3",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_shown_as_it_is_in_a_table(text: str) -> None:
    markdown = f"| a | b |\n|---|---|\n| {pages.plain(text)} | second |\n"
    page = html.page(markdown, "T", {}, {}, {})
    cells = re.findall(r"<(?:td|th scope=\"row\")>(.*?)</t[dh]>", page.partition("<tbody>")[2])
    shown = text.replace("\n", " ").replace("<", "&lt;").replace(">", "&gt;")
    assert cells == [shown, "second"]


def test_html_in_the_text_is_escaped() -> None:
    page = html.page("# T\n\n<script>alert(1)</script>\n", "<T>", {}, {}, {})
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "<title>&lt;T&gt;</title>" in page


@pytest.mark.parametrize("text", ["a: 1", "```\ninner\n```", "<b>"])
def test_a_code_block_ends_where_its_text_ends(text: str) -> None:
    page = html.page(f"{pages.fenced(text)}\n\nafter\n", "T", {}, {}, {})
    assert page.count("<pre>") == 1
    assert "<p>after</p>" in page


def test_pictures_are_embedded_in_the_page() -> None:
    picture = figure_files(Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8))).webp
    page = html.page("![A black square](black.png)\n", "T", {"black.png": picture}, {}, {})
    assert f'src="data:image/webp;base64,{base64.b64encode(picture).decode()}"' in page
    assert 'alt="A black square" width="2" height="2"' in page


def test_params_are_printed_as_yaml_that_reads_back() -> None:
    params = {"seeds": [0, 1], "dann": {"lr": 3e-4, "betas": [0.5, 0.9]}, "pairs": {"a-b": {"source": "a"}}}
    assert YAML(typ="safe", pure=True).load(pages.as_yaml(params)) == params
