"""Generators: built from params, loaded with the weights of their training, and sampled.

A generator's name is that of its section in params: dcgan4, vae, ddpm. ACGAN has two sections, acgan/digits and acgan/faces.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hw2core.engine import journal
from hw2core.engine.batches import ImageSet, resident
from hw2core.engine.device import Device
from hw2core.engine.images import UNKNOWN, find_attribute, missing_attribute, open_split, read_about
from hw2core.engine.randomness import rng_for
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import AUTOENCODERS, CONDITIONAL, GANS
from hw2core.settings.systems import Sampling, Training
from hw2core.systems.generator import Generator

CHUNK = 100  # images that are generated at once


def settings_of(params: Params, name: str) -> Training:
    section, _, item = name.partition("/")
    settings = getattr(params, section)
    found: Training = getattr(settings, item) if item else settings
    return found


def build(params: Params, name: str) -> Generator:
    """An untrained generator: class SnganGp of systems/sngan_gp.py for sngan_gp."""
    section = name.partition("/")[0]
    module = importlib.import_module(f"hw2core.systems.{section}")
    system: Generator = getattr(module, "".join(part.capitalize() for part in section.split("_")))(
        settings_of(params, name)
    )
    return system


def place_of(name: str) -> tuple[str, str]:
    """The stage that trains a generator, and its item there."""
    if name in GANS:
        return "train_gan", name
    if name in AUTOENCODERS:
        return "train_autoencoder", name
    section, _, item = name.partition("/")
    return f"train_{section}", item or "digits"


def check_named(name: str, names: Sequence[str], path: str) -> None:
    if name not in names:
        raise UserError(f"unknown item {name}; {path} has: {', '.join(names)}")


def dataset_of(params: Params, name: str) -> str:
    """The dataset that a generator learns."""
    return params.data.digits if place_of(name)[1] == "digits" else params.data.faces


def read_images(params: Params, layout: Layout, device: Device, name: str, split: str) -> ImageSet:
    """A split of the dataset that a generator learns, with the labels that it is conditioned on. Of ACGAN's faces only
    those are read whose attribute is known."""
    dataset = dataset_of(params, name)
    images = resident(open_split(layout.ready(dataset), split), device)
    attribute = getattr(settings_of(params, name), "attribute", None)
    if attribute is None:
        return images
    attributes = read_about(layout.ready(dataset))["attributes"]
    place = find_attribute(attributes, attribute)
    if place is None:
        raise UserError(missing_attribute(dataset, attribute, attributes))
    labels = images.labels[:, place]
    known = labels != UNKNOWN
    return ImageSet(images.images[known], labels[known], device)


def check_size(images: ImageSet, dataset: str, size: int) -> None:
    height, width = images.images.shape[1:3]
    if (height, width) != (size, size):
        raise UserError(f"{dataset}: its images are {width}x{height}, but params ask for {size}x{size}")


def load(params: Params, layout: Layout, device: Device, name: str, seed: int) -> Generator:
    """A trained generator at its last step."""
    system = build(params, name)
    journal.load_weights(system.networks, layout.model(*place_of(name), seed), "last")
    device.place(system.networks)
    system.networks.eval()
    return system


@torch.no_grad()
def decode(system: Generator, noise: Tensor) -> NDArray[np.uint8]:
    """The images (n, h, w, 3) of latent vectors."""
    with progress(len(noise)) as bar:
        return np.concatenate([counted(bar, to_uint8(system.sample(part))) for part in noise.split(CHUNK)])


def sample(system: Generator, count: int, *names: str | int) -> NDArray[np.uint8]:
    """Images (n, h, w, 3) of noise that depends on `names`. The first of many are those of few."""
    return decode(system, system.noise(count, rng_for(*names)))


@torch.no_grad()
def sample_labels(
    system: Generator, labels: Tensor, sampling: Sampling | None, *names: str | int
) -> NDArray[np.uint8]:
    """Images (n, h, w, 3) of these labels (n,), of noise that depends on `names`."""
    parts = noise_parts(system, labels, *names)
    with progress(len(labels)) as bar:
        return np.concatenate(
            [counted(bar, to_uint8(system.sample(noise, y, sampling, rng))) for noise, y, rng in parts]
        )


def progress(images: int) -> "tqdm[Any]":
    """A bar on a terminal, for the commands of users: a stage's output is a log."""
    return tqdm(total=images, desc="generating", unit="image", leave=False, disable=None)


def counted(bar: "tqdm[Any]", images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bar.update(len(images))
    return images


def noise_parts(
    system: Generator, labels: Tensor, *names: str | int
) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
    """Noise, labels and the rng of later steps, for as many images as are generated at once."""
    rng, later_rng = rng_for(*names), rng_for(*names, "on the way")
    for part in labels.split(CHUNK):
        yield system.noise(len(part), rng).to(system.device), part.to(system.device), later_rng


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Images (n, 3, h, w) from -1 to 1 as bytes (n, h, w, 3)."""
    scaled = images.float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def balanced_labels(name: str, images: int, least: int) -> Tensor:
    """The same number of each label, in order: `images` or a few less in all, but at least `least` of each."""
    labels = CONDITIONAL[name]
    return torch.arange(labels).repeat_interleave(max(least, images // labels))
