"""StyleGAN2 (Karras et al., CVPR 2020): R21's cited source.

A mapping network turns the noise into a code; the code scales the inputs of every convolution, and demodulation
takes the scale out of its outputs again; noise in every pixel makes what is left to chance. The picture is the sum
of what each size adds to it. Two penalties, taken every few steps only: R1 on the critic, and on the generator
the path length, which asks that a step of the code move the image as far wherever it is taken.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.params import Stylegan2 as Settings
from hw2core.systems.adversarial import (
    Adversarial,
    accuracies,
    diversity,
    fooling_loss,
    judging_loss,
    zero_centred_penalty,
)
from hw2core.systems.generators import blur, downsample, upsample, widths

MAPPING_RATE = 0.01  # the mapping network learns that much slower
PATH_MEMORY = 0.99  # of the mean path length


def activate(values: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance."""
    return F.leaky_relu(values, 0.2) * math.sqrt(2)


class Dense(nn.Module):
    """A linear layer whose weights are near 1 in size and are scaled when used, so that Adam moves all layers at
    one pace (the equalised learning rate of Karras et al. 2018), `rate` times it."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.weight * self.scale, self.bias * self.rate)


class Convolution(nn.Module):
    """The same for a convolution."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * size**2), stride, size // 2

    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.weight * self.scale, self.bias, self.stride, self.padding)


def modulated(images: Tensor, weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """A convolution whose kernel each image scales by its own style, channel by channel, and which, demodulated,
    has unit norm then. Inputs and outputs are scaled in the kernel's stead: the same sum, in one convolution."""
    images = F.conv2d(images * style[:, :, None, None], weight, padding=weight.shape[2] // 2)
    if demodulate:
        squares = style.float().square() @ weight.float().square().sum((2, 3)).T
        images = images * (squares + 1e-8).rsqrt()[:, :, None, None]
    return images


class Mapping(nn.Module):
    """From noise, scaled to the length of a normal sample, to a code as long."""

    def __init__(self, code: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Dense(code, code, rate=MAPPING_RATE) for _ in range(depth))

    def forward(self, noise: Tensor) -> Tensor:
        code = noise * (noise.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            code = activate(layer(code))
        return code


class Styled(nn.Module):
    """A modulated convolution with noise. In evaluation mode the noise stands still, so that an image depends on
    its code alone."""

    still: Tensor

    def __init__(self, code: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.style = Dense(code, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.scale = 1 / math.sqrt(inputs * 9)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.register_buffer("still", torch.randn(1, 1, size, size))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        images = modulated(images, self.weight * self.scale, self.style(code), demodulate=True)
        noise = self.still
        if self.training:
            noise = torch.randn((len(images), *noise.shape[1:]), device=images.device)
        return activate(images + noise * self.strength + self.bias)


class ToRgb(nn.Module):
    """What one size adds to the picture."""

    def __init__(self, code: int, inputs: int) -> None:
        super().__init__()
        self.style = Dense(code, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.scale = 1 / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return modulated(images, self.weight * self.scale, self.style(code), demodulate=False) + self.bias


class Generator(nn.Module):
    """`channels` from the full size down to 4x4. At each size but the first two convolutions, then to RGB."""

    path_mean: Tensor

    def __init__(self, code: int, channels: list[int], mapping: int) -> None:
        super().__init__()
        deepest = channels[-1]
        self.mapping = Mapping(code, mapping)
        self.constant = nn.Parameter(torch.randn(1, deepest, 4, 4))
        self.first = Styled(code, deepest, deepest, 4)
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        self.to_rgb = nn.ModuleList([ToRgb(code, deepest)])
        for level, (inputs, outputs) in enumerate(pairwise(reversed(channels))):
            size = 8 * 2**level
            self.before.append(Styled(code, inputs, outputs, size))
            self.after.append(Styled(code, outputs, outputs, size))
            self.to_rgb.append(ToRgb(code, outputs))
        self.register_buffer("path_mean", torch.zeros(()))

    def forward(self, noise: Tensor) -> Tensor:
        return self.draw(self.codes(noise))

    def codes(self, noise: Tensor) -> Tensor:
        """A code for each image and size: (n, sizes, code)."""
        return self.mapping(noise)[:, None].expand(-1, len(self.to_rgb), -1)

    def draw(self, codes: Tensor) -> Tensor:
        images = self.first(self.constant.expand(len(codes), -1, -1, -1), codes[:, 0])
        picture = self.to_rgb[0](images, codes[:, 0])
        for level, (before, after) in enumerate(zip(self.before, self.after, strict=True), 1):
            code = codes[:, level]
            images = after(before(upsample(images), code), code)
            picture = upsample(picture) + self.to_rgb[level](images, code)
        return picture


class Down(nn.Module):
    """The critic's residual block, to half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Convolution(inputs, inputs, 3)
        self.second = Convolution(inputs, outputs, 3, stride=2)
        self.skip = Convolution(inputs, outputs, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        path = activate(self.second(blur(activate(self.first(images)))))
        return (path + self.skip(downsample(images))) / math.sqrt(2)


class Critic(nn.Module):
    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.from_rgb = Convolution(3, channels[0], 1)
        self.down = nn.Sequential(*(Down(inputs, outputs) for inputs, outputs in pairwise(channels)))
        self.last = Convolution(last + 1, last, 3)
        self.dense = Dense(last * 16, last)
        self.logit = Dense(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        images = self.last(with_spread(self.down(activate(self.from_rgb(images)))))
        logits: Tensor = self.logit(activate(self.dense(activate(images).flatten(1))))
        return logits


def with_spread(images: Tensor) -> Tensor:
    """One more channel, the mean standard deviation over the batch: a generator that draws the same image over and
    over is told by it (Karras et al. 2018)."""
    spread = (images.float().var(0, unbiased=False) + 1e-8).sqrt().mean().to(images.dtype)
    return torch.cat([images, spread.expand(len(images), 1, *images.shape[2:])], dim=1)


def path_lengths(images: Tensor, codes: Tensor) -> Tensor:
    """How far each image moves, in a random direction of the pixels, for a step of its codes."""
    direction = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * direction).sum(), codes, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()


class Stylegan2(Adversarial):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        channels = widths(settings.size, settings.width, settings.widest)
        self.networks = nn.ModuleDict(
            {"generator": Generator(settings.noise, channels, settings.mapping), "critic": Critic(channels)}
        )

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        real = self.images(batch)
        fake = self.fakes(len(real))
        penalise = self.settings.r1 > 0 and k % self.settings.r1_every == 0
        seen = self.seen(real).requires_grad_(penalise)
        real_logits, fake_logits = self.verdict(seen), self.verdict(self.seen(fake.detach()))
        critic_loss = judging_loss(real_logits, fake_logits)
        r1 = critic_loss.new_zeros(())
        if penalise:
            r1 = self.settings.r1_every * zero_centred_penalty(seen, real_logits)
        critic_gradient = self.turn("critic", critic_loss + self.settings.r1 / 2 * r1)

        generator_loss = fooling_loss(self.verdict(self.seen(fake)))
        path = critic_loss.new_zeros(())
        if self.settings.path > 0 and k % self.settings.path_every == 0:
            path = self.settings.path_every * self.path_penalty(max(1, len(real) // 2))
        generator_gradient = self.turn("generator", generator_loss + self.settings.path * path)
        return {
            "critic_loss": critic_loss,
            "generator_loss": generator_loss,
            # Taken every few steps, and so many times as strong: their means over steps are the penalties' own.
            "r1": r1,
            "path": path,
            **accuracies(real_logits, fake_logits),
            "critic_gradient": critic_gradient,
            "generator_gradient": generator_gradient,
            "diversity": diversity(fake, real),
        }

    def path_penalty(self, count: int) -> Tensor:
        """How far the path lengths are from their running mean."""
        generator = self.networks["generator"]
        assert isinstance(generator, Generator)
        codes = generator.codes(torch.randn((count, self.settings.noise), device=self.device))
        lengths = path_lengths(generator.draw(codes), codes)
        mean = lengths.detach().mean().lerp(generator.path_mean, PATH_MEMORY)
        generator.path_mean.copy_(mean)
        return (lengths - mean).square().mean()
