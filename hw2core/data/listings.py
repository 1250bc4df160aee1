"""Which images a split has and what is known of each: every image with its row, every row with its image."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw2core.data.labels import LABEL, Table, read_attributes, read_digits, read_table
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
UNWRITABLE = re.compile(r"[\\\ud800-\udfff]|^\s|\s$|/\s|\s/")  # what csv or zip would change in a name


@dataclass(frozen=True)
class Listing:
    """The image files of a split, and what is known of each."""

    files: list[str]
    """Names in the tree, sorted."""
    labels: NDArray[np.uint8]
    """Digits (n,), or attributes (n, attributes): 0, 1 or store.UNKNOWN."""
    attributes: list[str] | None
    """None for digits; [] for faces without a table."""


Pairs = list[tuple[str, int]]
"""Image files, each with its row in a table."""
Find = Callable[[str], list[str]]
"""From an image's name in a table to the files it may mean."""
Label = Callable[[list[Table], list[Pairs], Problems], list[Listing]]
"""From tables and their images to a listing of each."""


def digits(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    return [
        listing(images, read_digits(table, problems), None)
        for table, images in zip(tables, pairs, strict=True)
    ]


def faces(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    for table in tables:
        if LABEL in table.columns:
            problems.add(
                table.place, f"has a column {LABEL}, which is for digits", "name it after what it says"
            )
    attributes, arrays = read_attributes(tables, problems)
    return [listing(images, array, attributes) for images, array in zip(pairs, arrays, strict=True)]


def listing(images: Pairs, labels: NDArray[np.uint8], attributes: list[str] | None) -> Listing:
    images = sorted(images)
    rows = np.array([row for _, row in images], dtype=np.intp)
    return Listing([file for file, _ in images], labels[rows], attributes)


def nameless_faces(files: Iterable[str]) -> Listing:
    """Faces of which nothing is known."""
    files = sorted(files)
    return Listing(files, np.zeros((len(files), 0), dtype=np.uint8), [])


def rooms(tree: Tree, home: str) -> set[str]:
    """What lies in a folder (it ends in a slash, or is "" for the root): folders with a slash at their end, files."""
    below = (file.removeprefix(home) for file in tree.files if file.startswith(home))
    return {"".join(file.partition("/")[:2]) for file in below}


def images_in(tree: Tree, folder: str, problems: Problems) -> dict[str, str]:
    """The images of a folder that is for images alone, by their path below it. `folder` ends in a slash."""
    files = [file for file in tree.files if file.startswith(folder)]
    for file in files:
        if not file.lower().endswith(IMAGES):
            place = f"{tree.name}/{file}"
            problems.add(place, "is not a png, jpeg or bmp image by its name", "convert it or take it away")
    return {file.removeprefix(folder): file for file in images_among(tree, files, problems)}


def images_among(tree: Tree, files: list[str], problems: Problems) -> list[str]:
    images = [file for file in files if file.lower().endswith(IMAGES)]
    for file in images:
        if UNWRITABLE.search(file):
            problems.add(f"{tree.name}/{file}", "has blanks at an edge or odd signs in its name", "rename it")
    return images


def exactly(images: dict[str, str]) -> Find:
    return lambda name: [images[name]] if name in images else []


def match(
    tree: Tree, files: list[str], images: Iterable[str], find: Find, problems: Problems
) -> tuple[list[Table], list[Pairs]]:
    """Tables that between them name each image once, and the images of their rows."""
    there = set(tree.files)
    tables = []
    for file in files:
        if file not in there:
            problems.add(f"{tree.name}/{file}", "is not there", "add the table that names these images")
        elif table := read_table(tree, file, problems):
            tables.append(table)
    taken: dict[str, str] = {}
    pairs = [pair(table, find, taken, problems) for table in tables]
    if len(tables) == len(files):
        names = " or ".join(file.rpartition("/")[2] for file in files)
        for image in images:
            if image not in taken:
                problems.add(f"{tree.name}/{image}", f"has no line in {names}", "write one or take it away")
    return tables, pairs


def pair(table: Table, find: Find, taken: dict[str, str], problems: Problems) -> Pairs:
    """The images of a table's rows. `taken` says of each image which row has it."""
    pairs = []
    for row, name in enumerate(table.images):
        place = table.row(row)
        found = find(name)
        if not found:
            problems.add(place, f"names {name}, which is not there", "add the image or take the line out")
        elif len(found) > 1:
            problems.add(place, f"names {name}, which may be {' or '.join(found[:2])}", "write its path")
        elif found[0] in taken:
            problems.add(place, f"names {name}, and so does {taken[found[0]]}", "take one of the lines out")
        else:
            taken[found[0]] = place
            pairs.append((found[0], row))
    return pairs


def list_split_folders(
    tree: Tree, home: str, folders: tuple[str, str], label: Label, problems: Problems
) -> list[Listing]:
    """Splits that are folders of images with a table beside each: train/ with train.csv."""
    refuse_images_beside(tree, home, folders, problems)
    tables: list[Table] = []
    pairs: list[Pairs] = []
    for folder in folders:
        images = images_in(tree, f"{home}{folder}/", problems)
        read, matched = match(tree, [f"{home}{folder}.csv"], images.values(), exactly(images), problems)
        tables += read
        pairs += matched
    return label(tables, pairs, problems)


def list_bare_folders(tree: Tree, home: str, folders: tuple[str, str], problems: Problems) -> list[Listing]:
    """Splits that are folders of faces without tables."""
    refuse_images_beside(tree, home, folders, problems)
    return [nameless_faces(images_in(tree, f"{home}{folder}/", problems).values()) for folder in folders]


def refuse_images_beside(tree: Tree, home: str, folders: Iterable[str], problems: Problems) -> None:
    """Images below `home` that lie in none of its splits' folders."""
    inside = tuple(f"{home}{folder}/" for folder in folders)
    for file in tree.files:
        if file.startswith(home) and file.lower().endswith(IMAGES) and not file.startswith(inside):
            what = f"is in no split: those are in {' and '.join(inside)}"
            problems.add(f"{tree.name}/{file}", what, "move it there or take it away")
