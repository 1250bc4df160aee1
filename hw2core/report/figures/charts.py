"""Charts: accuracies as bars, learning curves, training health, and the sweep of a diffusion model's sampling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw2core.report.figures.style import (
    ACCENT,
    LOWER,
    UPPER,
    WIDTH,
    color,
    hatch,
    line_style,
    page_figure,
    places,
    styled,
    text_color,
)
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.settings.registry import ADAPTERS, SAMPLERS, title

BARS_PER_ROW = 36
CURVES_PER_ROW = 3
LEGEND_COLUMNS = 6
MATRICES_PER_ROW = 2
Limits = tuple[float | None, float | None]
Histories = dict[str, dict[str, pd.DataFrame]]
"""By pair, then by method."""


# --- accuracies -----------------------------------------------------------------------------------------------


def bars(table: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Accuracies of the bounds and the methods on each pair, with the standard deviation over seeds.

    Many pairs take several rows.
    """
    columns = [SOURCE_ONLY, *methods, TARGET_ONLY]
    per_row = max(1, BARS_PER_ROW // len(columns))
    parts = [table[first : first + per_row] for first in range(0, len(table), per_row)]
    with styled():
        figure = page_figure(0.6 + 2.4 * len(parts))
        axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
        for axis, part in zip(axes, parts, strict=True):
            draw_bars(axis, part, methods, vertical_text=min(per_row, len(table)) * len(columns) > 24)
            axis.set_xlim(-0.5, min(per_row, len(table)) - 0.5)
        shared_legend(figure, axes[0])
        return figure


def draw_bars(axis: Axes, table: pd.DataFrame, methods: Sequence[str], *, vertical_text: bool) -> None:
    place = places(methods, ADAPTERS)
    fills = {SOURCE_ONLY: LOWER, **{name: color(place[name]) for name in methods}, TARGET_ONLY: UPPER}
    width = 0.86 / len(fills)
    for i, (column, fill) in enumerate(fills.items()):
        centers = np.arange(len(table)) + (i - (len(fills) - 1) / 2) * width
        means = table[column].to_numpy(dtype=float)
        axis.bar(
            centers,
            means,
            width * 0.92,
            yerr=table[f"{column} std"].fillna(0).to_numpy(dtype=float),
            color=fill,
            hatch=hatch(place[column]) if column in place else "",
            label=title(column),
            error_kw={"lw": 0.8},
        )
        for center, mean in zip(centers, means, strict=True):
            if not np.isnan(mean):
                axis.annotate(
                    f"{mean:.0f}",
                    (center, 1.5),
                    ha="center",
                    va="bottom",
                    color=text_color(fill),
                    fontsize=7.5,
                    rotation=90 if vertical_text else 0,
                )
    axis.set_xticks(np.arange(len(table)), [pair.replace("-", " \u2192\n") for pair in table["pair"]])
    axis.set_ylim(0, 100)
    axis.set_ylabel("target test accuracy, %")
    axis.grid(axis="x", visible=False)


def learning_curves(histories: Histories, table: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Target test accuracy over the steps, a panel for each pair: the seeds' mean and range, between the bounds."""
    bounds = table.set_index("pair")
    place = places(methods, ADAPTERS)
    rows, columns = -(-len(histories) // CURVES_PER_ROW), min(CURVES_PER_ROW, len(histories))
    with styled():
        figure = page_figure(0.4 + 2.1 * rows)
        figure.set_layout_engine("constrained", wspace=0.06)
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axis, (pair, by_method) in zip(axes.flat, histories.items(), strict=False):
            for column, line in ((TARGET_ONLY, UPPER), (SOURCE_ONLY, LOWER)):
                axis.axhline(bounds.loc[pair, column], color=line, ls="--", lw=1.2, label=column)
            for name in by_method:
                mean_and_range(axis, by_method[name], "test_accuracy", place[name], title(name))
            axis.set_title(arrow(pair))
            axis.set_ylim(0, 100)
            axis.set_xlabel("step")
        for axis in axes.flat[len(histories) :]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("target test accuracy, %")
        shared_legend(figure, axes[0, 0])
        return figure


def mean_and_range(axis: Axes, history: pd.DataFrame, column: str, place: int, label: str) -> None:
    """A line of the seeds' mean over the steps, in a band from their minimum to their maximum."""
    by_step = history.groupby("step")[column]
    mean = by_step.mean()
    axis.plot(mean, color=color(place), ls=line_style(place), label=label)
    axis.fill_between(mean.index, by_step.min(), by_step.max(), color=color(place), alpha=0.18, lw=0)
    axis.set_xlim(left=0)


def confusions(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Confusion matrices in percent of the label, a panel for each method: rows (digit, predicted, rate)."""
    digits = sorted({int(d) for t in tables.values() for d in (*t["digit"], *t["predicted"])})
    rows, columns = -(-len(tables) // MATRICES_PER_ROW), min(MATRICES_PER_ROW, len(tables))
    with styled():
        figure = page_figure(3.4 * rows, width=WIDTH * columns / MATRICES_PER_ROW)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, (name, table) in zip(axes, tables.items(), strict=False):
            rates = table.pivot(index="digit", columns="predicted", values="rate")
            matrix = rates.reindex(index=digits, columns=digits).fillna(0).to_numpy()
            axis.imshow(matrix, cmap="Blues", vmin=0, vmax=100)
            for (y, x), rate in np.ndenumerate(matrix):
                if rate >= 0.5:
                    fill = "white" if rate > 50 else "#1d2129"
                    axis.text(x, y, f"{rate:.0f}", ha="center", va="center", fontsize=7, color=fill)
            axis.set_xticks(range(len(digits)), digits)
            axis.set_yticks(range(len(digits)), digits)
            axis.set_title(name, loc="left")
            axis.set_xlabel("predicted")
            axis.set_ylabel("true label")
            axis.grid(visible=False)
        for axis in axes[len(tables) :]:
            axis.set_axis_off()
        return figure


def shared_legend(figure: Figure, axis: Axes) -> None:
    """One legend above all panels, with the entries of one of them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(LEGEND_COLUMNS, len(labels)))


# --- health of trainings --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One quantity over the steps: its label, the history's columns with their names, and limits of the axis."""

    label: str
    lines: Mapping[str, str]
    limits: Limits = (None, None)


GAN_PANELS = (
    Panel("loss", {"d_loss": "discriminator", "g_loss": "generator"}),
    Panel("discriminator\naccuracy", {"d_real_acc": "real images", "d_fake_acc": "generated"}, (0, 1.03)),
    Panel("diversity", {"diversity": "generated / real"}, (0, None)),
)
AUTOENCODER_PANELS = (
    Panel("mean squared error", {"reconstruction": "reconstruction"}, (0, None)),
    Panel("nats", {"kl": "KL from N(0, 1)"}, (0, None)),
)
ACGAN_PANELS = (
    Panel("discriminator loss", {"d_adv_loss": "adversarial", "d_aux_loss": "auxiliary"}),
    Panel("generator loss", {"g_adv_loss": "adversarial", "g_aux_loss": "auxiliary"}),
)
DDPM_PANELS = (Panel("loss", {"loss": "denoising"}),)


def health(histories: Mapping[str, pd.DataFrame], panels: Sequence[Panel]) -> Figure:
    """Quantities over the steps, a row for each training: the seeds' mean and range. Keys are the rows' titles.

    A column that a history lacks has no line.
    """
    with styled():
        figure = page_figure(0.5 + 1.55 * len(histories))
        figure.set_layout_engine("constrained", wspace=0.06)
        axes = figure.subplots(len(histories), len(panels), squeeze=False, sharex="row")
        for row, (name, history) in zip(axes, histories.items(), strict=True):
            for axis, panel in zip(row, panels, strict=True):
                for i, (column, label) in enumerate(panel.lines.items()):
                    if column in history:
                        mean_and_range(axis, history, column, i, label)
                axis.set_ylabel(panel.label)
                axis.set_ylim(*panel.limits)
            row[0].set_title(name, loc="left")
        for axis in axes[-1]:
            axis.set_xlabel("step")
        for axis in axes[0]:
            if axis.lines:
                axis.legend(fontsize=7.5, loc="best")
        return figure


# --- sampling of a diffusion model ----------------------------------------------------------------------------


def sweep(table: pd.DataFrame, chosen: Mapping[str, Any]) -> Figure:
    """Digit accuracy against the number of function evaluations of each sampler, and against the guidance scale.

    Each panel shows the settings that otherwise equal the `chosen` ones.
    """
    at_scale = table[np.isclose(table["guidance_scale"], chosen["guidance_scale"], rtol=1e-5)]
    same = (table["sampler"] == chosen["sampler"]) & (table["sampling_steps"] == chosen["sampling_steps"])
    place = places(list(at_scale["sampler"].unique()), SAMPLERS)
    with styled():
        figure = page_figure(2.9)
        left, right = figure.subplots(1, 2, sharey=True)
        for name, points in at_scale.groupby("sampler", sort=False):
            points = points.sort_values("nfe")
            look = {"color": color(place[str(name)]), "ls": line_style(place[str(name)])}
            left.plot(points["nfe"], points["digit_accuracy"], marker="o", ms=4, label=name, **look)
        left.set_xscale("log")
        ticks = sorted(at_scale["nfe"].unique())
        left.set_xticks(ticks, [str(tick) for tick in ticks])
        left.minorticks_off()
        left.set_xlabel("function evaluations (NFE) per image")
        left.set_ylabel("digit accuracy, %")
        left.set_ylim(0, 103)
        if len(at_scale):
            left.legend(fontsize=7.5, loc="lower right")
        by_scale = table[same].sort_values("guidance_scale")
        right.plot(by_scale["guidance_scale"], by_scale["digit_accuracy"], "o-", ms=4, color=ACCENT)
        right.set_xlabel(f"guidance scale ({chosen['sampler']}, {chosen['sampling_steps']} steps)")
        return figure
