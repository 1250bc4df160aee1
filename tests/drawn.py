"""Small image files, tables, folders and archives for the tests of the data room."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from conftest import complaint
from numpy.typing import NDArray
from PIL import Image

ATTRIBUTES = ["Bangs", "Male", "Smiling"]
Files = dict[str, bytes]


def pixels(name: str, mode: str = "RGB", side: int = 6) -> NDArray[np.uint8]:
    """Random pixels that depend on the name."""
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    return np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, shape, dtype=np.uint8)


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def png(name: str, mode: str = "RGB", side: int = 6) -> bytes:
    return encode(Image.fromarray(pixels(name, mode, side)))


PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(header: tuple[int, ...], rows: bytes, cut: int = 0, split: int = 1) -> bytes:
    """A PNG that libraries do not write: with pixels truncated before the checksum, or split into chunks."""
    packed = zlib.compress(rows)
    packed = packed[: len(packed) - cut]
    step = -(-len(packed) // split)
    parts = [packed[at : at + step] for at in range(0, len(packed), step)]
    data = b"".join(chunk(b"IDAT", part) for part in parts)
    return PNG + chunk(b"IHDR", struct.pack(">2I5B", *header)) + data + chunk(b"IEND", b"")


def digit_of(name: str) -> int:
    return zlib.crc32(name.encode()) % 10


def digit_table(names: list[str], header: str = "image_name,label", comma: str = ",") -> bytes:
    return "".join(f"{line}\n" for line in (header, *(f"{n}{comma}{digit_of(n)}" for n in names))).encode()


def answers_of(name: str) -> list[int]:
    return [zlib.crc32(f"{name} {attribute}".encode()) % 2 for attribute in ATTRIBUTES]


def face_table(names: list[str]) -> bytes:
    """A table as in the course of 2020, with 0.0 and 1.0."""
    rows = (",".join([name, *(f"{answer}.0" for answer in answers_of(name))]) for name in names)
    return "".join(f"{line}\n" for line in (",".join(["image_name", *ATTRIBUTES]), *rows)).encode()


def numbered(start: int, stop: int) -> list[str]:
    return [f"{number:05}.png" for number in range(start, stop)]


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def error_of(call: Callable[[], object]) -> str:
    """The message of the UserError that the call must raise."""
    message = complaint(call)
    assert message is not None
    return message
