"""SNGAN, spectral normalisation (Miyato et al., ICLR 2018), in two printed forms.

Every weight of the critic is divided by its largest singular value, so that no layer can stretch a difference by
more than its kernel allows: the critic stays smooth, and the generator gets a gradient it can follow. `sngan` is
R22a's method B, DCGAN's networks and loss with that norm in batch norm's stead. `sngan_gp` is R22b's method B:
the Wasserstein loss with a gradient penalty (Gulrajani et al. 2017) on top, and several critic's turns to each of
the generator's.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hw2core.params import Sngan as SnganSettings
from hw2core.params import SnganGp as SnganGpSettings
from hw2core.systems.adversarial import (
    Adversarial,
    accuracies,
    between,
    diversity,
    fooling_loss,
    judging_loss,
    one_centred_penalty,
    wasserstein_loss,
)
from hw2core.systems.generators import generator5, grow5, start_small, widths


def critic5(channels: list[int]) -> nn.Module:
    """R22a's: 5x5 kernels, no norm of activations."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([3, *channels]):
        layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4))


def generator_gp(noise: int, channels: list[int]) -> nn.Module:
    """R22b's: one 4x4 kernel from the noise, then 5x5 kernels, none with a bias."""
    layers: list[nn.Module] = [
        nn.Unflatten(1, (noise, 1, 1)),
        *(nn.ConvTranspose2d(noise, channels[-1], 4, bias=False), nn.BatchNorm2d(channels[-1]), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [grow5(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, grow5(channels[0], 3), nn.Tanh())


def critic_gp(channels: list[int], size: int) -> nn.Module:
    """R22b's: layer norm, which looks at each image alone, as the gradient penalty needs it."""
    layers: list[nn.Module] = [shrink4(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        size //= 2
        layers += [
            shrink4(inputs, outputs),
            nn.LayerNorm([outputs, size // 2, size // 2]),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, bias=False))


def shrink4(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def normalise(critic: nn.Module) -> None:
    """Spectral normalisation of every weight layer."""
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer)


class Sngan(Adversarial):
    settings: SnganSettings

    def __init__(self, settings: SnganSettings) -> None:
        self.settings = settings
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        self.networks = nn.ModuleDict(
            {"generator": generator5(settings.noise, channels), "critic": critic5(channels)}
        )
        start_small(self.networks)
        normalise(self.networks["critic"])

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        real = self.images(batch)
        fake = self.fakes(len(real))
        real_logits = self.verdict(self.seen(real))
        fake_logits = self.verdict(self.seen(fake.detach()))
        critic_loss = judging_loss(real_logits, fake_logits, self.settings.smoothing)
        critic_gradient = self.turn("critic", critic_loss)

        generator_loss = fooling_loss(self.verdict(self.seen(fake)))
        generator_gradient = self.turn("generator", generator_loss)
        return {
            "critic_loss": critic_loss,
            "generator_loss": generator_loss,
            **accuracies(real_logits, fake_logits),
            "critic_gradient": critic_gradient,
            "generator_gradient": generator_gradient,
            "diversity": diversity(fake, real),
        }


class SnganGp(Adversarial):
    settings: SnganGpSettings

    def __init__(self, settings: SnganGpSettings) -> None:
        self.settings = settings
        narrow = widths(settings.size // 2, settings.width, 8 * settings.width)
        wide = [2 * channels for channels in narrow]
        self.networks = nn.ModuleDict(
            {"generator": generator_gp(settings.noise, wide), "critic": critic_gp(narrow, settings.size)}
        )
        start_small(self.networks)
        normalise(self.networks["critic"])

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        """The batch is shared out among the critic's turns; the generator draws as many as one of them had."""
        for real in self.images(batch).chunk(self.settings.critic_turns):
            fake = self.fakes(len(real)).detach()
            real, fake = self.seen(real), self.seen(fake)
            real_logits, fake_logits = self.verdict(real), self.verdict(fake)
            critic_loss = wasserstein_loss(real_logits, fake_logits)
            penalty = one_centred_penalty(self.verdict, real, fake)
            critic_gradient = self.turn("critic", critic_loss + self.settings.penalty * penalty)

        fake = self.fakes(len(real))
        generator_loss = -self.verdict(self.seen(fake)).float().mean()
        generator_gradient = self.turn("generator", generator_loss)
        return {
            "critic_loss": critic_loss,
            "generator_loss": generator_loss,
            "penalty": penalty,
            **accuracies(real_logits, fake_logits, between(real_logits, fake_logits)),
            "critic_gradient": critic_gradient,
            "generator_gradient": generator_gradient,
            "diversity": diversity(fake, real),
        }
