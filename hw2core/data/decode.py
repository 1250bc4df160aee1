"""Strict decoding of png, jpeg and bmp files: 8-bit gray or RGB, complete and upright, or an error that says why not.

PNG chunks are parsed here, and Pillow decodes only the rows. Pillow's own reader ignores the checksums of the pixels,
fills missing pixels with black, converts 16-bit and 4-bit images silently, and is slower. JPEG and BMP have no
checksums: only truncation can be detected.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NoReturn

from PIL import Image

from hw2core.data.problems import FileError

MAX_SIDE = 4096

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
PNG_HEADER = struct.Struct(">2I5B")  # width, height, depth, colors, compression, filter, interlace
PNG_MODES = {0: "L", 2: "RGB"}
PNG_COLORS = {0: "gray", 2: "RGB", 3: "palette", 4: "LA", 6: "RGBA"}
SEQUENTIAL = ((0, 0, 1, 1),)
INTERLACED = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""The Adam7 passes of a PNG: left and top start, horizontal and vertical stride."""
OTHER_MODES = {"1": "1-bit", "P": "palette"}
BMP_DEPTHS = {"L": 8, "RGB": 24}
ORIENTATION, UPRIGHT = 0x0112, (None, 0, 1)  # the EXIF tag, and its values without rotation

CONVERT = "convert it to 8-bit gray or RGB"
REPLACE = "replace it or remove it"


def decode(place: str, content: bytes) -> Image.Image:
    """Decode an image of mode L or RGB. `place` is its path in error messages."""
    if not content:
        raise FileError(place, "is empty (0 bytes)", REPLACE)
    if not content.startswith((PNG, JPEG, BMP)):
        raise FileError(place, "is not a png, jpeg or bmp image", "convert it or remove it")
    try:
        picture = decode_png(place, content) if content.startswith(PNG) else decode_other(place, content)
        if 0 in picture.size:
            raise ValueError("no pixels")
    except FileError:
        raise
    except Image.DecompressionBombError:
        refuse_size(place)
    except Exception:  # a damaged file can raise almost anything
        raise FileError(place, "is damaged or truncated", REPLACE) from None
    return picture


def decode_png(place: str, content: bytes) -> Image.Image:
    header, pixels = b"", []
    for chunk in png_chunks(place, content):
        match chunk[:4]:
            case b"IDAT":
                pixels.append(chunk[4:])
            case b"IHDR":
                header = chunk[4:]
            case b"tRNS":
                raise FileError(place, "has a transparent color", CONVERT)
            case b"acTL":
                raise FileError(place, "is animated", "save a single frame")
            case b"eXIf":
                exif = Image.Exif()
                exif.load(chunk[4:])
                check_upright(place, exif)
    width, height, depth, colors, _, _, interlaced = PNG_HEADER.unpack(header)
    if colors not in PNG_MODES:
        raise FileError(place, f"has the color type {PNG_COLORS[colors]}", CONVERT)
    if depth != 8:
        raise FileError(place, f"is {depth}-bit {PNG_COLORS[colors]}", CONVERT)
    if max(width, height) > MAX_SIDE:
        refuse_size(place)
    mode = PNG_MODES[colors]
    rows = inflate(b"".join(pixels), rows_length(width, height, len(mode), bool(interlaced)))
    # Pillow's row decoder expects a deflate stream; level 0 only wraps the bytes.
    return Image.frombytes(mode, (width, height), zlib.compress(rows, 0), "zip", mode, interlaced)


def png_chunks(place: str, content: bytes) -> Iterator[bytes]:
    """Yield the type and data of each chunk, after checking its CRC."""
    at, chunk = len(PNG), b""
    while chunk[:4] != b"IEND":
        start, stop = at + 4, at + 8 + int.from_bytes(content[at : at + 4], "big")
        at = stop + 4
        if at > len(content):
            raise FileError(place, "is truncated", REPLACE)
        chunk = content[start:stop]
        if zlib.crc32(chunk) != int.from_bytes(content[stop:at], "big"):
            kind = chunk[:4].decode("latin-1")
            raise FileError(place, f"is damaged: checksum mismatch in its {kind} chunk", REPLACE)
        yield chunk


def rows_length(width: int, height: int, channels: int, interlaced: bool) -> int:
    """Number of bytes of the decompressed rows, each with its filter byte."""
    length = 0
    for left, top, across, down in INTERLACED if interlaced else SEQUENTIAL:
        columns, rows = -((left - width) // across), -((top - height) // down)
        length += rows * (1 + columns * channels) if columns else 0
    return length


def inflate(packed: bytes, length: int) -> bytes:
    """Decompress exactly `length` bytes; an incomplete or longer stream is an error."""
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(packed, length + 1)
    if len(content) != length or not decompressor.eof:
        raise ValueError("wrong number of pixels")
    return content


def decode_other(place: str, content: bytes) -> Image.Image:
    """Decode a JPEG or BMP with Pillow, which converts nothing in these formats."""
    picture = Image.open(BytesIO(content), formats=("JPEG", "BMP"))
    if max(picture.size) > MAX_SIDE:
        refuse_size(place)
    if picture.mode not in BMP_DEPTHS:
        raise FileError(place, f"has the color type {OTHER_MODES.get(picture.mode, picture.mode)}", CONVERT)
    if content.startswith(BMP) and bmp_depth(content) != BMP_DEPTHS[picture.mode]:
        raise FileError(place, f"is a {bmp_depth(content)}-bit bmp", CONVERT)
    if getattr(picture, "n_frames", 1) > 1:
        raise FileError(place, "contains several images", "save a single one")
    picture.load()
    if "exif" in picture.info:
        check_upright(place, picture.getexif())
    return picture


def bmp_depth(content: bytes) -> int:
    """Bits per pixel; their offset depends on the size of the header."""
    at = 24 if content[14] == 12 else 28
    return int.from_bytes(content[at : at + 2], "little")


def check_upright(place: str, exif: Image.Exif) -> None:
    if exif.get(ORIENTATION) not in UPRIGHT:
        raise FileError(place, "has an EXIF orientation that rotates or flips it", "save it upright")


def refuse_size(place: str) -> NoReturn:
    raise FileError(place, f"is larger than {MAX_SIDE} pixels on a side", "make it smaller")
