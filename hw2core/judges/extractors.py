"""Networks that turn images into features, and the judgement of generated images against real ones by them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm

from hw2core.engine.device import Device
from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.judges.distances import Gaussian, frechet, inception_score, kid, precision_recall

BATCH = 50
FEWEST = 2  # images that have a covariance


@dataclass(frozen=True)
class Extractor:
    """A network whose features images are compared by."""

    name: str
    suffix: str
    """Of the names of what it measures: nothing for FID's own Inception network alone."""
    sha256: str
    """Of its weights."""
    resize: str
    """What it does to an image's size, in words."""
    size: tuple[int, int] | None
    """The height and width it takes; None if any."""
    network: nn.Module
    features: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    """Images (n, 3, h, w) from -1 to 1 to features, and logits where their classes mean something."""


@dataclass(frozen=True)
class Features:
    """What an extractor says of a set of images."""

    values: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.values)


def extract(
    extractor: Extractor, images: NDArray[np.uint8], device: Device, cache: Path, title: str
) -> Features:
    """The features of images (n, h, w, 3). What has been extracted once is kept in the folder `cache`, under the
    content of images and weights: the same reference set costs its time once."""
    if extractor.size and images.shape[1:3] != extractor.size:
        found, wanted = ("x".join(map(str, size)) for size in (images.shape[2:0:-1], extractor.size[::-1]))
        raise UserError(f"{title}: images of {found}; {extractor.name} takes {wanted}")
    if len(images) < FEWEST:
        raise UserError(f"{title}: {len(images)} image; at least {FEWEST} are needed")
    path = cache / f"{digest(extractor, images, device)}.safetensors"
    if (kept := read_features(path)) is not None:
        return kept
    device.place(extractor.network)
    extractor.network.eval()
    parts: list[tuple[Tensor, Tensor | None]] = []
    with tqdm(total=len(images), desc=title, unit="image", leave=False, disable=None) as bar, torch.no_grad():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.array(images[start : start + BATCH])).to(device.kind)
            parts.append(extractor.features(device.images(batch)))
            bar.update(len(batch))
    logits = [part[1] for part in parts if part[1] is not None]
    found_features = Features(
        torch.cat([part[0] for part in parts]).float().cpu(),
        torch.cat(logits).float().cpu() if logits else None,
    )
    write_features(path, found_features)
    return found_features


def digest(extractor: Extractor, images: NDArray[np.uint8], device: Device) -> str:
    """Names what the features depend on. Neither threads nor their number: they move the last bits alone."""
    content = hashlib.sha256(f"{extractor.sha256} {device.kind.type} {images.shape}".encode())
    content.update(np.ascontiguousarray(images).data)
    return content.hexdigest()


def write_features(path: Path, features: Features) -> None:
    tensors = {"values": features.values.contiguous()}
    if features.logits is not None:
        tensors["logits"] = features.logits.contiguous()
    write_whole(path, save(tensors))


def read_features(path: Path) -> Features | None:
    try:
        tensors = load_file(path)
        return Features(tensors["values"], tensors.get("logits"))
    except (OSError, SafetensorError, KeyError):  # not there, or spoilt: extracted anew
        return None


def compare(extractor: Extractor, fake: Features, real: Features) -> dict[str, Any]:
    """Generated images against real ones, each figure by its name, with what it was measured on and by."""
    kid_mean, kid_std, subset = kid(fake.values, real.values)
    precision, recall = precision_recall(fake.values, real.values)
    found: dict[str, Any] = {
        "fid": frechet(Gaussian.of(fake.values), Gaussian.of(real.values)),
        "kid": {"mean": kid_mean, "std": kid_std, "subset": subset},
        "precision": precision,
        "recall": recall,
    }
    if fake.logits is not None:
        mean, std = inception_score(fake.logits)
        found["is"] = {"mean": mean, "std": std}
    return {f"{name}{extractor.suffix}": value for name, value in found.items()} | {
        "n_fake": len(fake),
        "n_real": len(real),
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "resize": extractor.resize,
    }
