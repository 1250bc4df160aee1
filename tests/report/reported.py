"""What tests of the whole report share: small params, figures that are named only, and the tables of a page."""

from pathlib import Path
from typing import Any

from conftest import small_raw
from PIL import Image

from hw2core.report.sections import Figures
from hw2core.settings import Params
from hw2core.settings.validation import validate


def params_of(**changes: Any) -> Params:
    raw = small_raw()
    raw |= {"seeds": [0, 1]} | changes
    return validate(raw, "params.yaml")


def touch(figures: Figures, folder: Path) -> None:
    for name in figures:
        Image.new("RGB", (1, 1)).save(folder / f"{name}.png")


def rows_below(text: str, heading: str) -> list[list[str]]:
    """The cells of every table of a section."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
