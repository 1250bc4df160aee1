"""Pictures: the same data gives the same bytes, and other data others."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from hw2core.data.store import UNKNOWN, Split
from hw2core.report import figures

RNG = np.random.default_rng(0)
PLACES = pd.DataFrame(
    {
        "domain": ["a"] * 20 + ["b"] * 20,
        "digit": list(range(10)) * 4,
        "x": RNG.normal(size=40),
        "y": RNG.normal(size=40),
    }
)
TABLE = pd.DataFrame(
    {
        "pair": ["a-b", "b-a"],
        **{name: [30.0, 40.0] for name in ("source only", "dann", "target only")},
        **{f"{name} std": [1.0, np.nan] for name in ("source only", "dann", "target only")},
    }
)
DANN = {"dann": "DANN"}
HISTORY = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [5, 10, 5, 10], "test_accuracy": [10.0, 20, 30, 40]})
SPLIT = Split(RNG.integers(0, 256, (30, 28, 28, 3), dtype=np.uint8), np.arange(30) % 10)
POINTS = RNG.normal(size=(40, 2)).astype(np.float32)
KNOWN = np.array([0, 1, 1, UNKNOWN] * 10)
FIGURES: dict[str, Any] = {
    "samples": lambda: figures.samples({"a": SPLIT, "b": SPLIT}),
    "bars": lambda: figures.bars(TABLE, DANN),
    "bars with a gap": lambda: figures.bars(TABLE.assign(dann=[np.nan, 1.0]), DANN),
    "curves": lambda: figures.curves({"a-b": {"dann": HISTORY}, "b-a": {"dann": HISTORY}}, TABLE, DANN),
    "by digit": lambda: figures.scatter(PLACES, "digit", "title"),
    "by domain": lambda: figures.scatter(PLACES, "domain", "title"),
    "by attribute": lambda: figures.by_attribute(POINTS, {"smiling": KNOWN, "dark_hair": 1 - KNOWN % 255}),
    "without attributes": lambda: figures.by_attribute(POINTS, {}),
}


@pytest.mark.parametrize("name", list(FIGURES))
def test_a_picture_is_the_same_each_time_and_names_no_program(tmp_path: Path, name: str) -> None:
    for file in ("one.png", "two.png"):
        figures.save(FIGURES[name](), tmp_path / file)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.format == "PNG"
        assert "Software" not in picture.info
        assert min(picture.size) > 200


def test_pictures_of_different_data_differ(tmp_path: Path) -> None:
    contents = set()
    for i, name in enumerate(FIGURES):
        figures.save(FIGURES[name](), tmp_path / f"{i}.png")
        contents.add((tmp_path / f"{i}.png").read_bytes())
    assert len(contents) == len(FIGURES)


def test_a_digit_that_has_no_test_image_leaves_its_place_empty() -> None:
    few = Split(SPLIT.images[:4], np.array([0, 0, 5, 5]))
    (axis,) = figures.samples({"a": few}).axes
    sheet = axis.images[0].get_array()
    assert (sheet[:28, :28] == few.images[0]).all()
    assert (sheet[:28, 30 * 5 : 30 * 5 + 28] == few.images[2]).all()
    assert (sheet[:28, 30:58] == 255).all()


def test_curves_show_the_mean_of_the_seeds_between_their_extremes() -> None:
    (axis,) = figures.curves({"a-b": {"dann": HISTORY}}, TABLE, DANN).axes
    (line,) = [line for line in axis.lines if line.get_label() == "DANN"]
    assert line.get_xdata().tolist() == [5, 10]
    assert line.get_ydata().tolist() == [20.0, 30.0]


def test_there_are_colours_enough_for_every_method() -> None:
    from hw2core.params import ADAPTERS

    assert len(set(figures.shades(len(ADAPTERS)))) == len(ADAPTERS)


def test_photographs_are_saved_small_and_look_the_same(tmp_path: Path) -> None:
    images = (
        np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    )
    picture = figures.grid(images, 4, 8, "noise")
    figures.save(picture, tmp_path / "full.png")
    figures.save_photos(picture, tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size < (tmp_path / "full.png").stat().st_size
    full, small = (
        np.asarray(Image.open(io.BytesIO((tmp_path / name).read_bytes())).convert("RGB"), dtype=float)
        for name in ("full.png", "small.png")
    )
    assert np.abs(full - small).mean() < 20


def test_a_strip_has_a_row_for_each_moment() -> None:
    moments = {step: np.zeros((8, 16, 16, 3), np.uint8) for step in (100, 2000)}
    (axis,) = figures.progress(moments).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["step 100", "step 2,000"]


@pytest.mark.parametrize("steps", [(100, 400), range(1000, 1800, 100), (100_000, 1_200_000)])
def test_all_that_is_written_beside_a_strip_is_inside_the_picture(steps: Sequence[int]) -> None:
    figure = figures.progress({step: np.zeros((8, 16, 16, 3), np.uint8) for step in steps})
    figure.savefig(io.BytesIO(), format="png")
    (axis,) = figure.axes
    written = [text for text in axis.findobj(Text) if text.get_text()]
    assert len(written) >= len(steps)
    for text in written:
        assert text.get_window_extent().x0 >= 0, text


def test_a_map_has_a_panel_for_each_attribute_with_every_point_in_its_colour() -> None:
    panels = figures.by_attribute(POINTS, {"smiling": KNOWN, "dark_hair": KNOWN}).axes
    assert [panel.get_title("left") for panel in panels] == ["smiling", "dark hair"]
    for panel in panels:
        unknown, without, with_it = panel.collections[:3]
        for points, value in ((unknown, UNKNOWN), (without, 0), (with_it, 1)):
            assert (points.get_offsets() == POINTS[value == KNOWN]).all()


def test_a_map_names_only_what_occurs_in_it() -> None:
    (legend,) = figures.by_attribute(POINTS, {"smiling": KNOWN % 2}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["without", "with"]


def test_a_map_without_attributes_shows_every_point_once() -> None:
    (panel,) = figures.by_attribute(POINTS, {}).axes
    (points,) = panel.collections
    assert (points.get_offsets() == POINTS).all()
