"""U-Nets that guess the noise in 28x28 images: R22's, as printed, and a compact one for CPUs.

Both take noisy images, their times and their labels; a label of NOBODY asks for a guess that knows no label. What
time and label say is one vector, a sum of two embeddings.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOBODY = -1

# Outside of training torch takes another way through nn.MultiheadAttention, which writes every place's look at every
# other out into memory and is the slower one on CPUs, the more so the larger the picture.
torch.backends.mha.set_fastpath_enabled(False)


class Condition(nn.Module):
    """Time and label as one vector. NOBODY adds nothing to the time."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.label = nn.Embedding(classes, size)

    def forward(self, times: Tensor, labels: Tensor) -> Tensor:
        known = (labels != NOBODY)[:, None]
        return sinusoids(times, self.size) + self.label(labels.clamp_min(0)) * known


def sinusoids(times: Tensor, size: int) -> Tensor:
    """Sines and cosines of the times at wavelengths from 2 pi to 10000 times that."""
    half = size // 2
    rates = torch.exp(torch.arange(half, device=times.device) * (-math.log(10000) / half))
    angles = times[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


# --- R22's --------------------------------------------------------------------------------------------------


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with a group norm of one group."""

    def __init__(self, inputs: int, outputs: int, middle: int | None = None) -> None:
        super().__init__()
        middle = middle or outputs
        self.path = nn.Sequential(
            *(nn.Conv2d(inputs, middle, 3, padding=1, bias=False), nn.GroupNorm(1, middle), nn.GELU()),
            *(nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.GroupNorm(1, outputs)),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return y


class ResidualDoubleConv(DoubleConv):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.path(x))


class Attention(nn.Module):
    """Every place looks at all others, with four heads; then a feed-forward layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.look = nn.MultiheadAttention(channels, 4, batch_first=True)
        self.forth = nn.Sequential(
            *(nn.LayerNorm(channels), nn.Linear(channels, channels)),
            *(nn.GELU(), nn.Linear(channels, channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)
        normed = self.norm(places)
        places = places + self.look(normed, normed, normed, need_weights=False)[0]
        places = places + self.forth(places)
        return places.transpose(1, 2).unflatten(2, x.shape[2:])


class Level(nn.Module):
    """What stands at each resolution on the way down and up: convolutions, time and label, attention."""

    def __init__(self, inputs: int, outputs: int, condition: int, middle: int | None = None) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(ResidualDoubleConv(inputs), DoubleConv(inputs, outputs, middle))
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(condition, outputs))
        self.attention = Attention(outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = self.convolutions(x) + self.condition(condition)[..., None, None]
        y: Tensor = self.attention(x)
        return y


def doubled(x: Tensor) -> Tensor:
    """Bilinear enlargement from corner to corner, as matrix products: torch's own has no gradient on GPUs that
    is the same at every run, but a slow one."""
    rows, columns = (between(size, x) for size in x.shape[2:])
    return rows @ x @ columns.T


def between(size: int, like: Tensor) -> Tensor:
    """The matrix (2 size, size) that reads a line at twice as many even places."""
    places = torch.linspace(0, size - 1, 2 * size, device=like.device)
    distance = (places[:, None] - torch.arange(size, device=like.device)).abs()
    return (1 - distance).clamp_min(0).to(like.dtype)


class Printed(nn.Module):
    """R22's conditional U-Net; `width` 64 is theirs. It halves the image three times, so that 28x28 are worked on
    with two pixels of grey around them."""

    def __init__(self, classes: int, width: int, bottleneck: Callable[[int], nn.Module]) -> None:
        super().__init__()
        w = width
        self.condition = Condition(classes, 4 * w)
        self.first = DoubleConv(3, w)
        self.down = nn.ModuleList([Level(i * w, o * w, 4 * w) for i, o in ((1, 2), (2, 4), (4, 4))])
        self.bottleneck = bottleneck(w)
        self.up = nn.ModuleList(
            [Level(i * w, o * w, 4 * w, middle=i * w // 2) for i, o in ((8, 2), (4, 1), (2, 1))]
        )
        self.last = nn.Conv2d(w, 3, 1)

    def forward(self, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        condition = self.condition(times, labels)
        x = self.first(F.pad(images, (2, 2, 2, 2)))
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(F.max_pool2d(x, 2), condition)
        x = self.bottleneck(x)
        for level in self.up:
            x = level(torch.cat([skips.pop(), doubled(x)], dim=1), condition)
        y: Tensor = self.last(x)
        return y[..., 2:-2, 2:-2]


def r22a(classes: int, width: int) -> nn.Module:
    w = width
    return Printed(classes, w, lambda w: nn.Sequential(DoubleConv(4 * w, 4 * w), DoubleConv(4 * w, 4 * w)))


def r22b(classes: int, width: int) -> nn.Module:
    return Printed(
        classes,
        width,
        lambda w: nn.Sequential(DoubleConv(4 * w, 8 * w), DoubleConv(8 * w, 8 * w), DoubleConv(8 * w, 4 * w)),
    )


# --- the compact one ----------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; time and label scale and shift what is between them."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.before = nn.Sequential(norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.condition = nn.Linear(condition, 2 * outputs)
        self.norm = norm(outputs)
        self.after = nn.Sequential(nn.SiLU(), nothing(nn.Conv2d(outputs, outputs, 3, padding=1)))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition)[..., None, None].chunk(2, dim=1)
        y: Tensor = torch.addcmul(shift, self.norm(self.before(x)), 1 + scale)
        return self.shortcut(x) + self.after(y)


def norm(channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels)


def nothing(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that begins by giving zero: a block is the identity until it has learnt better."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Compact(nn.Module):
    """Squares of 2x2 pixels become one place, so that the widest pictures are 14x14; below, at 7x7, attention."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        w, c = width, 4 * width
        self.embed = Condition(classes, c)
        self.condition = nn.Sequential(nn.Linear(c, c), nn.SiLU(), nn.Linear(c, c), nn.SiLU())
        self.first = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, w, 3, padding=1))
        self.down = Block(w, w, c)
        self.halve = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)
        self.low_in = Block(2 * w, 2 * w, c)
        self.attention = Attention(2 * w)
        self.low_out = Block(2 * w, 2 * w, c)
        self.rise = nn.Conv2d(2 * w, w, 1)
        self.up = Block(2 * w, w, c)
        self.last = nn.Sequential(
            *(norm(w), nn.SiLU(), nothing(nn.Conv2d(w, 12, 3, padding=1))), nn.PixelShuffle(2)
        )

    def forward(self, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        condition = self.condition(self.embed(times, labels))
        wide = self.down(self.first(images), condition)
        low = self.low_in(self.halve(wide), condition)
        low = self.low_out(self.attention(low), condition)
        up = F.interpolate(self.rise(low), scale_factor=2, mode="nearest")
        y: Tensor = self.last(self.up(torch.cat([wide, up], dim=1), condition))
        return y


UNETS: dict[str, Callable[[int, int], nn.Module]] = {"R22a": r22a, "R22b": r22b, "compact": Compact}
