"""Pngs are taken apart by ourselves: the pixels are those that Pillow reads, whatever way they were packed."""

import io

import numpy as np
from drawn import encode, png_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.decode import INTERLACED, decode, rows_length


def random_pixels(width: int, height: int, channels: int, seed: int) -> NDArray[np.uint8]:
    """Noise over a slope: encoders choose every filter somewhere."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height) * rng.integers(9), np.arange(width) * rng.integers(9))[..., None]
    pixels = (slope + rng.integers(0, rng.integers(1, 257), (height, width, channels))).astype(np.uint8)
    return pixels if channels == 3 else pixels[..., 0]


SIDE = st.integers(1, 40)
CHANNELS = st.sampled_from([1, 3])


@given(width=SIDE, height=SIDE, channels=CHANNELS, seed=st.integers(0, 999), level=st.integers(0, 9))
def test_a_png_is_what_pillow_wrote_and_reads(
    width: int, height: int, channels: int, seed: int, level: int
) -> None:
    pixels = random_pixels(width, height, channels, seed)
    content = encode(Image.fromarray(pixels), "PNG", compress_level=level)
    picture = decode("a.png", content)
    assert picture.mode == ("L" if channels == 1 else "RGB")
    assert (np.asarray(picture) == pixels).all()
    assert picture.tobytes() == Image.open(io.BytesIO(content)).tobytes()


@given(width=SIDE, height=SIDE, channels=CHANNELS, seed=st.integers(0, 999), split=st.integers(1, 5))
def test_an_interlaced_png_in_pieces_is_what_was_written(
    width: int, height: int, channels: int, seed: int, split: int
) -> None:
    pixels = random_pixels(width, height, channels, seed)
    passes = (pixels[top::down, left::across] for left, top, across, down in INTERLACED)
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part if row.size)
    assert len(rows) == rows_length(width, height, channels, interlaced=True)
    content = png_of((width, height, 8, channels - 1, 0, 0, 1), rows, split=split)
    assert (np.asarray(decode("a.png", content)) == pixels).all()


def test_what_follows_the_end_of_a_png_is_nothing_to_us() -> None:
    pixels = random_pixels(7, 5, 3, 0)
    content = encode(Image.fromarray(pixels), "PNG") + b"more"
    assert (np.asarray(decode("a.png", content)) == pixels).all()


def test_a_png_with_more_than_pixels_in_it_is_read() -> None:
    pixels = random_pixels(7, 5, 3, 0)
    content = encode(Image.fromarray(pixels), "PNG", dpi=(72, 72), icc_profile=b"profile", exif=Image.Exif())
    assert (np.asarray(decode("a.png", content)) == pixels).all()
