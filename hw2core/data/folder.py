"""Any folder or archive of images of the user's own, in one of four layouts.

    train/ and test/ (or val/), with train.csv and test.csv (val.csv) beside them; faces may do without tables
    images anywhere, and above them train.csv and test.csv (or val.csv)
    images anywhere, and one csv of any name, perhaps with a column `split` that says train or test (or val)
    images anywhere: faces of which nothing is known

A table with a column `label` is of digits, else of faces. Where nothing else says which images are the test set, a
share of them is, chosen by their names. Files that are neither images nor tables are of no account, but in train/
and test/ they are refused.
"""

import hashlib
from collections import defaultdict

import numpy as np

from hw2core.data.labels import BROKEN, LABEL, Table
from hw2core.data.listings import (
    IMAGES,
    Find,
    Listing,
    Pairs,
    digits,
    faces,
    images_among,
    list_bare_folders,
    list_split_folders,
    match,
    nameless_faces,
    refuse_images_beside,
    rooms,
)
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree
from hw2core.errors import UserError

OTHER_PICTURES = (".avif", ".gif", ".heic", ".jfif", ".jp2", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
SPLIT = "split"
Names = tuple[str, str]  # of the two splits: train, and test or val


def list_splits(tree: Tree, test_share: float) -> dict[str, Listing]:
    """The train and test set of a tree. `test_share` counts only where the tree itself does not say."""
    images = [file for file in tree.files if file.lower().endswith(IMAGES)]
    tables = [file for file in tree.files if file.lower().endswith(".csv")]
    if not images:
        raise UserError(f"{tree.name}: has no png, jpeg or bmp image; give a folder or archive of images")
    home = common_folder([*images, *tables])
    folders, pair = two_splits(tree, home, "/"), two_splits(tree, home, ".csv")
    problems = Problems()
    if folders and not tables:
        splits = list_bare_folders(tree, home, folders, problems)
    elif folders and set(tables) <= {f"{home}{folder}.csv" for folder in folders}:
        splits = list_split_folders(tree, home, folders, digits_or_faces, problems)
    elif pair and len(tables) == 2:
        splits = list_pool(tree, home, pair, problems)
    elif len(tables) == 1:
        splits = list_with_table(tree, home, tables[0], folders, test_share, problems)
    elif not tables:
        files = pictures_of(tree, problems)
        splits = divide(nameless_faces(files), chosen_by_name(files, test_share))
    else:
        raise UserError(
            f"{tree.name}: has {len(tables)} tables, such as {tables[0]} and {tables[1]}; "
            f"leave one, or train.csv and test.csv in {tree.name}/{home}"
        )
    problems.raise_any()
    for name, listing in zip(("train", "test"), splits, strict=True):
        if not listing.files:
            raise UserError(
                f"{tree.name}: none of its {len(images)} images is in the {name} set; "
                f"add images, or say in a table's column {SPLIT} which are train and which test"
            )
    return dict(zip(("train", "test"), splits, strict=True))


def list_pool(tree: Tree, home: str, names: Names, problems: Problems) -> list[Listing]:
    images = pictures_of(tree, problems)
    files = [f"{home}{name}.csv" for name in names]
    return digits_or_faces(*match(tree, files, images, by_path_or_name(images, home), problems), problems)


def list_with_table(
    tree: Tree, home: str, file: str, folders: Names | None, test_share: float, problems: Problems
) -> list[Listing]:
    images = pictures_of(tree, problems)
    beside_table = file[: file.rfind("/") + 1]
    tables, pairs = match(tree, [file], images, by_path_or_name(images, home, beside_table), problems)
    if not tables:
        problems.raise_any()
    (whole,) = digits_or_faces(tables, pairs, problems)
    if SPLIT in tables[0].columns:
        return divide(whole, chosen_by_table(tables[0], pairs[0], problems))
    if folders:
        refuse_images_beside(tree, home, folders, problems)
        return divide(whole, {image for image in images if image.startswith(f"{home}{folders[1]}/")})
    return divide(whole, chosen_by_name(images, test_share))


def digits_or_faces(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    label = digits if any(LABEL in table.columns for table in tables) else faces
    return label(tables, pairs, problems)


def pictures_of(tree: Tree, problems: Problems) -> list[str]:
    """All images of a tree; pictures that cannot be read are problems."""
    for file in tree.files:
        if file.lower().endswith(OTHER_PICTURES):
            problems.add(
                f"{tree.name}/{file}", "is not a png, jpeg or bmp image", "convert it or take it away"
            )
    return images_among(tree, tree.files, problems)


def by_path_or_name(images: list[str], *folders: str) -> Find:
    """An image may be named by its path from the tree's root or from `folders`, or by its last name alone."""
    there = set(images)
    named = defaultdict(list)
    for image in images:
        named[last_name(image)].append(image)

    def find(name: str) -> list[str]:
        name = name.removeprefix("./")
        paths = [folder + name for folder in ("", *folders) if folder + name in there]
        return paths[:1] or named.get(last_name(name), [])

    return find


def divide(whole: Listing, test: set[str]) -> list[Listing]:
    in_test = np.array([file in test for file in whole.files], dtype=bool)
    return [
        Listing(
            [file for file, chosen in zip(whole.files, mask, strict=True) if chosen],
            whole.labels[mask],
            whole.attributes,
        )
        for mask in (~in_test, in_test)
    ]


def chosen_by_table(table: Table, pairs: Pairs, problems: Problems) -> set[str]:
    """The images whose row says that they are for the test."""
    words = table.columns[SPLIT]
    if {"test", "val"} <= set(words):
        problems.add(table.place, "has both test and val under split", "call the one as the other, or train")
    for row, word in enumerate(words):
        if word not in ("train", "test", "val", BROKEN):
            problems.add(table.row(row), f"has the split {word or 'blank'}", "write train or test")
    return {file for file, row in pairs if words[row] in ("test", "val")}


def chosen_by_name(images: list[str], share: float) -> set[str]:
    """About this share of the images. Whether one is chosen depends on its last name alone: not on the order, nor on
    other images, nor on whether the tree is a folder, what lies around that folder, or an archive of it."""
    return {image for image in images if fraction(last_name(image)) < share}


def fraction(name: str) -> float:
    """A number from 0 to 1, the same for a name whenever and wherever."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def last_name(file: str) -> str:
    return file.rpartition("/")[2]


def common_folder(files: list[str]) -> str:
    """The folder that all files lie in, with a slash at its end; "" for the root."""
    first, last = min(files), max(files)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def two_splits(tree: Tree, home: str, ending: str) -> Names | None:
    """The two splits that have a folder, or a table, of their name."""
    there = rooms(tree, home)
    names = [name for name in ("train", "test", "val") if name + ending in there]
    if len(names) == 3:
        every = ", ".join(name + ending for name in names)
        raise UserError(f"{tree.name}: has {every}, but two splits are read; put val into one of the others")
    return ("train", names[1]) if len(names) == 2 and names[0] == "train" else None
