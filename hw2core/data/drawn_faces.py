"""The faces of the embedded default: drawn portraits, 64x64, with four attributes.

Each face is a function of (seed, split, index) and has the same bytes on every machine. The faces are synthetic:
metrics measured on them say nothing about metrics on photos.
"""

from functools import partial
from pathlib import Path

import numpy as np

from hw2core.data.drawing import HashRng
from hw2core.data.head import Attributes
from hw2core.data.portrait import draw_portrait
from hw2core.engine.images import Split
from hw2core.settings.models import Embedded
from hw2core.workers import map_in_order

CHUNK = 100  # faces per task
SERIAL = 300  # up to so many faces, drawing takes less time than starting worker processes


def fetch(folder: Path) -> None:
    """Write a note: nothing has to be downloaded."""
    (folder / "nothing.txt").write_text("Preprocess draws the faces from its seed alone.\n", "utf-8")


def make(settings: Embedded) -> dict[str, Split]:
    counts = {"train": settings.faces_train, "test": settings.faces_test}
    return {name: draw_split(settings.seed, name, count) for name, count in counts.items()}


def draw_split(seed: int, name: str, count: int) -> Split:
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    draw = partial(draw_chunk, seed, name)
    parts = list(map(draw, chunks) if count <= SERIAL else map_in_order(draw, chunks))
    return Split(
        np.concatenate([split.images for split in parts]), np.concatenate([split.labels for split in parts])
    )


def draw_chunk(seed: int, name: str, indices: range) -> Split:
    rngs = [HashRng(seed, name, index) for index in indices]
    attributes = [choose_attributes(rng) for rng in rngs]
    images = [draw_portrait(rng, chosen) for rng, chosen in zip(rngs, attributes, strict=True)]
    return Split(np.stack(images), np.array(attributes, dtype=np.uint8))


def choose_attributes(rng: HashRng) -> Attributes:
    return Attributes(
        smiling=rng.bernoulli("smiling", 0.5),
        male=rng.bernoulli("male", 0.5),
        glasses=rng.bernoulli("glasses", 0.35),
        dark_hair=rng.bernoulli("dark hair", 0.5),
    )
