"""U-Nets for diffusion on 28x28 images: R22's, as printed, and a compact one for CPUs.

They predict (n, 3, 28, 28) from noisy images x_t (n, 3, 28, 28), time steps (n,) and labels (n,). NULL_LABEL stands for
no label, for the unconditional prediction.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NULL_LABEL = -1

# In evaluation mode nn.MultiheadAttention takes a fast path that materializes the attention matrix. It is slower on CPUs,
# more so for larger images.
torch.backends.mha.set_fastpath_enabled(False)


class Embedding(nn.Module):
    """The embedding (n, size) of time steps (n,) plus that of labels (n,); NULL_LABEL adds zero."""

    def __init__(self, labels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.label = nn.Embedding(labels, size)

    def forward(self, t: Tensor, labels: Tensor) -> Tensor:
        labeled = (labels != NULL_LABEL)[:, None]
        return sinusoidal_embedding(t, self.size) + self.label(labels.clamp_min(0)) * labeled


def sinusoidal_embedding(t: Tensor, size: int) -> Tensor:
    """The Transformer's position encoding of time steps (n,): (n, size), with wavelengths from 2 pi to 20000 pi."""
    half = size // 2
    frequencies = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000) / half))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SelfAttention(nn.Module):
    """Self-attention over all pixels with four heads, then a feed-forward layer, both residual with layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)
        self.feed_forward = nn.Sequential(
            *(nn.LayerNorm(channels), nn.Linear(channels, channels)),
            *(nn.GELU(), nn.Linear(channels, channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2).transpose(1, 2)  # (n, h w, channels)
        normed = self.norm(pixels)
        pixels = pixels + self.attention(normed, normed, normed, need_weights=False)[0]
        pixels = pixels + self.feed_forward(pixels)
        return pixels.transpose(1, 2).unflatten(2, x.shape[2:])


# --- R22's --------------------------------------------------------------------------------------------------


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with group norm of one group."""

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


class Level(nn.Module):
    """One resolution on the way down or up: convolutions, the embedding of time and label, self-attention."""

    def __init__(self, inputs: int, outputs: int, embedding: int, middle: int | None = None) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(ResidualDoubleConv(inputs), DoubleConv(inputs, outputs, middle))
        self.embedding = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.attention = SelfAttention(outputs)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = self.convolutions(x) + self.embedding(embedding)[..., None, None]
        y: Tensor = self.attention(x)
        return y


def upsample_bilinear(x: Tensor) -> Tensor:
    """To twice the size, bilinear with aligned corners, as matrix products.

    On GPUs torch's own has no deterministic gradient but a slow one.
    """
    rows, columns = (interpolation_matrix(size, x) for size in x.shape[2:])
    return rows @ x @ columns.T


def interpolation_matrix(size: int, like: Tensor) -> Tensor:
    """The matrix (2 size, size) of linear interpolation with aligned corners."""
    positions = torch.linspace(0, size - 1, 2 * size, device=like.device)
    distance = (positions[:, None] - torch.arange(size, device=like.device)).abs()
    return (1 - distance).clamp_min(0).to(like.dtype)


class R22Unet(nn.Module):
    """R22's conditional U-Net; they use a `width` of 64. It pads 28x28 to 32x32, which can be halved three times."""

    def __init__(self, labels: int, width: int, bottleneck: Callable[[int], nn.Module]) -> None:
        super().__init__()
        w = width
        self.embedding = Embedding(labels, 4 * w)
        self.first = DoubleConv(3, w)
        self.down = nn.ModuleList([Level(i * w, o * w, 4 * w) for i, o in ((1, 2), (2, 4), (4, 4))])
        self.bottleneck = bottleneck(w)
        self.up = nn.ModuleList(
            [Level(i * w, o * w, 4 * w, middle=i * w // 2) for i, o in ((8, 2), (4, 1), (2, 1))]
        )
        self.last = nn.Conv2d(w, 3, 1)

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        embedding = self.embedding(t, labels)
        x = self.first(F.pad(x_t, (2, 2, 2, 2)))
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(F.max_pool2d(x, 2), embedding)
        x = self.bottleneck(x)
        for level in self.up:
            x = level(torch.cat([skips.pop(), upsample_bilinear(x)], dim=1), embedding)
        y: Tensor = self.last(x)
        return y[..., 2:-2, 2:-2]


def r22a(labels: int, width: int) -> nn.Module:
    return R22Unet(
        labels,
        width,
        lambda w: nn.Sequential(DoubleConv(4 * w, 4 * w), DoubleConv(4 * w, 4 * w)),
    )


def r22b(labels: int, width: int) -> nn.Module:
    return R22Unet(
        labels,
        width,
        lambda w: nn.Sequential(DoubleConv(4 * w, 8 * w), DoubleConv(8 * w, 8 * w), DoubleConv(8 * w, 4 * w)),
    )


# --- the compact one ----------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; time and label scale and shift the activations between them."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(group_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.scale_shift = nn.Linear(embedding, 2 * outputs)
        self.norm = group_norm(outputs)
        self.conv1 = nn.Sequential(nn.SiLU(), zero_init(nn.Conv2d(outputs, outputs, 3, padding=1)))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.scale_shift(embedding)[..., None, None].chunk(2, dim=1)
        y: Tensor = torch.addcmul(shift, self.norm(self.conv0(x)), 1 + scale)
        return self.shortcut(x) + self.conv1(y)


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels)


def zero_init(layer: nn.Conv2d) -> nn.Conv2d:
    """Set weights and bias to zero: a residual block starts as the identity."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class CompactUnet(nn.Module):
    """A U-Net at 14x14, to which 2x2 pixels are unshuffled, and at 7x7, with self-attention."""

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        w, e = width, 4 * width
        self.embedding = Embedding(labels, e)
        self.mlp = nn.Sequential(nn.Linear(e, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.first = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, w, 3, padding=1))
        self.down = Block(w, w, e)
        self.downsample = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)
        self.middle0 = Block(2 * w, 2 * w, e)
        self.attention = SelfAttention(2 * w)
        self.middle1 = Block(2 * w, 2 * w, e)
        self.project = nn.Conv2d(2 * w, w, 1)
        self.up = Block(2 * w, w, e)
        self.last = nn.Sequential(
            *(group_norm(w), nn.SiLU(), zero_init(nn.Conv2d(w, 12, 3, padding=1))), nn.PixelShuffle(2)
        )

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        embedding = self.mlp(self.embedding(t, labels))
        skip = self.down(self.first(x_t), embedding)  # (n, w, 14, 14)
        x = self.middle0(self.downsample(skip), embedding)  # (n, 2 w, 7, 7)
        x = self.middle1(self.attention(x), embedding)
        x = F.interpolate(self.project(x), scale_factor=2, mode="nearest")  # (n, w, 14, 14)
        y: Tensor = self.last(self.up(torch.cat([skip, x], dim=1), embedding))
        return y


UNETS: dict[str, Callable[[int, int], nn.Module]] = {"R22a": r22a, "R22b": r22b, "compact": CompactUnet}
"""Each builds a U-Net from the number of labels and the width."""
