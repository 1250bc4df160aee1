"""The bytes of an image file to a picture: 8-bit grey or RGB and whole, or it is said what it is instead.

Pngs are taken apart here. Pillow leaves the checksums of their pixels out of account, makes black what is missing of
them, converts 16-bit and 4-bit pictures without a word, and takes longer; its decoder of rows does its work here too.
Jpeg and bmp have no checksums: of them only what is missing can be noticed.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NoReturn

from PIL import Image

from hw2core.data.problems import FileError

LARGEST_SIDE = 4096

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
PNG_HEADER = struct.Struct(">2I5B")  # width, height, depth, colours, compression, filter, interlace
PNG_MODES = {0: "L", 2: "RGB"}
PNG_COLOURS = {0: "grey", 2: "RGB", 3: "of a palette", 4: "LA", 6: "RGBA"}
IN_ROWS = ((0, 0, 1, 1),)
INTERLACED = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of each pass over a png's pixels: where it starts, and how far it strides, across and down."""
OTHER_MODES = {"1": "1-bit", "P": "of a palette"}
BMP_DEPTHS = {"L": 8, "RGB": 24}
ORIENTATION, UPRIGHT = 0x0112, (None, 0, 1)  # EXIF's number of it, and the values that change nothing

CONVERT = "only 8-bit grey and RGB are read; convert it"
BRING = "bring it anew or take it away"


def decode(place: str, content: bytes) -> Image.Image:
    """A picture of mode L or RGB."""
    if not content:
        raise FileError(place, "is empty (0 bytes)", BRING)
    if not content.startswith((PNG, JPEG, BMP)):
        raise FileError(place, "is not a png, jpeg or bmp image", "convert it or take it away")
    try:
        picture = decode_png(place, content) if content.startswith(PNG) else decode_other(place, content)
        if 0 in picture.size:
            raise ValueError("no pixels")
    except FileError:
        raise
    except Image.DecompressionBombError:
        refuse_size(place)
    except Exception:  # a damaged file fails as it happens to
        raise FileError(place, "is damaged or cut short", BRING) from None
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
                raise FileError(place, "has a transparent colour", CONVERT)
            case b"acTL":
                raise FileError(place, "is animated", "save one picture of it")
            case b"eXIf":
                exif = Image.Exif()
                exif.load(chunk[4:])
                check_upright(place, exif)
    width, height, depth, colours, _, _, interlaced = PNG_HEADER.unpack(header)
    if colours not in PNG_MODES:
        raise FileError(place, f"is {PNG_COLOURS[colours]}", CONVERT)
    if depth != 8:
        raise FileError(place, f"is {depth}-bit {PNG_COLOURS[colours]}", CONVERT)
    if max(width, height) > LARGEST_SIDE:
        refuse_size(place)
    mode = PNG_MODES[colours]
    rows = inflate(b"".join(pixels), rows_length(width, height, len(mode), bool(interlaced)))
    # What Pillow's decoder wants is deflated: that costs next to nothing if it is only wrapped.
    return Image.frombytes(mode, (width, height), zlib.compress(rows, 0), "zip", mode, interlaced)


def png_chunks(place: str, content: bytes) -> Iterator[bytes]:
    """Each chunk's kind and data, as they were written."""
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


def rows_length(width: int, height: int, channels: int, interlaced: bool) -> int:
    """Bytes of a png's unpacked rows, each led by the number of its filter."""
    length = 0
    for left, top, across, down in INTERLACED if interlaced else IN_ROWS:
        columns, rows = -((left - width) // across), -((top - height) // down)
        length += rows * (1 + columns * channels) if columns else 0
    return length


def inflate(packed: bytes, length: int) -> bytes:
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(packed, length + 1)
    if len(content) != length or not unpacking.eof:
        raise ValueError("more or fewer pixels than there should be")
    return content


def decode_other(place: str, content: bytes) -> Image.Image:
    """A jpeg or bmp, of which Pillow neither converts nor leaves out anything by itself."""
    picture = Image.open(BytesIO(content), formats=("JPEG", "BMP"))
    if max(picture.size) > LARGEST_SIDE:
        refuse_size(place)
    if picture.mode not in BMP_DEPTHS:
        raise FileError(place, f"is {OTHER_MODES.get(picture.mode, picture.mode)}", CONVERT)
    if content.startswith(BMP) and bmp_depth(content) != BMP_DEPTHS[picture.mode]:
        raise FileError(place, f"is a {bmp_depth(content)}-bit bmp", CONVERT)
    if getattr(picture, "n_frames", 1) > 1:
        raise FileError(place, "holds more than one picture", "save one of them")
    picture.load()
    if "exif" in picture.info:
        check_upright(place, picture.getexif())
    return picture


def bmp_depth(content: bytes) -> int:
    """Bits of each pixel. Where they stand depends on the length of the header."""
    at = 24 if content[14] == 12 else 28
    return int.from_bytes(content[at : at + 2], "little")


def check_upright(place: str, exif: Image.Exif) -> None:
    if exif.get(ORIENTATION) not in UPRIGHT:
        raise FileError(place, "is to be turned when it is shown, says its EXIF", "save it turned")


def refuse_size(place: str) -> NoReturn:
    raise FileError(place, f"is larger than {LARGEST_SIDE} pixels a side", "make it smaller")
