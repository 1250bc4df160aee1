"""Ready datasets: one uint8 array of images and one of labels a split, memory-mapped, with an about.json."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw2core.errors import UserError
from hw2core.files import new_folder, write_array

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Split:
    """Images (n, height, width, 3) as uint8, and their labels (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)


def write(folder: Path, splits: dict[str, Split], about: dict[str, Any]) -> None:
    """Write a ready dataset. `about` says its name, its source and how it was made."""
    with new_folder(folder) as draft:
        counts, checksums = {}, {}
        for name, split in splits.items():
            for part, array in (("images", split.images), ("labels", split.labels)):
                path = draft / f"{name}_{part}.npy"
                write_array(path, np.ascontiguousarray(array, dtype=np.uint8))
                checksums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            counts[name] = {"images": len(split), "per_class": np.bincount(split.labels).tolist()}
        classes = sorted({int(label) for split in splits.values() for label in np.unique(split.labels)})
        text = json.dumps({**about, "classes": classes, "counts": counts, "sha256": checksums}, indent=2)
        (draft / "about.json").write_text(text + "\n", encoding="utf-8")


def read_about(folder: Path) -> dict[str, Any]:
    """What a ready dataset says of itself."""
    path = folder / "about.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for split in SPLITS:
            int(about["counts"][split]["images"])
        if not (isinstance(about["sha256"], dict) and isinstance(about["classes"], list)):
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
    count = read_about(folder)["counts"][name]["images"]
    images, labels = (open_array(folder / f"{name}_{part}.npy") for part in ("images", "labels"))
    if images.shape != (count, *images.shape[1:3], 3) or labels.shape != (count,):
        raise damaged(folder, f"its {name} arrays do not hold the {count} images that about.json counts")
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
