"""The hair of a drawn portrait, painted in two layers: behind the head and in front of it."""

import numpy as np

from hw2core.data.drawing import Field, bump, coverage, dome, ellipse, flat, paint
from hw2core.data.head import Head

VOLUMES = {
    "crop": 1.01, "short": 1.06, "swept": 1.08, "fringe": 1.07, "curls": 1.14, "long": 1.09, "bob": 1.12, "bun": 1.04,
}  # fmt: skip
"""Size of the hair of each cut, relative to the head."""


class Hair:
    """Outline, strands and color of the hair: clumps for curls, strands from the crown for other cuts."""

    def __init__(self, head: Head) -> None:
        self.head = head
        rng, x, y = head.rng, head.x, head.y
        if head.cut == "curls":
            self.strands = rng.noise("curls", x / 1.6, y / 1.6)
        else:
            spread = (x - rng.uniform("parting", -6, 6)) / (6 + abs(y + 24) * 0.35)
            self.strands = rng.noise("strands", spread * 9, y / 22)
        light = head.shade(12 * dome(x, np.minimum(y, 0), 26, 32))
        self.color = (
            flat(head.hair_color) * light * (1 + self.strands * (0.22 if head.attributes.dark_hair else 0.15))
        )

        volume = VOLUMES[head.cut] + rng.uniform("volume", -0.01, 0.05)
        square = rng.uniform("box", 0.2, 0.8) if head.attributes.male else rng.uniform("box", 0, 0.3)
        outline = ellipse(x, y + 3, head.width * volume, (head.height - 3.4) * volume, square)
        if head.loose:
            length = rng.uniform("length", 26, 45) if head.cut == "long" else rng.uniform("length", 12, 22)
            wide = head.width * volume + rng.uniform("flare", -0.03, 0.1) * y
            outline = np.minimum(outline, np.maximum(abs(x) - wide, abs(y - length / 2) - length / 2))
        if head.cut == "bun":
            outline = np.minimum(outline, ellipse(x - rng.uniform("bun", -3, 3), y + 25.5, 7, 5))
        self.outline = outline + self.strands * (0.9 if head.cut == "curls" else 0.35)

    def draw_behind(self, canvas: Field) -> None:
        """The hair behind the head."""
        head, outline = self.head, self.outline
        if not head.loose:
            outline = np.maximum(outline, head.y - head.rng.uniform("nape", -1, 4))
        paint(canvas, coverage(outline), self.color * (0.7 - 0.2 * coverage(-head.y, 30)))

    def draw_front(self, canvas: Field) -> None:
        """The hair in front of the head, with an opening for the face."""
        head = self.head
        rng, y, male = head.rng, head.y, head.attributes.male
        x = 0.4 * head.x + 0.6 * head.u
        bangs = head.cut == "fringe" or (head.loose and rng.bernoulli("bangs", 0.35))
        forehead = rng.uniform("bangs line", 9.5, 11) if bangs else rng.uniform("forehead", 13.5, 17.5)
        slope = rng.uniform("slope of hair", -0.12, 0.12) * (2.2 if head.cut == "swept" else 1)
        square = rng.uniform("temples", 0.5, 1) if male or bangs else rng.uniform("temples", 0, 0.5)
        wide = head.width * (0.97 if male else 0.94)
        opening = ellipse(x, y - 24 + slope * x, wide, 24 + forehead, square) + self.strands * 0.5
        shadow = 0.35 * coverage(0.5 - opening, 4) * coverage(head.skull)
        hair = coverage(self.outline) * coverage(-opening, 1.6) * (0.8 if head.cut == "crop" else 1)
        if not head.loose:  # ends at or above the ears
            shadow = shadow * coverage(y + 2, 8)
            hair = hair * coverage(y - rng.uniform("sides", -3, 4), 5)
        canvas *= 1 - shadow
        shine = 0.16 * bump(x - 10 * head.light[0], y + 18, 14, 5)
        paint(canvas, hair, self.color * (1 + shine) + 100 * shine)
