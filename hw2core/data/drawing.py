"""Drawing primitives that give the same bytes on every machine.

Random numbers come from a hash. Pixels use only + - * / and square roots, which every processor rounds alike. Powers,
sums over arrays, exponentials, sines and numpy's random distributions may differ between processors and are not used.
Shapes are signed distance fields, negative inside, so that edges can be soft.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""A value at each point of the picture (height, width), or a color at each point (3, height, width)."""
Color = tuple[float, float, float]
T = TypeVar("T")

NOISE_PERIOD = 64  # lattice points after which the noise repeats


class HashRng:
    """Random numbers of one picture. Each is a function of its name, independent of which others are used."""

    def __init__(self, *names: object) -> None:
        self.key = "/".join(map(str, names))

    def random_bytes(self, name: str, count: int) -> NDArray[np.uint8]:
        return np.frombuffer(hashlib.shake_128(f"{self.key}/{name}".encode()).digest(count), dtype=np.uint8)

    def uniform(self, name: str, low: float, high: float) -> float:
        unit = int.from_bytes(self.random_bytes(name, 6).tobytes(), "big") / 2**48
        return low + unit * (high - low)

    def bernoulli(self, name: str, probability: float) -> bool:
        return self.uniform(name, 0, 1) < probability

    def choice(self, name: str, options: Sequence[T]) -> T:
        return options[int(self.uniform(name, 0, len(options)))]

    def color(self, name: str, low: float, high: float, grayness: float) -> Color:
        """A random color, mixed with its own gray by `grayness`."""
        red, green, blue = (self.uniform(f"{name} {part}", low, high) for part in ("red", "green", "blue"))
        gray = (red + green + blue) / 3
        return mix((red, green, blue), (gray, gray, gray), grayness)

    def noise(self, name: str, x: Field, y: Field) -> Field:
        """Smooth value noise from -1 to 1 on a lattice of spacing 1."""
        table = self.random_bytes(name, NOISE_PERIOD * NOISE_PERIOD).astype(np.float32) / 127.5 - 1
        left, top = np.floor(x), np.floor(y)
        weight_x, weight_y = smoothstep(x - left), smoothstep(y - top)
        column, row = left.astype(np.int64), top.astype(np.int64)

        def at(down: int, right: int) -> Field:
            return table[(row + down) % NOISE_PERIOD * NOISE_PERIOD + (column + right) % NOISE_PERIOD]

        upper = at(0, 0) + weight_x * (at(0, 1) - at(0, 0))
        lower = at(1, 0) + weight_x * (at(1, 1) - at(1, 0))
        return upper + weight_y * (lower - upper)


def smoothstep(t: Field) -> Field:
    """The cubic from 0 to 1 with zero slope at both ends."""
    return t * t * (3 - 2 * t)


def mix(first: Color, second: Color, weight: float) -> Color:
    """Linear interpolation from `first` to `second`."""
    red, green, blue = (a + weight * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def flat(color: Color) -> Field:
    """A color as an array (3, 1, 1), to be multiplied by a field of light."""
    return np.asarray(color, dtype=np.float32)[:, None, None]


def paint(canvas: Field, alpha: Field, color: Color | Field) -> None:
    """Composite a color over the canvas with opacity `alpha`, in place."""
    canvas += alpha * ((flat(color) if isinstance(color, tuple) else color) - canvas)


def coverage(distance: Field, softness: float = 1.0) -> Field:
    """How much of each point a shape covers: 1 inside, 0 outside, with an edge `softness` wide."""
    return smoothstep(np.clip(0.5 - distance / softness, 0, 1))


def ellipse(x: Field, y: Field, width: float, height: float, square: float = 0) -> Field:
    """Approximate signed distance to a centered ellipse with half axes `width` and `height`.

    `square` from 0 to 1 turns it into a rounded box.
    """
    across, down = np.square(x / width), np.square(y / height)
    radius = np.sqrt(across + down)
    if square:
        radius += square * (np.sqrt(np.sqrt(np.square(across) + np.square(down))) - radius)
    return (radius - 1) * min(width, height)


def stroke(offset: Field, thickness: float | Field, along: Field, length: float) -> Field:
    """Signed distance to a line: `offset` is the distance from its axis, `along` runs from -1 to 1 over `length`."""
    return np.maximum(abs(offset) - thickness, (abs(along) - 1) * length)


def bump(x: Field, y: Field, width: float, height: float) -> Field:
    """A smooth hill: 1 at the center, 0 outside the ellipse with these half axes."""
    return np.square(np.clip(1 - np.square(x / width) - np.square(y / height), 0, 1))


def dome(x: Field, y: Field, width: float, height: float) -> Field:
    """A half ellipsoid: 1 at the center, 0 outside the ellipse with these half axes."""
    return np.sqrt(np.clip(1 - np.square(x / width) - np.square(y / height), 0, 1))
