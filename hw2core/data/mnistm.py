"""MNIST-M: MNIST's digits blended into the photos of BSDS500 (Ganin et al., JMLR 2016).

The random numbers of the archive were never published. mnistm_crops.npz holds, for each image of the archive, the
photo and the corner of its background crop, recovered from the images themselves. With this table the 59,001 + 9,001
images of the archive are rebuilt bit for bit.
"""

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw2core.data.blend import blend
from hw2core.engine.images import Split

SIZE, DIGIT = 32, 28  # side of the archive's images, and of the digit in the center of each, in pixels
ARCHIVE_MD5 = {"train": "47714d32525a42d37bfc15679ea4bb36", "test": "31241b3e01d61fab054cdbef370a9da1"}
"""MD5 of the bytes of the archive's images, in order."""

Photos = list[NDArray[np.uint8]]


@cache
def crops_table() -> dict[str, NDArray[np.generic]]:
    """`photos`: file names; `<split>_photo`, `<split>_y`, `<split>_x`: the crop of every image."""
    with np.load(Path(__file__).with_name("mnistm_crops.npz"), allow_pickle=False) as table:
        return dict(table)


def photo_names() -> list[str]:
    return [str(name) for name in crops_table()["photos"]]


def decode(photos: list[bytes]) -> Photos:
    return [np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")) for photo in photos]


def rebuild(mnist: dict[str, Split], photos: Photos) -> dict[str, Split]:
    """Rebuild the archive's images (n, 32, 32, 3). Image i uses digit i of the same split of MNIST."""
    table = crops_table()
    splits = {}
    for name, digits in mnist.items():
        where = zip(*(table[f"{name}_{key}"].astype(int) for key in ("photo", "y", "x")), strict=True)
        crops = np.stack([photos[photo][y : y + SIZE, x : x + SIZE] for photo, y, x in where])
        margin = (SIZE - DIGIT) // 2
        ink = np.pad(digits.images[: len(crops)] > 0, ((0, 0), (margin, margin), (margin, margin)))
        splits[name] = Split(blend(crops, ink), digits.labels[: len(crops)])
    return splits


def blend_with_seed(mnist: dict[str, Split], photos: Photos, seed: int) -> dict[str, Split]:
    """Blend every MNIST digit into a random 28x28 crop, as in the course's own MNIST-M."""
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
