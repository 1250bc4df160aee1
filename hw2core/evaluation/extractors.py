"""Feature extractors, and the comparison of generated with real images by their features."""

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
from hw2core.evaluation.distances import Gaussian, frechet, inception_score, kid, precision_recall
from hw2core.files import write_whole

BATCH = 50
MIN_IMAGES = 2  # a covariance needs two
INCEPTION_NAMES = {"fd": "fid", "kd": "kid"}


@dataclass(frozen=True)
class Extractor:
    """A network whose features are compared."""

    name: str
    suffix: str
    """Suffix of the names of its metrics, e.g. "faces" for fd_faces; empty for the Inception network of FID only."""
    sha256: str
    """SHA-256 of its weights."""
    resize: str
    """How it resizes images, in words."""
    size: tuple[int, int] | None
    """The height and width that it requires; None if it takes any."""
    network: nn.Module
    features: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    """Maps images (n, 3, h, w) from -1 to 1 to features, and to logits if the Inception score applies to them."""


@dataclass(frozen=True)
class Features:
    """The features of a set of images."""

    values: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.values)


def extract(
    extractor: Extractor, images: NDArray[np.uint8], device: Device, cache: Path, title: str
) -> Features:
    """Return the features of images (n, h, w, 3). `title` labels the progress bar and error messages.

    Features are cached in the folder `cache` by a hash of images and weights, so that a reference set is extracted once.
    """
    if extractor.size and images.shape[1:3] != extractor.size:
        actual, required = ("x".join(map(str, size)) for size in (images.shape[2:0:-1], extractor.size[::-1]))
        raise UserError(f"{title}: images of {actual}; {extractor.name} takes {required}")
    if len(images) < MIN_IMAGES:
        raise UserError(f"{title}: {len(images)} image; at least {MIN_IMAGES} are needed")
    path = cache / f"{digest(extractor, images, device)}.safetensors"
    if (cached := read_features(path)) is not None:
        return cached
    device.place(extractor.network)
    extractor.network.eval()
    parts: list[tuple[Tensor, Tensor | None]] = []
    with tqdm(total=len(images), desc=title, unit="image", leave=False, disable=None) as bar, torch.no_grad():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.array(images[start : start + BATCH])).to(device.kind)
            parts.append(extractor.features(device.images(batch)))
            bar.update(len(batch))
    logits = [part[1] for part in parts if part[1] is not None]
    features = Features(
        torch.cat([part[0] for part in parts]).float().cpu(),
        torch.cat(logits).float().cpu() if logits else None,
    )
    write_features(path, features)
    return features


def digest(extractor: Extractor, images: NDArray[np.uint8], device: Device) -> str:
    """Hash what the features depend on. The number of threads is left out: it changes the last bits only."""
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
    except (OSError, SafetensorError, KeyError):  # missing or damaged: the features are extracted again
        return None


def compare(extractor: Extractor, fake: Features, real: Features) -> dict[str, Any]:
    """Compare generated with real images: return each metric by its name, and what it was measured with."""
    kd_mean, kd_std, subset = kid(fake.values, real.values)
    precision, recall = precision_recall(fake.values, real.values)
    metrics: dict[str, Any] = {
        "fd": frechet(Gaussian.of(fake.values), Gaussian.of(real.values)),
        "kd": {"mean": kd_mean, "std": kd_std, "subset": subset},
        "precision": precision,
        "recall": recall,
    }
    if fake.logits is not None:
        mean, std = inception_score(fake.logits)
        metrics["is"] = {"mean": mean, "std": std}
    return {metric_name(metric, extractor.suffix): value for metric, value in metrics.items()} | {
        "n_fake": len(fake),
        "n_real": len(real),
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "resize": extractor.resize,
    }


def metric_name(metric: str, suffix: str) -> str:
    """Return the name of a metric for an extractor: only distances of Inception features are called FID and KID."""
    return f"{metric}_{suffix}" if suffix else INCEPTION_NAMES.get(metric, metric)
