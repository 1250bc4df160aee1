"""Stages evaluate_acgan and evaluate_ddpm: generated digits read and compared, faces with an attribute and without."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hw2core.data.batches import ImageSet
from hw2core.engine import journal
from hw2core.engine.device import Device, choose_device
from hw2core.judges.classification import outputs, spread
from hw2core.judges.digits import digits_read
from hw2core.judges.extractors import compare, extract
from hw2core.judges.neighbours import nearest
from hw2core.layout import Layout
from hw2core.params import LABELLED, Params
from hw2core.report import figures
from hw2core.stages import generators
from hw2core.stages.digit_judges import classifier_extractor, digit_judge
from hw2core.stages.evaluate_generators import (
    about_training,
    judge,
    note,
    of_faces,
    offline_extractor,
    over_seeds,
)

EACH = 10  # images of each digit in the grid, and pairs of faces
NO_WAY: Any = (
    None  # ACGAN draws in one step; so its evaluation does not read how the diffusion model is sampled
)
MOMENTS = 6  # at which the way from noise to a digit is shown


def evaluate_acgan(params: Params, layout: Layout, item: str) -> None:
    name = generators.check_item(item)
    folder = layout.stage("evaluate_acgan", item)
    device = choose_device(params.engine)
    if item == "digits":
        evaluate_digits(params, layout, device, name, folder)
    else:
        evaluate_faces(params, layout, device, name, folder)


def evaluate_ddpm(params: Params, layout: Layout) -> None:
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_ddpm", "digits")
    evaluate_digits(params, layout, device, "ddpm", folder)
    seed = params.generation.seeds[0]
    system: Any = generators.load(params, layout, device, "ddpm", seed)
    way = generators.way(system, even_labels(params, "ddpm"), params.ddpm, *sample_names("ddpm", seed))
    figures.save_photos(figures.reverse(some_moments(way)), folder / "reverse.png")


# --- digits -------------------------------------------------------------------------------------------------


def evaluate_digits(params: Params, layout: Layout, device: Device, name: str, folder: Path) -> None:
    train = generators.read_images(params, layout, device, name, "train")
    test = generators.read_images(params, layout, device, name, "test")
    reader, judged_by = digit_judge(params, layout, device, params.data.digits)
    extractor = classifier_extractor(params, layout, device, params.data.digits)
    real = extract(extractor, test.images.cpu().numpy(), device, layout.features, "real test digits")
    _, real_distances = nearest(test.images, train.images)
    labels = even_labels(params, name)
    how: Any = params.ddpm if name == "ddpm" else NO_WAY
    judged: list[dict[str, Any]] = []
    read = []
    for seed in params.generation.seeds:
        system: Any = generators.load(params, layout, device, name, seed)
        images = generators.draw_labelled(system, labels, how, *sample_names(name, seed))
        read.append(digits_read(outputs(reader, image_set(images, labels, device)), labels.to(device.kind)))
        drawn = extract(extractor, images, device, layout.features, "generated digits")
        places, distances = nearest(torch.from_numpy(images).to(device.kind), train.images)
        judged.append({"digits_read": read[-1]["digits_read"]})
        note(judged[-1], compare(extractor, drawn, real))
        judged[-1]["nearest_training_image"] = distances.median().item()
        if seed == params.generation.seeds[0]:
            chosen = [np.flatnonzero(labels.numpy() == digit)[:EACH] for digit in range(10)]
            title = f"{name.partition('/')[0]}, a row for each digit"
            figures.save_photos(
                figures.grid(images[np.concatenate(chosen)], 10, EACH, title), folder / "samples.png"
            )
            firsts = [places_of_digit[0] for places_of_digit in chosen]
            neighbours = train.images[places[firsts]].cpu().numpy()
            figures.save_photos(
                figures.neighbours(images[firsts], neighbours, distances[firsts].tolist()),
                folder / "neighbours.png",
            )
    journal.write_metrics(
        folder,
        {
            **over_seeds(judged),
            "per_digit": {
                digit: spread([one["per_digit"][digit] for one in read]) for digit in read[0]["per_digit"]
            },
            "confusion": [one["confusion"] for one in read],
            "images": len(labels),
            "judge": judged_by,
            "nearest_training_image_of_real_test_images": real_distances.median().item(),
            "seeds": params.generation.seeds,
            "device": device.about,
            "training": about_training(layout, *generators.place_of(name)),
        },
    )


def even_labels(params: Params, name: str) -> Tensor:
    """As many of each label, in order: generation.images or a few less."""
    count = LABELLED[name]
    return torch.arange(count).repeat_interleave(max(EACH, params.generation.images // count))


def sample_names(name: str, seed: int) -> tuple[str, ...]:
    """What the noise of the judged samples is drawn by."""
    return (*generators.place_of(name), f"seed {seed}", "samples")


def image_set(images: NDArray[np.uint8], labels: Tensor, device: Device) -> ImageSet:
    return ImageSet(torch.from_numpy(images).to(device.kind), labels.to(device.kind), device)


def some_moments(way: dict[int, NDArray[np.uint8]]) -> dict[int, NDArray[np.uint8]]:
    """What of the way is shown: at even times, or those of its own that come nearest."""
    times = np.array(list(way))
    wanted = np.linspace(times[0], 0, min(MOMENTS, len(times)))
    return {time: way[time] for time in (int(times[np.abs(times - t).argmin()]) for t in wanted)}


# --- faces --------------------------------------------------------------------------------------------------


def evaluate_faces(params: Params, layout: Layout, device: Device, name: str, folder: Path) -> None:
    real = {split: generators.read_images(params, layout, device, name, split) for split in ("train", "test")}
    labels = even_labels(params, name)
    judged, obeyed = [], []
    attribute = AttributeReader(params, layout, device, real["train"])
    for seed in params.generation.seeds:
        system: Any = generators.load(params, layout, device, name, seed)
        images = generators.draw_labelled(system, labels, NO_WAY, *sample_names(name, seed))
        judged.append(judge(params, layout, device, images))
        obeyed.append(attribute.accuracy(images, labels, "generated faces"))
        if seed == params.generation.seeds[0]:
            without, with_it = (
                generators.draw_labelled(
                    system, torch.full((EACH,), label), NO_WAY, *sample_names(name, seed), "pairs"
                )
                for label in (0, 1)
            )
            title = f"from the same noise without (above) and with: {params.acgan.faces.attribute}"
            pairs = np.concatenate([without, with_it])
            figures.save_photos(figures.grid(pairs, 2, EACH, title), folder / "pairs.png")
    test = real["test"]
    journal.write_metrics(
        folder,
        {
            **of_faces(judged),
            "attribute": params.acgan.faces.attribute,
            "attribute_read": spread(obeyed),
            "attribute_read_of_real": attribute.accuracy(
                test.images.cpu().numpy(), test.labels.cpu(), "real test faces"
            ),
            "images": len(labels),
            "seeds": params.generation.seeds,
            "device": device.about,
            "training": about_training(layout, *generators.place_of(name)),
        },
    )


class AttributeReader:
    """Tells an attribute from the offline features of a face: a logistic regression on those of real training faces."""

    def __init__(self, params: Params, layout: Layout, device: Device, train: ImageSet) -> None:
        self.extractor = offline_extractor(params, layout)
        self.device, self.cache = device, layout.features
        self.regression = LogisticRegression(max_iter=2000)
        self.regression.fit(
            self.features(train.images.cpu().numpy(), "real training faces"), train.labels.cpu().numpy()
        )

    def features(self, images: NDArray[np.uint8], title: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = extract(
            self.extractor, images, self.device, self.cache, title
        ).values.numpy()
        return found

    def accuracy(self, images: NDArray[np.uint8], labels: Tensor, title: str) -> float:
        """Per cent of the images that are read as labelled."""
        return 100 * float(self.regression.score(self.features(images, title), labels.numpy()))
