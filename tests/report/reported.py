"""What tests of the whole report share: small params, figures that are blank, and the tables of a page."""

import re
from typing import Any

from conftest import small_raw
from PIL import Image

from hw2core.report.figures.style import FigureFiles, figure_files
from hw2core.report.sections import Figures
from hw2core.settings import Params
from hw2core.settings.validation import validate


def params_of(**changes: Any) -> Params:
    raw = small_raw()
    raw |= {"seeds": [0, 1]} | changes
    return validate(raw, "params.yaml")


BLANK = figure_files(Image.new("RGB", (1, 1)))


def undrawn(figures: Figures) -> tuple[dict[str, FigureFiles], dict[str, str]]:
    """In place of hw2core.stages.report.draw, which takes most of the time."""
    return dict.fromkeys(figures, BLANK), {}


def rows_below(text: str, heading: str) -> list[list[str]]:
    """The cells of every table of a section, with those of its subsections."""
    mark, section = re.findall(rf"^(##+) {re.escape(heading)}\n(.*?)(?=^\1 |^## |\Z)", text, re.M | re.S)[0]
    assert mark
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
