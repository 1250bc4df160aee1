"""Every system that draws images, with networks small enough for tests."""

from typing import Any

import torch
from torch import Tensor

from hw2core.engine.randomness import seed_torch
from hw2core.params import Dcgan as DcganSettings
from hw2core.params import R3gan as R3ganSettings
from hw2core.params import Sngan as SnganSettings
from hw2core.params import SnganGp as SnganGpSettings
from hw2core.params import Stylegan2 as Stylegan2Settings
from hw2core.params import Vae as VaeSettings
from hw2core.systems.dcgan import Dcgan4, Dcgan5
from hw2core.systems.r3gan import R3gan
from hw2core.systems.sngan import Sngan, SnganGp
from hw2core.systems.stylegan2 import Stylegan2
from hw2core.systems.vae import Vae

ALL = {
    "steps": 11,
    "batch": 6,
    "lr": 2e-4,
    "beta1": 0.5,
    "beta2": 0.99,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0,
    "ema": 0.0,
    "size": 32,
    "noise": 7,
    "width": 4,
    "flips": "horizontal",
}
GAN = {**ALL, "critic_lr": 3e-4, "augment": ["colour", "translation", "cutout"]}
SYSTEMS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "dcgan4": (Dcgan4, DcganSettings, {**GAN, "smoothing": 0.1, "r1": 1.0}),
    "dcgan5": (Dcgan5, DcganSettings, {**GAN, "smoothing": 0.0, "r1": 0.0}),
    "sngan": (Sngan, SnganSettings, {**GAN, "smoothing": 0.1}),
    "sngan_gp": (SnganGp, SnganGpSettings, {**GAN, "penalty": 10.0, "critic_turns": 2}),
    "stylegan2": (
        Stylegan2,
        Stylegan2Settings,
        {**GAN, "widest": 16, "mapping": 2, "r1": 1.0, "r1_every": 3, "path": 2.0, "path_every": 2},
    ),
    "r3gan": (R3gan, R3ganSettings, {**GAN, "widest": 16, "depth": 1, "r1": 1.0}),
    "vae": (Vae, VaeSettings, {**ALL, "width": 16, "kl": 1e-4}),
}
GANS = [name for name, (_, settings, _) in SYSTEMS.items() if "critic_lr" in settings.model_fields]


def settings(name: str, **changes: Any) -> Any:
    _, section, values = SYSTEMS[name]
    return section(**values | changes)


def build(name: str, **changes: Any) -> Any:
    """A system as its training begins."""
    seed_torch("initial weights")
    return SYSTEMS[name][0](settings(name, **changes))


def faces(count: int = 6, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random images from -1 to 1, laid out as the loop has them."""
    coarse = torch.rand((count, 3, 4, 4), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").to(
        memory_format=torch.channels_last
    )


def counts(system: Any) -> dict[str, int]:
    """How many weights each network has; spectral norm's vectors are no weights."""
    return {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in system.networks.items()
    }
