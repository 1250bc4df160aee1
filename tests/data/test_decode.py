"""Decoding: exact pixels of valid files, and one line for every file that is not 8-bit gray or RGB and complete."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from conftest import complaint
from drawn import PNG, chunk, encode, pixels, png, png_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.decode import INTERLACED, MAX_SIDE, decode, rows_length


def random_pixels(width: int, height: int, channels: int, seed: int) -> NDArray[np.uint8]:
    """Noise on a gradient, for which encoders use every filter."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height) * rng.integers(9), np.arange(width) * rng.integers(9))[..., None]
    pixels = (slope + rng.integers(0, rng.integers(1, 257), (height, width, channels))).astype(np.uint8)
    return pixels if channels == 3 else pixels[..., 0]


SIDE = st.integers(1, 40)
CHANNELS = st.sampled_from([1, 3])


@given(width=SIDE, height=SIDE, channels=CHANNELS, seed=st.integers(0, 999), level=st.integers(0, 9))
def test_png_equals_what_pillow_writes_and_reads(
    width: int, height: int, channels: int, seed: int, level: int
) -> None:
    written = random_pixels(width, height, channels, seed)
    content = encode(Image.fromarray(written), "PNG", compress_level=level)
    picture = decode("a.png", content)
    assert picture.mode == ("L" if channels == 1 else "RGB")
    assert (np.asarray(picture) == written).all()
    assert picture.tobytes() == Image.open(io.BytesIO(content)).tobytes()


@given(width=SIDE, height=SIDE, channels=CHANNELS, seed=st.integers(0, 999), split=st.integers(1, 5))
def test_interlaced_png_in_several_chunks(
    width: int, height: int, channels: int, seed: int, split: int
) -> None:
    written = random_pixels(width, height, channels, seed)
    passes = (written[top::down, left::across] for left, top, across, down in INTERLACED)
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part if row.size)
    assert len(rows) == rows_length(width, height, channels, interlaced=True)
    content = png_of((width, height, 8, channels - 1, 0, 0, 1), rows, split=split)
    assert (np.asarray(decode("a.png", content)) == written).all()


def test_bytes_after_the_end_of_a_png_are_ignored() -> None:
    written = random_pixels(7, 5, 3, 0)
    content = encode(Image.fromarray(written), "PNG") + b"more"
    assert (np.asarray(decode("a.png", content)) == written).all()


def test_png_with_metadata_is_read() -> None:
    written = random_pixels(7, 5, 3, 0)
    content = encode(Image.fromarray(written), "PNG", dpi=(72, 72), icc_profile=b"profile", exif=Image.Exif())
    assert (np.asarray(decode("a.png", content)) == written).all()


def test_bmp_and_jpeg_are_recognized_by_content() -> None:
    for mode in ("L", "RGB"):
        image = Image.fromarray(pixels("a", mode))
        bmp, jpeg = (decode("a.png", encode(image, kind)) for kind in ("BMP", "JPEG"))
        assert bmp.mode == jpeg.mode == mode
        assert (np.asarray(bmp) == pixels("a", mode)).all()
        assert jpeg.tobytes() == Image.open(io.BytesIO(encode(image, "JPEG"))).tobytes()


def test_largest_image_is_read() -> None:
    assert decode("a.png", encode(Image.new("L", (MAX_SIDE, 1)))).size == (MAX_SIDE, 1)


def with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    at = content.index(b"IDAT") - 4
    return content[:at] + chunk(kind, data) + content[at:]


def encoded(mode: str, kind: str = "PNG", side: int = 6) -> bytes:
    return encode(Image.new(mode, (side, side)), kind)


def png_of_depth(depth: int, colors: int) -> bytes:
    row = bytes(1 + 6 * (3 if colors == 2 else 1) * depth // 8)
    return png_of((6, 6, depth, colors, 0, 0, 0), 6 * row)


def damaged_pixels() -> bytes:
    content = bytearray(png("odd.png", side=40))
    content[content.index(b"IDAT") + 40] ^= 1
    return bytes(content)


def rotated_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def animated() -> bytes:
    first, second = (Image.fromarray(pixels(name)) for name in ("first", "second"))
    return encode(first, "PNG", save_all=True, append_images=[second])


def several_images() -> bytes:
    image = Image.new("RGB", (6, 6))
    return encode(image, "MPO", save_all=True, append_images=[image])


def rgb_of_16_bits_as_bmp() -> bytes:
    content = bytearray(encoded("RGB", "BMP"))
    content[28:30] = (16).to_bytes(2, "little")
    return bytes(content)


RGB_HEADER = (6, 6, 8, 2, 0, 0, 0)  # of a 6x6 PNG, whose rows have 1 + 18 bytes
CONVERT, REPLACE = "convert it to 8-bit gray or RGB", "replace it or remove it"
REFUSED: dict[str, dict[str, Callable[[], bytes]]] = {
    f"is empty (0 bytes); {REPLACE}": {"empty": lambda: b""},
    "is not a png, jpeg or bmp image; convert it or remove it": {
        "text": lambda: b"<html>",
        "gif": lambda: encoded("L", "GIF"),
        "tiff": lambda: encoded("F", "TIFF"),
    },
    f"is truncated; {REPLACE}": {
        "png": lambda: png("odd.png")[:-20],
        "png without IEND": lambda: png("odd.png")[:-12],
        "png without chunks": lambda: png("odd.png")[:8],
    },
    f"is damaged: checksum mismatch in its IDAT chunk; {REPLACE}": {"pixels": damaged_pixels},
    f"is damaged or truncated; {REPLACE}": {
        "png without pixels": lambda: png_of(RGB_HEADER, b""),
        "png with a missing row": lambda: png_of(RGB_HEADER, 5 * bytes(19)),
        "png with an extra row": lambda: png_of(RGB_HEADER, 7 * bytes(19)),
        "png with an unknown filter": lambda: png_of(RGB_HEADER, 6 * (b"\5" + bytes(18))),
        "png with truncated pixels": lambda: png_of(RGB_HEADER, 6 * bytes(19), cut=2),
        "png of width 0": lambda: png_of((0, 6, 8, 2, 0, 0, 0), b""),
        "png with an empty header": lambda: PNG + chunk(b"IHDR", b"") + chunk(b"IEND", b""),
        "truncated jpeg": lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-300],
        "jpeg without EOI": lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-2],
        "jpeg without data": lambda: b"\xff\xd8\xff\xe0",
        "truncated bmp": lambda: encoded("RGB", "BMP")[:-20],
        "bmp without data": lambda: b"BM",
    },
    f"has the color type palette; {CONVERT}": {
        "png": lambda: encoded("P"),
        "bmp": lambda: encode(Image.new("RGB", (6, 6), "red").quantize(), "BMP"),
    },
    f"has the color type RGBA; {CONVERT}": {"png": lambda: encoded("RGBA")},
    f"has the color type LA; {CONVERT}": {"png": lambda: encoded("LA")},
    f"has the color type CMYK; {CONVERT}": {"jpeg": lambda: encoded("CMYK", "JPEG")},
    f"has the color type 1-bit; {CONVERT}": {"bmp": lambda: encoded("1", "BMP")},
    f"is 1-bit gray; {CONVERT}": {"png": lambda: encoded("1")},
    f"is 4-bit gray; {CONVERT}": {"png": lambda: png_of_depth(4, 0)},
    f"is 16-bit gray; {CONVERT}": {"png": lambda: encoded("I;16")},
    f"is 16-bit RGB; {CONVERT}": {"png": lambda: png_of_depth(16, 2)},
    f"is a 16-bit bmp; {CONVERT}": {"RGB": rgb_of_16_bits_as_bmp},
    f"is a 32-bit bmp; {CONVERT}": {"RGBA": lambda: encoded("RGBA", "BMP")},
    f"has a transparent color; {CONVERT}": {"gray": lambda: with_chunk(encoded("L"), b"tRNS", b"\0\0")},
    "is animated; save a single frame": {"png": animated},
    "contains several images; save a single one": {"mpo": several_images},
    "has an EXIF orientation that rotates or flips it; save it upright": {
        "jpeg": lambda: encode(Image.new("RGB", (6, 6)), "JPEG", exif=rotated_exif()),
        "png": lambda: with_chunk(encoded("RGB"), b"eXIf", rotated_exif().tobytes()[6:]),
    },
    f"is larger than {MAX_SIDE} pixels on a side; make it smaller": {
        "wide": lambda: encode(Image.new("L", (MAX_SIDE + 1, 1))),
        "huge": lambda: png_of((10**6, 10**6, 8, 2, 0, 0, 0), b""),
        "many pixels, of which Pillow warns": lambda: encode(Image.new("1", (10000, 9000)), "BMP"),
    },
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("message", "make"),
    [
        pytest.param(message, make, id=f"{case}: {message}")
        for message, cases in REFUSED.items()
        for case, make in cases.items()
    ],
)
def test_other_files_are_refused_on_one_line(message: str, make: Callable[[], bytes]) -> None:
    assert complaint(lambda: decode("odd.png", make())) == f"odd.png: {message}"


def damaged(content: bytes, at: int, byte: int, cut: int | None = None) -> bytes:
    changed = bytearray(content)
    changed[at % len(content)] = byte
    return bytes(changed[: cut if cut is None else cut % len(content)])


@settings(max_examples=200)
@given(at=st.integers(0, 10**4), byte=st.integers(0, 255), cut=st.none() | st.integers(0, 10**4))
def test_damaged_png_is_refused_or_unchanged(at: int, byte: int, cut: int | None) -> None:
    read: list[Image.Image] = []
    message = complaint(lambda: read.append(decode("a.png", damaged(png("a.png"), at, byte, cut))))
    if message is None:
        assert (np.asarray(read[0]) == pixels("a.png")).all()
    else:
        assert message.startswith("a.png: is ")
        assert "\n" not in message


@settings(max_examples=100)
@given(at=st.integers(0, 10**4), byte=st.integers(0, 255), kind=st.sampled_from(["JPEG", "BMP"]))
def test_other_damaged_file_is_refused_or_read(at: int, byte: int, kind: str) -> None:
    content = damaged(encode(Image.fromarray(pixels("a")), kind), at, byte)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = complaint(lambda: decode("a.png", content))
    assert message is None or message.startswith("a.png: ")
