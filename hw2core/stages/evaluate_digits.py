"""Stages evaluate_acgan on digits and evaluate_ddpm: generated digits read by a classifier and compared with real ones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.batches import ImageSet
from hw2core.engine.device import Device, choose_device
from hw2core.engine.tiles import write_tiles
from hw2core.evaluation.classification import outputs
from hw2core.evaluation.digits import digit_accuracy
from hw2core.evaluation.extractors import compare, extract
from hw2core.evaluation.neighbors import nearest
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.systems import Sampling
from hw2core.stages import generators
from hw2core.stages.digits_extractor import digit_extractor, digit_reader

EACH = 10  # images of each digit that are kept as a picture
MOMENTS = 6  # of the reverse process that are kept
ABOUT = ("n_fake", "n_real", "extractor", "extractor_sha256", "resize")


def evaluate_acgan(params: Params, layout: Layout, seed: int) -> None:
    generators.check_named("digits", list(params.conditional.acgan), "conditional.acgan")
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_acgan", "digits", seed)
    journal.write_metrics(
        folder, evaluate_samples(params, layout, device, "acgan/digits", None, seed, folder)
    )


def evaluate_ddpm(params: Params, layout: Layout, item: str, seed: int) -> None:
    generators.check_named(item, params.conditional.ddpm, "conditional.ddpm")
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_ddpm", item, seed)
    metrics = evaluate_samples(params, layout, device, "ddpm", params.ddpm, seed, folder)
    labels = generators.balanced_labels("ddpm", params.generation.images, EACH)
    reverse = reverse_process(params, layout, device, labels, seed)
    write_tiles(folder / "reverse.png", np.stack(list(reverse.values())), len(reverse))
    journal.write_metrics(folder, metrics | {"reverse_timesteps": list(reverse)})


def evaluate_samples(
    params: Params,
    layout: Layout,
    device: Device,
    name: str,
    sampling: Sampling | None,
    seed: int,
    folder: Path,
) -> dict[str, Any]:
    """Generate the same number of each digit, keep the first, and measure how they are read and how real they are."""
    train, test = (generators.read_images(params, layout, device, name, split) for split in ("train", "test"))
    reader, reader_name = digit_reader(params, layout, device, params.data.digits)
    labels = generators.balanced_labels(name, params.generation.images, EACH)
    system = generators.load(params, layout, device, name, seed)
    images = generators.sample_labels(system, labels, sampling, *sample_names(name, seed))
    read = digit_accuracy(outputs(reader, image_set(images, labels, device)), labels.to(device.kind))
    extractor = digit_extractor(params, layout, device, params.data.digits)
    fake, real = (
        extract(extractor, part, device, layout.features, title)
        for part, title in ((images, "generated digits"), (test.images.cpu().numpy(), "real test digits"))
    )
    comparison = compare(extractor, fake, real)
    places, distances = nearest(torch.from_numpy(images).to(device.kind), train.images)
    _, real_distances = nearest(test.images, train.images)

    of_digit = [np.flatnonzero(labels.numpy() == digit)[:EACH] for digit in range(10)]
    firsts = [indices[0] for indices in of_digit]
    write_tiles(folder / "samples.png", images[np.concatenate(of_digit)], EACH)
    neighbors = train.images[places[firsts]].cpu().numpy()
    write_tiles(folder / "neighbors.png", np.concatenate([images[firsts], neighbors]), len(firsts))
    return {
        "digit_accuracy": read["digit_accuracy"],
        **{key: value for key, value in comparison.items() if key not in ABOUT},
        "nearest_train_rmse": distances.median().item(),
        "nearest_train_rmse_first": distances[firsts].tolist(),
        "nearest_train_rmse_of_real_test_images": real_distances.median().item(),
        "per_digit": read["per_digit"],
        "confusion": read["confusion"],
        "images": len(labels),
        "classifier": reader_name,
        "extractor": [{key: comparison[key] for key in ABOUT}],
        "seed": seed,
        "device": device.about,
    }


@torch.no_grad()
def reverse_process(
    params: Params, layout: Layout, device: Device, labels: Tensor, seed: int
) -> dict[int, NDArray[np.uint8]]:
    """By timestep, what becomes the first of the samples: at evenly spaced timesteps, or those nearest to them."""
    system: Any = generators.load(params, layout, device, "ddpm", seed)
    noise, y, rng = next(generators.noise_parts(system, labels, *sample_names("ddpm", seed)))
    path = {t: generators.to_uint8(x_t[:1])[0] for t, x_t in system.trajectory(noise, y, params.ddpm, rng)}
    timesteps = np.array(list(path))
    wanted = np.linspace(timesteps[0], 0, min(MOMENTS, len(timesteps)))
    return {t: path[t] for t in (int(timesteps[np.abs(timesteps - at).argmin()]) for at in wanted)}


def sample_names(name: str, seed: int) -> tuple[str, ...]:
    """What the noise of the evaluated samples depends on."""
    return (*generators.place_of(name), f"seed {seed}", "samples")


def image_set(images: NDArray[np.uint8], labels: Tensor, device: Device) -> ImageSet:
    return ImageSet(torch.from_numpy(images).to(device.kind), labels.to(device.kind), device)
