"""R3GAN, a modern GAN baseline (Huang et al., NeurIPS 2024).

The relativistic loss compares each real image with a fake one, which prevents mode dropping; gradient penalties at real
(R1) and fake images (R2) make training converge. The networks are residual without any normalization: each block is a
1x1 convolution to twice the channels, a grouped 3x3 one, and a 1x1 one back. The last starts at zero, so that every
block starts as the identity.

    discriminator    softplus(D(G(z)) - D(x)) + r1_gamma/2 |dD/dx|^2 + r1_gamma/2 |dD/dG(z)|^2
    generator        softplus(D(x) - D(G(z)))
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from hw2core.engine.system import Batch
from hw2core.settings.systems import R3gan as Settings
from hw2core.systems.adversarial import Adversarial, health, midpoint
from hw2core.systems.layers import downsample, upsample, widths
from hw2core.systems.losses import r1_penalty, relativistic_loss

GROUP_SIZE = 16  # channels per group of the 3x3 convolutions
SLOPE = 0.2


def conv(inputs: int, outputs: int, size: int = 1, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    """A convolution with He initialization for leaky ReLU, times `gain`."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)
    std = gain * math.sqrt(2 / (1 + SLOPE**2) / (inputs // groups * size**2))
    nn.init.normal_(layer.weight, 0, std)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + f(x), f an inverted bottleneck. `blocks` is the network's number of blocks (Fixup, Zhang et al. 2019)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        inner = 2 * channels
        gain = blocks**-0.25
        last = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.path = nn.Sequential(
            *(conv(channels, inner, gain=gain), nn.LeakyReLU(SLOPE)),
            *(conv(inner, inner, 3, max(1, inner // GROUP_SIZE), gain), nn.LeakyReLU(SLOPE)),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        path: Tensor = self.path(x)
        return x + path


class Resize(nn.Module):
    """To twice or half the size, and to the next stage's channels."""

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.project: nn.Module = nn.Identity()
        if inputs != outputs:
            self.project = nn.Conv2d(inputs, outputs, 1, bias=False)
            nn.init.normal_(self.project.weight, 0, inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        # The 1x1 convolution and the filter commute: it runs at the smaller size.
        if self.up:
            return upsample(self.project(x))
        projected: Tensor = self.project(downsample(x))
        return projected


class Basis(nn.Module):
    """Learned 4x4 maps, scaled by a linear layer of z (n, latent_dim)."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, 4, 4))
        self.weights = nn.Linear(latent_dim, channels, bias=False)
        nn.init.normal_(self.weights.weight, 0, latent_dim**-0.5)

    def forward(self, z: Tensor) -> Tensor:
        return self.maps * self.weights(z)[:, :, None, None]


def generator(latent_dim: int, channels: list[int], depth: int) -> nn.Module:
    """z (n, latent_dim) to images; `channels` from the full size down to 4x4, `depth` blocks at each size."""
    blocks = depth * len(channels)
    layers: list[nn.Module] = [Basis(latent_dim, channels[-1])]
    layers += [Block(channels[-1], blocks) for _ in range(depth)]
    for inputs, outputs in pairwise(reversed(channels)):
        layers += [Resize(inputs, outputs, up=True), *(Block(outputs, blocks) for _ in range(depth))]
    return nn.Sequential(*layers, conv(channels[0], 3))


def discriminator(channels: list[int], depth: int) -> nn.Module:
    """Images to logits (n, 1): the generator mirrored, with a product with learned 4x4 maps and a sum at its end."""
    blocks = depth * len(channels)
    layers: list[nn.Module] = [conv(3, channels[0])]
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
        channels = widths(settings.size, settings.width, settings.max_channels)
        super().__init__(
            settings,
            generator(settings.latent_dim, channels, settings.depth),
            discriminator(channels, settings.depth),
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        real = self.real(batch)  # (n, 3, size, size)
        fake = self.fake(len(real))  # (n, 3, size, size)

        seen_real = self.augment(real).requires_grad_()
        seen_fake = self.augment(fake.detach()).requires_grad_()
        real_logits, fake_logits = self.discriminate(seen_real), self.discriminate(seen_fake)  # (n,), (n,)
        d_loss = relativistic_loss(real_logits, fake_logits)
        r1 = r1_penalty(seen_real, real_logits)
        r2 = r1_penalty(seen_fake, fake_logits)
        d_grad_norm = self.descend("discriminator", d_loss + self.settings.r1_gamma / 2 * (r1 + r2))

        with torch.no_grad():
            real_logits = self.discriminate(self.augment(real))
        g_loss = relativistic_loss(self.discriminate(self.augment(fake)), real_logits)
        g_grad_norm = self.descend("generator", g_loss)
        threshold = midpoint(real_logits, fake_logits)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "r1": r1,
            "r2": r2,
            **health(real, fake, real_logits, fake_logits, d_grad_norm, g_grad_norm, threshold),
        }
