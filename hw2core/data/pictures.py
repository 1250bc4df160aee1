"""Image files to one array: every file is read strictly, and all that is wrong with any is said together."""

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hw2core.data.decode import decode
from hw2core.data.frames import Frame, UnfitError
from hw2core.data.problems import FileError, Problems
from hw2core.data.trees import Tree
from hw2core.workers import map_in_order

CHUNK = 250  # images to a task
FEW = 2000  # so many are read before other processes would have started


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
                pictures.append(frame(picture))
                modes.append((file, picture.mode))
            except FileError as error:
                problems.append(error)
            except UnfitError as unfit:
                problems.append(FileError(f"{tree.name}/{file}", str(unfit), "give images of one size"))
    return Chunk(np.array(pictures, dtype=np.uint8), modes, problems)
