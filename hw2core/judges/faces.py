"""Faces found: the course's judge of generated faces, dlib's HOG detector.

An image counts if the detector finds exactly one face in it, enlarged twofold once, as the package face_recognition
does it: in 64x64 pixels as they are it finds none.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hw2core.data.decode import decode
from hw2core.data.frames import colour
from hw2core.data.problems import FileError
from hw2core.data.trees import Tree
from hw2core.workers import map_in_order

ENLARGED = 1  # times, twofold each
CHUNK = 100  # images to a task
FEW = 500  # so many are judged before other processes would have started
UNREADABLE = -1


def faces_in_arrays(images: NDArray[np.uint8], title: str) -> dict[str, Any]:
    """The judgement of images (n, h, w, 3)."""
    chunks = (np.array(images[at : at + CHUNK]) for at in range(0, len(images), CHUNK))
    counts = map(count_in_arrays, chunks) if len(images) <= FEW else map_in_order(count_in_arrays, chunks)
    return summary(watched(counts, len(images), title))


def faces_in_files(tree: Tree, files: list[str]) -> dict[str, Any]:
    """The judgement of image files; one that cannot be read is a failure as one without a face is."""
    chunks = (tree.part(files[at : at + CHUNK]) for at in range(0, len(files), CHUNK))
    counts = map(count_in_files, chunks) if len(files) <= FEW else map_in_order(count_in_files, chunks)
    return summary(watched(counts, len(files), tree.name))


def watched(counts: Iterable[list[int]], images: int, title: str) -> Iterator[int]:
    with tqdm(total=images, desc=title, unit="image", leave=False, disable=None) as bar:
        for chunk in counts:
            bar.update(len(chunk))
            yield from chunk


def summary(counts: Iterable[int]) -> dict[str, Any]:
    """Per cent of all images with exactly one face, and how the others failed."""
    found = np.array(list(counts))
    one = int((found == 1).sum())
    return {
        "faces_found": 100 * one / len(found),
        "exactly_one": one,
        "none": int((found == 0).sum()),
        "several": int((found > 1).sum()),
        "unreadable": int((found == UNREADABLE).sum()),
        "images": len(found),
        "detector": "dlib's frontal HOG detector, enlarged twofold once",
    }


def count_in_arrays(images: NDArray[np.uint8]) -> list[int]:
    return [count_faces(image) for image in images]


def count_in_files(tree: Tree) -> list[int]:
    counts = []
    for file in tree.files:
        try:
            counts.append(count_faces(colour(decode(f"{tree.name}/{file}", tree.read(file)))))
        except FileError:
            counts.append(UNREADABLE)
    return counts


def count_faces(image: NDArray[np.uint8]) -> int:
    return len(detector()(np.ascontiguousarray(image), ENLARGED))


@cache
def detector() -> Any:
    import dlib  # here: the process that only hands out the work need not load it

    return dlib.get_frontal_face_detector()
