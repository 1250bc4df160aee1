"""Grids of images: samples, progress strips, pairs of images with their distance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hw2core.engine.images import Split
from hw2core.report.figures.style import WIDTH, page_figure, styled

Tiles = NDArray[np.uint8]
"""Images (rows, columns, height, width, 3), as engine.tiles.read_tiles returns them."""

Images = NDArray[np.uint8]
"""Images (n, height, width, 3)."""

GAP = 2  # pixels between images
GRID_WIDTH = 1000  # pixels of a grid of images at most


def grid(tiles: Tiles) -> Image.Image:
    """Rows of images, enlarged by a whole factor to about the width of a page."""
    sheet = join(list(tiles.swapaxes(0, 1)))
    factor = max(1, GRID_WIDTH // sheet.shape[1])
    return Image.fromarray(sheet.repeat(factor, axis=0).repeat(factor, axis=1))


def named_rows(tiles: Tiles, names: Sequence[str]) -> Figure:
    """Rows of images, each with its name on its left."""
    with styled():
        figure, axis = bare_sheet(tiles, width=6.2, margin=0.1)
        axis.set_anchor("W")  # centered, the names would not fit
        axis.set_yticks(centers(len(names), tiles.shape[2]), names)
        return figure


def progress(tiles: Tiles, steps: Sequence[int]) -> Figure:
    """Images of the same latent vectors, a row for each step of the training."""
    return named_rows(tiles, [f"step {step:,}" for step in steps])


def pairs(tiles: Tiles, distances: Sequence[float]) -> Figure:
    """Two rows of images; above each column the distance between its two images."""
    with styled():
        figure, axis = bare_sheet(tiles, width=WIDTH, margin=0.3)
        names = [f"{distance:.4f}" for distance in distances]
        axis.set_xticks(centers(len(names), tiles.shape[3]), names, fontsize=8)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        return figure


def reverse_process(tiles: Tiles, timesteps: Sequence[int]) -> Figure:
    """One image from noise on, with the timestep below each state."""
    with styled():
        figure, axis = bare_sheet(tiles, width=1.2 * len(timesteps), margin=0.3)
        names = [f"t = {timestep:,}" for timestep in timesteps]
        axis.set_xticks(centers(len(names), tiles.shape[3]), names)
        return figure


def bare_sheet(tiles: Tiles, width: float, margin: float) -> tuple[Figure, Axes]:
    """Images in an area `width` inches wide, whose ticks can name rows and columns. `margin` is the height of names."""
    sheet = join(list(tiles.swapaxes(0, 1)))
    figure = page_figure(margin + width * sheet.shape[0] / sheet.shape[1], width=max(width, WIDTH))
    axis = figure.subplots()
    axis.imshow(sheet, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[["left", "bottom"]].set_visible(False)
    return figure, axis


def centers(count: int, size: int) -> list[float]:
    """The middle of each of `count` images of `size` pixels that `join` puts side by side."""
    return [place * (size + GAP) + (size - 1) / 2 for place in range(count)]


def domain_samples(tests: Mapping[str, Split]) -> Figure:
    """Three test images of each digit, for each domain."""
    with styled():
        figure = page_figure(0.25 + 2.35 * len(tests))
        axes = figure.subplots(len(tests), 1, squeeze=False)[:, 0]
        for axis, (name, test) in zip(axes, tests.items(), strict=True):
            show(axis, join(digit_columns(test, 3)), name)
        return figure


def contact_sheet(images: Split, title: str) -> Figure:
    """Many images of a dataset: twelve of each digit, or 96 faces."""
    if images.labels.ndim == 1:
        columns = digit_columns(images, 12)
    else:
        columns = [images.images[first:96:12] for first in range(12)]
    sheet = join(columns)
    with styled():
        figure = page_figure(0.3 + WIDTH * sheet.shape[0] / sheet.shape[1])
        show(figure.subplots(), sheet, title)
        return figure


def digit_columns(split: Split, count: int) -> list[Images]:
    """The first images of each digit."""
    return [split.images[np.flatnonzero(split.labels == digit)[:count]] for digit in range(10)]


def join(columns: Sequence[Images]) -> NDArray[np.uint8]:
    """One image of columns of images side by side, with white gaps. Columns may differ in length."""
    height, width = columns[0].shape[1:3]
    rows = max(1, *(len(column) for column in columns))
    sheet = np.full((rows * (height + GAP), len(columns) * (width + GAP), 3), 255, dtype=np.uint8)
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[top : top + height, left : left + width] = image
    return sheet


def show(axis: Axes, image: NDArray[np.uint8], title: str) -> None:
    axis.imshow(image, interpolation="nearest")
    axis.set_title(title, loc="left")
    axis.axis("off")
