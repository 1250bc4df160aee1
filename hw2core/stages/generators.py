"""Systems that draw images: built from params, filled with the weights that their stage saved."""

import importlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.device import Device
from hw2core.engine.loop import System
from hw2core.engine.randomness import generator
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import FAMILIES, Params

CHUNK = 100  # images drawn at once


class FaceGenerator(System, Protocol):
    """A system that draws faces."""

    def noise(self, count: int, generator: torch.Generator) -> Tensor: ...

    def sample(self, noise: Tensor) -> Tensor: ...


def build(params: Params, name: str) -> FaceGenerator:
    """An untrained generator: class SnganGp of systems/sngan.py for sngan_gp."""
    module = importlib.import_module(f"hw2core.systems.{FAMILIES.get(name, name)}")
    kind = "".join(part.capitalize() for part in name.split("_"))
    system: FaceGenerator = getattr(module, kind)(getattr(params, name))
    return system


def check_gan(params: Params, method: str) -> None:
    if method not in params.gan.methods:
        raise UserError(f"unknown method {method}; gan.methods has: {', '.join(params.gan.methods)}")


def place_of(name: str) -> tuple[str, str]:
    """The stage that trains a generator, and its item there."""
    return ("train_gan", name) if name in FAMILIES else (f"train_{name}", "faces")


def load(params: Params, layout: Layout, device: Device, name: str, seed: int) -> FaceGenerator:
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


def pixels(images: Tensor) -> NDArray[np.uint8]:
    """Images from -1 to 1 as they are written to files."""
    scaled = images.float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
