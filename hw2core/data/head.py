"""The head of a drawn portrait: attributes, pose, proportions, colors and light.

`rows` and `columns` are pixel coordinates of the picture. `x` and `y` have their origin in the middle of the head and
turn with it. `u` and `v` add the parallax of a head that turns or nods, and place the facial features. Lengths are in
pixels of a head of average size. Each picture is drawn at FINE points per pixel and reduced at the end.
"""

from typing import NamedTuple

import numpy as np

from hw2core.data.drawing import Color, Field, HashRng, mix
from hw2core.data.frames import FACE

FINE = 2  # points per pixel in each direction

SKINS: tuple[Color, ...] = (
    (96, 63, 47), (132, 88, 64), (176, 127, 96), (212, 164, 132), (238, 198, 172), (248, 216, 198),
)  # fmt: skip
DARK_HAIR: tuple[Color, ...] = ((22, 19, 21), (34, 26, 24), (52, 36, 28), (62, 42, 31))
LIGHT_HAIR: tuple[Color, ...] = (
    (216, 178, 112), (196, 148, 84), (232, 204, 150), (172, 92, 54), (164, 118, 78), (160, 156, 154), (222, 218, 212),
)  # fmt: skip
IRISES: tuple[Color, ...] = (
    (70, 44, 26), (52, 34, 24), (96, 66, 34), (70, 110, 150), (92, 120, 84), (110, 125, 135),
)  # fmt: skip
DARK_FRAMES: tuple[Color, ...] = ((25, 22, 24), (40, 28, 24), (64, 36, 24), (30, 36, 70), (120, 24, 32))
LIGHT_FRAMES: tuple[Color, ...] = ((214, 180, 104), (200, 204, 210), (222, 216, 200), (205, 60, 56))


class Attributes(NamedTuple):
    """The labels of a face."""

    smiling: bool
    male: bool
    glasses: bool
    dark_hair: bool


class Head:
    """Everything about one face that several of its parts depend on."""

    def __init__(self, rng: HashRng, attributes: Attributes) -> None:
        self.rng, self.attributes = rng, attributes
        self.rows, self.columns = (np.mgrid[: FACE * FINE, : FACE * FINE].astype(np.float32) + 0.5) / FINE
        size = rng.uniform("size", 0.96, 1.08)
        x = (self.columns - rng.uniform("across", 31, 33)) / size
        y = (self.rows - rng.uniform("down", 31, 33)) / size
        half = rng.uniform("tilt", -0.05, 0.05)  # tan(angle / 2), from which cos and sin follow without sin()
        cos, sin = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
        self.x, self.y = cos * x + sin * y, cos * y - sin * x

        male = attributes.male
        self.width = rng.uniform("width", 16.2, 18.0) if male else rng.uniform("width", 15.4, 17.0)
        self.height = rng.uniform("height", 23.2, 25.0)
        jaw = rng.uniform("jaw", 0.3, 0.6) if male else rng.uniform("jaw", 0.0, 0.3)
        down = np.square(self.y / self.height)
        rim = np.square(self.x / self.width) + np.where(
            self.y > 0, down + jaw * (np.square(down) - down), down
        )
        self.skull = (np.sqrt(rim) - 1) * self.width  # signed distance to the outline of the head
        self.dome = np.sqrt(np.clip(1 - np.square(rim), 0, 1))
        # Parallax: points nearer to the viewer move more when the head turns.
        self.u = self.x - rng.uniform("turn", -2.5, 2.5) * self.dome
        self.v = self.y - rng.uniform("nod", -1.0, 1.5) * self.dome
        self.eye_line, self.eyes_apart = rng.uniform("eye line", -1.5, 0.3), rng.uniform("apart", 7.0, 7.8)
        self.mouth_line = rng.uniform("mouth line", 14.2, 15.6)

        tone = rng.uniform("tone", 0, len(SKINS) - 1.001)
        self.skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone - int(tone))
        # Dark skin comes with brown eyes; its light hair is red, brown, gray or white.
        self.iris = rng.choice("iris", IRISES[: 3 if tone < 3 else None])
        self.hair_color = rng.choice(
            "hair", DARK_HAIR if attributes.dark_hair else LIGHT_HAIR[3 if tone < 2.5 else 0 :]
        )
        self.frame_color = rng.choice(
            "frame", LIGHT_FRAMES if tone < 1.6 else DARK_FRAMES
        )  # must stand out from the skin
        self.cut = self.choose_cut()
        self.loose = self.cut in ("long", "bob")
        self.light = rng.uniform("light across", -0.9, 0.9), rng.uniform("light down", -0.6, -0.1)
        self.ambient = rng.uniform("ambient", 0.35, 0.55)

    def choose_cut(self) -> str:
        if not self.attributes.male:
            return self.rng.choice("cut", ("long", "long", "long", "bob", "bob", "bun", "curls"))
        cuts = ("short", "short", "swept", "fringe", "crop", "curls")
        return self.rng.choice("cut", cuts if self.attributes.dark_hair else (*cuts, "bald"))

    def shade(self, relief: Field) -> Field:
        """Lambert shading of a height map; 1 where it is level."""
        down, across = np.gradient(relief, 1 / FINE)
        right, below = self.light
        lambert = (1 - right * across - below * down) / np.sqrt(1 + np.square(across) + np.square(down))
        return self.ambient + (1 - self.ambient) * np.clip(lambert, 0, 1.35)
