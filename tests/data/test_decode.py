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


def rotated() -> bytes:
    return encode(Image.new("RGB", (6, 6)), "JPEG", exif=rotated_exif())


def animated() -> bytes:
    first, second = (Image.fromarray(pixels(name)) for name in ("first", "second"))
    return encode(first, "PNG", save_all=True, append_images=[second])


def rgb_of_16_bits_as_bmp() -> bytes:
    content = bytearray(encoded("RGB", "BMP"))
    content[28:30] = (16).to_bytes(2, "little")
    return bytes(content)


CONVERT = "convert it to 8-bit gray or RGB"
REPLACE = "replace it or remove it"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", f"is empty (0 bytes); {REPLACE}"),
    "text": (lambda: b"<html>", "is not a png, jpeg or bmp image; convert it or remove it"),
    "gif": (lambda: encoded("L", "GIF"), "is not a png, jpeg or bmp image; convert it or remove it"),
    "tiff": (lambda: encoded("F", "TIFF"), "is not a png, jpeg or bmp image; convert it or remove it"),
    "truncated png": (lambda: png("odd.png")[:-20], f"is truncated; {REPLACE}"),
    "png without IEND": (lambda: png("odd.png")[:-12], f"is truncated; {REPLACE}"),
    "png without chunks": (lambda: png("odd.png")[:8], f"is truncated; {REPLACE}"),
    "damaged pixels": (damaged_pixels, f"is damaged: checksum mismatch in its IDAT chunk; {REPLACE}"),
    "png without pixels": (lambda: png_of((6, 6, 8, 2, 0, 0, 0), b""), f"is damaged or truncated; {REPLACE}"),
    "png with a missing row": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 5 * bytes(19)),
        f"is damaged or truncated; {REPLACE}",
    ),
    "png with an extra row": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 7 * bytes(19)),
        f"is damaged or truncated; {REPLACE}",
    ),
    "png with an unknown filter": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 6 * (b"\5" + bytes(18))),
        f"is damaged or truncated; {REPLACE}",
    ),
    "png with truncated pixels": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 6 * bytes(19), cut=2),
        f"is damaged or truncated; {REPLACE}",
    ),
    "png of width 0": (lambda: png_of((0, 6, 8, 2, 0, 0, 0), b""), f"is damaged or truncated; {REPLACE}"),
    "png with an empty header": (
        lambda: PNG + chunk(b"IHDR", b"") + chunk(b"IEND", b""),
        f"is damaged or truncated; {REPLACE}",
    ),
    "truncated jpeg": (
        lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-300],
        f"is damaged or truncated; {REPLACE}",
    ),
    "jpeg without EOI": (
        lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-2],
        f"is damaged or truncated; {REPLACE}",
    ),
    "jpeg without data": (lambda: b"\xff\xd8\xff\xe0", f"is damaged or truncated; {REPLACE}"),
    "truncated bmp": (lambda: encoded("RGB", "BMP")[:-20], f"is damaged or truncated; {REPLACE}"),
    "bmp without data": (lambda: b"BM", f"is damaged or truncated; {REPLACE}"),
    "palette": (lambda: encoded("P"), f"has the color type palette; {CONVERT}"),
    "RGBA": (lambda: encoded("RGBA"), f"has the color type RGBA; {CONVERT}"),
    "LA": (lambda: encoded("LA"), f"has the color type LA; {CONVERT}"),
    "1-bit": (lambda: encoded("1"), f"is 1-bit gray; {CONVERT}"),
    "4-bit gray": (lambda: png_of_depth(4, 0), f"is 4-bit gray; {CONVERT}"),
    "16-bit gray": (lambda: encoded("I;16"), f"is 16-bit gray; {CONVERT}"),
    "16-bit RGB": (lambda: png_of_depth(16, 2), f"is 16-bit RGB; {CONVERT}"),
    "transparent gray": (
        lambda: with_chunk(encoded("L"), b"tRNS", b"\0\0"),
        f"has a transparent color; {CONVERT}",
    ),
    "CMYK": (lambda: encoded("CMYK", "JPEG"), f"has the color type CMYK; {CONVERT}"),
    "palette bmp": (
        lambda: encode(Image.new("RGB", (6, 6), "red").quantize(), "BMP"),
        f"has the color type palette; {CONVERT}",
    ),
    "1-bit bmp": (lambda: encoded("1", "BMP"), f"has the color type 1-bit; {CONVERT}"),
    "16-bit bmp": (rgb_of_16_bits_as_bmp, f"is a 16-bit bmp; {CONVERT}"),
    "RGBA bmp": (lambda: encoded("RGBA", "BMP"), f"is a 32-bit bmp; {CONVERT}"),
    "animated": (animated, "is animated; save a single frame"),
    "rotated jpeg": (rotated, "has an EXIF orientation that rotates or flips it; save it upright"),
    "two images": (
        lambda: encode(
            Image.new("RGB", (6, 6)), "MPO", save_all=True, append_images=[Image.new("RGB", (6, 6))]
        ),
        "contains several images; save a single one",
    ),
    "wide": (
        lambda: encode(Image.new("L", (MAX_SIDE + 1, 1))),
        f"is larger than {MAX_SIDE} pixels on a side; make it smaller",
    ),
    "huge": (
        lambda: png_of((10**6, 10**6, 8, 2, 0, 0, 0), b""),
        f"is larger than {MAX_SIDE} pixels on a side; make it smaller",
    ),
    "rotated png": (
        lambda: with_chunk(encoded("RGB"), b"eXIf", rotated_exif().tobytes()[6:]),
        "has an EXIF orientation that rotates or flips it; save it upright",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_on_one_line(case: str) -> None:
    make, problem = REFUSED[case]
    assert complaint(lambda: decode("odd.png", make())) == f"odd.png: {problem}"


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
