"""Readers of the file formats of the public datasets. Anything unexpected raises ValueError.

idx      MNIST: a big-endian header, then bytes; gzip
libsvm   USPS: one line per image, `label 1:value 2:value ...`, values from -1 to 1; bzip2
mat      SVHN: MATLAB, X (32, 32, 3, n) and y (n, 1) from 1 to 10, where 10 is the digit 0
tar      BSDS500: photos among other files; gzip
tables   CelebA: columns separated by blanks
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

IDX_UINT8 = 8  # the type code of unsigned bytes
USPS_SIDE = 16
# USPS stores multiples of 0.001 from -1 to 1, so exact pixel values are multiples of 0.0025. Adding less than that
# before rounding down cancels the floating-point error of the decimal notation and changes nothing else.
USPS_SLACK = 0.001


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read the array of a gzipped idx file."""
    content = decompress_gzip(path)
    if len(content) < 4 or content[:3] != bytes((0, 0, IDX_UINT8)):
        raise ValueError("not an idx file of unsigned bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError("truncated in its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{len(content) - start} bytes for an array of shape {shape}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def decompress_gzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"not a complete gzip file ({error})") from None


def read_usps(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images (n, 16, 16), bright ink on black, and labels from a bzip2 libsvm file."""
    try:
        lines = bz2.decompress(path.read_bytes()).splitlines()
    except OSError as error:
        raise ValueError(f"not a complete bzip2 file ({error})") from None
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
        raise ValueError("not USPS images with values from -1 to 1")
    images = np.floor((values + 1) / 2 * 255 + USPS_SLACK).astype(np.uint8)
    return images.reshape(-1, USPS_SIDE, USPS_SIDE), labels


def read_svhn(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images (n, 32, 32, 3) and labels of a cropped SVHN set."""
    from scipy.io import loadmat  # here, because importing it is slow

    try:
        found = loadmat(path)
    except Exception as error:  # scipy can raise almost anything on a damaged file
        raise ValueError(f"not a MATLAB file ({' '.join(str(error).split())})") from None
    missing = [key for key in ("X", "y") if key not in found]
    if missing:
        keys = [key for key in found if not key.startswith("__")]
        raise ValueError(f"has no {' and no '.join(missing)}, only: {', '.join(keys) or 'nothing'}")
    images, labels = np.asarray(found["X"]), np.asarray(found["y"]).ravel()
    if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
        raise ValueError(f"X is {images.dtype} of shape {images.shape} for {len(labels)} labels")
    if not np.isin(labels, range(1, 11)).all():
        raise ValueError("y has labels outside 1 to 10")
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), (labels % 10).astype(np.uint8)


def read_photos(path: Path, names: list[str]) -> list[bytes]:
    """Read the named photos, in this order, from a gzipped tar. Nothing is extracted to disk."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in names and (file := archive.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"not a complete gzipped tar ({error})") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"is missing {len(missing)} of {len(names)} photos, such as {missing[0]}")
    return [found[name] for name in names]


def read_partition(path: Path) -> dict[str, int]:
    """Read the split of each CelebA image: 0 train, 1 validation, 2 test."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not rows or any(len(row) != 2 or row[1] not in ("0", "1", "2") for row in rows):
        raise ValueError("not a table of images and splits")
    return {name: int(split) for name, split in rows}


def read_attributes(path: Path) -> tuple[list[str], dict[str, NDArray[np.uint8]]]:
    """Read the names of the CelebA attributes, and their values 0 or 1 for each image."""
    lines = path.read_text(encoding="utf-8").splitlines()
    attributes = lines[1].split() if len(lines) > 1 else []
    rows = [line.split() for line in lines[2:] if line.strip()]
    if not attributes or any(
        len(row) != len(attributes) + 1 or not {"-1", "1"}.issuperset(row[1:]) for row in rows
    ):
        raise ValueError("not a table of attributes with values -1 and 1")
    return attributes, {row[0]: np.array([cell == "1" for cell in row[1:]], dtype=np.uint8) for row in rows}
