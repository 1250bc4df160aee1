"""Which datasets exist, what they are, and how each is brought here and made ready."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hw2core.data import standins
from hw2core.data.store import Split
from hw2core.params import Embedded


@dataclass(frozen=True)
class Dataset:
    """`fetch` fills a folder with raw material; `make` turns such a folder into train and test images."""

    about: str
    fetch: Callable[[Path], None]
    make: Callable[[Path, Embedded], dict[str, Split]]


EMBEDDED = {
    "handwritten": Dataset(
        "scikit-learn's 8x8 handwritten digits, enlarged to grey strokes that fill the 28x28 frame, slightly "
        "turned, slanted, scaled and moved",
        standins.fetch_handwriting,
        standins.make_handwritten,
    ),
    "blended": Dataset(
        "the same handwriting, 0.7 times as high, blended into scikit-learn's two photos: abs(crop - 255 * (digit > 127))",
        standins.fetch_handwriting_and_photos,
        standins.make_blended,
    ),
    "printed": Dataset(
        f"digits drawn from {len(standins.FONTS)} fonts that matplotlib carries, with colours, gradients, "
        "blur, noise and cut neighbours",
        standins.fetch_fonts,
        standins.make_printed,
    ),
}
