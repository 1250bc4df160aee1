"""What all systems have that draw images from noise, and the layers and starts that several of them share."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.params import Generator


class FromNoise:
    """A system that draws images. Its batches are those of an image set, of which it reads the images alone."""

    settings: Generator
    networks: nn.ModuleDict

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """What `count` images are drawn from: on the CPU, so that it is the same everywhere, and one by one, so
        that the first of many are those of few."""
        return torch.stack([torch.randn(self.settings.noise, generator=generator) for _ in range(count)])

    @property
    def size(self) -> int:
        """Pixels a side of the images."""
        return self.settings.size

    @property
    def device(self) -> torch.device:
        return next(self.networks.parameters()).device

    def images(self, batch: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """The images of a training batch, mirrored as the params say."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return flip(images, self.settings.flips)


def flip(images: Tensor, flips: str) -> Tensor:
    """Each image as it is or mirrored, by a throw of its own: left and right, and with `both` up and down too."""
    for axis in {"none": (), "horizontal": (3,), "both": (3, 2)}[flips]:
        heads = torch.rand((len(images), 1, 1, 1), device=images.device) < 0.5
        images = torch.where(heads, images.flip(axis), images)
    return images


def widths(size: int, width: int, widest: int) -> list[int]:
    """The channels at `size`, at half of it, and so on down to 4x4: each twice the one before, but never more
    than `widest`. At 32x32 these are 1, 2, 4 and 8 times `width`."""
    return [min(width * 2**i, widest) for i in range(int(math.log2(size)) - 1)]


def grow5(inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    """To twice the size, by a 5x5 kernel."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=bias)


def generator5(noise: int, channels: list[int]) -> nn.Module:
    """R22a's and R22b's generator with 5x5 kernels, from a linear layer on; `channels` as `widths` gives them."""
    deepest = channels[-1]
    layers: list[nn.Module] = [
        *(nn.Linear(noise, deepest * 16, bias=False), nn.BatchNorm1d(deepest * 16), nn.ReLU()),
        nn.Unflatten(1, (deepest, 4, 4)),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [grow5(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, grow5(channels[0], 3, bias=True), nn.Tanh())


def start_small(network: nn.Module) -> None:
    """The weights that the DCGAN paper starts from: N(0, 0.02), and batch norm's scales N(1, 0.02)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.02)


def blur(images: Tensor) -> Tensor:
    """By the kernel [1, 2, 1] / 4 in both directions."""
    line = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 3, 3)
    return F.conv2d(images, kernel, padding=1, groups=images.shape[1])


def upsample(images: Tensor) -> Tensor:
    """To twice the size. Pixels doubled and blurred make the filter [1, 3, 3, 1], which is what bilinear
    interpolation is inside the frame; this way is faster, and deterministic on GPUs."""
    return blur(F.interpolate(images, scale_factor=2))


def downsample(images: Tensor) -> Tensor:
    """To half the size, by the same filter."""
    return F.avg_pool2d(blur(images), 2)
