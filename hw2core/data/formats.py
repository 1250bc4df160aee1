"""The official formats of the published sets, read as arrays. What is not as it should be is a ValueError.

idx      MNIST: a big-endian header, then bytes; gzipped
libsvm   USPS: a line an image, `label 1:value 2:value ...`, the values from -1 to 1; bzip2ed
mat      SVHN: Matlab's, with X (32, 32, 3, n) and y (n, 1) from 1 to 10, where 10 is the digit 0
tar      BSDS500: the photos among much else; gzipped
tables   CelebA: columns between blanks
"""

import bz2
import gzip
import math
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IDX_BYTES = 8  # the code of idx for unsigned bytes
USPS_SIDE = 16
# USPS's values are multiples of 0.001 from -1 to 1, hence their bytes' fractions multiples of 0.0025: to add less
# than that before rounding down mends what a decimal notation lost and changes nothing else.
USPS_SLACK = 0.001


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of a gzipped idx file."""
    content = unpack_gzip(path)
    if len(content) < 4 or content[:3] != bytes((0, 0, IDX_BYTES)):
        raise ValueError("not an idx file of bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError("cut short in its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{len(content) - start} bytes for an array of shape {shape}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def unpack_gzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"not a whole gzip file ({error})") from None


def read_usps(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 16, 16), ink bright, and labels of a bzip2ed libsvm file."""
    try:
        lines = bz2.decompress(path.read_bytes()).splitlines()
    except OSError as error:
        raise ValueError(f"not a whole bzip2 file ({error})") from None
    pixels = USPS_SIDE * USPS_SIDE
    values = np.zeros((len(lines), pixels))
    labels = np.zeros(len(lines), dtype=np.uint8)
    for row, line in enumerate(lines):
        numbers = np.array(line.replace(b":", b" ").split(), dtype=np.float64)
        places, label = numbers[1::2].astype(int) - 1, numbers[0] - 1
        if len(numbers) % 2 == 0 or not ((places >= 0) & (places < pixels)).all() or label not in range(10):
            raise ValueError(f"line {row + 1} is not a USPS image")
        values[row, places], labels[row] = numbers[2::2], label
    if not len(lines) or not (np.abs(values) <= 1).all():
        raise ValueError("no USPS images, whose values lie from -1 to 1")
    images = np.floor((values + 1) / 2 * 255 + USPS_SLACK).astype(np.uint8)
    return images.reshape(-1, USPS_SIDE, USPS_SIDE), labels


def read_svhn(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 32, 32, 3) and labels of one of SVHN's cropped sets."""
    from scipy.io import loadmat  # here: it takes a while to import

    try:
        found = loadmat(path)
    except Exception as error:  # scipy fails on a damaged file in many ways
        raise ValueError(f"not a Matlab file ({' '.join(str(error).split())})") from None
    missing = [key for key in ("X", "y") if key not in found]
    if missing:
        keys = [key for key in found if not key.startswith("__")]
        raise ValueError(f"has no {' and no '.join(missing)}, only: {', '.join(keys) or 'nothing'}")
    images, labels = np.asarray(found["X"]), np.asarray(found["y"]).ravel()
    if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
        raise ValueError(f"X is {images.dtype} of shape {images.shape} for {len(labels)} labels")
    if not np.isin(labels, range(1, 11)).all():
        raise ValueError("y has labels that are not from 1 to 10")
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), (labels % 10).astype(np.uint8)


def read_photos(path: Path, names: list[str]) -> list[bytes]:
    """The photos of these names, in this order, from a gzipped tar. Nothing is extracted to the disk."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in names and (file := archive.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"not a whole gzipped tar ({error})") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"lacks {len(missing)} of {len(names)} photos, such as {missing[0]}")
    return [found[name] for name in names]


def read_partition(path: Path) -> dict[str, int]:
    """CelebA's split of each image: 0 train, 1 validation, 2 test."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not rows or any(len(row) != 2 or row[1] not in ("0", "1", "2") for row in rows):
        raise ValueError("not a table of image and split")
    return {name: int(split) for name, split in rows}


def read_attributes(path: Path) -> tuple[list[str], dict[str, NDArray[np.uint8]]]:
    """CelebA's attributes: their names, and 0 or 1 for each of an image."""
    lines = path.read_text(encoding="utf-8").splitlines()
    attributes = lines[1].split() if len(lines) > 1 else []
    rows = [line.split() for line in lines[2:] if line.strip()]
    if not attributes or any(
        len(row) != len(attributes) + 1 or not {"-1", "1"}.issuperset(row[1:]) for row in rows
    ):
        raise ValueError("not a table of attributes that are -1 or 1")
    return attributes, {row[0]: np.array([cell == "1" for cell in row[1:]], dtype=np.uint8) for row in rows}
