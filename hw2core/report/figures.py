"""The pictures: one function a kind, one look for all. The same data gives the same bytes."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.store import UNKNOWN, Split
from hw2core.files import write_whole

LOWER, ADAPTED, UPPER = "#9aa1ac", "#2f6fde", "#2a9d6f"  # source only, adapted, target only
DOMAIN_COLOURS = ("#2f6fde", "#e0662f")
DIGIT_COLOURS = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8ec",
    "legend.frameon": False,
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the program's name and version in it."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_whole(path, picture.getvalue())


def save_photos(figure: Figure, path: Path) -> None:
    """The same for a figure full of photographs, in 256 colours: a third of the bytes, so that git can hold it."""
    save(figure, path)
    write_whole(path, in_few_colours(path.read_bytes()))


def in_few_colours(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    smaller = io.BytesIO()
    few.save(smaller, format="PNG", optimize=True)
    return smaller.getvalue()


def samples(tests: Mapping[str, Split]) -> Figure:
    """For each domain three test images of each digit."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.25 + 2.35 * len(tests)))
        axes = figure.subplots(len(tests), 1, squeeze=False)[:, 0]
        for axis, (name, test) in zip(axes, tests.items(), strict=True):
            show(axis, tile(digit_columns(test, 3)), name)
        return figure


def contact_sheet(images: Split, title: str) -> Figure:
    """Many images at a look: twelve of each digit, or 96 faces."""
    if images.labels.ndim == 1:
        columns = digit_columns(images, 12)
    else:
        columns = [images.images[first:96:12] for first in range(12)]
    sheet = tile(columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.3 + 7.2 * sheet.shape[0] / sheet.shape[1]))
        show(figure.subplots(), sheet, title)
        return figure


def grid(images: NDArray[np.uint8], rows: int, columns: int, title: str) -> Figure:
    """The first images, row by row."""
    sheet = tile([images[column : rows * columns : columns] for column in range(columns)])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.3 + 7.2 * sheet.shape[0] / sheet.shape[1]))
        show(figure.subplots(), sheet, title)
        return figure


def reconstructions(images: NDArray[np.uint8], rebuilt: NDArray[np.uint8], errors: Sequence[float]) -> Figure:
    """Images above, their reconstructions below, each pair with its error."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.75))
        figure.set_layout_engine("constrained", w_pad=0.01, wspace=0.02)
        columns = zip(figure.subplots(2, len(images)).T, images, rebuilt, errors, strict=True)
        for (top, bottom), image, again, error in columns:
            show(top, image, "")
            show(bottom, again, "")
            top.set_title(f"{error:.4f}", fontsize=8)
        return figure


def progress(moments: Mapping[int, NDArray[np.uint8]]) -> Figure:
    """Images of the same noise in a row for each step."""
    return rows(list(moments.values()), [f"step {step:,}" for step in moments])


def rows(images: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> Figure:
    """Rows of images, each with its name before it."""
    sheet = tile([np.stack(column) for column in zip(*images, strict=True)])
    height = sheet.shape[0] / len(images)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.1 + 6.2 * sheet.shape[0] / sheet.shape[1]))
        axis = figure.subplots()
        axis.imshow(sheet, interpolation="nearest")
        axis.set_anchor("W")  # in the middle of its place it would leave too little for the names
        axis.set_xticks([])
        axis.set_yticks([(row + 0.5) * height for row in range(len(images))], names)
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.spines[["left", "bottom"]].set_visible(False)
        return figure


def reverse(moments: Mapping[int, NDArray[np.uint8]]) -> Figure:
    """One image on its way from noise, with each time below it."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.5))
        axes = figure.subplots(1, len(moments), squeeze=False)[0]
        for axis, (time, image) in zip(axes, moments.items(), strict=True):
            show(axis, image, "")
            axis.set_title(f"t = {time:,}", loc="center", y=-0.2)
        return figure


def neighbours(images: NDArray[np.uint8], nearest: NDArray[np.uint8], distances: Sequence[float]) -> Figure:
    """Generated images above, the training image nearest to each below, with the distance between."""
    return reconstructions(images, nearest, distances)


def sweep(table: pd.DataFrame, chosen: Mapping[str, Any]) -> Figure:
    """Digits read against the looks of the network that a sampler takes, and against guidance; of each the rows that
    else are as chosen."""
    every = table[table["guidance"] == chosen["guidance"]]
    same = (table["sampler"] == chosen["sampler"]) & (table["sampling_steps"] == chosen["sampling_steps"])
    way = table[same].sort_values("guidance")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.9))
        left, right = figure.subplots(1, 2, sharey=True)
        groups = every.groupby("sampler", sort=False)
        for (name, points), colour in zip(groups, shades(len(groups)), strict=True):
            points = points.sort_values("looks")
            left.plot(points["looks"], points["digits_read"], "o-", ms=4, color=colour, label=name)
        left.set_xscale("log")
        ticks = sorted(every["looks"].unique())
        left.set_xticks(ticks, [str(tick) for tick in ticks])
        left.minorticks_off()
        left.set_xlabel("looks of the network at each image")
        left.set_ylabel("digits read, %")
        left.set_ylim(0, 103)
        left.legend(fontsize=7.5, loc="lower right")
        right.plot(way["guidance"], way["digits_read"], "o-", ms=4, color=ADAPTED)
        right.set_xlabel(f"guidance ({chosen['sampler']}, {chosen['sampling_steps']} steps)")
        return figure


def digit_columns(split: Split, count: int) -> list[NDArray[np.uint8]]:
    """The first images of each digit."""
    return [split.images[np.flatnonzero(split.labels == digit)[:count]] for digit in range(10)]


def tile(columns: list[NDArray[np.uint8]], gap: int = 2) -> NDArray[np.uint8]:
    """Columns of images beside each other on white."""
    height, width = columns[0].shape[1:3]
    rows = max(1, *(len(column) for column in columns))
    sheet = np.full((rows * (height + gap), len(columns) * (width + gap), 3), 255, dtype=np.uint8)
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            top, left = y * (height + gap), x * (width + gap)
            sheet[top : top + height, left : left + width] = image
    return sheet


def show(axis: Axes, sheet: NDArray[np.uint8], title: str) -> None:
    axis.imshow(sheet, interpolation="nearest")
    axis.set_title(title, loc="left")
    axis.axis("off")


def bars(table: pd.DataFrame, methods: Mapping[str, str]) -> Figure:
    """Accuracy of the bounds and the methods for each pair that was run, with the standard deviation over seeds.
    The methods' columns are given with the names they are shown by."""
    table = table.dropna(subset=list(methods))
    columns = ["source only", *methods, "target only"]
    colours = [LOWER, *shades(len(methods)), UPPER]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.0))
        axis = figure.subplots()
        width = 0.86 / len(columns)
        upright = len(table) * len(columns) > 24  # bars too narrow for a figure in them
        for i, (column, colour) in enumerate(zip(columns, colours, strict=True)):
            places = np.arange(len(table)) + (i - (len(columns) - 1) / 2) * width
            means = table[column].to_numpy(dtype=float)
            spread = table[f"{column} std"].fillna(0).to_numpy(dtype=float)
            axis.bar(
                places,
                means,
                width * 0.92,
                yerr=spread,
                color=colour,
                label=methods.get(column, column),
                error_kw={"lw": 0.8},
            )
            for place, mean in zip(places, means, strict=True):
                if not np.isnan(mean):
                    axis.annotate(
                        f"{mean:.0f}",
                        (place, 1.5),
                        ha="center",
                        va="bottom",
                        color="white",
                        fontsize=7.5,
                        rotation=90 if upright else 0,
                    )
        axis.set_xticks(np.arange(len(table)), [pair.replace("-", " \u2192\n") for pair in table["pair"]])
        axis.set_ylim(0, 100)
        axis.set_ylabel("target test accuracy, %")
        axis.grid(axis="x", visible=False)
        axis.legend(ncols=len(columns), loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
        return figure


def curves(
    histories: Mapping[str, Mapping[str, pd.DataFrame]], table: pd.DataFrame, methods: Mapping[str, str]
) -> Figure:
    """For each pair the target test accuracy over the steps: the seeds' mean and range, between the bounds."""
    bounds = table.set_index("pair")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.5))
        figure.set_layout_engine("constrained", wspace=0.06)
        axes = figure.subplots(1, len(histories), sharey=True, squeeze=False)[0]
        for axis, (pair, by_method) in zip(axes, histories.items(), strict=True):
            for column, colour in (("target only", UPPER), ("source only", LOWER)):
                axis.axhline(bounds.loc[pair, column], color=colour, ls="--", lw=1.2, label=column)
            for method, colour in zip(methods, shades(len(methods)), strict=True):
                at = by_method[method].groupby("step")["test_accuracy"]
                axis.plot(at.mean(), color=colour, label=methods[method])
                axis.fill_between(at.mean().index, at.min(), at.max(), color=colour, alpha=0.18, lw=0)
            axis.set_title(pair.replace("-", " \u2192 "))
            axis.set_ylim(0, 100)
            axis.set_xlim(left=0)
            axis.set_xlabel("step")
        axes[0].set_ylabel("target test accuracy, %")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return figure


PANELS = {
    "loss": {"critic_loss": "critic", "generator_loss": "generator"},
    "critic right, share": {"real_accuracy": "of real images", "fake_accuracy": "of generated"},
    "diversity": {"diversity": "generated, beside real"},
}
VAE_PANELS = {
    "mean squared error": {"reconstruction": "reconstruction"},
    "nats": {"kl": "KL from N(0, 1)"},
}

ACGAN_PANELS = {
    "discriminator's loss": {"told_loss": "real or drawn", "read_loss": "which label"},
    "generator's loss": {"fooling_loss": "to look real", "obeying_loss": "to look as labelled"},
}
DDPM_PANELS = {"loss": {"loss": "of the network's guess"}}


def health(histories: Mapping[str, pd.DataFrame], panels: Mapping[str, Mapping[str, str]]) -> Figure:
    """A row for each generator: what its training watched, the seeds' mean and range. The names are those shown."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.5 + 1.55 * len(histories)))
        figure.set_layout_engine("constrained", wspace=0.06)
        grid = figure.subplots(len(histories), len(panels), squeeze=False, sharex="row")
        for row, (name, history) in zip(grid, histories.items(), strict=True):
            for axis, (ylabel, lines) in zip(row, panels.items(), strict=True):
                for (column, label), colour in zip(lines.items(), shades(len(lines)), strict=True):
                    at = history.groupby("step")[column]
                    axis.plot(at.mean(), color=colour, label=label)
                    axis.fill_between(at.mean().index, at.min(), at.max(), color=colour, alpha=0.18, lw=0)
                axis.set_ylabel(ylabel)
                axis.set_xlim(left=0)
                if ylabel == "critic right, share":
                    axis.set_ylim(0, 1.03)
                elif ylabel in ("diversity", "mean squared error", "nats"):
                    axis.set_ylim(bottom=0)
            row[0].set_title(name, loc="left")
        for axis in grid[-1]:
            axis.set_xlabel("step")
        for axis in grid[0]:
            axis.legend(fontsize=7.5, loc="best")
        return figure


def scatter(places: pd.DataFrame, by: str, title: str) -> Figure:
    """Points with columns x and y, coloured by another column."""
    groups = sorted(places[by].unique()) if by == "digit" else list(places[by].unique())
    palette = DIGIT_COLOURS if by == "digit" else DOMAIN_COLOURS
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 4.5))
        axis: Axes = figure.subplots()
        for group in groups:
            points = places[places[by] == group]
            colour = palette[group if by == "digit" else groups.index(group)]
            axis.scatter(points["x"], points["y"], s=7, color=colour, label=str(group), alpha=0.75, lw=0)
        axis.set_title(title, loc="left")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[["left", "bottom"]].set_visible(False)
        figure.legend(
            loc="outside lower center", ncols=len(groups), markerscale=2, handletextpad=0, columnspacing=0.8
        )
        return figure


# The unknown first: they lie below the others.
KNOWN = {UNKNOWN: ("not known", "#c3c8d0"), 0: ("without", "#2f6fde"), 1: ("with", "#e0662f")}
ABREAST = 4  # panels in a row


def by_attribute(places: NDArray[np.float32], attributes: Mapping[str, NDArray[np.int64]]) -> Figure:
    """The same points once for each attribute, coloured by it; once without colours where there is none."""
    if not attributes:
        return one_map(places)
    rows, columns = -(-len(attributes) // ABREAST), min(ABREAST, len(attributes))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(3.6, 1.8 * columns), 0.35 + 1.95 * rows))
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, (name, values) in zip(axes, attributes.items(), strict=False):
            for value, (_, colour) in KNOWN.items():
                points = places[values == value]
                axis.scatter(points[:, 0], points[:, 1], s=6, color=colour, alpha=0.75, lw=0)
            axis.set_title(name.replace("_", " "), loc="left")
        for axis in axes:
            axis.set_axis_off()
        seen = set(np.concatenate(list(attributes.values())).tolist())
        for value, (label, colour) in KNOWN.items():
            if value in seen:
                axes[0].scatter([], [], color=colour, label=label, lw=0)
        figure.legend(loc="outside lower center", ncols=len(seen), handletextpad=0, columnspacing=0.8)
        return figure


def one_map(places: NDArray[np.float32]) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.6))
        axis = figure.subplots()
        axis.scatter(places[:, 0], places[:, 1], s=7, color=ADAPTED, alpha=0.75, lw=0)
        axis.set_axis_off()
        return figure


def shades(count: int) -> list[str]:
    """Colours for the adaptation methods."""
    return [ADAPTED, "#8b4fc9", "#e0662f", "#c9a227"][:count]
