"""SNGAN with the loss of WGAN-GP (Miyato et al., ICLR 2018; Gulrajani et al., NeurIPS 2017): R22b's method B.

The critic has spectral normalization and the gradient penalty, and takes `n_critic` steps to each of the generator's:

    critic       critic(G(z)) - critic(x) + gp_weight (|grad critic(x_hat)| - 1)^2
    generator    -critic(G(z))
"""

from itertools import pairwise

from torch import Tensor, nn

from hw2core.engine.system import Batch
from hw2core.settings.systems import SnganGp as Settings
from hw2core.systems.adversarial import Adversarial, health, midpoint
from hw2core.systems.layers import down4, init_weights, spectrally_normalize, up5, widths
from hw2core.systems.losses import gradient_penalty, wasserstein_loss


def generator(latent_dim: int, channels: list[int]) -> nn.Module:
    """z (n, latent_dim) to images (n, 3, size, size): a 4x4 kernel, then 5x5 kernels, none with a bias."""
    layers: list[nn.Module] = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, channels[-1], 4, bias=False),
        *(nn.BatchNorm2d(channels[-1]), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [up5(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, up5(channels[0], 3), nn.Tanh())


def critic(channels: list[int], size: int) -> nn.Module:
    """Images (n, 3, size, size) to values (n, 1, 1, 1).

    Layer norm, unlike batch norm, keeps images independent of each other, which the gradient penalty requires.
    """
    layers: list[nn.Module] = [down4(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        size //= 2
        norm = nn.LayerNorm([outputs, size // 2, size // 2])
        layers += [down4(inputs, outputs), norm, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, bias=False))


class SnganGp(Adversarial):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        twice = [2 * count for count in channels]
        super().__init__(settings, generator(settings.latent_dim, twice), critic(channels, settings.size))
        init_weights(self.networks)
        spectrally_normalize(self.networks["discriminator"])

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        """The batch is divided among the critic's steps; the generator's has as many images as one of them."""
        for real in self.real(batch).chunk(self.settings.n_critic):  # (n / n_critic, 3, size, size)
            fake = self.fake(len(real)).detach()
            real, fake = self.augment(real), self.augment(fake)
            real_logits, fake_logits = self.discriminate(real), self.discriminate(fake)
            d_loss = wasserstein_loss(real_logits, fake_logits)
            penalty = gradient_penalty(self.discriminate, real, fake)
            d_grad_norm = self.descend("discriminator", d_loss + self.settings.gp_weight * penalty)

        fake = self.fake(len(real))
        g_loss = -self.discriminate(self.augment(fake)).float().mean()
        g_grad_norm = self.descend("generator", g_loss)
        threshold = midpoint(real_logits, fake_logits)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "gradient_penalty": penalty,
            **health(real, fake, real_logits, fake_logits, d_grad_norm, g_grad_norm, threshold),
        }
