"""The folders that the course hands out, in the layout of each year.

    2019, 2020   hw3_data/face/{train,test}/ with train.csv, test.csv of attributes
                 hw3_data/digits/<domain>/{train,test}/ with train.csv, test.csv
    2021         hw2_data/, the same; faces without tables
    2022, 2023   hw2_data/face/{train,val}/ without tables
                 hw2_data/digits/<domain>/data/ with train.csv, val.csv

The val set of 2022 is the test set here. A test.csv beside it is the form of a hand-in: its labels mean nothing. Images
of data/ that it names and the other tables do not are the course's own test images, and are left out.
"""

import re

from hw2core.data.labels import read_table
from hw2core.data.listings import (
    Listing,
    digits,
    entries,
    faces,
    finder_by_path,
    images_in,
    list_bare_folders,
    list_split_folders,
    match,
    refuse_images_beside,
)
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree
from hw2core.errors import UserError

FACES = "celeba"  # the course's face/


def list_splits(tree: Tree, dataset: str) -> dict[str, Listing]:
    """The train and test sets of mnistm, usps, svhn or celeba. The course's folders may start anywhere in the tree."""
    if dataset == FACES:
        home = find_home(tree, "face/", [("train/", "test/"), ("train/", "val/")])
    else:
        home = find_home(tree, f"digits/{dataset}/", [("train/", "test/"), ("data/",)])
    problems = Problems()
    if dataset == FACES:
        splits = list_faces(tree, home, problems)
    elif "data/" in entries(tree, home):
        splits = list_pool(tree, home, problems)
    else:
        splits = list_split_folders(tree, home, ("train", "test"), digits, problems)
    problems.raise_any()
    return dict(zip(("train", "test"), splits, strict=True))


def list_faces(tree: Tree, home: str, problems: Problems) -> list[Listing]:
    there = entries(tree, home)
    folders = ("train", "test" if "test/" in there else "val")
    if there & {f"{folder}.csv" for folder in folders}:
        return list_split_folders(tree, home, folders, faces, problems)
    return list_bare_folders(tree, home, folders, problems)


def list_pool(tree: Tree, home: str, problems: Problems) -> list[Listing]:
    """Splits whose images share one folder; the tables assign the images."""
    refuse_images_beside(tree, home, ["data"], problems)
    images = images_in(tree, f"{home}data/", problems)
    tables = [f"{home}train.csv", f"{home}val.csv"]
    labeled = without_hand_in(tree, f"{home}test.csv", images, problems)
    return digits(*match(tree, tables, labeled.values(), finder_by_path(images), problems), problems)


def without_hand_in(tree: Tree, table: str, images: dict[str, str], problems: Problems) -> dict[str, str]:
    """The images that must have a label: all but those that test.csv, if there is one, names."""
    named: set[str] = set()
    if table in tree.files and (hand_in := read_table(tree, table, problems)):
        named = set(hand_in.images)
    return {name: file for name, file in images.items() if name not in named}


def find_home(tree: Tree, folder: str, layouts: list[tuple[str, ...]]) -> str:
    """The one folder of this name, at any depth, whose content matches one of the layouts."""
    pattern = re.compile(rf"(?:[^/]+/)*?{folder}(?=.)")
    named = sorted({found[0] for file in tree.files if (found := pattern.match(file))})
    homes = [home for home in named if any(set(layout) <= entries(tree, home) for layout in layouts)]
    if not homes:
        wanted = " or ".join(" and ".join(layout) for layout in layouts)
        raise UserError(
            f"{tree.name}: has no {folder} with {wanted} in it; "
            "give the course's hw2_data or hw3_data, or the folder or archive that holds it"
        )
    if len(homes) > 1:
        raise UserError(
            f"{tree.name}: has both {homes[0]} and {homes[1]}; give a folder that holds only one of them"
        )
    return homes[0]
