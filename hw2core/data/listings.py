"""Listings: the image files of each split with their labels. Every image has one row and every row one image."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw2core.data.labels import LABEL, Table, read_attributes, read_digits, read_table
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
UNSAFE = re.compile(r"[\\\ud800-\udfff]|^\s|\s$|/\s|\s/")  # names that csv or zip would not preserve


@dataclass(frozen=True)
class Listing:
    """The image files of a split, and the labels of each."""

    files: list[str]
    """Names in the tree, sorted."""
    labels: NDArray[np.uint8]
    """Digits (n,), or attributes (n, attributes) with values 0, 1 or UNKNOWN."""
    attributes: list[str] | None
    """None for digits; [] for faces without a table."""


Pairs = list[tuple[str, int]]
"""Image files, each with the index of its row in a table."""
Find = Callable[[str], list[str]]
"""Maps an image name in a table to the files it may refer to."""
Label = Callable[[list[Table], list[Pairs], Problems], list[Listing]]
"""Makes a listing of each table and its images."""


def digits(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    return [
        listing(images, read_digits(table, problems), None)
        for table, images in zip(tables, pairs, strict=True)
    ]


def faces(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    for table in tables:
        if LABEL in table.columns:
            problems.add(table.place, f"has a column {LABEL}, which is for digits", "rename the column")
    attributes, arrays = read_attributes(tables, problems)
    return [listing(images, array, attributes) for images, array in zip(pairs, arrays, strict=True)]


def listing(images: Pairs, labels: NDArray[np.uint8], attributes: list[str] | None) -> Listing:
    images = sorted(images)
    rows = np.array([row for _, row in images], dtype=np.intp)
    return Listing([file for file, _ in images], labels[rows], attributes)


def unlabeled_faces(files: Iterable[str]) -> Listing:
    """Faces without attributes."""
    files = sorted(files)
    return Listing(files, np.zeros((len(files), 0), dtype=np.uint8), [])


def entries(tree: Tree, home: str) -> set[str]:
    """The names in a folder, subfolders with a trailing slash. `home` ends in a slash, or is "" for the root."""
    below = (file.removeprefix(home) for file in tree.files if file.startswith(home))
    return {"".join(file.partition("/")[:2]) for file in below}


def images_in(tree: Tree, folder: str, problems: Problems) -> dict[str, str]:
    """The images of a folder that may contain only images, by their path below it. `folder` ends in a slash."""
    files = [file for file in tree.files if file.startswith(folder)]
    for file in files:
        if not file.lower().endswith(IMAGES):
            place = f"{tree.name}/{file}"
            problems.add(
                place, "does not have the name of a png, jpeg or bmp image", "convert it or remove it"
            )
    return {file.removeprefix(folder): file for file in images_among(tree, files, problems)}


def images_among(tree: Tree, files: list[str], problems: Problems) -> list[str]:
    """The images among some files; names that csv or zip would not preserve are problems."""
    images = [file for file in files if file.lower().endswith(IMAGES)]
    for file in images:
        if UNSAFE.search(file):
            problems.add(
                f"{tree.name}/{file}",
                "has a name with leading or trailing blanks, a backslash or invalid characters",
                "rename it",
            )
    return images


def finder_by_path(images: dict[str, str]) -> Find:
    """Find an image by its exact path."""
    return lambda name: [images[name]] if name in images else []


def match(
    tree: Tree, files: list[str], images: Iterable[str], find: Find, problems: Problems
) -> tuple[list[Table], list[Pairs]]:
    """Read tables that together name every image exactly once; return them with the images of their rows."""
    present = set(tree.files)
    tables = []
    for file in files:
        if file not in present:
            problems.add(f"{tree.name}/{file}", "is missing", "add the table with the labels of these images")
        elif table := read_table(tree, file, problems):
            tables.append(table)
    used: dict[str, str] = {}
    pairs = [pair(table, find, used, problems) for table in tables]
    if len(tables) == len(files):
        names = " or ".join(file.rpartition("/")[2] for file in files)
        for image in images:
            if image not in used:
                problems.add(f"{tree.name}/{image}", f"has no row in {names}", "add one or remove the image")
    return tables, pairs


def pair(table: Table, find: Find, used: dict[str, str], problems: Problems) -> Pairs:
    """The images of the rows of a table. `used` maps each image to the row that names it, over all tables."""
    pairs = []
    for row, name in enumerate(table.images):
        place = table.row(row)
        found = find(name)
        if not found:
            problems.add(place, f"names {name}, which is missing", "add the image or remove the row")
        elif len(found) > 1:
            problems.add(
                place, f"names {name}, which is ambiguous ({' or '.join(found[:2])})", "write its path"
            )
        elif found[0] in used:
            problems.add(place, f"names {name}, and so does {used[found[0]]}", "remove one of the rows")
        else:
            used[found[0]] = place
            pairs.append((found[0], row))
    return pairs


def list_split_folders(
    tree: Tree, home: str, folders: tuple[str, str], label: Label, problems: Problems
) -> list[Listing]:
    """Splits in folders of images with a table beside each: train/ with train.csv."""
    refuse_images_beside(tree, home, folders, problems)
    tables: list[Table] = []
    pairs: list[Pairs] = []
    for folder in folders:
        images = images_in(tree, f"{home}{folder}/", problems)
        read, matched = match(
            tree, [f"{home}{folder}.csv"], images.values(), finder_by_path(images), problems
        )
        tables += read
        pairs += matched
    return label(tables, pairs, problems)


def list_bare_folders(tree: Tree, home: str, folders: tuple[str, str], problems: Problems) -> list[Listing]:
    """Splits in folders of faces without tables."""
    refuse_images_beside(tree, home, folders, problems)
    return [unlabeled_faces(images_in(tree, f"{home}{folder}/", problems).values()) for folder in folders]


def refuse_images_beside(tree: Tree, home: str, folders: Iterable[str], problems: Problems) -> None:
    """Report images below `home` that are in no folder of a split."""
    inside = tuple(f"{home}{folder}/" for folder in folders)
    for file in tree.files:
        if file.startswith(home) and file.lower().endswith(IMAGES) and not file.startswith(inside):
            what = f"is outside the folders of images, {' and '.join(inside)}"
            problems.add(f"{tree.name}/{file}", what, "move it there or remove it")
