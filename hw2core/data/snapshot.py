"""Snapshot of a user's own images in one archive, so that later changes to the originals have no effect."""

import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hw2core.data.folder import common_folder, list_splits
from hw2core.data.labels import IMAGE, LABEL
from hw2core.data.listings import Listing
from hw2core.data.trees import Tree, open_tree
from hw2core.engine.images import UNKNOWN, relative_path

NAME = "images.zip"
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date of zip: equal images give equal bytes at any time


def take(tree: Tree, listings: dict[str, Listing], folder: Path) -> None:
    """Store the files unchanged in train/ and test/, with train.csv and test.csv beside them."""
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
    """Open what `take` has written."""
    tree = open_tree(Path(relative_path(folder / NAME)))
    return tree, list_splits(tree, test_fraction=0)  # the folders define the splits


def contents(tree: Tree, split: str, listing: Listing) -> Iterator[tuple[str, bytes]]:
    # The folder that contains all files is dropped: the rest of each path is still unique.
    outside = len(common_folder(listing.files))
    names = [file[outside:] for file in listing.files]
    if listing.attributes != []:
        yield f"{split}.csv", write_table(names, listing)
    for file, name in zip(listing.files, names, strict=True):
        yield f"{split}/{name}", tree.read(file)


def plain_file(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, DATE)
    member.create_system, member.external_attr = 3, 0o644 << 16  # a regular Unix file, readable by everyone
    return member


def write_table(names: list[str], listing: Listing) -> bytes:
    columns = [LABEL] if listing.attributes is None else listing.attributes
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([IMAGE, *columns])
    for name, values in zip(names, listing.labels.reshape(len(names), -1).tolist(), strict=True):
        writer.writerow([name, *("" if value == UNKNOWN else value for value in values)])
    return table.getvalue().encode()
