"""Maps of points in two dimensions, colored by digit, domain or attribute."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hw2core.engine.images import UNKNOWN
from hw2core.report.figures.style import ACCENT, PALETTE, WIDTH, page_figure, styled

DIGIT_COLORS = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
DOMAIN_COLORS = (PALETTE[0], PALETTE[3])
ATTRIBUTE_COLORS = {UNKNOWN: ("unknown", "#c3c8d0"), 0: ("without", PALETTE[0]), 1: ("with", PALETTE[3])}
"""Unknown is first, so that its points lie below the others."""

PER_ROW = 4  # panels of attributes
MAPS_PER_ROW = 3


def by_digit(maps: Mapping[str, pd.DataFrame]) -> Figure:
    """A panel for each network: points with columns x, y, domain and digit. A digit stands at the median of its points."""
    digits = sorted({int(digit) for points in maps.values() for digit in points["digit"].unique()})
    figure = panels(maps, "digit", {digit: DIGIT_COLORS[digit % 10] for digit in digits})
    with styled():
        for axis, points in zip(figure.axes, maps.values(), strict=False):
            for digit, (x, y) in points.groupby("digit")[["x", "y"]].median().iterrows():
                halo = [withStroke(linewidth=2.5, foreground="white")]
                axis.text(
                    *(x, y, str(digit)),
                    ha="center",
                    va="center",
                    weight="bold",
                    fontsize=11,
                    path_effects=halo,
                )
    return figure


def by_domain(maps: Mapping[str, pd.DataFrame]) -> Figure:
    """A panel for each network: points with columns x, y and domain."""
    domains = dict.fromkeys(domain for points in maps.values() for domain in points["domain"].unique())
    colors: dict[Any, Any] = dict(zip(domains, cycle(DOMAIN_COLORS), strict=False))
    figure = panels(maps, "domain", colors)
    with styled():
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=2, handletextpad=0)
    return figure


def panels(maps: Mapping[str, pd.DataFrame], by: str, colors: Mapping[Any, Any]) -> Figure:
    rows, columns = -(-len(maps) // MAPS_PER_ROW), min(MAPS_PER_ROW, len(maps))
    with styled():
        figure = page_figure(0.3 + (WIDTH / MAPS_PER_ROW + 0.2) * rows, width=WIDTH * columns / MAPS_PER_ROW)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, (name, points) in zip(axes, maps.items(), strict=False):
            for value, fill in colors.items():
                group = points[points[by] == value]
                axis.scatter(group["x"], group["y"], s=5, color=fill, label=str(value), alpha=0.7, lw=0)
            axis.set_title(name, loc="left")
        for axis in axes:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(visible=False)
        for axis in axes[len(maps) :]:
            axis.set_axis_off()
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
