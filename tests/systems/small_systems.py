"""Every system of the registry, small enough for tests: built by the names of its file, class and section."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hw2core.engine.randomness import seed_torch
from hw2core.settings import load_params
from hw2core.settings.registry import ADAPTERS, AUTOENCODERS, GANS
from hw2core.systems.acgan_networks import DESIGNS
from hw2core.systems.backbones import BACKBONES

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
PREDICTORS = ("classifier", *ADAPTERS)
FACE_GENERATORS = (*GANS, *AUTOENCODERS)
ACGANS = tuple(f"acgan/{arch}" for arch in DESIGNS)
ALL = (*PREDICTORS, *FACE_GENERATORS, *ACGANS, "ddpm", "face_features")

SMALL = {
    "steps": 11,
    "batch": 6,
    "lr": 2e-4,
    "discriminator_lr": 3e-4,
    "optimizer": {"betas": (0.5, 0.99), "weight_decay": 0.0},
    "lr_schedule": {"kind": "constant", "warmup_steps": 0},
    "ema_decay": 0.0,
    "size": 32,
    "latent_dim": 7,
    "width": 4,
    "max_channels": 16,
    "generator_width": 4,
    "discriminator_width": 4,
    "diffaugment": ["color", "translation", "cutout"],
    "flips": "horizontal",
    "label_smoothing": 0.1,
    "r1_gamma": 1.0,
    "r1_every": 3,
    "pl_every": 2,
    "n_critic": 2,
    "mapping_layers": 2,
    "depth": 1,
    "domain_losses_from_step": 0,
    "timesteps": 100,
    "guidance_scale": 2.0,
}
"""Values of the keys that a section has; all others are those of params.yaml."""
WIDTHS = {"vae": 16, "ddpm": 8}


def settings(name: str, **changes: Any) -> Any:
    """The section of a system, e.g. of dann, or acgan/R21 for that design."""
    kind, _, arch = name.partition("/")
    section = getattr(PARAMS, kind)
    if arch:
        section = section.faces if DESIGNS[arch].size == 64 else section.digits
        changes = {"arch": arch, **changes}
    small = {key: value for key, value in SMALL.items() if key in type(section).model_fields}
    if kind in WIDTHS:
        small["width"] = WIDTHS[kind]
    return type(section)(**section.model_dump() | small | changes)


def class_of(name: str) -> Any:
    """Class SnganGp of systems/sngan_gp.py for sngan_gp."""
    kind = name.partition("/")[0]
    module = importlib.import_module(f"hw2core.systems.{kind}")
    return getattr(module, "".join(part.capitalize() for part in kind.split("_")))


def build(name: str, *, backbone: str = "R19", seed: int = 0, **changes: Any) -> Any:
    """A system as its training begins."""
    seed_torch("initial weights", seed)
    arguments = (BACKBONES[backbone],) if name in PREDICTORS else ()
    return class_of(name)(settings(name, **changes), *arguments)


def uniform(count: int, size: int, seed: int = 0) -> Tensor:
    """Images (n, 3, size, size) of uniform noise in [-1, 1]."""
    return torch.rand((count, 3, size, size), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def faces(count: int = 6, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random images in [-1, 1], in the memory format of the training loop."""
    images = nn.functional.interpolate(uniform(count, 4, seed), size=size, mode="bilinear")
    return images.to(memory_format=torch.channels_last)


def batch(name: str, seed: int = 0) -> tuple[Tensor, ...]:
    kind, _, arch = name.partition("/")
    if kind in PREDICTORS:
        source, labels, target = uniform(12, 28, seed), torch.arange(12) % 10, uniform(10, 28, seed + 100)
        return (source, labels) if kind == "classifier" else (source, labels, target)
    if arch:
        labels = torch.randint(DESIGNS[arch].labels, (8,), generator=torch.Generator().manual_seed(seed))
        return uniform(8, DESIGNS[arch].size, seed), labels
    return (uniform(6, 28, seed), torch.arange(6)) if kind == "ddpm" else (faces(seed=seed), torch.zeros(6))


def step(system: Any, name: str, k: int) -> dict[str, Tensor]:
    """Step k with its own batch and random numbers."""
    seed_torch("step", k)
    losses: dict[str, Tensor] = system.step(batch(name, k), k)
    return losses


def parameter_counts(system: Any) -> dict[str, int]:
    """The number of parameters of each network; the vectors of spectral normalization are buffers."""
    return {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in system.networks.items()
    }
