"""DCGAN, the deep convolutional GAN (Radford et al., ICLR 2016), with the 5x5 kernels of R22a's and R22b's method A.

Its step is that of `NonSaturating`.
"""

from itertools import pairwise

from torch import nn

from hw2core.settings.systems import Dcgan5 as Settings
from hw2core.systems.adversarial import NonSaturating
from hw2core.systems.layers import down5, generator5, widths


def discriminator(channels: list[int]) -> nn.Module:
    """Images (n, 3, size, size) to logits (n, 1, 1, 1): half the size per layer, then a 4x4 kernel."""
    layers: list[nn.Module] = [down5(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        layers += [down5(inputs, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4))


class Dcgan5(NonSaturating):
    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        super().__init__(
            settings, generator5(settings.latent_dim, channels), discriminator(channels), settings.r1_gamma
        )
