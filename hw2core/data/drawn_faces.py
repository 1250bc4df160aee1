"""The embedded default's faces: drawn portraits, 64x64, with four attributes.

Each is a function of (seed, split, index), and the same bytes on every machine. They stand in for nobody: a figure
measured on them is theirs alone.
"""

from functools import partial
from pathlib import Path

import numpy as np

from hw2core.data.drawing import Luck
from hw2core.data.portrait import Attributes, Portrait
from hw2core.data.store import Split
from hw2core.params import Embedded
from hw2core.workers import map_in_order

CHUNK = 100  # faces to a task
FEW = 300  # so many are drawn before other processes would have started


def fetch(folder: Path) -> None:
    """There is nothing to bring, which the stage's folder says."""
    (folder / "nothing.txt").write_text("The faces are drawn by preprocess, from its seed alone.\n", "utf-8")


def make(settings: Embedded) -> dict[str, Split]:
    counts = {"train": settings.faces_train, "test": settings.faces_test}
    return {name: draw_split(settings.seed, name, count) for name, count in counts.items()}


def draw_split(seed: int, name: str, count: int) -> Split:
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    draw = partial(draw_chunk, seed, name)
    drawn = list(map(draw, chunks) if count <= FEW else map_in_order(draw, chunks))
    return Split(
        np.concatenate([split.images for split in drawn]), np.concatenate([split.labels for split in drawn])
    )


def draw_chunk(seed: int, name: str, indices: range) -> Split:
    faces = [Luck(seed, name, index) for index in indices]
    looks = [choose_attributes(luck) for luck in faces]
    pictures = [Portrait(luck, seen).draw() for luck, seen in zip(faces, looks, strict=True)]
    return Split(np.stack(pictures), np.array(looks, dtype=np.uint8))


def choose_attributes(luck: Luck) -> Attributes:
    return Attributes(
        smiling=luck.chance("smiling", 0.5),
        male=luck.chance("male", 0.5),
        glasses=luck.chance("glasses", 0.35),
        dark_hair=luck.chance("dark hair", 0.5),
    )
