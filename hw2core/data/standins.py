"""The embedded default: three digit domains made on this machine from what its packages carry.

    handwritten   scikit-learn's 8x8 handwritten digits, enlarged to fill the frame and shaken a little
    blended       the same handwriting, smaller, blended into scikit-learn's photos by the MNIST-M recipe
    printed       digits drawn from matplotlib's fonts, with colours, gradients, blur, noise and neighbours

They stand in for nothing: a figure measured on them is theirs alone. The handwriting samples are divided
once into those of the training sets and those of the test sets, for both domains made of them.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from hw2core.data.blend import blend
from hw2core.data.store import Split
from hw2core.files import write_array
from hw2core.params import Embedded

SIZE = 28
PHOTOS = ("china", "flower")
HANDWRITTEN, BLENDED = 1.05, 0.7  # how much of the frame's height a digit takes: as in USPS, as in MNIST-M
ROOM = 3  # empty pixels put around an 8x8 digit before it is enlarged
TEST_SAMPLES = 0.3  # share of the handwriting samples that only test images are made from

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)


def fetch_handwriting(folder: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    write_array(folder / "digits.npy", digits.images.astype(np.uint8))  # 0 to 16
    write_array(folder / "labels.npy", digits.target.astype(np.uint8))


def fetch_handwriting_and_photos(folder: Path) -> None:
    from sklearn.datasets import load_sample_image

    fetch_handwriting(folder)
    for name in PHOTOS:
        write_array(folder / f"photo_{name}.npy", load_sample_image(f"{name}.jpg"))


def fetch_fonts(folder: Path) -> None:
    import matplotlib

    for font in FONTS:
        shutil.copyfile(
            Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf", folder / f"{font}.ttf"
        )


def make_handwritten(raw: Path, settings: Embedded) -> dict[str, Split]:
    return {
        name: Split(np.repeat(strokes[..., None], 3, axis=-1), labels)
        for name, (strokes, labels) in draw_handwriting(raw, settings, "handwritten", HANDWRITTEN).items()
    }


def make_blended(raw: Path, settings: Embedded) -> dict[str, Split]:
    photos = [read_array(raw / f"photo_{name}.npy") for name in PHOTOS]
    splits = {}
    for name, (strokes, labels) in draw_handwriting(raw, settings, "blended", BLENDED).items():
        rng = random_numbers(settings, "backgrounds", name)
        crops = np.stack([random_crop(photos[rng.integers(len(photos))], rng) for _ in labels])
        splits[name] = Split(blend(crops, strokes > 127), labels)
    return splits


def make_printed(raw: Path, settings: Embedded) -> dict[str, Split]:
    splits = {}
    for name, count in (("train", settings.train), ("test", settings.test)):
        rng = random_numbers(settings, "printed", name)
        fonts = FontCase(raw)
        labels = (np.arange(count) % 10).astype(np.uint8)
        rng.shuffle(labels)
        splits[name] = Split(np.stack([draw_printed(int(label), fonts, rng) for label in labels]), labels)
    return splits


def read_array(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        try:
            return np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # a damaged header is parsed as Python and fails as that does
            raise ValueError(f"{path.name} is damaged: {' '.join(str(error).split())}") from None


def random_numbers(settings: Embedded, *names: str) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for, on nothing drawn elsewhere."""
    return np.random.default_rng([settings.seed, *"/".join(names).encode()])


def draw_handwriting(
    raw: Path, settings: Embedded, domain: str, size: float
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Strokes (n, 28, 28) and labels of a domain's train and test set, each from its own handwriting samples."""
    digits, labels = read_array(raw / "digits.npy"), read_array(raw / "labels.npy")
    if digits.shape != (len(labels), 8, 8):
        raise ValueError(f"{len(labels)} labels for digits of shape {digits.shape}")
    order = random_numbers(settings, "handwriting samples").permutation(len(digits))
    tests = round(TEST_SAMPLES * len(digits))
    splits = {}
    for name, samples, count in (
        ("test", order[:tests], settings.test),
        ("train", order[tests:], settings.train),
    ):
        rng = random_numbers(settings, domain, name)
        # Every sample is drawn once before any is drawn again, each time shaken differently.
        chosen = samples[np.arange(count) % len(samples)]
        splits[name] = np.stack([shake(digits[i], size, rng) for i in chosen]), labels[chosen]
    return splits


def shake(digit: NDArray[np.uint8], size: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An 8x8 digit as 28x28 strokes: enlarged to about `size` of the frame, slightly turned, slanted, scaled
    and moved, then made crisp."""
    picture_size = size * SIZE / 8
    # Room around the 8x8 field lets strokes that touch its edge end softly.
    digit = np.pad(digit, ROOM)
    matrix = affine_back(
        (4 + ROOM, 4 + ROOM),
        (SIZE / 2 + rng.uniform(-1.5, 1.5), SIZE / 2 + rng.uniform(-1.5, 1.5)),
        scale=(picture_size * rng.uniform(0.88, 1.04), picture_size * rng.uniform(0.94, 1.06)),
        angle=rng.uniform(-0.12, 0.12),
        slant=rng.uniform(-0.12, 0.12),
    )
    picture = Image.fromarray(digit.astype(np.float32) / 16)
    large = np.asarray(
        picture.transform((SIZE, SIZE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    )
    return (np.clip((large - 0.25) * 2, 0, 1) * 255).round().astype(np.uint8)


def affine_back(
    old_middle: tuple[float, float],
    new_middle: tuple[float, float],
    scale: tuple[float, float],
    angle: float,
    slant: float,
) -> tuple[float, float, float, float, float, float]:
    """The map from a new picture's pixels back to the old one's, as PIL wants it: the old picture is scaled,
    slanted and turned about its middle, which comes to lie on the new one."""
    (old_x, old_y), (new_x, new_y) = old_middle, new_middle
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = cos / scale[0], (sin + slant) / scale[0]
    d, e = -sin / scale[1], cos / scale[1]
    return a, b, old_x - a * new_x - b * new_y, d, e, old_y - d * new_x - e * new_y


def random_crop(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    y, x = rng.integers(photo.shape[0] - SIZE + 1), rng.integers(photo.shape[1] - SIZE + 1)
    return photo[y : y + SIZE, x : x + SIZE]


class FontCase:
    """The fonts of a folder, each loaded once a size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: dict[tuple[str, int], ImageFont.FreeTypeFont] = {}

    def take(self, name: str, size: int) -> ImageFont.FreeTypeFont:
        if (name, size) not in self.loaded:
            self.loaded[name, size] = ImageFont.truetype(self.folder / f"{name}.ttf", size)
        return self.loaded[name, size]


def draw_printed(label: int, fonts: FontCase, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One printed digit in the middle of its neighbours: drawn at twice the size, then reduced and spoilt."""
    side = 2 * SIZE
    font = fonts.take(FONTS[rng.integers(len(FONTS))], int(rng.integers(50, 68)))
    ink, paper = contrasting_colours(rng)
    mask = Image.new("L", (2 * side, 2 * side))  # wide enough to turn without corners showing
    pen = ImageDraw.Draw(mask)
    middle = side + rng.uniform(-3, 3), side + rng.uniform(-3, 3)
    pen.text(middle, str(label), font=font, fill=255, anchor="mm")
    gap = rng.uniform(0, 8)
    for direction in (-1, 1):
        neighbour = str(rng.integers(10))
        if rng.random() < 0.5:
            distance = (font.getlength(str(label)) + font.getlength(neighbour)) / 2 + gap
            pen.text(
                (middle[0] + direction * distance, middle[1]), neighbour, font=font, fill=255, anchor="mm"
            )
    matrix = affine_back(
        (side, side),
        (side / 2, side / 2),
        scale=(rng.uniform(0.85, 1.1), rng.uniform(0.9, 1.1)),
        angle=rng.uniform(-0.2, 0.2),
        slant=rng.uniform(-0.25, 0.15),
    )
    mask = mask.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.6)))
    cover = np.asarray(mask.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float64)[..., None] / 255
    picture = cover * gradient(ink, 40, rng) + (1 - cover) * gradient(paper, 70, rng)
    picture += rng.normal(0, rng.uniform(0, 12), size=picture.shape)
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def contrasting_colours(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two random colours, one clearly lighter than the other."""
    while True:
        ink, paper = rng.uniform(0, 255, size=(2, 3))
        if abs(ink.mean() - paper.mean()) > 60:
            return ink, paper


def gradient(colour: NDArray[np.float64], spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A field of `colour` that changes evenly in a random direction, by at most `spread` from edge to edge."""
    direction = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
    slope = np.cos(direction) * x + np.sin(direction) * y
    return colour + slope[..., None] * rng.uniform(-spread, spread, size=3)
