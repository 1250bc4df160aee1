"""MNIST-M: MNIST's digits blended into the photos of BSDS500 (Ganin et al., JMLR 2016).

The recipe of the archive was never published with its random numbers. mnistm_crops.npz holds what was measured on
the archive's images: for each the photo and the corner that its background was cut from. With it the archive's
59,001 + 9,001 images are made again, bit for bit.
"""

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.blend import blend
from hw2core.data.store import Split

SIZE, DIGIT = 32, 28  # pixels a side of the archive's images, and of the digit in the middle of each
ARCHIVE_MD5 = {"train": "47714d32525a42d37bfc15679ea4bb36", "test": "31241b3e01d61fab054cdbef370a9da1"}
"""Of the archive's images, one after another as bytes."""

Photos = list[NDArray[np.uint8]]


@cache
def crops_table() -> dict[str, NDArray[np.generic]]:
    """`photos`: their file names; for each split `_photo`, `_y` and `_x` of every image."""
    with np.load(Path(__file__).with_name("mnistm_crops.npz"), allow_pickle=False) as table:
        return dict(table)


def photo_names() -> list[str]:
    return [str(name) for name in crops_table()["photos"]]


def decode(photos: list[bytes]) -> Photos:
    return [np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")) for photo in photos]


def rebuild(mnist: dict[str, Split], photos: Photos) -> dict[str, Split]:
    """The archive's images (n, 32, 32, 3). Image i of a split is made of MNIST's digit i of the same split."""
    table = crops_table()
    splits = {}
    for name, digits in mnist.items():
        where = zip(*(table[f"{name}_{key}"].astype(int) for key in ("photo", "y", "x")), strict=True)
        crops = np.stack([photos[photo][y : y + SIZE, x : x + SIZE] for photo, y, x in where])
        margin = (SIZE - DIGIT) // 2
        ink = np.pad(digits.images[: len(crops)] > 0, ((0, 0), (margin, margin), (margin, margin)))
        splits[name] = Split(blend(crops, ink), digits.labels[: len(crops)])
    return splits


def blend_anew(mnist: dict[str, Split], photos: Photos, seed: int) -> dict[str, Split]:
    """All of MNIST's digits in 28x28 crops drawn by a seed, as the course made its own MNIST-M."""
    splits = {}
    for name, digits in mnist.items():
        rng = np.random.default_rng([seed, *f"mnistm/{name}".encode()])
        crops = np.empty((len(digits), DIGIT, DIGIT, 3), dtype=np.uint8)
        for crop in crops:
            photo = photos[rng.integers(len(photos))]
            y, x = (rng.integers(side - DIGIT + 1) for side in photo.shape[:2])
            crop[:] = photo[y : y + DIGIT, x : x + DIGIT]
        splits[name] = Split(blend(crops, digits.images > 0), digits.labels)
    return splits


def md5_of(splits: dict[str, Split]) -> dict[str, str]:
    return {
        name: hashlib.md5(split.images.tobytes(), usedforsecurity=False).hexdigest()
        for name, split in splits.items()
    }
