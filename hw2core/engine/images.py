"""The format of data/ready: per split one uint8 array of images and one of labels, memory-mapped, and an about.json."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw2core.errors import UserError
from hw2core.files import new_folder, sha256_of, write_array
from hw2core.settings.parsing import MAX_JSON, parse_json, read_bounded

SPLITS = ("train", "test")
UNKNOWN = 255  # the value of an attribute that is not annotated


@dataclass(frozen=True)
class Split:
    """Images (n, height, width, 3) as uint8, and labels: digits (n,), or attributes of faces (n, attributes).

    An attribute is 0, 1 or UNKNOWN.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageData:
    """A whole dataset."""

    splits: dict[str, Split]
    about: str
    """What it is and how it was made, for the report."""
    attributes: list[str] | None = None
    """Names of the face attributes; None for digits."""
    checksums: dict[str, str] = field(default_factory=dict)
    """Checksums of the source images, where published checksums exist."""


def write(folder: Path, data: ImageData, facts: dict[str, Any]) -> None:
    """Write a dataset. `facts` are its name, its source and its settings."""
    with new_folder(folder) as draft:
        counts, checksums = {}, {}
        for name, split in data.splits.items():
            for part, array in (("images", split.images), ("labels", split.labels)):
                path = draft / f"{name}_{part}.npy"
                write_array(path, np.asarray(array, dtype=np.uint8))
                checksums[path.name] = sha256_of(path)
            counts[name] = {"images": len(split), **count(split, data.attributes)}
        if data.attributes is None:
            labels = np.concatenate([split.labels for split in data.splits.values()])
            kind = {"classes": np.unique(labels).tolist()}
        else:
            kind = {"attributes": data.attributes}
        made = {"made": data.about, **({"checksums": data.checksums} if data.checksums else {})}
        text = json.dumps({**facts, **made, **kind, "counts": counts, "sha256": checksums}, indent=2)
        (draft / "about.json").write_text(text + "\n", encoding="utf-8")


def count(split: Split, attributes: list[str] | None) -> dict[str, Any]:
    """The number of images of each digit, or with each attribute."""
    if attributes is None:
        return {"per_class": np.bincount(split.labels).tolist()}
    return {"with": dict(zip(attributes, (split.labels == 1).sum(axis=0).tolist(), strict=True))}


def read_about(folder: Path) -> dict[str, Any]:
    """The about.json of a dataset."""
    path = folder / "about.json"
    try:
        about: dict[str, Any] = parse_json(read_bounded(path, MAX_JSON), path.name)
        for split in SPLITS:
            int(about["counts"][split]["images"])
        kind = about["attributes"] if "attributes" in about else about["classes"]
        if not (isinstance(about["sha256"], dict) and isinstance(kind, list)):
            raise TypeError
    except FileNotFoundError:
        raise UserError(f"{relative_path(folder)}: not made yet; `hw2 repro` makes it") from None
    except (UserError, ValueError, KeyError, TypeError):
        raise damaged(path, "not a valid about.json") from None
    return about


def find_attribute(attributes: Sequence[str], wanted: str) -> int | None:
    """The place of an attribute among others; upper and lower case are the same, unless both spellings exist."""
    for spell in (str, str.casefold):
        if spell(wanted) in (names := [spell(name) for name in attributes]):
            return names.index(spell(wanted))
    return None


def missing_attribute(dataset: str, wanted: str, attributes: Sequence[str]) -> str:
    has = f"it has: {', '.join(attributes)}" if attributes else "it has none"
    return f"acgan.faces.attribute: {dataset} has no {wanted}; {has}"


def open_split(folder: Path, name: str) -> Split:
    """Open a split of a dataset as memory maps: pages are read when they are used."""
    about = read_about(folder)
    length = about["counts"][name]["images"]
    per_image = (len(about["attributes"]),) if "attributes" in about else ()
    images, labels = (open_array(folder / f"{name}_{part}.npy") for part in ("images", "labels"))
    if images.shape != (length, *images.shape[1:3], 3) or labels.shape != (length, *per_image):
        raise damaged(folder, f"the {name} arrays do not hold the {length} images of about.json")
    return Split(images, labels)


def open_array(path: Path) -> NDArray[np.uint8]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    except Exception:  # numpy parses the header as a Python literal, which can raise almost anything
        raise damaged(path, "truncated or not a numpy array") from None
    if array.dtype != np.uint8:
        raise damaged(path, f"is {array.dtype}, not uint8")
    return array


def damaged(path: Path, what: str) -> UserError:
    return UserError(f"{relative_path(path)}: {what}; delete the folder and run `hw2 repro`")


def relative_path(path: Path) -> str:
    """The path relative to the workspace, as in error messages."""
    return os.path.relpath(path)
