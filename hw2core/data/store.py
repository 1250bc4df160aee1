"""Ready datasets: one uint8 array of images and one of labels a split, memory-mapped, with an about.json."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw2core.errors import UserError
from hw2core.files import new_folder, write_array

SPLITS = ("train", "test")
UNKNOWN = 255  # an attribute that is not known of an image


@dataclass(frozen=True)
class Split:
    """Images (n, height, width, 3) as uint8, and their labels: digits (n,), or a face's attributes (n, attributes),
    each 0, 1 or UNKNOWN."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageData:
    """A whole dataset."""

    splits: dict[str, Split]
    about: str
    """What it is and how it was made, in a sentence for the report."""
    attributes: list[str] | None = None
    """The names of a face's attributes; None if the images are digits."""
    checksums: dict[str, str] = field(default_factory=dict)
    """Of what it was made from, where that can be held against published figures."""


def write(folder: Path, data: ImageData, facts: dict[str, Any]) -> None:
    """Write a ready dataset. `facts` are its name, its source and the settings it was made with."""
    with new_folder(folder) as draft:
        counts, checksums = {}, {}
        for name, split in data.splits.items():
            for part, array in (("images", split.images), ("labels", split.labels)):
                path = draft / f"{name}_{part}.npy"
                write_array(path, np.ascontiguousarray(array, dtype=np.uint8))
                checksums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
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
    """How many images there are of each digit, or with each attribute."""
    if attributes is None:
        return {"per_class": np.bincount(split.labels).tolist()}
    return {"with": dict(zip(attributes, (split.labels == 1).sum(axis=0).tolist(), strict=True))}


def read_about(folder: Path) -> dict[str, Any]:
    """What a ready dataset says of itself."""
    path = folder / "about.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for split in SPLITS:
            int(about["counts"][split]["images"])
        kind = about["attributes"] if "attributes" in about else about["classes"]
        if not (isinstance(about["sha256"], dict) and isinstance(kind, list)):
            raise TypeError
    except FileNotFoundError:
        raise UserError(
            f"{shown(folder)}: not made yet; `dvc repro preprocess@{folder.name}` makes it"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise damaged(path, "does not say what a dataset's about.json says") from None
    return about


def open_split(folder: Path, name: str) -> Split:
    """A split of a ready dataset, memory-mapped: nothing is read before it is used."""
    about = read_about(folder)
    length = about["counts"][name]["images"]
    per_image = (len(about["attributes"]),) if "attributes" in about else ()
    images, labels = (open_array(folder / f"{name}_{part}.npy") for part in ("images", "labels"))
    if images.shape != (length, *images.shape[1:3], 3) or labels.shape != (length, *per_image):
        raise damaged(folder, f"its {name} arrays do not hold the {length} images that about.json counts")
    return Split(images, labels)


def open_array(path: Path) -> NDArray[np.uint8]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    except Exception:  # a damaged header is parsed as Python and fails as that does
        raise damaged(path, "cut short or not a numpy array") from None
    if array.dtype != np.uint8:
        raise damaged(path, f"holds {array.dtype}, not uint8")
    return array


def damaged(path: Path, what: str) -> UserError:
    return UserError(f"{shown(path)}: {what}; delete the folder and `dvc repro` makes it anew")


def shown(path: Path) -> str:
    """A path as the user knows it: from the workspace's data/ on."""
    return os.path.relpath(path)
