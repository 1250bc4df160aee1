"""Stages evaluate_gan, evaluate_autoencoder, evaluate_real and evaluate_acgan on faces: generated faces compared with real ones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.batches import ImageSet
from hw2core.engine.device import Device, choose_device
from hw2core.engine.images import open_split
from hw2core.engine.randomness import seed_for
from hw2core.engine.tiles import write_tiles
from hw2core.evaluation.extractors import Extractor, compare, extract
from hw2core.evaluation.faces import detect_faces
from hw2core.evaluation.inception import inception
from hw2core.evaluation.neighbors import nearest
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.inception import weights_file
from hw2core.settings.registry import CONDITIONAL
from hw2core.stages import generators
from hw2core.stages.faces_extractor import face_extractor

ROWS, COLUMNS = 4, 8  # of the samples that are kept as a picture
EACH = 10  # faces with and without an attribute that are kept
NO_FID = "not measured: evaluation.faces.inception names no weights (docs/evaluation.md says how to get them)"
METRICS = ("fid", "kid", "is", "fd", "kd", "precision", "recall")


def evaluate_gan(params: Params, layout: Layout, name: str, seed: int) -> None:
    generators.check_named(name, params.gans, "gans")
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_gan", name, seed)
    journal.write_metrics(folder, evaluate_samples(params, layout, device, name, seed, folder))


def evaluate_samples(
    params: Params, layout: Layout, device: Device, name: str, seed: int, folder: Path
) -> dict[str, Any]:
    """Generate images, keep the first, and compare all with the real test images."""
    system = generators.load(params, layout, device, name, seed)
    names = (*generators.place_of(name), f"seed {seed}", "samples")
    images = generators.sample(system, params.generation.images, *names)
    write_tiles(folder / "samples.png", images[: ROWS * COLUMNS], COLUMNS)
    return {
        **compare_with_real(params, layout, device, images),
        "images": len(images),
        "seed": seed,
        "device": device.about,
    }


def evaluate_real(params: Params, layout: Layout, extractor: str) -> None:
    """Real training images and noise, evaluated as if they were generated: the ends of every scale."""
    generators.check_named(extractor, params.extractors.faces, "extractors.faces")
    device = choose_device(params.engine)
    train, test = (open_split(layout.ready(params.data.faces), split).images for split in ("train", "test"))
    count = min(params.generation.images, len(train))
    rng = np.random.default_rng(seed_for("evaluate_real", "noise"))
    noise = rng.integers(0, 256, (count, *train.shape[1:]), dtype=np.uint8)
    folder = layout.stage("evaluate_real", "faces")
    write_tiles(folder / "samples.png", np.array(test[: ROWS * COLUMNS]), COLUMNS)
    journal.write_metrics(
        folder,
        {
            "test_images": detect_faces(test, "real test images"),
            "training_images": compare_with_real(params, layout, device, np.array(train[:count])),
            "noise": compare_with_real(params, layout, device, noise),
            "device": device.about,
        },
    )


def evaluate_acgan(params: Params, layout: Layout, seed: int) -> None:
    generators.check_named("faces", list(params.conditional.acgan), "conditional.acgan")
    name = "acgan/faces"
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_acgan", "faces", seed)
    train, test = (generators.read_images(params, layout, device, name, split) for split in ("train", "test"))
    system = generators.load(params, layout, device, name, seed)
    names = (*generators.place_of(name), f"seed {seed}", "samples")
    labels = generators.balanced_labels(name, params.generation.images, EACH)
    images = generators.sample_labels(system, labels, None, *names)
    pairs = np.concatenate(
        [
            generators.sample_labels(system, torch.full((EACH,), label), None, *names, "pairs")
            for label in range(CONDITIONAL[name])
        ]
    )
    write_tiles(folder / "samples.png", pairs, EACH)
    places, distances = nearest(torch.from_numpy(images).to(device.kind), train.images)
    neighbors = train.images[places[:EACH]].cpu().numpy()
    write_tiles(folder / "neighbors.png", np.concatenate([images[:EACH], neighbors]), EACH)
    attribute = AttributeClassifier(face_extractor(params, layout), device, layout.features, train)
    journal.write_metrics(
        folder,
        {
            **compare_with_real(params, layout, device, images),
            "attribute": params.acgan.faces.attribute,
            "attribute_accuracy": attribute.accuracy(images, labels, "generated faces"),
            "attribute_accuracy_of_real": attribute.accuracy(
                test.images.cpu().numpy(), test.labels.cpu(), "real test faces"
            ),
            "nearest_train_rmse": distances.median().item(),
            "nearest_train_rmse_first": distances[:EACH].tolist(),
            "images": len(labels),
            "seed": seed,
            "device": device.about,
        },
    )


def compare_with_real(
    params: Params, layout: Layout, device: Device, images: NDArray[np.uint8]
) -> dict[str, Any]:
    """Face detection rate of images, and their distances from the real test faces by every available extractor."""
    real = open_split(layout.ready(params.data.faces), "test").images
    extractors = [face_extractor(params, layout)]
    faces = detect_faces(images, "generated images")
    found: dict[str, Any] = {
        "face_detection_rate": faces["face_detection_rate"],
        "faces": faces,
        "fid": NO_FID,
    }
    weights = weights_file(params.evaluation.faces.inception, layout)
    if weights and weights.is_file():
        extractors.append(inception(weights))
    for extractor in extractors:
        add_comparison(found, extractor, images, real, device, layout.features)
    return found


def add_comparison(
    found: dict[str, Any],
    extractor: Extractor,
    images: NDArray[np.uint8],
    real: NDArray[np.uint8],
    device: Device,
    cache: Path,
) -> None:
    """Add what an extractor measures, and to the list `extractor` what it is and what it measured on."""
    sets = [
        extract(extractor, part, device, cache, title)
        for part, title in ((images, "generated images"), (real, "real test images"))
    ]
    comparison = compare(extractor, *sets)
    measured = {key: value for key, value in comparison.items() if key.partition("_")[0] in METRICS}
    found |= measured
    about = {key: value for key, value in comparison.items() if key not in measured}
    found.setdefault("extractor", []).append(about)


class AttributeClassifier:
    """Logistic regression of an attribute on the features of real training faces."""

    def __init__(self, extractor: Extractor, device: Device, cache: Path, train: ImageSet) -> None:
        self.extractor, self.device, self.cache = extractor, device, cache
        self.regression = LogisticRegression(max_iter=2000)
        features = self.features(train.images.cpu().numpy(), "real training faces")
        self.regression.fit(features, train.labels.cpu().numpy())

    def features(self, images: NDArray[np.uint8], title: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = extract(
            self.extractor, images, self.device, self.cache, title
        ).values.numpy()
        return found

    def accuracy(self, images: NDArray[np.uint8], labels: Tensor, title: str) -> float:
        """Percentage of the images classified as labeled."""
        return 100 * float(self.regression.score(self.features(images, title), labels.numpy()))
