"""SNGAN, spectral normalization (Miyato et al., ICLR 2018): R22a's method B.

Every weight of the discriminator is divided by its largest singular value, which bounds the discriminator's Lipschitz
constant and keeps its gradient useful to the generator. Apart from that, the networks are those of `dcgan5` without
batch norm in the discriminator, and the step is that of `NonSaturating`.
"""

from itertools import pairwise

from torch import nn

from hw2core.settings.systems import Sngan as Settings
from hw2core.systems.adversarial import NonSaturating
from hw2core.systems.layers import down5, generator5, spectrally_normalize, widths


def discriminator(channels: list[int]) -> nn.Module:
    """Images (n, 3, size, size) to logits (n, 1, 1, 1), by 5x5 kernels, without normalization of activations."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([3, *channels]):
        layers += [down5(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4))


class Sngan(NonSaturating):
    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        super().__init__(settings, generator5(settings.latent_dim, channels), discriminator(channels))
        spectrally_normalize(self.networks["discriminator"])
