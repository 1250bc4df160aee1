"""Layers and initial weights that several GANs share."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from hw2core.engine.numerics import constant


def widths(size: int, width: int, max_channels: int) -> list[int]:
    """The channels at `size`, `size` / 2 and so on down to 4x4: `width`, doubled at each half, at most `max_channels`."""
    return [min(width * 2**i, max_channels) for i in range(int(math.log2(size)) - 1)]


def up5(inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    """A 5x5 transposed convolution to twice the size."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=bias)


def down4(inputs: int, outputs: int) -> nn.Module:
    """A 4x4 convolution to half the size."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def down5(inputs: int, outputs: int) -> nn.Module:
    """A 5x5 convolution to half the size."""
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def generator5(latent_dim: int, channels: list[int]) -> nn.Module:
    """R22a's and R22b's generator: a linear layer to 4x4, then 5x5 kernels. `widths` gives the channels."""
    deepest = channels[-1]
    layers: list[nn.Module] = [
        *(nn.Linear(latent_dim, deepest * 16, bias=False), nn.BatchNorm1d(deepest * 16), nn.ReLU()),
        nn.Unflatten(1, (deepest, 4, 4)),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [up5(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, up5(channels[0], 3, bias=True), nn.Tanh())


def init_weights(network: nn.Module) -> None:
    """The initial weights of the DCGAN paper: N(0, 0.02), and N(1, 0.02) for the scales of batch norm."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.02)


def spectrally_normalize(network: nn.Module) -> None:
    """Apply spectral normalization to every convolution."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer)


def blur(images: Tensor) -> Tensor:
    """Filter with [1, 2, 1] / 4 in both directions."""
    line = constant((0.25, 0.5, 0.25), images)
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 3, 3)
    return F.conv2d(images, kernel, padding=1, groups=images.shape[1])


def upsample(images: Tensor) -> Tensor:
    """To twice the size with the filter [1, 3, 3, 1], which equals bilinear interpolation except at the border.

    Repeating pixels and blurring is faster than torch's bilinear interpolation, and deterministic on GPUs.
    """
    return blur(F.interpolate(images, scale_factor=2))


def downsample(images: Tensor) -> Tensor:
    """To half the size with the same filter."""
    return F.avg_pool2d(blur(images), 2)
