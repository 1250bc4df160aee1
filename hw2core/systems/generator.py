"""The base class of systems that generate images."""

from abc import abstractmethod

import torch
from torch import Tensor

from hw2core.engine.system import System
from hw2core.settings.systems import Sampling


class Generator(System):
    """Generates square RGB images from noise, of a given label if it is conditioned on labels."""

    size: int
    """Pixels a side of the images."""
    latent_shape: tuple[int, ...]
    """The shape of one image's noise."""
    labels: int = 0
    """How many labels it is conditioned on; 0: none."""

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """The noise of `count` images.

        It is drawn on the CPU, so that it is the same on every device, and per image, so that a longer sequence starts
        with the shorter one.
        """
        return torch.stack([torch.randn(self.latent_shape, generator=rng) for _ in range(count)])

    @abstractmethod
    def sample(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images (n, 3, size, size) in [-1, 1] from noise (n, *latent_shape).

        Conditional generators need `labels` (n,). Only diffusion models read `sampling` and draw further noise from
        `rng`. In evaluation mode the same arguments give the same images.
        """


def flip(images: Tensor, flips: str) -> Tensor:
    """Flip each image at random: horizontally, and with "both" vertically too, each with probability 1/2."""
    for axis in {"none": (), "horizontal": (3,), "both": (3, 2)}[flips]:
        chosen = torch.rand((len(images), 1, 1, 1), device=images.device) < 0.5
        images = torch.where(chosen, images.flip(axis), images)
    return images
