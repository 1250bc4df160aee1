"""Which datasets exist, where each comes from, and how it is brought here and made ready."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hw2core.data import course, drawn_faces, folder, public, snapshot, standins
from hw2core.data.fetch import bring
from hw2core.data.frames import DECISIONS, digit_frame, square_face
from hw2core.data.listings import Listing
from hw2core.data.pictures import read_pictures
from hw2core.data.portrait import Attributes
from hw2core.data.store import ImageData, Split
from hw2core.data.trees import Tree, open_tree
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.params import Data, Embedded, Source, source_of, source_problem


@dataclass(frozen=True)
class Dataset:
    """A dataset from the source that the params name."""

    source: Source
    fetch: Callable[[Path], None]
    """Fills a folder with the raw material."""
    make: Callable[[Path], ImageData]
    """Makes of such a folder the images."""
    settings: dict[str, Any]
    """The params that shape it."""


class StandIn(NamedTuple):
    """A dataset of the embedded default."""

    about: str
    fetch: Callable[[Path], None]
    make: Callable[[Path, Embedded], dict[str, Split]]
    settings: tuple[str, ...] = ("seed", "train", "test")
    """Which of the params shape it."""
    attributes: tuple[str, ...] | None = None
    """Those of its faces; None if the images are digits."""


EMBEDDED = {
    "handwritten": StandIn(
        "scikit-learn's 8x8 handwritten digits, enlarged to grey strokes that fill the 28x28 frame, slightly "
        "turned, slanted, scaled and moved",
        standins.fetch_handwriting,
        standins.make_handwritten,
    ),
    "blended": StandIn(
        "the same handwriting, 0.7 times as high, blended into scikit-learn's two photos: abs(crop - 255 * (digit > 127))",
        standins.fetch_handwriting_and_photos,
        standins.make_blended,
    ),
    "printed": StandIn(
        f"digits drawn from {len(standins.FONTS)} fonts that matplotlib carries, with colours, gradients, "
        "blur, noise and cut neighbours",
        standins.fetch_fonts,
        standins.make_printed,
    ),
    "drawn_faces": StandIn(
        "portraits drawn by the package itself: heads of many tones and shapes under light from a side, with hair, "
        "beards, glasses and backgrounds",
        drawn_faces.fetch,
        lambda _, settings: drawn_faces.make(settings),
        ("seed", "faces_train", "faces_test"),
        Attributes._fields,
    ),
}


def find(data: Data, name: str, root: Path) -> Dataset:
    """The dataset `name` as the params have it; a relative path in them starts at `root`, the workspace."""
    if problem := source_problem(data.source, data.course.path, data.folder.paths, name):
        raise UserError(f"params.yaml: {problem}")
    source: Source = source_of(data.source, name)
    match source:
        case "embedded":
            return embedded(name, data.embedded)
        case "public":
            return published(name, data)
        case "course":
            assert data.course.path is not None  # or source_problem had said so
            return own(
                source, name, locate(data.course.path, root), partial(course.list_splits, dataset=name), {}
            )
        case "folder":
            list_splits = partial(folder.list_splits, test_share=data.folder.test)
            path = locate(data.folder.paths[name], root)
            return own(source, name, path, list_splits, {"test": data.folder.test})


def embedded(name: str, settings: Embedded) -> Dataset:
    stand_in = EMBEDDED[name]

    def fetch(raw: Path) -> None:
        with new_folder(raw) as draft:
            stand_in.fetch(draft)

    def make(raw: Path) -> ImageData:
        attributes = None if stand_in.attributes is None else list(stand_in.attributes)
        return ImageData(stand_in.make(raw, settings), stand_in.about, attributes)

    return Dataset("embedded", fetch, make, {name: getattr(settings, name) for name in stand_in.settings})


def published(name: str, data: Data) -> Dataset:
    return Dataset(
        "public",
        lambda raw: bring(public.files(name, data.public), raw, data.mirror, by_hand(raw)),
        lambda raw: public.make(name, raw, data.public),
        data.public.model_dump(),
    )


def by_hand(raw: Path) -> list[Path]:
    """Where a file may lie already: put into data/raw by the user, or brought for another dataset."""
    return [raw.parent, *sorted(folder for folder in raw.parent.glob("[!.]*/") if folder != raw)]


def own(
    source: Source,
    name: str,
    path: Path,
    list_splits: Callable[[Tree], dict[str, Listing]],
    settings: dict[str, Any],
) -> Dataset:
    """Image files of the user's. They are read twice: DVC does not watch `path`, so what stands there is checked
    whole and copied as it is by the first stage, and only the copy counts from then on."""

    def fetch(raw: Path) -> None:
        tree = open_tree(path)
        listings = list_splits(tree)
        read_files(tree, listings, name)
        snapshot.take(tree, listings, raw)

    def make(raw: Path) -> ImageData:
        tree, listings = snapshot.open_snapshot(raw)
        return read_files(tree, listings, name)

    return Dataset(source, fetch, make, settings)


def read_files(tree: Tree, listings: dict[str, Listing], name: str) -> ImageData:
    """Both splits' images, read at once: what is wrong with them is said at once."""
    attributes = listings["train"].attributes
    frame = digit_frame(name) if attributes is None else square_face
    pictures = read_pictures(tree, [file for listing in listings.values() for file in listing.files], frame)
    splits, start = {}, 0
    for split, listing in listings.items():
        stop = start + len(listing.files)
        splits[split], start = Split(pictures[start:stop], listing.labels), stop
    kind = "digits" if attributes is None else "faces"
    return ImageData(splits, f"{name}, {kind} from a folder of images; {DECISIONS[frame]}", attributes)


def locate(path: str, root: Path) -> Path:
    return root / Path(os.path.expandvars(path)).expanduser()
