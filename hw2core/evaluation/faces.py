"""Face detection rate: the percentage of images in which dlib's HOG detector finds exactly one face.

The detector upsamples an image once to twice its size, as the package face_recognition does: without it the detector
finds no faces in 64x64 pixels.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hw2core.workers import map_in_order

UPSAMPLINGS = 1  # each to twice the size
CHUNK = 100  # images per task
SERIAL = 500  # up to this number of images other processes would take longer to start than to save
UNREADABLE = -1  # the count of a file that cannot be decoded


def detect_faces(images: NDArray[np.uint8], title: str) -> dict[str, Any]:
    """Return the face detection rate of images (n, h, w, 3). `title` labels the progress bar."""
    chunks = (np.array(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK))
    counts = map(count_in_chunk, chunks) if len(images) <= SERIAL else map_in_order(count_in_chunk, chunks)
    return summary(with_progress(counts, len(images), title))


def with_progress(counts: Iterable[list[int]], images: int, title: str) -> Iterator[int]:
    """Flatten the counts of the chunks and show a progress bar."""
    with tqdm(total=images, desc=title, unit="image", leave=False, disable=None) as bar:
        for chunk in counts:
            bar.update(len(chunk))
            yield from chunk


def summary(counts: Iterable[int]) -> dict[str, Any]:
    """Return the percentage of images with exactly one face, and the number of images with other counts."""
    faces = np.array(list(counts))
    one = int((faces == 1).sum())
    return {
        "face_detection_rate": 100 * one / len(faces),
        "exactly_one": one,
        "none": int((faces == 0).sum()),
        "several": int((faces > 1).sum()),
        "unreadable": int((faces == UNREADABLE).sum()),
        "images": len(faces),
        "detector": "dlib's frontal HOG detector, upsampled once",
    }


def count_in_chunk(images: NDArray[np.uint8]) -> list[int]:
    return [count_faces(image) for image in images]


def count_faces(image: NDArray[np.uint8]) -> int:
    return len(detector()(np.ascontiguousarray(image), UPSAMPLINGS))


@cache
def detector() -> Any:
    import dlib  # here: the process that only distributes the work does not load it

    return dlib.get_frontal_face_detector()
