"""Read image files into one array. Reading is strict, and one report names the problems of all files."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hw2core.data.decode import decode
from hw2core.data.frames import Frame, Size, UnfitError
from hw2core.data.problems import FileError, Problems
from hw2core.data.trees import Tree
from hw2core.workers import map_in_order

CHUNK = 250  # images per task
SERIAL = 2000  # up to so many images, reading takes less time than starting worker processes


@dataclass(frozen=True)
class Chunk:
    """The result for some files: pixels (n, height, width, 3), (file, mode) and sizes of valid files, problems of the
    others."""

    pictures: NDArray[np.uint8]
    modes: list[tuple[str, str]]
    sizes: set[Size]
    problems: list[FileError]


class Pictures(NamedTuple):
    """Images (n, height, width, 3) as a frame returned them, and what the files had: their sizes, and if they are gray."""

    images: NDArray[np.uint8]
    sizes: set[Size]
    gray: bool


def read_pictures(tree: Tree, files: list[str], frame: Frame) -> Pictures:
    """Read images in the order of `files`, each passed through `frame`.

    Many images are read by worker processes: `frame` must be picklable, a function of a module that imports fast.
    """
    parts = (tree.part(files[at : at + CHUNK]) for at in range(0, len(files), CHUNK))
    read = partial(read_chunk, frame=frame)
    problems = Problems()
    modes: list[tuple[str, str]] = []
    sizes: set[Size] = set()
    pictures = None
    with tqdm(total=len(files), desc=tree.name, unit="image", leave=False, disable=None) as bar:
        for chunk in map(read, parts) if len(files) <= SERIAL else map_in_order(read, parts):
            problems.found += chunk.problems
            if not problems.found:
                if pictures is None:
                    pictures = np.empty((len(files), *chunk.pictures.shape[1:]), dtype=np.uint8)
                pictures[len(modes) : len(modes) + len(chunk.modes)] = chunk.pictures
            modes += chunk.modes
            sizes |= chunk.sizes
            bar.update(len(chunk.modes) + len(chunk.problems))
    refuse_mixture(tree, modes, problems)
    problems.raise_any()
    assert pictures is not None
    return Pictures(pictures, sizes, modes[0][1] == "L")


def refuse_mixture(tree: Tree, modes: list[tuple[str, str]], problems: Problems) -> None:
    """Report gray images among color images, or color among gray: the minority is named."""
    gray, color = ([file for file, mode in modes if mode == wanted] for wanted in ("L", "RGB"))
    if len(gray) <= len(color):
        few, what, remedy = gray, f"is gray, {len(color)} others are color", "convert it to RGB"
    else:
        few, what, remedy = color, f"is color, {len(gray)} others are gray", "convert it to gray"
    for file in few:
        problems.add(f"{tree.name}/{file}", what, remedy)


def read_chunk(tree: Tree, frame: Frame) -> Chunk:
    pictures, modes, problems = [], [], []
    sizes = set()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Pillow warns of what decode() refuses or of what does not affect the pixels
        for file in tree.files:
            try:
                picture = decode(f"{tree.name}/{file}", tree.read(file))
                pictures.append(frame(picture))
                modes.append((file, picture.mode))
                sizes.add(picture.size)
            except FileError as error:
                problems.append(error)
            except UnfitError as unfit:
                problems.append(FileError(f"{tree.name}/{file}", str(unfit), "use images of one size"))
    return Chunk(np.array(pictures, dtype=np.uint8), modes, sizes, problems)
