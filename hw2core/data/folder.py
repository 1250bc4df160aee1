"""A folder or archive of the user's own images, in one of four layouts.

    train/ and test/ (or val/), with train.csv and test.csv (val.csv) beside them; tables are optional for faces
    images anywhere, with train.csv and test.csv (or val.csv) above them
    images anywhere, with one csv of any name, whose optional column `split` says train or test (or val)
    images anywhere, without tables: unlabeled faces

A table with a column `label` describes digits, any other table faces. If neither folders nor tables define the test
set, a fraction of the images is chosen by hashing their names. Files that are neither images nor tables are ignored,
except in train/ and test/, where they are errors.
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
    entries,
    faces,
    images_among,
    list_bare_folders,
    list_split_folders,
    match,
    refuse_images_beside,
    unlabeled_faces,
)
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree
from hw2core.errors import UserError

OTHER_PICTURES = (".avif", ".gif", ".heic", ".jfif", ".jp2", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
SPLIT = "split"
SplitNames = tuple[str, str]  # train, and test or val


def list_splits(tree: Tree, test_fraction: float) -> dict[str, Listing]:
    """The train and test sets of a tree. `test_fraction` applies only where the tree does not define the split."""
    images = [file for file in tree.files if file.lower().endswith(IMAGES)]
    tables = [file for file in tree.files if file.lower().endswith(".csv")]
    if not images:
        raise UserError(
            f"{tree.name}: contains no png, jpeg or bmp image; give a folder or archive of images"
        )
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
        splits = list_with_table(tree, home, tables[0], folders, test_fraction, problems)
    elif not tables:
        files = list_images(tree, problems)
        splits = divide(unlabeled_faces(files), choose_by_name(files, test_fraction))
    else:
        raise UserError(
            f"{tree.name}: has {len(tables)} tables, such as {tables[0]} and {tables[1]}; "
            f"keep one, or train.csv and test.csv in {tree.name}/{home}"
        )
    problems.raise_any()
    for name, listing in zip(("train", "test"), splits, strict=True):
        if not listing.files:
            raise UserError(
                f"{tree.name}: none of its {len(images)} images is in the {name} set; "
                f"add images, or assign them in the column {SPLIT} of a table"
            )
    return dict(zip(("train", "test"), splits, strict=True))


def list_pool(tree: Tree, home: str, names: SplitNames, problems: Problems) -> list[Listing]:
    images = list_images(tree, problems)
    files = [f"{home}{name}.csv" for name in names]
    return digits_or_faces(
        *match(tree, files, images, finder_by_path_or_name(images, home), problems), problems
    )


def list_with_table(
    tree: Tree, home: str, file: str, folders: SplitNames | None, test_fraction: float, problems: Problems
) -> list[Listing]:
    images = list_images(tree, problems)
    beside_table = file[: file.rfind("/") + 1]
    tables, pairs = match(tree, [file], images, finder_by_path_or_name(images, home, beside_table), problems)
    if not tables:
        problems.raise_any()
    (whole,) = digits_or_faces(tables, pairs, problems)
    if SPLIT in tables[0].columns:
        return divide(whole, test_images_by_table(tables[0], pairs[0], problems))
    if folders:
        refuse_images_beside(tree, home, folders, problems)
        return divide(whole, {image for image in images if image.startswith(f"{home}{folders[1]}/")})
    return divide(whole, choose_by_name(images, test_fraction))


def digits_or_faces(tables: list[Table], pairs: list[Pairs], problems: Problems) -> list[Listing]:
    label = digits if any(LABEL in table.columns for table in tables) else faces
    return label(tables, pairs, problems)


def list_images(tree: Tree, problems: Problems) -> list[str]:
    """All images of a tree; images in other formats are problems."""
    for file in tree.files:
        if file.lower().endswith(OTHER_PICTURES):
            problems.add(f"{tree.name}/{file}", "is not a png, jpeg or bmp image", "convert it or remove it")
    return images_among(tree, tree.files, problems)


def finder_by_path_or_name(images: list[str], *folders: str) -> Find:
    """Find an image by its path from the root of the tree or from `folders`, or else by its base name."""
    paths = set(images)
    by_name = defaultdict(list)
    for image in images:
        by_name[base_name(image)].append(image)

    def find(name: str) -> list[str]:
        name = name.removeprefix("./")
        exact = [folder + name for folder in ("", *folders) if folder + name in paths]
        return exact[:1] or by_name.get(base_name(name), [])

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


def test_images_by_table(table: Table, pairs: Pairs, problems: Problems) -> set[str]:
    """The images that the column `split` assigns to the test set."""
    words = table.columns[SPLIT]
    if {"test", "val"} <= set(words):
        problems.add(
            table.place, "has both test and val in its column split", "use only one of the two words"
        )
    for row, word in enumerate(words):
        if word not in ("train", "test", "val", BROKEN):
            problems.add(table.row(row), f"has the split {word or 'blank'}", "write train or test")
    return {file for file, row in pairs if words[row] in ("test", "val")}


def choose_by_name(images: list[str], fraction: float) -> set[str]:
    """Choose about this fraction of the images by hashing base names.

    The choice of an image depends on its base name alone: not on the order, not on other images, not on the folders
    above it.
    """
    return {image for image in images if hash_fraction(base_name(image)) < fraction}


def hash_fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def base_name(file: str) -> str:
    return file.rpartition("/")[2]


def common_folder(files: list[str]) -> str:
    """The deepest folder above all files, with a trailing slash; "" for the root."""
    first, last = min(files), max(files)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def two_splits(tree: Tree, home: str, ending: str) -> SplitNames | None:
    """The names of the two splits, if train and one other have an entry `name + ending`."""
    present = entries(tree, home)
    names = [name for name in ("train", "test", "val") if name + ending in present]
    if len(names) == 3:
        every = ", ".join(name + ending for name in names)
        raise UserError(
            f"{tree.name}: has {every}, but only two splits are read; merge val into one of the others"
        )
    return ("train", names[1]) if len(names) == 2 and names[0] == "train" else None
