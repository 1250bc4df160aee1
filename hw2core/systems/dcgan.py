"""DCGAN, the deep convolutional GAN (Radford et al., ICLR 2016), in two printed forms.

`dcgan4` has the 4x4 kernels of R19 and R20, `dcgan5` the 5x5 kernels of R22a's and R22b's method A. The critic
learns to tell real images from the generator's; the generator learns to pass for real. In their printed form the
critics end in a sigmoid, which is in the loss here.
"""

from itertools import pairwise

from torch import Tensor, nn

from hw2core.params import Dcgan as Settings
from hw2core.systems.adversarial import (
    Adversarial,
    accuracies,
    diversity,
    fooling_loss,
    judging_loss,
    zero_centred_penalty,
)
from hw2core.systems.generators import generator5, start_small, widths


def generator4(noise: int, channels: list[int]) -> nn.Module:
    """From noise by one 4x4 kernel to 4x4 pixels, then twice the size a layer."""
    layers: list[nn.Module] = [
        nn.Unflatten(1, (noise, 1, 1)),
        *(nn.ConvTranspose2d(noise, channels[-1], 4, bias=False), nn.BatchNorm2d(channels[-1]), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [grow4(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, grow4(channels[0], 3), nn.Tanh())


def grow4(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def critic4(channels: list[int]) -> nn.Module:
    layers: list[nn.Module] = [shrink4(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        layers += [shrink4(inputs, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, bias=False))


def shrink4(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def critic5(channels: list[int]) -> nn.Module:
    layers: list[nn.Module] = [shrink5(3, channels[0]), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(channels):
        layers += [shrink5(inputs, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4))


def shrink5(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


class Dcgan(Adversarial):
    """The step of both forms."""

    settings: Settings

    def __init__(self, settings: Settings, generator: nn.Module, critic: nn.Module) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict({"generator": generator, "critic": critic})
        start_small(self.networks)

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        real = self.images(batch)
        fake = self.fakes(len(real))

        # Real and fake go through the critic apart: each has batch norm's figures of its own.
        seen = self.seen(real).requires_grad_(self.settings.r1 > 0)
        real_logits, fake_logits = self.verdict(seen), self.verdict(self.seen(fake.detach()))
        critic_loss = judging_loss(real_logits, fake_logits, self.settings.smoothing)
        penalty = zero_centred_penalty(seen, real_logits) if self.settings.r1 else critic_loss.new_zeros(())
        critic_gradient = self.turn("critic", critic_loss + self.settings.r1 / 2 * penalty)

        generator_loss = fooling_loss(self.verdict(self.seen(fake)))
        generator_gradient = self.turn("generator", generator_loss)
        return {
            "critic_loss": critic_loss,
            "generator_loss": generator_loss,
            "r1": penalty,
            **accuracies(real_logits, fake_logits),
            "critic_gradient": critic_gradient,
            "generator_gradient": generator_gradient,
            "diversity": diversity(fake, real),
        }


class Dcgan4(Dcgan):
    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        super().__init__(settings, generator4(settings.noise, channels), critic4(channels))


class Dcgan5(Dcgan):
    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size // 2, settings.width, 8 * settings.width)
        super().__init__(settings, generator5(settings.noise, channels), critic5(channels))
