"""What all figures share: matplotlib's settings, colors, and how a figure is saved."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from hw2core.files import write_whole

WIDTH = 7.2
"""Width of a figure that spans the page, in inches."""

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

LOWER, UPPER = "#b9bec7", "#009e73"
"""Colors of the bounds: source only, target only."""

PALETTE = ("#0072b2", "#e69f00", "#cc79a7", "#d55e00", "#56b4e9", "#882255", "#1d2129")
"""Colors that remain distinct with color vision deficiency (Okabe and Ito 2008, Tol 2021). The palette's green is the
upper bound's."""

ACCENT = PALETTE[0]
LINE_STYLES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx")


def places(names: Sequence[str], registry: Sequence[str]) -> dict[str, int]:
    """The place of each system in its registry; systems that are not in it follow.

    A system keeps its place, and with it its color, whichever others are shown beside it.
    """
    after = count(len(registry))
    return {name: registry.index(name) if name in registry else next(after) for name in names}


def color(place: int) -> str:
    """The color of a place. Colors repeat after seven; `line_style` and `hatch` then differ."""
    return PALETTE[place % len(PALETTE)]


def line_style(place: int) -> str:
    return LINE_STYLES[place // len(PALETTE) % len(LINE_STYLES)]


def hatch(place: int) -> str:
    return HATCHES[place // len(PALETTE) % len(HATCHES)]


def text_color(background: str) -> str:
    """White or black, whichever has the higher contrast on a background (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.3 else "#1d2129"


def page_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of `width` x `height` inches. Call it, and draw, within `styled()`."""
    return Figure(figsize=(width, height))


def styled() -> Any:
    """The context in which figures are drawn."""
    return mpl.rc_context(STYLE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    write_whole(path, as_png(figure))


def rendered(figure: Figure | Image.Image) -> Image.Image:
    """A figure as pixels, without the detour of `savefig`, which draws it twice."""
    if isinstance(figure, Image.Image):
        return figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def shows_images(figure: Figure | Image.Image) -> bool:
    return isinstance(figure, Image.Image) or any(axis.images for axis in figure.axes)


def as_png(figure: Figure | Image.Image) -> bytes:
    """A figure as PNG with 256 colors, a third of the bytes, so that git can hold it."""
    return png_of(rendered(figure), dither=shows_images(figure))


def png_of(picture: Image.Image, dither: bool) -> bytes:
    content = io.BytesIO()
    how = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    picture.convert("RGB").quantize(256, dither=how).save(content, format="PNG", optimize=True)
    return content.getvalue()


def webp_of(picture: Image.Image, lossless: bool) -> bytes:
    """A picture for the page, where all of them must fit; images lose some detail, charts none."""
    content = io.BytesIO()
    picture.save(content, format="WEBP", lossless=lossless, quality=50 if lossless else 80, method=2)
    return content.getvalue()


@dataclass(frozen=True)
class FigureFiles:
    """A figure as PNG for git hosts, and as WebP for the page."""

    png: bytes
    webp: bytes


def figure_files(figure: Figure | Image.Image) -> FigureFiles:
    picture, images = rendered(figure), shows_images(figure)
    return FigureFiles(png_of(picture, dither=images), webp_of(picture, lossless=not images))
