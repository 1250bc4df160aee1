"""A user's own images as they were when they were read, in one archive: what is made of them later has not changed."""

import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hw2core.data.folder import common_folder, list_splits
from hw2core.data.labels import IMAGE, LABEL
from hw2core.data.listings import Listing
from hw2core.data.store import UNKNOWN, shown
from hw2core.data.trees import Tree, open_tree

NAME = "images.zip"
DATE = (1980, 1, 1, 0, 0, 0)  # zip's first: the same images are the same bytes whenever they are packed


def take(tree: Tree, listings: dict[str, Listing], folder: Path) -> None:
    """Pack the images as they are, train/ and test/, with train.csv and test.csv beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{NAME}.{os.getpid()}"
    try:
        with draft.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for split, listing in listings.items():
                    for name, content in contents(tree, split, listing):
                        archive.writestr(plain_file(name), content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, folder / NAME)
    finally:
        draft.unlink(missing_ok=True)


def open_snapshot(folder: Path) -> tuple[Tree, dict[str, Listing]]:
    """What `take` has packed."""
    tree = open_tree(Path(shown(folder / NAME)))
    return tree, list_splits(tree, test_share=0)  # it says itself which is which


def contents(tree: Tree, split: str, listing: Listing) -> Iterator[tuple[str, bytes]]:
    # The folder they all lie in is left out: the rest of a path still tells one image from another.
    outside = len(common_folder(listing.files))
    names = [file[outside:] for file in listing.files]
    if listing.attributes != []:
        yield f"{split}.csv", write_table(names, listing)
    for file, name in zip(listing.files, names, strict=True):
        yield f"{split}/{name}", tree.read(file)


def plain_file(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, DATE)
    member.create_system, member.external_attr = 3, 0o644 << 16  # Unix, and readable when unpacked there
    return member


def write_table(names: list[str], listing: Listing) -> bytes:
    columns = [LABEL] if listing.attributes is None else listing.attributes
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([IMAGE, *columns])
    for name, values in zip(names, listing.labels.reshape(len(names), -1).tolist(), strict=True):
        writer.writerow([name, *("" if value == UNKNOWN else value for value in values)])
    return table.getvalue().encode()
