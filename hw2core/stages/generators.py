"""Systems that draw images: built from params, filled with the weights that their stage saved.

A generator's name is that of its params' section: dcgan4, vae, ddpm; of ACGAN, which has two, acgan/digits or
acgan/faces.
"""

import importlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw2core.data.batches import ImageSet, resident
from hw2core.data.store import UNKNOWN, open_split, read_about
from hw2core.engine import journal
from hw2core.engine.device import Device
from hw2core.engine.loop import System
from hw2core.engine.randomness import generator
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import FAMILIES, LABELLED, Params, Sampling, Training

CHUNK = 100  # images drawn at once


class Generator(System, Protocol):
    """A system that draws square images."""

    @property
    def size(self) -> int: ...

    def noise(self, count: int, random: torch.Generator, /) -> Tensor: ...


class FaceGenerator(Generator, Protocol):
    """One that draws any face."""

    def sample(self, noise: Tensor) -> Tensor: ...


class LabelledGenerator(Generator, Protocol):
    """One that draws what the labels say."""

    def sample(self, noise: Tensor, labels: Tensor) -> Tensor: ...


@runtime_checkable
class Diffusion(Generator, Protocol):
    """One that does so step by step, in a way that can be chosen."""

    def sample(self, noise: Tensor, labels: Tensor, how: Sampling, random: torch.Generator) -> Tensor: ...

    def trajectory(
        self, noise: Tensor, labels: Tensor, how: Sampling, random: torch.Generator
    ) -> Iterator[tuple[int, Tensor]]: ...


def settings_of(params: Params, name: str) -> Training:
    section, _, item = name.partition("/")
    settings = getattr(params, section)
    found: Training = getattr(settings, item) if item else settings
    return found


def build(params: Params, name: str) -> Generator:
    """An untrained generator: class SnganGp of systems/sngan.py for sngan_gp."""
    section = name.partition("/")[0]
    module = importlib.import_module(f"hw2core.systems.{FAMILIES.get(section, section)}")
    kind = "".join(part.capitalize() for part in section.split("_"))
    system: Generator = getattr(module, kind)(settings_of(params, name))
    return system


def check_gan(params: Params, method: str) -> None:
    if method not in params.gan.methods:
        raise UserError(f"unknown method {method}; gan.methods has: {', '.join(params.gan.methods)}")


def check_item(item: str) -> str:
    """The ACGAN that an item of stage train_acgan names."""
    if f"acgan/{item}" not in LABELLED:
        raise UserError(f"unknown item {item}; there are: digits, faces")
    return f"acgan/{item}"


def place_of(name: str) -> tuple[str, str]:
    """The stage that trains a generator, and its item there."""
    if name in FAMILIES:
        return "train_gan", name
    section, _, item = name.partition("/")
    return f"train_{section}", item or ("digits" if name in LABELLED else "faces")


def dataset_of(params: Params, name: str) -> str:
    """What a generator learns to draw."""
    return params.data.digits if place_of(name)[1] == "digits" else params.data.faces


def read_images(
    params: Params, layout: Layout, device: Device, name: str, split: str, size: int | None = None
) -> ImageSet:
    """A split of what a generator learns to draw, which must be as large as it draws. The labels are those that it
    is asked by: of ACGAN's faces one attribute, where that is known."""
    dataset = dataset_of(params, name)
    images = resident(open_split(layout.ready(dataset), split), device)
    height, width = images.images.shape[1:3]
    if size not in (None, height) or height != width:
        raise UserError(f"{dataset}: its images are {width}x{height}, but params ask for {size}x{size}")
    attribute = getattr(settings_of(params, name), "attribute", None)
    if attribute is None:
        return images
    attributes = read_about(layout.ready(dataset))["attributes"]
    if attribute not in attributes:
        has = ", ".join(attributes) or "none"
        raise UserError(f"acgan.faces.attribute: {dataset} has no {attribute}; it has: {has}")
    labels = images.labels[:, attributes.index(attribute)]
    known = labels != UNKNOWN
    return ImageSet(images.images[known], labels[known], device)


def load(params: Params, layout: Layout, device: Device, name: str, seed: int) -> Generator:
    """A trained generator at its last step."""
    system = build(params, name)
    folder = layout.stage(*place_of(name))
    journal.load_weights(
        system.networks, journal.read_model(folder, f"seed{seed}.last"), folder / "model.safetensors"
    )
    device.place(system.networks)
    system.networks.eval()
    return system


def draw(system: FaceGenerator, count: int, *names: str | int) -> NDArray[np.uint8]:
    """Images (n, h, w, 3) of noise that `names` decide: the first of many are those of few."""
    return np.concatenate(list(draw_parts(system, system.noise(count, generator(*names)))))


@torch.no_grad()
def draw_parts(system: FaceGenerator, noise: Tensor) -> Iterator[NDArray[np.uint8]]:
    for part in noise.split(CHUNK):
        yield pixels(system.sample(part))


@torch.no_grad()
def draw_labelled(
    system: LabelledGenerator | Diffusion, labels: Tensor, how: Sampling, *names: str | int
) -> NDArray[np.uint8]:
    """Images of these labels, of noise that `names` decide; a diffusion model draws them as `how` says."""
    drawn = []
    for noise, wanted, random in parts(system, labels, *names):
        if isinstance(system, Diffusion):
            images = system.sample(noise, wanted, how, random)
        else:
            images = system.sample(noise, wanted)
        drawn.append(pixels(images))
    return np.concatenate(drawn)


@torch.no_grad()
def way(system: Diffusion, labels: Tensor, how: Sampling, *names: str | int) -> dict[int, NDArray[np.uint8]]:
    """Of each time of the way what becomes the first of the images that `draw_labelled` draws."""
    noise, wanted, random = next(parts(system, labels, *names))
    return {time: pixels(x[:1])[0] for time, x in system.trajectory(noise, wanted, how, random)}


def parts(
    system: LabelledGenerator | Diffusion, labels: Tensor, *names: str | int
) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
    """The noise, the labels and what decides later chance, of so many images as are drawn at once."""
    first, later = generator(*names), generator(*names, "on the way")
    device = next(system.networks.parameters()).device
    for part in labels.split(CHUNK):
        yield system.noise(len(part), first).to(device), part.to(device), later


def pixels(images: Tensor) -> NDArray[np.uint8]:
    """Images from -1 to 1 as they are written to files."""
    scaled = images.float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
