"""A drawn portrait: one face with given attributes, everything else random.

A head is a height map (a dome with nose, cheeks and eye sockets) under directional light. Layers are painted from
back to front.
"""

import numpy as np
from numpy.typing import NDArray

from hw2core.data.drawing import Field, HashRng, bump, coverage, dome, ellipse, flat, paint
from hw2core.data.features import draw_ears, draw_glasses, draw_head
from hw2core.data.frames import FACE
from hw2core.data.hair import Hair
from hw2core.data.head import Attributes, Head


def draw_portrait(rng: HashRng, attributes: Attributes) -> NDArray[np.uint8]:
    """The pixels (64, 64, 3) of one face."""
    head = Head(rng, attributes)
    hair = None if head.cut == "bald" else Hair(head)
    canvas = np.zeros((3, *head.x.shape), dtype=np.float32)
    draw_background(canvas, head)
    if hair:
        hair.draw_behind(canvas)
    draw_body(canvas, head)
    if not head.loose:
        draw_ears(canvas, head)
    draw_head(canvas, head)
    if hair:
        hair.draw_front(canvas)
    if attributes.glasses:
        draw_glasses(canvas, head)
    return render_photo(canvas, head)


def draw_background(canvas: Field, head: Head) -> None:
    """A wall of one color, mostly in uneven light."""
    rng = head.rng
    canvas += flat(rng.color("wall", 60, 225, rng.uniform("dull", 0.5, 0.95)))
    if rng.bernoulli("uneven", 0.67):
        canvas *= 1 + rng.uniform("slope", -0.5, 0.5) * (head.columns / FACE - 0.5)
        canvas *= 1 + rng.uniform("fall", -0.5, 0.5) * (head.rows / FACE - 0.5)


def draw_body(canvas: Field, head: Head) -> None:
    rng, x, y = head.rng, head.x, head.y
    neck = rng.uniform("neck", 9.5, 11.5) if head.attributes.male else rng.uniform("neck", 7.5, 9)
    shoulders = 25.5 + 0.24 * np.clip(abs(x) - neck, 0, None) - y
    light = head.shade(9 * dome(x, np.clip(y, 0, 50), 40, 70) + 5 * bump(x, 0 * y, 16, 1))
    below_chin = 1 - 0.5 * coverage(ellipse(x, y - 3, head.width, head.height), 6)
    bare = np.minimum(np.maximum(abs(x) - neck, 10 - y), shoulders)
    paint(canvas, coverage(bare), flat(head.skin) * light * below_chin * 0.95)
    collar = rng.uniform("collar", 27, 31) - rng.uniform("neckline", 0.2, 0.6) * (abs(x) - neck) - y
    cloth = rng.color("cloth", 25, 220, rng.uniform("faded", 0.2, 0.8))
    folds = 1 + 0.12 * rng.noise("folds", x / 5, y / 7)
    paint(canvas, coverage(np.maximum(shoulders - 1, collar)), flat(cloth) * light * folds)


def render_photo(canvas: Field, head: Head) -> NDArray[np.uint8]:
    """The pixels (64, 64, 3): reduced in size, with blur, white balance, exposure and grain as in a photo."""
    rng, fine = head.rng, canvas
    picture = (fine[:, ::2, ::2] + fine[:, 1::2, ::2] + fine[:, ::2, 1::2] + fine[:, 1::2, 1::2]) / 4
    edged = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = (edged[:, :, :-2] + 2 * edged[:, :, 1:-1] + edged[:, :, 2:]) / 4
    soft = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4
    picture += rng.uniform("blur", 0, 0.6) * (soft - picture)
    red, green, blue = (rng.uniform(f"balance of {part}", 0.94, 1.06) for part in "rgb")
    picture *= flat((red, green, blue)) * rng.uniform("exposure", 0.85, 1.12)
    grains = rng.random_bytes("grain", 2 * picture.size).astype(np.float32).reshape(2, *picture.shape)
    picture += (grains[0] - grains[1]) * rng.uniform("graininess", 0.003, 0.03)
    return np.floor(np.clip(picture, 0, 255) + 0.5).astype(np.uint8).transpose(1, 2, 0)
