"""A portrait that is drawn: one face with given attributes and the chances that make up all the rest.

A head is a landscape, a dome with a nose, cheeks and hollows for the eyes, lit from a side. Features are painted on
it in coordinates that turn with the head.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw2core.data.drawing import Colour, Field, Luck, blend, bump, cover, dome, ellipse, flat, paint, stroke
from hw2core.data.frames import FACE

FINE = 2  # points of the drawing to a pixel, each way

SKINS: tuple[Colour, ...] = (
    (96, 63, 47), (132, 88, 64), (176, 127, 96), (212, 164, 132), (238, 198, 172), (248, 216, 198),
)  # fmt: skip
DARK_HAIR: tuple[Colour, ...] = ((22, 19, 21), (34, 26, 24), (52, 36, 28), (62, 42, 31))
LIGHT_HAIR: tuple[Colour, ...] = (
    (216, 178, 112), (196, 148, 84), (232, 204, 150), (172, 92, 54), (164, 118, 78), (160, 156, 154), (222, 218, 212),
)  # fmt: skip
IRISES: tuple[Colour, ...] = (
    (70, 44, 26), (52, 34, 24), (96, 66, 34), (70, 110, 150), (92, 120, 84), (110, 125, 135),
)  # fmt: skip
LIPSTICKS: tuple[Colour, ...] = ((190, 30, 50), (200, 70, 100), (150, 30, 60))
DARK_FRAMES: tuple[Colour, ...] = ((25, 22, 24), (40, 28, 24), (64, 36, 24), (30, 36, 70), (120, 24, 32))
LIGHT_FRAMES: tuple[Colour, ...] = ((214, 180, 104), (200, 204, 210), (222, 216, 200), (205, 60, 56))
VOLUMES = {
    "crop": 1.01, "short": 1.06, "swept": 1.08, "fringe": 1.07, "curls": 1.14, "long": 1.09, "bob": 1.12, "bun": 1.04,
}  # fmt: skip
"""How much wider and higher than the head the hair of each cut is."""


class Attributes(NamedTuple):
    """What can be seen of a face and is its label."""

    smiling: bool
    male: bool
    glasses: bool
    dark_hair: bool


class Portrait:
    """One face on its way to the paper. Lengths are in pixels of a head of usual size, from its middle."""

    def __init__(self, luck: Luck, looks: Attributes) -> None:
        self.luck, self.looks = luck, looks
        self.rows, self.columns = (np.mgrid[: FACE * FINE, : FACE * FINE].astype(np.float32) + 0.5) / FINE
        size = luck.between("size", 0.96, 1.08)
        x = (self.columns - luck.between("across", 30, 34)) / size
        y = (self.rows - luck.between("down", 30.5, 33.5)) / size
        half = luck.between("tilt", -0.07, 0.07)  # the tangent of half the angle gives its cosine and sine
        cos, sin = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
        self.x, self.y = cos * x + sin * y, cos * y - sin * x

        male = looks.male
        self.width = luck.between("width", 16.2, 18.0) if male else luck.between("width", 15.4, 17.0)
        self.height = luck.between("height", 23.2, 25.0)
        jaw = luck.between("jaw", 0.3, 0.6) if male else luck.between("jaw", 0.0, 0.3)
        down = np.square(self.y / self.height)
        rim = np.square(self.x / self.width) + np.where(
            self.y > 0, down + jaw * (np.square(down) - down), down
        )
        self.skull = (np.sqrt(rim) - 1) * self.width  # the distance to the head's outline
        self.dome = np.sqrt(np.clip(1 - np.square(rim), 0, 1))
        # What is nearer to the viewer moves more when the head turns.
        self.u = self.x - luck.between("turn", -3.5, 3.5) * self.dome
        self.v = self.y - luck.between("nod", -1.0, 1.5) * self.dome
        self.eye_line, self.eyes_apart = luck.between("eye line", -1.5, 0.3), luck.between("apart", 7.0, 7.8)
        self.mouth_line = luck.between("mouth line", 14.2, 15.6)

        tone = luck.between("tone", 0, len(SKINS) - 1.001)
        self.skin = blend(SKINS[int(tone)], SKINS[int(tone) + 1], tone - int(tone))
        # Dark skin goes with brown eyes, and with light hair that is red, brown, grey or white.
        self.iris = luck.pick("iris", IRISES[: 3 if tone < 3 else None])
        self.hair = luck.pick("hair", DARK_HAIR if looks.dark_hair else LIGHT_HAIR[3 if tone < 2.5 else 0 :])
        self.frame = luck.pick("frame", LIGHT_FRAMES if tone < 1.6 else DARK_FRAMES)  # seen against the skin
        self.cut = self.choose_cut()
        self.loose = self.cut in ("long", "bob")
        self.light = luck.between("light across", -0.9, 0.9), luck.between("light down", -0.6, -0.1)
        self.ambient = luck.between("ambient", 0.35, 0.55)
        self.canvas = np.zeros((3, *self.x.shape), dtype=np.float32)
        self.face = np.zeros_like(self.canvas) + flat(self.skin)  # as if under even light

    def choose_cut(self) -> str:
        if not self.looks.male:
            return self.luck.pick("cut", ("long", "long", "long", "bob", "bob", "bun", "curls"))
        cuts = ("short", "short", "swept", "fringe", "crop", "curls")
        return self.luck.pick("cut", cuts if self.looks.dark_hair else (*cuts, "bald"))

    def draw(self) -> NDArray[np.uint8]:
        self.draw_background()
        if self.cut != "bald":
            self.comb_hair()
            self.draw_hair_behind()
        self.draw_body()
        if not self.loose:
            self.draw_ears()
        self.draw_head()
        if self.cut != "bald":
            self.draw_hair()
        if self.looks.glasses:
            self.draw_glasses()
        return self.develop()

    def lit(self, relief: Field) -> Field:
        """How bright the light makes each point of a landscape; 1 where it is level."""
        down, across = np.gradient(relief, 1 / FINE)
        right, below = self.light
        towards = (1 - right * across - below * down) / np.sqrt(1 + np.square(across) + np.square(down))
        return self.ambient + (1 - self.ambient) * np.clip(towards, 0, 1.35)

    def draw_background(self) -> None:
        luck = self.luck
        kind = luck.pick("background", ("plain", "gradient", "clutter", "clutter"))
        wall = luck.colour("wall", 60, 225, luck.between("dull", 0.5, 0.95))
        self.canvas += flat(wall)
        if kind == "plain":
            return
        self.canvas *= 1 + luck.between("slope", -0.5, 0.5) * (self.columns / FACE - 0.5)
        self.canvas *= 1 + luck.between("fall", -0.5, 0.5) * (self.rows / FACE - 0.5)
        for i in range(5 if kind == "clutter" else 0):
            x = self.columns - luck.between(f"thing {i} across", 0, FACE)
            y = self.rows - luck.between(f"thing {i} down", 0, FACE)
            wide, high = luck.between(f"thing {i} wide", 3, 14), luck.between(f"thing {i} high", 4, 30)
            distance = ellipse(x, y, wide, wide)
            if luck.chance(f"thing {i} is a box", 0.6):
                distance = np.maximum(abs(x) - wide, abs(y) - high)
            colour = blend(
                wall, luck.colour(f"thing {i}", 30, 235, 0), luck.between(f"thing {i} seen", 0.2, 0.6)
            )
            paint(self.canvas, cover(distance, luck.between(f"thing {i} blurred", 3, 9)), colour)

    def comb_hair(self) -> None:
        """Where hair is and how it takes the light: curls in clumps, other cuts in strands from the crown."""
        luck, x, y = self.luck, self.x, self.y
        if self.cut == "curls":
            self.strands = luck.noise("curls", x / 1.6, y / 1.6)
        else:
            spread = (x - luck.between("parting", -6, 6)) / (6 + abs(y + 24) * 0.35)
            self.strands = luck.noise("strands", spread * 9, y / 22)
        light = self.lit(12 * dome(x, np.minimum(y, 0), 26, 32))
        self.hair_colour = (
            flat(self.hair) * light * (1 + self.strands * (0.22 if self.looks.dark_hair else 0.15))
        )

        volume = VOLUMES[self.cut] + luck.between("volume", -0.01, 0.05)
        square = luck.between("box", 0.2, 0.8) if self.looks.male else luck.between("box", 0, 0.3)
        outline = ellipse(x, y + 3, self.width * volume, (self.height - 3.4) * volume, square)
        if self.loose:
            length = luck.between("length", 26, 45) if self.cut == "long" else luck.between("length", 12, 22)
            wide = self.width * volume + luck.between("flare", -0.03, 0.1) * y
            outline = np.minimum(outline, np.maximum(abs(x) - wide, abs(y - length / 2) - length / 2))
        if self.cut == "bun":
            outline = np.minimum(outline, ellipse(x - luck.between("bun", -3, 3), y + 25.5, 7, 5))
        self.hair_outline = outline + self.strands * (0.9 if self.cut == "curls" else 0.35)

    def draw_hair_behind(self) -> None:
        outline = self.hair_outline
        if not self.loose:
            outline = np.maximum(outline, self.y - self.luck.between("nape", -1, 4))
        paint(self.canvas, cover(outline), self.hair_colour * (0.7 - 0.2 * cover(-self.y, 30)))

    def draw_body(self) -> None:
        luck, x, y = self.luck, self.x, self.y
        neck = luck.between("neck", 9.5, 11.5) if self.looks.male else luck.between("neck", 7.5, 9)
        shoulders = 25.5 + 0.24 * np.clip(abs(x) - neck, 0, None) - y
        light = self.lit(9 * dome(x, np.clip(y, 0, 50), 40, 70) + 5 * bump(x, 0 * y, 16, 1))
        below_chin = 1 - 0.5 * cover(ellipse(x, y - 3, self.width, self.height), 6)
        bare = np.minimum(np.maximum(abs(x) - neck, 10 - y), shoulders)
        paint(self.canvas, cover(bare), flat(self.skin) * light * below_chin * 0.95)
        collar = luck.between("collar", 27, 31) - luck.between("neckline", 0.2, 0.6) * (abs(x) - neck) - y
        cloth = luck.colour("cloth", 25, 220, luck.between("faded", 0.2, 0.8))
        folds = 1 + 0.12 * luck.noise("folds", x / 5, y / 7)
        paint(self.canvas, cover(np.maximum(shoulders - 1, collar)), flat(cloth) * light * folds)

    def draw_ears(self) -> None:
        warm = blend(self.skin, (200, 90, 80), 0.12)
        for side in (-1, 1):
            x, y = side * self.x - self.width * 0.985 + self.y * 0.12, self.y - 1.5
            light = min(0.85 + 0.3 * self.light[0] * side, 1.1)
            paint(self.canvas, cover(ellipse(x, y, 2.6, 4.8)), flat(warm) * light)
            hollow = ellipse(x - 0.2, y - 0.2, 1.1, 2.8)
            paint(self.canvas, 0.6 * cover(hollow, 1.5), flat(warm) * light * 0.72)

    def draw_head(self) -> None:
        self.colour_skin()
        self.draw_brows()
        self.draw_eyes()
        self.draw_nose()
        self.draw_mouth()
        if self.looks.male:
            self.draw_beard()
        light = self.lit(13 * self.dome + self.shape_features())
        # Skin lets light through: its shadows are redder than its lights.
        light = np.stack([light * 0.9 + 0.1, light * 0.97 + 0.03, light])
        paint(self.canvas, cover(self.skull), self.face * light)
        for side in (-1, 1):  # the light mirrored in the eyes
            x = self.u - side * self.eyes_apart - (0.7 if self.light[0] > 0 else -0.7)
            glint = ellipse(x, self.v - self.eye_line + 0.9, 0.55, 0.55)
            paint(self.canvas, 0.85 * cover(glint, 0.8), (250, 250, 250))

    def shape_features(self) -> Field:
        u, v = self.u, self.v
        cheek, raised = (1.7, 1.5) if self.looks.smiling else (0.9, 0)
        relief = np.zeros_like(u)
        for side in (-1, 1):
            x, y = side * u - self.eyes_apart, v - self.eye_line
            relief -= 1.6 * bump(x + 0.5, y, 6, 4.5)
            relief += 0.9 * bump(x, y, 4, 2.6)
            relief += 0.7 * bump(side * u - 6.5, y + 6, 7, 3)
            relief += cheek * bump(side * u - 9, v - 7.5 + raised, 6.5, 5.5)
            relief += 0.9 * bump(side * u - 2.6, v - 8.3, 2.2, 2.2)
        bridge = np.clip((v - self.eye_line + 5) / 12, 0, 1) * cover(v - 9.2, 2.5)
        relief += self.luck.between("nose", 2.2, 3.6) * bridge * bump(u, 0 * v, 3.6, 1)
        relief += 1.3 * bump(u, v - 7.6, 3.2, 3)
        relief += 0.9 * bump(u, v - self.mouth_line, 7, 4) - 0.6 * bump(u, v - self.mouth_line - 3.8, 4, 1.6)
        return relief + bump(u, v - 21, 6, 4)

    def colour_skin(self) -> None:
        u, v = self.u, self.v
        blush = self.luck.between("blush", 0.08, 0.3)
        rose, shadow = blend(self.skin, (205, 70, 70), 0.5), blend(self.skin, (70, 35, 45), 0.45)
        for side in (-1, 1):
            paint(self.face, blush * bump(side * u - 9, v - 6.5, 7, 6), rose)
            paint(self.face, 0.45 * bump(side * u - self.eyes_apart, v - self.eye_line, 5.5, 4), shadow)
            if self.looks.smiling:  # a fold from the nose to the mouth's corner
                along = (v - 9) / (self.mouth_line - 9)
                fold = stroke(side * u - 4.6 - 3.2 * along, 0.3, 2 * along - 1, 2.5)
                paint(self.face, 0.4 * cover(fold, 1.6), shadow)
        paint(self.face, 0.7 * blush * bump(u, v - 7.5, 3.5, 3), rose)

    def draw_brows(self) -> None:
        luck = self.luck
        thick = luck.between("brow", 0.8, 1.3) if self.looks.male else luck.between("brow", 0.55, 0.9)
        arch, slope = luck.between("arch", 0.5, 1.6), luck.between("brow slope", -0.5, 0.4)
        line = self.eye_line - luck.between("brow line", 5.0, 6.0)
        for side in (-1, 1):
            along = (side * self.u - self.eyes_apart - 0.3) / 4.6
            offset = self.v - line + arch * (1 - np.square(along)) + slope * along
            brow = stroke(offset, thick * (1 - 0.35 * along), along, 4.6)
            paint(self.face, 0.88 * cover(brow, 1.2), blend(self.hair, (34, 24, 20), 0.6))

    def draw_eyes(self) -> None:
        luck, male = self.luck, self.looks.male
        wide = luck.between("eye width", 3.5, 4.0) + (0 if male else 0.25)
        opening = luck.between("eye opening", 1.45, 2.0) * (0.88 if self.looks.smiling else 1)
        slant, gaze = luck.between("slant", -0.1, 0.5), luck.between("gaze", -0.8, 0.8)
        line, lashes = blend(self.skin, (30, 16, 16), 0.82), 0.38 if male else 0.62
        for side in (-1, 1):
            along = (side * self.u - self.eyes_apart) / wide
            arc = 1 - np.square(along)
            height = self.v - self.eye_line + slant * along
            upper, lower = -opening * arc, 0.75 * opening * arc
            x, y = self.u - side * self.eyes_apart - gaze, height + 0.25
            eye = flat((232, 226, 222)) * (1 - 0.35 * cover(height - upper - 0.6, 1.6))
            paint(eye, cover(ellipse(x, y, 2.05, 2.05), 0.8), self.iris)
            paint(eye, cover(ellipse(x, y, 0.95, 0.95), 0.8), (14, 10, 10))
            paint(self.face, cover(np.maximum(upper - height, height - lower), 0.8), eye)
            lid = stroke(height - upper + 0.2, lashes * (1 + 0.3 * along), along / 1.05, wide)
            under = stroke(height - lower - 0.15, 0.2, along / 0.95, wide)
            crease = stroke(height - 1.25 * upper + 1.1, 0.2, along / 0.9, wide)
            for distance, strength in ((lid, 0.9), (under, 0.4), (crease, 0.4)):
                paint(self.face, strength * cover(distance, 0.9), line)

    def draw_nose(self) -> None:
        u, v = self.u, self.v
        dark = blend(self.skin, (50, 18, 16), 0.7)
        for side in (-1, 1):
            paint(self.face, 0.75 * cover(ellipse(side * u - 1.7, v - 9.4, 1.05, 0.55)), dark)
            wing = abs(ellipse(side * u - 2.4, v - 8.4, 1.6, 1.5)) - 0.2
            paint(self.face, 0.3 * cover(np.maximum(wing, 2.6 - side * u), 0.9), dark)
        paint(self.face, 0.3 * cover(ellipse(u, v - 10.2, 3.2, 0.7), 1.4), dark)

    def draw_mouth(self) -> None:
        luck, smile, male, v = self.luck, self.looks.smiling, self.looks.male, self.v
        wide = luck.between("mouth width", 5.2, 6.2) + (1.5 if smile else 0)
        curve = luck.between("smile", 2.1, 3.0) if smile else luck.between("smile", -0.8, 0.3)
        gape = luck.between("gape", 2.2, 3.6) if smile else luck.between("gape", 1.0, 1.8)
        is_open = luck.chance("open mouth", 0.75 if smile else 0.2)
        along = self.u / wide
        arc = 1 - np.square(along)
        line = self.mouth_line + curve * (arc - 0.65)
        top, bottom = (line - 0.25 * gape * arc, line + 0.75 * gape * arc) if is_open else (line, line)
        bow = 1 - 0.3 * np.clip(1 - abs(self.u) / 1.2, 0, 1)
        upper = top - luck.between("upper lip", 1.0, 1.7) * arc * bow
        lower = bottom + luck.between("lower lip", 1.6, 2.4) * arc
        lips = blend(self.skin, (176, 62, 66), 0.45 if male else 0.6)
        if not male and luck.chance("lipstick", 0.6):
            lips = blend(lips, luck.pick("lips", LIPSTICKS), 0.7)
        dark = blend(lips, (40, 10, 14), 0.85)
        paint(self.face, cover(np.maximum(upper - v, v - lower)), lips)
        paint(self.face, 0.25 * cover(stroke(v - lower - 0.8, 0.4, self.u / 3, 3), 1.5), dark)
        if is_open:
            hole = np.maximum(top - v, v - bottom)
            teeth = v - top - (0.8 * gape * arc if smile else 0.7)
            paint(self.face, cover(hole, 0.8), dark)
            paint(self.face, 0.95 * cover(np.maximum(hole, teeth), 0.8), (240, 234, 224))
        else:
            paint(self.face, 0.85 * cover(stroke(v - line, 0.3, along / 1.04, wide), 0.9), dark)

    def draw_beard(self) -> None:
        u, v = self.u, self.v
        jaw = cover(8 + 0.045 * np.square(16 - abs(u)) - v, 6)
        round_mouth = 1 - cover(ellipse(u, v - self.mouth_line - 0.6, 5.8, 3.0), 2.5)
        moustache = cover(ellipse(u, v - self.mouth_line + 2.4, 6.2, 1.4), 1.2) * cover(9.8 - v)
        full = np.maximum(jaw * round_mouth, moustache)
        goatee = np.maximum(cover(ellipse(u, v - 21.5, 6, 5), 2.5) * round_mouth, moustache)
        shaven = np.zeros_like(u)
        beard = self.luck.pick("beard", (shaven, shaven, 0.4 * full, full, goatee, moustache))
        fur = 1 + 0.2 * self.luck.noise("fur", u * 1.1, v * 0.7)
        paint(self.face, 0.9 * beard, flat(blend(self.hair, (60, 40, 30), 0.15)) * fur)

    def draw_hair(self) -> None:
        """The hair before the head leaves an opening for the face."""
        luck, y, male = self.luck, self.y, self.looks.male
        x = 0.4 * self.x + 0.6 * self.u
        bangs = self.cut == "fringe" or (self.loose and luck.chance("bangs", 0.35))
        forehead = luck.between("bangs line", 9.5, 11) if bangs else luck.between("forehead", 13.5, 17.5)
        slope = luck.between("slope of hair", -0.12, 0.12) * (2.2 if self.cut == "swept" else 1)
        square = luck.between("temples", 0.5, 1) if male or bangs else luck.between("temples", 0, 0.5)
        wide = self.width * (0.97 if male else 0.94)
        opening = ellipse(x, y - 24 + slope * x, wide, 24 + forehead, square) + self.strands * 0.5
        shadow = 0.35 * cover(0.5 - opening, 4) * cover(self.skull)
        hair = cover(self.hair_outline) * cover(-opening, 1.6) * (0.8 if self.cut == "crop" else 1)
        if not self.loose:  # it ends above the ears or before them
            shadow = shadow * cover(y + 2, 8)
            hair = hair * cover(y - luck.between("sides", -3, 4), 5)
        self.canvas *= 1 - shadow
        shine = 0.16 * bump(x - 10 * self.light[0], y + 18, 14, 5)
        paint(self.canvas, hair, self.hair_colour * (1 + shine) + 100 * shine)

    def draw_glasses(self) -> None:
        luck = self.luck
        thick = luck.between("frame width", 0.4, 0.65)
        wide, high = luck.between("lens width", 5.3, 6.2), luck.between("lens height", 3.9, 4.8)
        square = luck.pick("lens", (0, 0.3, 1))
        y = self.v - self.eye_line - 0.4
        for side in (-1, 1):
            x = side * self.u - self.eyes_apart - 0.1
            lens = ellipse(x, y, wide, high, square)
            paint(self.canvas, 0.1 * cover(lens), (225, 235, 245))
            paint(self.canvas, 0.92 * cover(abs(lens) - thick, 0.8), self.frame)
            temple = np.maximum(abs(y + 1) - 0.5, np.maximum(wide - x, side * self.x - self.width))
            paint(self.canvas, 0.85 * cover(temple, 0.9), self.frame)
        bridge = stroke(y + 1.1 - 0.06 * np.square(self.u), 0.45, self.u / (self.eyes_apart - wide), 1.5)
        paint(self.canvas, 0.9 * cover(bridge, 0.8), self.frame)

    def develop(self) -> NDArray[np.uint8]:
        """The picture: reduced to its size, a little blurred, exposed and grainy as photos are."""
        luck, fine = self.luck, self.canvas
        picture = (fine[:, ::2, ::2] + fine[:, 1::2, ::2] + fine[:, ::2, 1::2] + fine[:, 1::2, 1::2]) / 4
        edged = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="edge")
        across = (edged[:, :, :-2] + 2 * edged[:, :, 1:-1] + edged[:, :, 2:]) / 4
        soft = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4
        picture += luck.between("blur", 0, 0.6) * (soft - picture)
        red, green, blue = (luck.between(f"balance of {part}", 0.94, 1.06) for part in "rgb")
        picture *= flat((red, green, blue)) * luck.between("exposure", 0.85, 1.12)
        grains = luck.take_bytes("grain", 2 * picture.size).astype(np.float32).reshape(2, *picture.shape)
        picture += (grains[0] - grains[1]) * luck.between("graininess", 0.003, 0.03)
        return np.floor(np.clip(picture, 0, 255) + 0.5).astype(np.uint8).transpose(1, 2, 0)
