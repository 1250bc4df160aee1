"""Maps of points in two dimensions, colored by digit, domain or attribute."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hw2core.engine.images import UNKNOWN
from hw2core.report.figures.style import ACCENT, PALETTE, page_figure, styled

DIGIT_COLORS = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
DOMAIN_COLORS = (PALETTE[0], PALETTE[3])
ATTRIBUTE_COLORS = {UNKNOWN: ("unknown", "#c3c8d0"), 0: ("without", PALETTE[0]), 1: ("with", PALETTE[3])}
"""Unknown is first, so that its points lie below the others."""

PER_ROW = 4  # panels


def by_digit(points: pd.DataFrame) -> Figure:
    """Points with columns x, y and digit."""
    digits = sorted(points["digit"].unique())
    return colored(points, "digit", {digit: DIGIT_COLORS[int(digit) % 10] for digit in digits})


def by_domain(points: pd.DataFrame) -> Figure:
    """Points with columns x, y and domain."""
    colors = dict(zip(points["domain"].unique(), cycle(DOMAIN_COLORS), strict=False))
    return colored(points, "domain", colors)


def colored(points: pd.DataFrame, by: str, colors: Mapping[Any, Any]) -> Figure:
    with styled():
        figure = page_figure(4.5, width=4.2)
        axis = figure.subplots()
        for value, fill in colors.items():
            group = points[points[by] == value]
            axis.scatter(group["x"], group["y"], s=7, color=fill, label=str(value), alpha=0.75, lw=0)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[["left", "bottom"]].set_visible(False)
        figure.legend(
            loc="outside lower center",
            ncols=len(colors),
            markerscale=2,
            handletextpad=0,
            columnspacing=0.5,
        )
        return figure


def by_attribute(points: pd.DataFrame, attributes: Sequence[str]) -> Figure:
    """A panel for each attribute, a column of `points`; one panel without colors if there is no attribute."""
    if not attributes:
        return uncolored(points)
    rows, columns = -(-len(attributes) // PER_ROW), min(PER_ROW, len(attributes))
    with styled():
        figure = page_figure(0.35 + 1.95 * rows, width=max(3.6, 1.8 * columns))
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, name in zip(axes, attributes, strict=False):
            for value, (_, fill) in ATTRIBUTE_COLORS.items():
                group = points[points[name] == value]
                axis.scatter(group["x"], group["y"], s=6, color=fill, alpha=0.75, lw=0)
            axis.set_title(name.replace("_", " "), loc="left")
        for axis in axes:
            axis.set_axis_off()
        present = set(np.unique(points[list(attributes)].to_numpy()).tolist())
        for value, (label, fill) in ATTRIBUTE_COLORS.items():
            if value in present:
                axes[0].scatter([], [], color=fill, label=label, lw=0)
        figure.legend(loc="outside lower center", ncols=len(present), handletextpad=0, columnspacing=0.8)
        return figure


def uncolored(points: pd.DataFrame) -> Figure:
    with styled():
        figure = page_figure(3.6, width=3.6)
        axis = figure.subplots()
        axis.scatter(points["x"], points["y"], s=7, color=ACCENT, alpha=0.75, lw=0)
        axis.set_axis_off()
        return figure
