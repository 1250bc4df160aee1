"""StyleGAN2 (Karras et al., CVPR 2020), R21's cited source.

A mapping network turns z into w. In the synthesis network, w modulates the input channels of every convolution's
weights, and demodulation rescales them to unit norm per output channel; noise in every pixel adds stochastic detail; the
image is the sum of the RGB outputs of all sizes. Two regularizers are lazy, computed every few steps only: R1 on the
discriminator, and path length regularization on the generator, which makes a step in w change the image by the same
amount everywhere.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.numerics import exact_sqrt
from hw2core.engine.system import Batch
from hw2core.settings.systems import Stylegan2 as Settings
from hw2core.systems.adversarial import Adversarial, health
from hw2core.systems.layers import blur, downsample, upsample, widths
from hw2core.systems.losses import discriminator_loss, non_saturating_loss, r1_penalty

MAPPING_LR_MULTIPLIER = 0.01
PL_MEAN_DECAY = 0.99  # of the running mean of path lengths


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU that preserves the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Dense(nn.Module):
    """A linear layer with equalized learning rate (Karras et al. 2018).

    Weights start at unit variance and are scaled in the forward pass, so that Adam changes all layers at the same
    relative rate.
    """

    def __init__(self, inputs: int, outputs: int, lr_multiplier: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.scale, self.bias_scale = lr_multiplier / math.sqrt(inputs), lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.bias_scale)


class Conv(nn.Module):
    """A convolution with equalized learning rate."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * size**2), stride, size // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


def modulated_conv(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """Convolve x (n, i, h, w) with weight (o, i, k, k) scaled by style (n, i), then demodulate.

    Scaling inputs and outputs instead of the weights gives the same result with one convolution for the whole batch.
    """
    x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[2] // 2)
    if demodulate:
        squares = style.float().square() @ weight.float().square().sum((2, 3)).T  # (n, o)
        x = x * (squares + 1e-8).rsqrt()[:, :, None, None]
    return x


class Mapping(nn.Module):
    """z (n, latent_dim), normalized, to w (n, latent_dim)."""

    def __init__(self, latent_dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Dense(latent_dim, latent_dim, lr_multiplier=MAPPING_LR_MULTIPLIER) for _ in range(layers)
        )

    def forward(self, z: Tensor) -> Tensor:
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            w = activate(layer(w))
        return w


class StyledConv(nn.Module):
    """A modulated 3x3 convolution with noise; in evaluation mode the noise is constant, so that w alone decides."""

    noise_const: Tensor

    def __init__(self, latent_dim: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.style = Dense(latent_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.scale = 1 / math.sqrt(inputs * 9)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.register_buffer("noise_const", torch.randn(1, 1, size, size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = modulated_conv(x, self.weight * self.scale, self.style(w), demodulate=True)
        noise = self.noise_const
        if self.training:
            noise = torch.randn((len(x), *noise.shape[1:]), device=x.device)
        return activate(x + noise * self.noise_strength + self.bias)


class ToRgb(nn.Module):
    """The RGB output of one size."""

    def __init__(self, latent_dim: int, inputs: int) -> None:
        super().__init__()
        self.style = Dense(latent_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.scale = 1 / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return modulated_conv(x, self.weight * self.scale, self.style(w), demodulate=False) + self.bias


class GeneratorNetwork(nn.Module):
    """Mapping and synthesis. `channels` from the full size down to 4x4; two convolutions per size, one at 4x4."""

    pl_mean: Tensor

    def __init__(self, latent_dim: int, channels: list[int], mapping_layers: int) -> None:
        super().__init__()
        deepest = channels[-1]
        self.mapping = Mapping(latent_dim, mapping_layers)
        self.const = nn.Parameter(torch.randn(1, deepest, 4, 4))
        self.first = StyledConv(latent_dim, deepest, deepest, 4)
        self.conv0, self.conv1 = nn.ModuleList(), nn.ModuleList()
        self.to_rgb = nn.ModuleList([ToRgb(latent_dim, deepest)])
        for level, (inputs, outputs) in enumerate(pairwise(reversed(channels))):
            size = 8 * 2**level
            self.conv0.append(StyledConv(latent_dim, inputs, outputs, size))
            self.conv1.append(StyledConv(latent_dim, outputs, outputs, size))
            self.to_rgb.append(ToRgb(latent_dim, outputs))
        self.register_buffer("pl_mean", torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        return self.synthesize(self.ws(z))

    def ws(self, z: Tensor) -> Tensor:
        """One w for each image and size: (n, sizes, latent_dim)."""
        return self.mapping(z)[:, None].expand(-1, len(self.to_rgb), -1)

    def synthesize(self, ws: Tensor) -> Tensor:
        x = self.first(self.const.expand(len(ws), -1, -1, -1), ws[:, 0])
        rgb = self.to_rgb[0](x, ws[:, 0])
        for level, (conv0, conv1) in enumerate(zip(self.conv0, self.conv1, strict=True), 1):
            w = ws[:, level]
            x = conv1(conv0(upsample(x), w), w)
            rgb = upsample(rgb) + self.to_rgb[level](x, w)
        return rgb


class DownBlock(nn.Module):
    """The discriminator's residual block, to half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3, stride=2)
        self.skip = Conv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        path = activate(self.conv1(blur(activate(self.conv0(x)))))
        return (path + self.skip(downsample(x))) / math.sqrt(2)


class DiscriminatorNetwork(nn.Module):
    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.from_rgb = Conv(3, channels[0], 1)
        self.down = nn.Sequential(*(DownBlock(inputs, outputs) for inputs, outputs in pairwise(channels)))
        self.conv = Conv(last + 1, last, 3)
        self.dense = Dense(last * 16, last)
        self.logit = Dense(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv(minibatch_std(self.down(activate(self.from_rgb(images)))))  # (n, channels, 4, 4)
        logits: Tensor = self.logit(activate(self.dense(activate(x).flatten(1))))
        return logits


def minibatch_std(x: Tensor) -> Tensor:
    """Append a channel with the mean standard deviation over the batch, which reveals mode collapse (Karras et al. 2018)."""
    std = exact_sqrt(x.float().var(0, unbiased=False) + 1e-8).mean().to(x.dtype)
    return torch.cat([x, std.expand(len(x), 1, *x.shape[2:])], dim=1)


def path_lengths(images: Tensor, ws: Tensor) -> Tensor:
    """|J_w^T y| of each image, (n,), where y is a random direction in pixel space."""
    y = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    return exact_sqrt(gradient.float().square().sum(2).mean(1))


class Stylegan2(Adversarial):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        channels = widths(settings.size, settings.width, settings.max_channels)
        generator = GeneratorNetwork(settings.latent_dim, channels, settings.mapping_layers)
        super().__init__(settings, generator, DiscriminatorNetwork(channels))

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        real = self.real(batch)  # (n, 3, size, size)
        fake = self.fake(len(real))  # (n, 3, size, size)

        # A lazy penalty counts as many times as the steps that it stands for, and so does its column: the mean over
        # steps is the penalty.
        penalize = self.settings.r1_gamma > 0 and k % self.settings.r1_every == 0
        seen = self.augment(real).requires_grad_(penalize)
        real_logits = self.discriminate(seen)  # (n,)
        fake_logits = self.discriminate(self.augment(fake.detach()))  # (n,)
        d_loss = discriminator_loss(real_logits, fake_logits)
        r1 = self.settings.r1_every * r1_penalty(seen, real_logits) if penalize else d_loss.new_zeros(())
        d_grad_norm = self.descend("discriminator", d_loss + self.settings.r1_gamma / 2 * r1)

        g_loss = non_saturating_loss(self.discriminate(self.augment(fake)))
        path_length_penalty = g_loss.new_zeros(())
        if self.settings.pl_weight > 0 and k % self.settings.pl_every == 0:
            path_length_penalty = self.settings.pl_every * self.path_length_penalty(max(1, len(real) // 2))
        g_grad_norm = self.descend("generator", g_loss + self.settings.pl_weight * path_length_penalty)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "r1": r1,
            "path_length_penalty": path_length_penalty,
            **health(real, fake, real_logits, fake_logits, d_grad_norm, g_grad_norm),
        }

    def path_length_penalty(self, count: int) -> Tensor:
        """E (|J_w^T y| - a)^2, where a is the running mean of path lengths."""
        generator = self.networks["generator"]
        assert isinstance(generator, GeneratorNetwork)
        ws = generator.ws(torch.randn((count, *self.latent_shape), device=self.device))
        lengths = path_lengths(generator.synthesize(ws), ws)  # (count,)
        mean = lengths.detach().mean().lerp(generator.pl_mean, PL_MEAN_DECAY)
        generator.pl_mean.copy_(mean)
        return (lengths - mean).square().mean()
