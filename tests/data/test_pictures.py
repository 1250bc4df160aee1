"""Pictures: what is read are the very pixels; whatever is not 8-bit grey or RGB, whole and of one mode is named."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import complaint
from drawn import (
    PNG,
    Files,
    chunk,
    encode,
    end_process,
    numbered,
    pixels,
    png,
    png_of,
    write_folder,
    write_tar,
    write_zip,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.decode import LARGEST_SIDE
from hw2core.data.frames import colour
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import open_tree
from hw2core.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def read(files: Files) -> NDArray[np.uint8]:
    write_folder(Path("set"), files)
    return read_pictures(open_tree(Path("set")), list(files), colour)


def complaints(files: Files) -> list[str]:
    return (complaint(lambda: read(files)) or "").splitlines()


def grey_as_colour(name: str) -> NDArray[np.uint8]:
    return np.repeat(pixels(name, "L")[..., None], 3, axis=-1)


def test_pixels_come_as_they_are_in_the_order_asked_for() -> None:
    files = {name: png(name) for name in ("b.png", "a.png", "deep/c.png")}
    images = read(files)
    assert images.dtype == np.uint8
    assert (images == [pixels(name) for name in files]).all()


def test_grey_pictures_get_three_channels() -> None:
    assert (read({"a.png": png("a.png", "L")})[0] == grey_as_colour("a.png")).all()


def test_bmp_and_jpeg_are_read_whatever_the_file_is_called() -> None:
    picture = Image.fromarray(pixels("a"))
    jpeg = encode(picture, "JPEG")
    images = read({"a.bmp": encode(picture, "BMP"), "a.png": jpeg})
    assert (images[0] == pixels("a")).all()
    assert (images[1] == np.asarray(Image.open(io.BytesIO(jpeg)))).all()


def test_grey_bmp_is_read() -> None:
    grey = Image.fromarray(pixels("a", "L"))
    assert (read({"a.bmp": encode(grey, "BMP")}) == grey_as_colour("a")).all()


def with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    at = content.index(b"IDAT") - 4
    return content[:at] + chunk(kind, data) + content[at:]


def drawn(mode: str, kind: str = "PNG", side: int = 6) -> bytes:
    return encode(Image.new(mode, (side, side)), kind)


def png_of_depth(depth: int, colours: int) -> bytes:
    row = bytes(1 + 6 * (3 if colours == 2 else 1) * depth // 8)
    return png_of((6, 6, depth, colours, 0, 0, 0), 6 * row)


def damaged_pixels() -> bytes:
    content = bytearray(png("odd.png", side=40))
    content[content.index(b"IDAT") + 40] ^= 1
    return bytes(content)


def turned_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def turned() -> bytes:
    return encode(Image.new("RGB", (6, 6)), "JPEG", exif=turned_exif())


def animated() -> bytes:
    first, second = (Image.fromarray(pixels(name)) for name in ("first", "second"))
    return encode(first, "PNG", save_all=True, append_images=[second])


def rgb_of_16_bits_as_bmp() -> bytes:
    content = bytearray(drawn("RGB", "BMP"))
    content[28:30] = (16).to_bytes(2, "little")
    return bytes(content)


CONVERT = "only 8-bit grey and RGB are read; convert it"
BRING = "bring it anew or take it away"
ODD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", f"is empty (0 bytes); {BRING}"),
    "text": (lambda: b"<html>", "is not a png, jpeg or bmp image; convert it or take it away"),
    "gif": (lambda: drawn("L", "GIF"), "is not a png, jpeg or bmp image; convert it or take it away"),
    "tiff": (lambda: drawn("F", "TIFF"), "is not a png, jpeg or bmp image; convert it or take it away"),
    "png cut short": (lambda: png("odd.png")[:-20], f"is cut short; {BRING}"),
    "png without end": (lambda: png("odd.png")[:-12], f"is cut short; {BRING}"),
    "png of nothing": (lambda: png("odd.png")[:8], f"is cut short; {BRING}"),
    "damaged pixels": (damaged_pixels, f"is damaged: its IDAT chunk does not match its checksum; {BRING}"),
    "png without pixels": (lambda: png_of((6, 6, 8, 2, 0, 0, 0), b""), f"is damaged or cut short; {BRING}"),
    "png with a row too few": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 5 * bytes(19)),
        f"is damaged or cut short; {BRING}",
    ),
    "png with a row too many": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 7 * bytes(19)),
        f"is damaged or cut short; {BRING}",
    ),
    "png with a filter that there is not": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 6 * (b"\5" + bytes(18))),
        f"is damaged or cut short; {BRING}",
    ),
    "png with pixels cut short": (
        lambda: png_of((6, 6, 8, 2, 0, 0, 0), 6 * bytes(19), cut=2),
        f"is damaged or cut short; {BRING}",
    ),
    "png of no size": (lambda: png_of((0, 6, 8, 2, 0, 0, 0), b""), f"is damaged or cut short; {BRING}"),
    "png of no kind": (
        lambda: PNG + chunk(b"IHDR", b"") + chunk(b"IEND", b""),
        f"is damaged or cut short; {BRING}",
    ),
    "jpeg cut short": (
        lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-300],
        f"is damaged or cut short; {BRING}",
    ),
    "jpeg without end": (
        lambda: encode(Image.fromarray(pixels("odd", side=64)), "JPEG")[:-2],
        f"is damaged or cut short; {BRING}",
    ),
    "jpeg of nothing": (lambda: b"\xff\xd8\xff\xe0", f"is damaged or cut short; {BRING}"),
    "bmp cut short": (lambda: drawn("RGB", "BMP")[:-20], f"is damaged or cut short; {BRING}"),
    "bmp of nothing": (lambda: b"BM", f"is damaged or cut short; {BRING}"),
    "palette": (lambda: drawn("P"), f"is of a palette; {CONVERT}"),
    "RGBA": (lambda: drawn("RGBA"), f"is RGBA; {CONVERT}"),
    "LA": (lambda: drawn("LA"), f"is LA; {CONVERT}"),
    "1-bit": (lambda: drawn("1"), f"is 1-bit grey; {CONVERT}"),
    "4-bit grey": (lambda: png_of_depth(4, 0), f"is 4-bit grey; {CONVERT}"),
    "16-bit grey": (lambda: drawn("I;16"), f"is 16-bit grey; {CONVERT}"),
    "16-bit RGB": (lambda: png_of_depth(16, 2), f"is 16-bit RGB; {CONVERT}"),
    "transparent grey": (
        lambda: with_chunk(drawn("L"), b"tRNS", b"\0\0"),
        f"has a transparent colour; {CONVERT}",
    ),
    "CMYK": (lambda: drawn("CMYK", "JPEG"), f"is CMYK; {CONVERT}"),
    "palette bmp": (
        lambda: encode(Image.new("RGB", (6, 6), "red").quantize(), "BMP"),
        f"is of a palette; {CONVERT}",
    ),
    "1-bit bmp": (lambda: drawn("1", "BMP"), f"is 1-bit; {CONVERT}"),
    "16-bit bmp": (rgb_of_16_bits_as_bmp, f"is a 16-bit bmp; {CONVERT}"),
    "RGBA bmp": (lambda: drawn("RGBA", "BMP"), f"is a 32-bit bmp; {CONVERT}"),
    "animated": (animated, "is animated; save one picture of it"),
    "turned": (turned, "is to be turned when it is shown, says its EXIF; save it turned"),
    "two pictures": (
        lambda: encode(
            Image.new("RGB", (6, 6)), "MPO", save_all=True, append_images=[Image.new("RGB", (6, 6))]
        ),
        "holds more than one picture; save one of them",
    ),
    "wide": (
        lambda: encode(Image.new("L", (LARGEST_SIDE + 1, 1))),
        f"is larger than {LARGEST_SIDE} pixels a side; make it smaller",
    ),
    "huge": (
        lambda: png_of((10**6, 10**6, 8, 2, 0, 0, 0), b""),
        f"is larger than {LARGEST_SIDE} pixels a side; make it smaller",
    ),
    "turned png": (
        lambda: with_chunk(drawn("RGB"), b"eXIf", turned_exif().tobytes()[6:]),
        "is to be turned when it is shown, says its EXIF; save it turned",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_not_read_is_said_in_one_line(case: str) -> None:
    make, what = ODD[case]
    assert complaints({"a.png": png("a.png"), "odd.png": make()}) == [f"set/odd.png: {what}"]


def test_a_picture_as_large_as_may_be_is_read() -> None:
    write_folder(Path("set"), {"a.png": encode(Image.new("L", (LARGEST_SIDE, 1)))})
    assert read_pictures(open_tree(Path("set")), ["a.png"], colour).shape == (1, 1, LARGEST_SIDE, 3)


def test_all_problems_are_said_together() -> None:
    odd = {f"{case}.png": make() for case, (make, _) in ODD.items()}
    lines = complaints({"a.png": png("a.png"), **odd})
    assert len(lines) == 11
    assert lines[-1] == f"and {len(odd) - 10} more"


def test_grey_among_colour_is_named() -> None:
    files = {name: png(name, "L" if name == "00003.png" else "RGB") for name in numbered(0, 9)}
    assert complaints(files) == ["set/00003.png: is grey, 8 others are colour; convert it to RGB"]


def test_colour_among_grey_is_named() -> None:
    files = {name: png(name, "RGB" if name < "00002.png" else "L") for name in numbered(0, 9)}
    assert complaints(files) == [
        "set/00000.png: is colour, 7 others are grey",
        "set/00001.png: is colour, 7 others are grey",
        "convert it to grey",
    ]


def test_a_file_that_cannot_be_read_is_one_of_the_problems() -> None:
    write_folder(Path("set"), {"a.png": png("a.png"), "b.png": b""})
    tree = open_tree(Path("set"))
    Path("set/a.png").unlink()
    said = complaint(lambda: read_pictures(tree, tree.files, colour))
    assert said is not None
    assert said.splitlines()[0].startswith("set/a.png: cannot be read (No such file or directory)")
    assert said.splitlines()[1].startswith("set/b.png: is empty")


def test_what_pillow_warns_of_does_not_reach_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    """A large picture in a file that is refused for its size."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (line,) = complaints({"a.png": encode(Image.new("1", (10000, 9000)), "BMP")})
    assert line.startswith("set/a.png: is larger than 4096 pixels a side")
    assert capfd.readouterr().err == ""


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Files:
    """So many that other processes read them."""
    monkeypatch.setattr("hw2core.data.pictures.FEW", 20)
    monkeypatch.setattr("hw2core.data.pictures.CHUNK", 3)
    return {name: png(name) for name in numbered(0, 40)}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_many_are_read_by_several_processes_in_the_same_order(many: Files, kind: str) -> None:
    writers = {"folder": write_folder, "zip": write_zip, "tar.gz": write_tar}
    tree = open_tree(writers[kind](Path(f"set.{kind}"), many))
    images = read_pictures(tree, tree.files, colour)
    assert (images == [pixels(name) for name in many]).all()


def test_problems_of_many_are_said_together_in_order(many: Files) -> None:
    odd = {"00001.png": b"", "00015.png": b"?", "00020.png": png("a", "L")}
    assert complaints(many | odd) == [
        f"set/00001.png: is empty (0 bytes); {BRING}",
        "set/00015.png: is not a png, jpeg or bmp image; convert it or take it away",
        "set/00020.png: is grey, 37 others are colour; convert it to RGB",
    ]


def test_a_reading_process_that_is_killed_is_said_in_one_line(many: Files) -> None:
    tree = open_tree(write_folder(Path("set"), many))
    with pytest.raises(
        UserError, match=r"^a process that did part of the work was killed, perhaps for want of"
    ):
        read_pictures(tree, tree.files, end_process)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(at=st.integers(0, 10**4), byte=st.integers(0, 255), cut=st.none() | st.integers(0, 10**4))
def test_a_damaged_png_is_a_problem_or_the_very_pixels(at: int, byte: int, cut: int | None) -> None:
    content = bytearray(png("a.png"))
    content[at % len(content)] = byte
    del content[cut if cut is None else cut % len(content) :]
    check_damaged(bytes(content), "a.png")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(at=st.integers(0, 10**4), byte=st.integers(0, 255), kind=st.sampled_from(["JPEG", "BMP"]))
def test_another_damaged_picture_is_a_problem_or_read(at: int, byte: int, kind: str) -> None:
    content = bytearray(encode(Image.fromarray(pixels("a")), kind))
    content[at % len(content)] = byte
    write_folder(Path("set"), {"a.png": bytes(content)})
    said = complaint(lambda: read_pictures(open_tree(Path("set")), ["a.png"], colour))
    assert said is None or said.startswith("set/a.png: ")


def check_damaged(content: bytes, name: str) -> None:
    images: list[NDArray[np.uint8]] = []
    lines = (complaint(lambda: images.append(read({name: content}))) or "").splitlines()
    if lines:
        (line,) = lines
        assert line.startswith(f"set/{name}: is ")
    else:
        assert (images[0][0] == pixels(name)).all()
