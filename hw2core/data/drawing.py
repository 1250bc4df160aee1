"""Tools to draw pictures by arithmetic, the same bytes on every machine.

Chance comes from a hash, and pixels from + - * / and square roots alone, which every processor rounds alike;
powers, sums over arrays, exponentials, sines and the random numbers' distributions are not so. Shapes are given by the
distance to their border, negative inside, and so have soft edges.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""A value at each point of the picture, (height, width), or a colour, (3, height, width)."""
Colour = tuple[float, float, float]
T = TypeVar("T")

TABLE = 64  # the noise repeats itself after so many steps


class Luck:
    """The chances of one picture, each called by a name: none depends on which others were asked for."""

    def __init__(self, *names: object) -> None:
        self.key = "/".join(map(str, names))

    def take_bytes(self, name: str, count: int) -> NDArray[np.uint8]:
        return np.frombuffer(hashlib.shake_128(f"{self.key}/{name}".encode()).digest(count), dtype=np.uint8)

    def between(self, name: str, low: float, high: float) -> float:
        share = int.from_bytes(self.take_bytes(name, 6).tobytes(), "big") / 2**48
        return low + share * (high - low)

    def chance(self, name: str, share: float) -> bool:
        return self.between(name, 0, 1) < share

    def pick(self, name: str, options: Sequence[T]) -> T:
        return options[int(self.between(name, 0, len(options)))]

    def colour(self, name: str, low: float, high: float, dullness: float) -> Colour:
        """A random colour, so much of it grey."""
        red, green, blue = (self.between(f"{name} {part}", low, high) for part in ("red", "green", "blue"))
        grey = (red + green + blue) / 3
        return blend((red, green, blue), (grey, grey, grey), dullness)

    def noise(self, name: str, across: Field, down: Field) -> Field:
        """Smooth noise from -1 to 1, with hills about one wide in these coordinates."""
        table = self.take_bytes(name, TABLE * TABLE).astype(np.float32) / 127.5 - 1
        left, top = np.floor(across), np.floor(down)
        right_share, low_share = smooth(across - left), smooth(down - top)
        column, row = left.astype(np.int64), top.astype(np.int64)

        def at(lower: int, further: int) -> Field:
            return table[(row + lower) % TABLE * TABLE + (column + further) % TABLE]

        upper = at(0, 0) + right_share * (at(0, 1) - at(0, 0))
        lower = at(1, 0) + right_share * (at(1, 1) - at(1, 0))
        return upper + low_share * (lower - upper)


def smooth(share: Field) -> Field:
    """From 0 to 1 without a corner at either end."""
    return share * share * (3 - 2 * share)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def flat(colour: Colour) -> Field:
    """A colour to be multiplied by a field of light."""
    return np.asarray(colour, dtype=np.float32)[:, None, None]


def paint(canvas: Field, share: Field, colour: Colour | Field) -> None:
    """Lay a colour over the canvas, as thick as `share` says."""
    canvas += share * ((flat(colour) if isinstance(colour, tuple) else colour) - canvas)


def cover(distance: Field, softness: float = 1.0) -> Field:
    """How much of each point a shape covers whose edge is so soft."""
    return smooth(np.clip(0.5 - distance / softness, 0, 1))


def ellipse(x: Field, y: Field, width: float, height: float, square: float = 0) -> Field:
    """About the distance to an ellipse in the middle of (x, y), with these half axes; `square` up to 1 makes it a
    rounded box."""
    across, down = np.square(x / width), np.square(y / height)
    radius = np.sqrt(across + down)
    if square:
        radius += square * (np.sqrt(np.sqrt(np.square(across) + np.square(down))) - radius)
    return (radius - 1) * min(width, height)


def stroke(offset: Field, thickness: float | Field, along: Field, length: float) -> Field:
    """The distance to a line: `offset` from its middle, and from -1 to 1 `along` its half length."""
    return np.maximum(abs(offset) - thickness, (abs(along) - 1) * length)


def bump(x: Field, y: Field, width: float, height: float) -> Field:
    """A smooth hill, 1 at its top, 0 from the ellipse with these half axes on."""
    return np.square(np.clip(1 - np.square(x / width) - np.square(y / height), 0, 1))


def dome(x: Field, y: Field, width: float, height: float) -> Field:
    """Half an egg, 1 at its top, 0 from the ellipse with these half axes on."""
    return np.sqrt(np.clip(1 - np.square(x / width) - np.square(y / height), 0, 1))
