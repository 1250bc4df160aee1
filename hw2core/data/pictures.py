"""Image files read strictly: each is 8-bit grey or RGB and whole, and all are of one mode, or it is said which is not.

Every chunk of a png has a checksum; Pillow leaves those of the pixels out of account, so all are checked here. Jpeg
and bmp have none: of them only what is missing can be noticed.
"""

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hw2core.data.frames import Frame
from hw2core.data.problems import FileError, Problems
from hw2core.data.trees import Tree
from hw2core.data.workers import map_in_order

CHUNK = 250  # images to a task
FEW = 2000  # so many are read before other processes would have started
LARGEST_SIDE = 4096

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
PNG_COLOURS = {0: "grey", 2: "RGB", 3: "of a palette", 4: "LA", 6: "RGBA"}
MODES = {"1": "1-bit", "P": "of a palette"}
BMP_DEPTHS = {"L": 8, "RGB": 24}
UPRIGHT = {None, 0, 1}
ORIENTATION = 0x0112  # EXIF's number of it

CONVERT = "only 8-bit grey and RGB are read; convert it"
BRING = "bring it anew or take it away"


@dataclass(frozen=True)
class Chunk:
    """What became of some files: the pictures (n, height, width, 3) and modes of the good, the problems of others."""

    pictures: NDArray[np.uint8]
    modes: list[tuple[str, str]]
    problems: list[FileError]


def read_pictures(tree: Tree, files: list[str], frame: Frame) -> NDArray[np.uint8]:
    """The images (n, height, width, 3), each framed. Of many, other processes do the work: `frame` must be what can
    be sent there, a function of a module, and the module one that is soon imported."""
    parts = (tree.part(files[at : at + CHUNK]) for at in range(0, len(files), CHUNK))
    read = partial(read_chunk, frame=frame)
    problems = Problems()
    modes: list[tuple[str, str]] = []
    pictures = None
    with tqdm(total=len(files), desc=tree.name, unit="image", leave=False, disable=None) as bar:
        for chunk in map(read, parts) if len(files) <= FEW else map_in_order(read, parts):
            problems.found += chunk.problems
            if not problems.found:
                if pictures is None:
                    pictures = np.empty((len(files), *chunk.pictures.shape[1:]), dtype=np.uint8)
                pictures[len(modes) : len(modes) + len(chunk.modes)] = chunk.pictures
            modes += chunk.modes
            bar.update(len(chunk.modes) + len(chunk.problems))
    refuse_mixture(tree, modes, problems)
    problems.raise_any()
    assert pictures is not None
    return pictures


def refuse_mixture(tree: Tree, modes: list[tuple[str, str]], problems: Problems) -> None:
    """Grey among colour, or colour among grey."""
    grey, colour = ([file for file, mode in modes if mode == wanted] for wanted in ("L", "RGB"))
    if len(grey) <= len(colour):
        few, what, remedy = grey, f"is grey, {len(colour)} others are colour", "convert it to RGB"
    else:
        few, what, remedy = colour, f"is colour, {len(grey)} others are grey", "convert it to grey"
    for file in few:
        problems.add(f"{tree.name}/{file}", what, remedy)


def read_chunk(tree: Tree, frame: Frame) -> Chunk:
    pictures, modes, problems = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is refused below, or does not touch the pixels
        for file in tree.files:
            try:
                picture = decode(f"{tree.name}/{file}", tree.read(file))
            except FileError as error:
                problems.append(error)
            else:
                pictures.append(frame(picture))
                modes.append((file, picture.mode))
    return Chunk(np.array(pictures, dtype=np.uint8), modes, problems)


def decode(place: str, content: bytes) -> Image.Image:
    """A picture of mode L or RGB with all its pixels."""
    if not content:
        raise FileError(place, "is empty (0 bytes)", BRING)
    if not content.startswith((PNG, JPEG, BMP)):
        raise FileError(place, "is not a png, jpeg or bmp image", "convert it or take it away")
    try:
        if content.startswith(PNG):
            check_png(place, content)
        picture = Image.open(BytesIO(content), formats=("PNG", "JPEG", "BMP"))
        check_kind(place, picture, content)
        picture.load()
        turned = "exif" in picture.info and picture.getexif().get(ORIENTATION) not in UPRIGHT
    except FileError:
        raise
    except Image.DecompressionBombError:
        raise too_large(place) from None
    except Exception:  # Pillow lets a damaged file fail as it happens to
        raise FileError(place, "is damaged or cut short", BRING) from None
    if turned:
        raise FileError(place, "is to be turned when it is shown, says its EXIF", "save it turned")
    return picture


def check_png(place: str, content: bytes) -> None:
    """That all chunks are as they were written, and that what they hold is 8-bit grey or RGB and nothing more."""
    for chunk in png_chunks(place, content):
        kind = chunk[:4]
        if kind == b"IHDR":
            depth, colour = chunk[12], chunk[13]
            if colour not in (0, 2):
                raise FileError(place, f"is {PNG_COLOURS.get(colour, 'of unknown colours')}", CONVERT)
            if depth != 8:
                raise FileError(place, f"is {depth}-bit {PNG_COLOURS[colour]}", CONVERT)
        elif kind == b"tRNS":
            raise FileError(place, "has a transparent colour", CONVERT)
        elif kind == b"acTL":
            raise FileError(place, "is animated", "save one picture of it")


def png_chunks(place: str, content: bytes) -> Iterator[bytes]:
    """Each chunk's kind and data."""
    at, chunk = len(PNG), b""
    while chunk[:4] != b"IEND":
        start, stop = at + 4, at + 8 + int.from_bytes(content[at : at + 4], "big")
        at = stop + 4
        if at > len(content):
            raise FileError(place, "is cut short", BRING)
        chunk = content[start:stop]
        if zlib.crc32(chunk) != int.from_bytes(content[stop:at], "big"):
            kind = chunk[:4].decode("latin-1")
            raise FileError(place, f"is damaged: its {kind} chunk does not match its checksum", BRING)
        yield chunk


def check_kind(place: str, picture: Image.Image, content: bytes) -> None:
    """What Pillow would convert or leave out by itself."""
    if max(picture.size) > LARGEST_SIDE:
        raise too_large(place)
    if picture.mode not in ("L", "RGB"):
        raise FileError(place, f"is {MODES.get(picture.mode, picture.mode)}", CONVERT)
    if content.startswith(BMP) and bmp_depth(content) != BMP_DEPTHS[picture.mode]:
        raise FileError(place, f"is a {bmp_depth(content)}-bit bmp", CONVERT)
    if getattr(picture, "n_frames", 1) > 1:
        raise FileError(place, "holds more than one picture", "save one of them")


def bmp_depth(content: bytes) -> int:
    """Bits for each pixel, of which Pillow makes 8 a channel; its place depends on the length of the header."""
    at = 24 if content[14] == 12 else 28
    return int.from_bytes(content[at : at + 2], "little")


def too_large(place: str) -> FileError:
    return FileError(place, f"is larger than {LARGEST_SIDE} pixels a side", "make it smaller")
