"""Batched augmentation on the device: one draw for each image, as a function of the step alone.

`jitter` belongs to a dataset and draws from a generator of its own. `weak` and `strong` belong to a system's
step: they draw from torch's global generator, which the loop seeds before each step.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hw2core.engine.randomness import generator

CONTRAST = 0.5  # least difference of mean between ink and paper, of the 2 between black and white


def jitter(images: Tensor, *names: str | int) -> Tensor:
    """Grey images (n, 3, h, w) from -1 to 1, each in colours of its own: black becomes a random paper, white a
    random ink, lighter or darker than the paper. What R21 found a grey source to need."""
    random = torch.rand((len(images), 3, 2), generator=generator(*names)) * 2 - 1
    ink, paper = random.to(images.device).unbind(-1)
    # Where the two are too alike, take the ink most of the way to black or white, whichever is farther.
    difference = (ink - paper).mean(1, keepdim=True)
    side = torch.where(paper.mean(1, keepdim=True) > 0, -1.0, 1.0)
    ink = torch.where(difference.abs() < CONTRAST, ink / 4 + side * 3 / 4, ink)
    middle, reach = ((ink + paper) / 2)[..., None, None], ((ink - paper) / 2)[..., None, None]
    return torch.addcmul(middle, reach, images)


def unchanged(images: Tensor) -> Tensor:
    return images


def weak(images: Tensor) -> Tensor:
    """Each image slightly turned, slanted, scaled and moved: what another hand might have written."""
    return warp(images, turn=0.15, slant=0.15, scale=0.1, move=0.1)


def strong(images: Tensor) -> Tensor:
    """Each image bent, recoloured and spoilt, so that little but its digit remains."""
    images = recolour(warp(images, turn=0.35, slant=0.3, scale=0.35, move=0.15))
    return cut_out(add_noise(add_clouds(blur_or_sharpen(images)))).clamp(-1, 1)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": unchanged, "weak": weak, "strong": strong}


def draw(images: Tensor, *shape: int, low: float, high: float) -> Tensor:
    """Even random numbers from `low` to `high`, `shape` of them for each image."""
    return torch.empty((len(images), *shape), device=images.device).uniform_(low, high)


def warp(images: Tensor, turn: float, slant: float, scale: float, move: float) -> Tensor:
    """Turn and slant by at most so many radians, scale width and height each by at most 1 + `scale` either
    way, move by at most that share of half the frame. Edges are drawn out to fill the frame."""
    angle = draw(images, low=-turn, high=turn)
    cos, sin = angle.cos(), angle.sin()
    shear = draw(images, low=-slant, high=slant).tan()
    wide, high = draw(images, 2, low=-math.log1p(scale), high=math.log1p(scale)).exp().unbind(1)
    x, y = draw(images, 2, low=-move, high=move).unbind(1)
    rows = [wide * cos, wide * (shear * cos - sin), x, high * sin, high * (shear * sin + cos), y]
    matrices = torch.stack(rows, dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def recolour(images: Tensor) -> Tensor:
    """Each channel by a linear map of its own that keeps it from -1 to 1: fainter, lighter or darker, and as
    likely inverted as not."""
    slope = draw(images, 3, 1, 1, low=0.3, high=1)
    offset = draw(images, 3, 1, 1, low=-1, high=1) * (1 - slope)
    sign = draw(images, 3, 1, 1, low=-1, high=1).sign()
    return torch.addcmul(offset, slope * sign, images)


def blur_or_sharpen(images: Tensor) -> Tensor:
    """Each image some way towards its blurred self, or some way beyond itself from there."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 5, 5)
    blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), kernel, groups=images.shape[1])
    # In mixed precision the convolution gives bfloat16.
    return images.lerp(blurred.to(images), draw(images, 1, 1, 1, low=-0.5, high=1))


def add_clouds(images: Tensor) -> Tensor:
    """A smooth random field of colour on each image, as faint or as thick as chance will have it: backgrounds."""
    coarse = draw(images, images.shape[1], 5, 5, low=-1, high=1)
    clouds = F.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=True)
    return images + clouds * draw(images, 1, 1, 1, low=0, high=0.8)


def add_noise(images: Tensor) -> Tensor:
    return images + torch.randn_like(images) * draw(images, 1, 1, 1, low=0, high=0.2)


def cut_out(images: Tensor) -> Tensor:
    """A rectangle of each image, at most 0.4 of its width and height, painted over in one grey."""
    covers = []
    for size in images.shape[2:]:
        place = (torch.arange(size, device=images.device) + 0.5) / size
        middle, half = draw(images, 1, low=0, high=1), draw(images, 1, low=0, high=0.2)
        covers.append((place - middle).abs() < half)
    cover = covers[0][:, None, :, None] & covers[1][:, None, None, :]
    return torch.where(cover, draw(images, 1, 1, 1, low=-1, high=1), images)
