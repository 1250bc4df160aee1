"""Figures: the same data gives the same bytes; any number of systems has colors; nothing is outside the picture."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from hw2core.engine.images import UNKNOWN, Split
from hw2core.report.figures import charts, grids, maps, style
from hw2core.settings.registry import ADAPTERS, SAMPLERS

RNG = np.random.default_rng(0)
POINTS = pd.DataFrame(
    {
        "domain": ["a"] * 20 + ["b"] * 20,
        "digit": list(range(10)) * 4,
        "x": RNG.normal(size=40),
        "y": RNG.normal(size=40),
        "smiling": [0, 1, 1, UNKNOWN] * 10,
        "dark_hair": [1, 0, 0, UNKNOWN] * 10,
    }
)
HISTORY = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [5, 10, 5, 10], "test_accuracy": [10.0, 20, 30, 40]})
LOSSES = HISTORY.assign(loss=[1.0, 2, 3, 4])
SPLIT = Split(RNG.integers(0, 256, (30, 28, 28, 3), dtype=np.uint8), np.arange(30) % 10)
TILES = RNG.integers(0, 256, (2, 10, 16, 16, 3), dtype=np.uint8)


def table(pairs: Sequence[str], methods: Sequence[str]) -> pd.DataFrame:
    columns = ("source only", *methods, "target only")
    return pd.DataFrame(
        {
            "pair": list(pairs),
            **{name: np.linspace(20, 90, len(pairs)) + i for i, name in enumerate(columns)},
            **{f"{name} std": 1.0 for name in columns},
        }
    )


def sweep_of(samplers: Sequence[str]) -> pd.DataFrame:
    rows = [(name, steps, 2.0, 2 * steps, 50.0 + steps) for name in samplers for steps in (1, 5, 25)]
    columns = ["sampler", "sampling_steps", "guidance_scale", "nfe", "digit_accuracy"]
    return pd.DataFrame(rows, columns=columns)


CHOSEN: Mapping[str, Any] = {"sampler": "ddim", "sampling_steps": 5, "guidance_scale": 2.0}
CONFUSION = pd.DataFrame({"digit": [0, 0, 1], "predicted": [0, 1, 1], "rate": [75.0, 25.0, 100.0]})
TABLE = table(["a-b", "b-a"], ["dann"])
FIGURES: dict[str, Any] = {
    "domain samples": lambda: grids.domain_samples({"a": SPLIT, "b": SPLIT}),
    "grid": lambda: grids.grid(TILES),
    "pairs": lambda: grids.pairs(TILES, [0.5] * 10),
    "reverse process": lambda: grids.reverse_process(TILES[:, :4], [999, 500, 100, 0]),
    "bars": lambda: charts.bars(TABLE, ["dann"]),
    "bars of the bounds alone": lambda: charts.bars(TABLE, []),
    "bars with a gap": lambda: charts.bars(TABLE.assign(dann=[np.nan, 1.0]), ["dann"]),
    "learning curves": lambda: charts.learning_curves({"a-b": {"dann": HISTORY}}, TABLE, ["dann"]),
    "health": lambda: charts.health({"DDPM": LOSSES}, charts.DDPM_PANELS),
    "confusions": lambda: charts.confusions({"DANN": CONFUSION}),
    "sweep": lambda: charts.sweep(sweep_of(SAMPLERS), CHOSEN),
    "by digit": lambda: maps.by_digit({"source only": POINTS, "DANN": POINTS}),
    "by domain": lambda: maps.by_domain({"source only": POINTS, "DANN": POINTS}),
    "by attribute": lambda: maps.by_attribute(POINTS, ["smiling", "dark_hair"]),
    "without attributes": lambda: maps.by_attribute(POINTS, []),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return {name: style.as_png(draw()) for name, draw in FIGURES.items()}


@pytest.mark.parametrize("name", list(FIGURES))
def test_a_figure_has_the_same_bytes_each_time_and_names_no_program(
    drawn: dict[str, bytes], name: str
) -> None:
    assert style.as_png(FIGURES[name]()) == drawn[name]
    with Image.open(io.BytesIO(drawn[name])) as picture:
        assert picture.format == "PNG"
        assert "Software" not in picture.info
        assert min(picture.size) > 100


def test_figures_of_different_data_differ(drawn: dict[str, bytes]) -> None:
    assert len(set(drawn.values())) == len(FIGURES)


@pytest.mark.parametrize("name", ["pairs", "bars"])
def test_256_colors_are_smaller_and_look_the_same(name: str) -> None:
    full = style.rendered(FIGURES[name]()).convert("RGB")
    content, small = io.BytesIO(), style.as_png(FIGURES[name]())
    full.save(content, format="PNG")
    assert len(small) < len(content.getvalue())
    other = Image.open(io.BytesIO(small))
    assert other.mode == "P"
    difference = np.abs(np.asarray(full, dtype=float) - np.asarray(other.convert("RGB"), dtype=float))
    assert difference.mean() < 20


# --- any number of systems --------------------------------------------------------------------------------------

METHODS = [*ADAPTERS, "m1", "m2", "m3"]
PAIRS = [f"{a}-{b}" for a in "pqrs" for b in "pqrs" if a != b]


def bar_colors(figure: Figure) -> dict[str, str]:
    bars = figure.axes[0].containers
    return {
        str(group.get_label()): to_hex(group.patches[0].get_facecolor())
        for group in bars
        if hasattr(group, "patches")
    }


def test_seven_methods_on_twelve_pairs_have_seven_colors_in_every_chart() -> None:
    assert (len(METHODS), len(PAIRS)) == (7, 12)
    bars = charts.bars(table(PAIRS, METHODS), METHODS)
    colors = bar_colors(bars)
    assert len(colors) == len(set(colors.values())) == 9
    labels = [
        label.get_text().replace(" \u2192\n", "-") for axis in bars.axes for label in axis.get_xticklabels()
    ]
    assert labels == PAIRS
    histories = {pair: dict.fromkeys(METHODS, HISTORY) for pair in PAIRS}
    curves = charts.learning_curves(histories, table(PAIRS, METHODS), METHODS)
    assert [axis.get_title() for axis in curves.axes] == [pair.replace("-", " \u2192 ") for pair in PAIRS]
    assert len({line.get_color() for line in curves.axes[0].lines[2:]}) == 7
    for figure in (bars, curves):
        style.as_png(figure)


def test_more_systems_than_colors_differ_in_their_lines_and_hatches() -> None:
    looks = {(style.color(i), style.line_style(i), style.hatch(i)) for i in range(28)}
    assert len(looks) == 28
    charts.bars(table(["a-b"], [f"m{i}" for i in range(20)]), [f"m{i}" for i in range(20)])


def test_six_samplers_have_six_lines() -> None:
    samplers = [*SAMPLERS, "euler", "heun"]
    assert len(samplers) == 6
    figure = charts.sweep(sweep_of(samplers), CHOSEN)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == samplers
    assert len({line.get_color() for line in lines}) == 6


def test_a_system_keeps_its_color_whichever_others_are_shown() -> None:
    alone, among = (
        bar_colors(charts.bars(table(["a-b"], methods), methods)) for methods in (["dsn"], list(ADAPTERS))
    )
    assert alone["DSN"] == among["DSN"]


def test_text_on_every_color_has_contrast() -> None:
    assert style.text_color("#000000") == "white"
    assert style.text_color("#ffffff") != "white"


# --- what is drawn ----------------------------------------------------------------------------------------------


def test_a_digit_without_test_images_leaves_its_column_empty() -> None:
    few = Split(SPLIT.images[:4], np.array([0, 0, 5, 5]))
    (axis,) = grids.domain_samples({"a": few}).axes
    sheet = axis.images[0].get_array()
    assert (sheet[:28, :28] == few.images[0]).all()
    assert (sheet[:28, 30 * 5 : 30 * 5 + 28] == few.images[2]).all()
    assert (sheet[:28, 30:58] == 255).all()


def test_a_grid_keeps_rows_and_columns() -> None:
    sheet = np.asarray(grids.grid(TILES))
    factor = sheet.shape[1] // (10 * 18)
    assert sheet.shape == (2 * 18 * factor, 10 * 18 * factor, 3)
    assert (sheet[::factor, ::factor][18:34, 36:52] == TILES[1, 2]).all()


def test_learning_curves_show_the_seeds_mean_and_range() -> None:
    (axis,) = charts.learning_curves({"a-b": {"dann": HISTORY}}, TABLE, ["dann"]).axes
    (line,) = [line for line in axis.lines if line.get_label() == "DANN"]
    assert line.get_xdata().tolist() == [5, 10]
    assert line.get_ydata().tolist() == [20.0, 30.0]


def test_health_draws_the_columns_that_a_history_has() -> None:
    histories = {"A": LOSSES.assign(d_loss=1.0), "B": LOSSES.assign(g_loss=1.0, diversity=0.5)}
    axes = charts.health(histories, charts.GAN_PANELS).axes
    assert [len(axis.lines) for axis in axes] == [1, 0, 0, 1, 0, 1]


def test_the_sweep_compares_settings_that_otherwise_equal_the_chosen() -> None:
    rows = [
        *sweep_of(["ddim"]).to_dict("records"),
        {**CHOSEN, "guidance_scale": 4.0, "nfe": 10, "digit_accuracy": 7.0},
    ]
    left, right = charts.sweep(pd.DataFrame(rows), CHOSEN).axes
    assert left.lines[0].get_xdata().tolist() == [2, 10, 50]
    assert right.lines[0].get_xdata().tolist() == [2.0, 4.0]
    assert right.lines[0].get_ydata().tolist() == [55.0, 7.0]


@pytest.mark.parametrize("steps", [(100, 400), range(1000, 1800, 100), (100_000, 1_200_000)])
def test_the_steps_beside_a_strip_are_inside_the_picture(steps: Sequence[int]) -> None:
    figure = grids.progress(np.zeros((len(steps), 8, 16, 16, 3), np.uint8), steps)
    figure.savefig(io.BytesIO(), format="png")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"step {step:,}" for step in steps]
    for text in axis.findobj(Text):
        assert not text.get_text() or text.get_window_extent().x0 >= 0, text


def test_a_map_has_a_panel_for_each_attribute_with_every_point_in_its_color() -> None:
    panels = maps.by_attribute(POINTS, ["smiling", "dark_hair"]).axes
    assert [panel.get_title("left") for panel in panels] == ["smiling", "dark hair"]
    for panel, name in zip(panels, ("smiling", "dark_hair"), strict=True):
        unknown, without, with_it = panel.collections[:3]
        for points, value in ((unknown, UNKNOWN), (without, 0), (with_it, 1)):
            assert (points.get_offsets() == POINTS.loc[POINTS[name] == value, ["x", "y"]]).all()


def test_a_legend_names_only_the_values_that_occur() -> None:
    (legend,) = maps.by_attribute(POINTS.assign(smiling=[0, 1] * 20), ["smiling"]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["without", "with"]


def test_a_map_without_attributes_shows_every_point_once() -> None:
    (panel,) = maps.by_attribute(POINTS, []).axes
    (points,) = panel.collections
    assert (points.get_offsets() == POINTS[["x", "y"]]).all()
