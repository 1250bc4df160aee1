"""R3GAN, a modern baseline of GANs (Huang et al., NeurIPS 2024).

Two things replace a bag of tricks. The relativistic loss compares each real image with a fake, so that no mode of
the data can be dropped without being seen; penalties on the critic's gradient at the real images (R1) and at the
fakes (R2) make the game converge. So the networks may be plain residual ones, without any norm of activations: each
block a 1x1 convolution to twice the channels, a grouped 3x3 one, a 1x1 one back, which starts at zero, so that every
block starts as the identity.

    critic:     softplus(C(fake) - C(real)) + r1/2 |dC/dreal|^2 + r1/2 |dC/dfake|^2
    generator:  softplus(C(real) - C(fake))
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from hw2core.params import R3gan as Settings
from hw2core.systems.adversarial import (
    Adversarial,
    accuracies,
    between,
    diversity,
    relativistic_loss,
    zero_centred_penalty,
)
from hw2core.systems.generators import downsample, upsample, widths

GROUP = 16  # channels of one group of the 3x3 convolutions
SLOPE = 0.2


def convolution(inputs: int, outputs: int, size: int = 1, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    """Started so that, but for `gain`, activations keep their variance through it and its leaky ReLU."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)
    deviation = gain * math.sqrt(2 / (1 + SLOPE**2) / (inputs // groups * size**2))
    nn.init.normal_(layer.weight, 0, deviation)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + f(x), f a bottleneck turned inside out. `blocks` is how many the whole network has, by which the start
    of each is damped (Fixup, Zhang et al. 2019)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        inside = 2 * channels
        gain = blocks**-0.25
        back = nn.Conv2d(inside, channels, 1, bias=False)
        nn.init.zeros_(back.weight)
        self.path = nn.Sequential(
            *(convolution(channels, inside, gain=gain), nn.LeakyReLU(SLOPE)),
            *(convolution(inside, inside, 3, max(1, inside // GROUP), gain), nn.LeakyReLU(SLOPE)),
            back,
        )

    def forward(self, images: Tensor) -> Tensor:
        path: Tensor = self.path(images)
        return images + path


class Resize(nn.Module):
    """To twice or half the size, and to the next stage's channels."""

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.project: nn.Module = nn.Identity()
        if inputs != outputs:
            self.project = nn.Conv2d(inputs, outputs, 1, bias=False)
            nn.init.normal_(self.project.weight, 0, inputs**-0.5)

    def forward(self, images: Tensor) -> Tensor:
        # The 1x1 convolution and the filter commute: the order is the cheaper one.
        if self.up:
            return upsample(self.project(images))
        projected: Tensor = self.project(downsample(images))
        return projected


class Basis(nn.Module):
    """4x4 maps, learned, each as strong as a linear layer of the noise says."""

    def __init__(self, noise: int, channels: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, 4, 4))
        self.weights = nn.Linear(noise, channels, bias=False)
        nn.init.normal_(self.weights.weight, 0, noise**-0.5)

    def forward(self, noise: Tensor) -> Tensor:
        return self.maps * self.weights(noise)[:, :, None, None]


def generator(noise: int, channels: list[int], depth: int) -> nn.Module:
    """`channels` from the full size down to 4x4; `depth` blocks at each size."""
    blocks = depth * len(channels)
    layers: list[nn.Module] = [Basis(noise, channels[-1])]
    layers += [Block(channels[-1], blocks) for _ in range(depth)]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [Resize(inputs, outputs, up=True), *(Block(outputs, blocks) for _ in range(depth))]
    return nn.Sequential(*layers, convolution(channels[0], 3))


def critic(channels: list[int], depth: int) -> nn.Module:
    """The generator's mirror: at its end, how much of each learned 4x4 map there is, and their sum."""
    blocks = depth * len(channels)
    layers: list[nn.Module] = [convolution(3, channels[0])]
    layers += [Block(channels[0], blocks) for _ in range(depth)]
    for inputs, outputs in pairwise(channels):
        layers += [Resize(inputs, outputs, up=False), *(Block(outputs, blocks) for _ in range(depth))]
    last = channels[-1]
    maps = nn.Conv2d(last, last, 4, groups=last, bias=False)
    nn.init.normal_(maps.weight, 0, 1 / 4)
    return nn.Sequential(*layers, maps, nn.Flatten(), nn.Linear(last, 1, bias=False))


class R3gan(Adversarial):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        channels = widths(settings.size, settings.width, settings.widest)
        self.networks = nn.ModuleDict(
            {
                "generator": generator(settings.noise, channels, settings.depth),
                "critic": critic(channels, settings.depth),
            }
        )

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        real = self.images(batch)
        fake = self.fakes(len(real))

        seen_real = self.seen(real).requires_grad_()
        seen_fake = self.seen(fake.detach()).requires_grad_()
        real_logits, fake_logits = self.verdict(seen_real), self.verdict(seen_fake)
        critic_loss = relativistic_loss(real_logits, fake_logits)
        r1 = zero_centred_penalty(seen_real, real_logits)
        r2 = zero_centred_penalty(seen_fake, fake_logits)
        critic_gradient = self.turn("critic", critic_loss + self.settings.r1 / 2 * (r1 + r2))

        with torch.no_grad():
            real_logits = self.verdict(self.seen(real))
        generator_loss = relativistic_loss(self.verdict(self.seen(fake)), real_logits)
        generator_gradient = self.turn("generator", generator_loss)
        return {
            "critic_loss": critic_loss,
            "generator_loss": generator_loss,
            "r1": r1,
            "r2": r2,
            **accuracies(real_logits, fake_logits, between(real_logits, fake_logits)),
            "critic_gradient": critic_gradient,
            "generator_gradient": generator_gradient,
            "diversity": diversity(fake, real),
        }
