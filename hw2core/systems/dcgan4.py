"""DCGAN, the deep convolutional GAN (Radford et al., ICLR 2016), with the 4x4 kernels of R19 and R20.

Its step is that of `NonSaturating`.
"""

from itertools import pairwise

from torch import nn

from hw2core.settings.systems import Dcgan4 as Settings
from hw2core.systems.adversarial import NonSaturating
from hw2core.systems.layers import down4, widths


def generator(latent_dim: int, channels: list[int]) -> nn.Module:
    """z (n, latent_dim) to images (n, 3, size, size): a 4x4 kernel to 4x4 pixels, then twice the size per layer."""
    layers: list[nn.Module] = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, channels[-1], 4, bias=False),
        *(nn.BatchNorm2d(channels[-1]), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [up4(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, up4(channels[0], 3), nn.Tanh())


def up4(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def discriminator(channels: list[int]) -> nn.Module:
    """Images (n, 3, size, size) to logits (n, 1, 1, 1): half the size per layer, then a 4x4 kernel."""
    layers: list[nn.Module] = [down4(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        layers += [down4(inputs, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, bias=False))


class Dcgan4(NonSaturating):
    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        super().__init__(
            settings, generator(settings.latent_dim, channels), discriminator(channels), settings.r1_gamma
        )
