"""The parts of a drawn face: skin, brows, eyes, nose, mouth, beard, ears and glasses.

Facial features are painted on an evenly lit face in the coordinates (u, v) of the head. A height map of the face
then gives the light.
"""

import numpy as np

from hw2core.data.drawing import Color, Field, bump, coverage, ellipse, flat, mix, paint, stroke
from hw2core.data.head import Head

LIPSTICKS: tuple[Color, ...] = ((190, 30, 50), (200, 70, 100), (150, 30, 60))


def draw_head(canvas: Field, head: Head) -> None:
    face = np.zeros_like(canvas) + flat(head.skin)  # under even light
    color_skin(face, head)
    draw_brows(face, head)
    draw_eyes(face, head)
    draw_nose(face, head)
    draw_mouth(face, head)
    if head.attributes.male:
        draw_beard(face, head)
    light = head.shade(13 * head.dome + shape_features(head))
    # Skin scatters light: shadows are redder than highlights.
    light = np.stack([light * 0.9 + 0.1, light * 0.97 + 0.03, light])
    paint(canvas, coverage(head.skull), face * light)
    for side in (-1, 1):  # highlights in the eyes
        x = head.u - side * head.eyes_apart - (0.7 if head.light[0] > 0 else -0.7)
        glint = ellipse(x, head.v - head.eye_line + 0.9, 0.55, 0.55)
        paint(canvas, 0.85 * coverage(glint, 0.8), (250, 250, 250))


def shape_features(head: Head) -> Field:
    """The height map of nose, cheeks, eye sockets, lips and chin."""
    u, v = head.u, head.v
    cheek, raised = (1.7, 1.5) if head.attributes.smiling else (0.9, 0)
    relief = np.zeros_like(u)
    for side in (-1, 1):
        x, y = side * u - head.eyes_apart, v - head.eye_line
        relief -= 1.6 * bump(x + 0.5, y, 6, 4.5)
        relief += 0.9 * bump(x, y, 4, 2.6)
        relief += 0.7 * bump(side * u - 6.5, y + 6, 7, 3)
        relief += cheek * bump(side * u - 9, v - 7.5 + raised, 6.5, 5.5)
        relief += 0.9 * bump(side * u - 2.6, v - 8.3, 2.2, 2.2)
    bridge = np.clip((v - head.eye_line + 5) / 12, 0, 1) * coverage(v - 9.2, 2.5)
    relief += head.rng.uniform("nose", 2.2, 3.6) * bridge * bump(u, 0 * v, 3.6, 1)
    relief += 1.3 * bump(u, v - 7.6, 3.2, 3)
    relief += 0.9 * bump(u, v - head.mouth_line, 7, 4) - 0.6 * bump(u, v - head.mouth_line - 3.8, 4, 1.6)
    return relief + bump(u, v - 21, 6, 4)


def color_skin(face: Field, head: Head) -> None:
    u, v = head.u, head.v
    blush = head.rng.uniform("blush", 0.08, 0.3)
    rose, shadow = mix(head.skin, (205, 70, 70), 0.5), mix(head.skin, (70, 35, 45), 0.45)
    for side in (-1, 1):
        paint(face, blush * bump(side * u - 9, v - 6.5, 7, 6), rose)
        paint(face, 0.45 * bump(side * u - head.eyes_apart, v - head.eye_line, 5.5, 4), shadow)
        if head.attributes.smiling:  # the fold from the nose to the corner of the mouth
            along = (v - 9) / (head.mouth_line - 9)
            fold = stroke(side * u - 4.6 - 3.2 * along, 0.3, 2 * along - 1, 2.5)
            paint(face, 0.4 * coverage(fold, 1.6), shadow)
    paint(face, 0.7 * blush * bump(u, v - 7.5, 3.5, 3), rose)


def draw_brows(face: Field, head: Head) -> None:
    rng = head.rng
    thick = rng.uniform("brow", 0.8, 1.3) if head.attributes.male else rng.uniform("brow", 0.55, 0.9)
    arch, slope = rng.uniform("arch", 0.5, 1.6), rng.uniform("brow slope", -0.5, 0.4)
    line = head.eye_line - rng.uniform("brow line", 5.0, 6.0)
    for side in (-1, 1):
        along = (side * head.u - head.eyes_apart - 0.3) / 4.6
        offset = head.v - line + arch * (1 - np.square(along)) + slope * along
        brow = stroke(offset, thick * (1 - 0.35 * along), along, 4.6)
        paint(face, 0.88 * coverage(brow, 1.2), mix(head.hair_color, (34, 24, 20), 0.6))


def draw_eyes(face: Field, head: Head) -> None:
    rng, male = head.rng, head.attributes.male
    wide = rng.uniform("eye width", 3.5, 4.0) + (0 if male else 0.25)
    opening = rng.uniform("eye opening", 1.45, 2.0) * (0.88 if head.attributes.smiling else 1)
    slant, gaze = rng.uniform("slant", -0.1, 0.5), rng.uniform("gaze", -0.8, 0.8)
    line, lashes = mix(head.skin, (30, 16, 16), 0.82), 0.38 if male else 0.62
    for side in (-1, 1):
        along = (side * head.u - head.eyes_apart) / wide
        arc = 1 - np.square(along)
        height = head.v - head.eye_line + slant * along
        upper, lower = -opening * arc, 0.75 * opening * arc
        x, y = head.u - side * head.eyes_apart - gaze, height + 0.25
        eye = flat((232, 226, 222)) * (1 - 0.35 * coverage(height - upper - 0.6, 1.6))
        paint(eye, coverage(ellipse(x, y, 2.05, 2.05), 0.8), head.iris)
        paint(eye, coverage(ellipse(x, y, 0.95, 0.95), 0.8), (14, 10, 10))
        paint(face, coverage(np.maximum(upper - height, height - lower), 0.8), eye)
        lid = stroke(height - upper + 0.2, lashes * (1 + 0.3 * along), along / 1.05, wide)
        under = stroke(height - lower - 0.15, 0.2, along / 0.95, wide)
        crease = stroke(height - 1.25 * upper + 1.1, 0.2, along / 0.9, wide)
        for distance, strength in ((lid, 0.9), (under, 0.4), (crease, 0.4)):
            paint(face, strength * coverage(distance, 0.9), line)


def draw_nose(face: Field, head: Head) -> None:
    u, v = head.u, head.v
    dark = mix(head.skin, (50, 18, 16), 0.7)
    for side in (-1, 1):
        paint(face, 0.75 * coverage(ellipse(side * u - 1.7, v - 9.4, 1.05, 0.55)), dark)
        wing = abs(ellipse(side * u - 2.4, v - 8.4, 1.6, 1.5)) - 0.2
        paint(face, 0.3 * coverage(np.maximum(wing, 2.6 - side * u), 0.9), dark)
    paint(face, 0.3 * coverage(ellipse(u, v - 10.2, 3.2, 0.7), 1.4), dark)


def draw_mouth(face: Field, head: Head) -> None:
    rng, smile, male, v = head.rng, head.attributes.smiling, head.attributes.male, head.v
    wide = rng.uniform("mouth width", 5.2, 6.2) + (1.5 if smile else 0)
    curve = rng.uniform("smile", 2.1, 3.0) if smile else rng.uniform("smile", -0.8, 0.3)
    gape = rng.uniform("gape", 2.2, 3.6) if smile else rng.uniform("gape", 1.0, 1.8)
    is_open = rng.bernoulli("open mouth", 0.75 if smile else 0.2)
    along = head.u / wide
    arc = 1 - np.square(along)
    line = head.mouth_line + curve * (arc - 0.65)
    top, bottom = (line - 0.25 * gape * arc, line + 0.75 * gape * arc) if is_open else (line, line)
    bow = 1 - 0.3 * np.clip(1 - abs(head.u) / 1.2, 0, 1)
    upper = top - rng.uniform("upper lip", 1.0, 1.7) * arc * bow
    lower = bottom + rng.uniform("lower lip", 1.6, 2.4) * arc
    lips = mix(head.skin, (176, 62, 66), 0.45 if male else 0.6)
    if not male and rng.bernoulli("lipstick", 0.6):
        lips = mix(lips, rng.choice("lips", LIPSTICKS), 0.7)
    dark = mix(lips, (40, 10, 14), 0.85)
    paint(face, coverage(np.maximum(upper - v, v - lower)), lips)
    paint(face, 0.25 * coverage(stroke(v - lower - 0.8, 0.4, head.u / 3, 3), 1.5), dark)
    if is_open:
        hole = np.maximum(top - v, v - bottom)
        teeth = v - top - (0.8 * gape * arc if smile else 0.7)
        paint(face, coverage(hole, 0.8), dark)
        paint(face, 0.95 * coverage(np.maximum(hole, teeth), 0.8), (240, 234, 224))
    else:
        paint(face, 0.85 * coverage(stroke(v - line, 0.3, along / 1.04, wide), 0.9), dark)


def draw_beard(face: Field, head: Head) -> None:
    u, v = head.u, head.v
    jaw = coverage(8 + 0.045 * np.square(16 - abs(u)) - v, 6)
    round_mouth = 1 - coverage(ellipse(u, v - head.mouth_line - 0.6, 5.8, 3.0), 2.5)
    moustache = coverage(ellipse(u, v - head.mouth_line + 2.4, 6.2, 1.4), 1.2) * coverage(9.8 - v)
    full = np.maximum(jaw * round_mouth, moustache)
    goatee = np.maximum(coverage(ellipse(u, v - 21.5, 6, 5), 2.5) * round_mouth, moustache)
    shaven = np.zeros_like(u)
    beard = head.rng.choice("beard", (shaven, shaven, 0.4 * full, full, goatee, moustache))
    fur = 1 + 0.2 * head.rng.noise("fur", u * 1.1, v * 0.7)
    paint(face, 0.9 * beard, flat(mix(head.hair_color, (60, 40, 30), 0.15)) * fur)


def draw_ears(canvas: Field, head: Head) -> None:
    warm = mix(head.skin, (200, 90, 80), 0.12)
    for side in (-1, 1):
        x, y = side * head.x - head.width * 0.985 + head.y * 0.12, head.y - 1.5
        light = min(0.85 + 0.3 * head.light[0] * side, 1.1)
        paint(canvas, coverage(ellipse(x, y, 2.6, 4.8)), flat(warm) * light)
        hollow = ellipse(x - 0.2, y - 0.2, 1.1, 2.8)
        paint(canvas, 0.6 * coverage(hollow, 1.5), flat(warm) * light * 0.72)


def draw_glasses(canvas: Field, head: Head) -> None:
    rng = head.rng
    thick = rng.uniform("frame width", 0.4, 0.65)
    wide, high = rng.uniform("lens width", 5.3, 6.2), rng.uniform("lens height", 3.9, 4.8)
    square = rng.choice("lens", (0, 0.3, 1))
    y = head.v - head.eye_line - 0.4
    for side in (-1, 1):
        x = side * head.u - head.eyes_apart - 0.1
        lens = ellipse(x, y, wide, high, square)
        paint(canvas, 0.1 * coverage(lens), (225, 235, 245))
        paint(canvas, 0.92 * coverage(abs(lens) - thick, 0.8), head.frame_color)
        temple = np.maximum(abs(y + 1) - 0.5, np.maximum(wide - x, side * head.x - head.width))
        paint(canvas, 0.85 * coverage(temple, 0.9), head.frame_color)
    bridge = stroke(y + 1.1 - 0.06 * np.square(head.u), 0.45, head.u / (head.eyes_apart - wide), 1.5)
    paint(canvas, 0.9 * coverage(bridge, 0.8), head.frame_color)
