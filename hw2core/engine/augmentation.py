"""Batched augmentation on the device, with independent random parameters for each image.

`color_jitter` belongs to a dataset and takes the names of its own random numbers. `weak` and `strong` belong to the
step of a system: they use torch's global generator, which the loop seeds before each step. Both make the batch of a
step reproducible.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hw2core.engine.device import to_device
from hw2core.engine.numerics import constant
from hw2core.engine.randomness import rng_for

MIN_CONTRAST = (
    0.5  # smallest difference of mean brightness between ink and paper; black and white differ by 2
)


def color_jitter(images: Tensor, *names: str | int) -> Tensor:
    """Colorize gray images (n, 3, h, w) from -1 to 1: black becomes a random paper color, white a random ink color.

    The ink may be lighter or darker than the paper. R21 reports that adaptation from a gray source needs this.
    `names` determine the random colors.
    """
    colors = torch.rand((len(images), 3, 2), generator=rng_for(*names)) * 2 - 1
    ink, paper = to_device(colors, images.device).unbind(-1)
    # Where the contrast is too low, move the ink 3/4 of the way to black or white, whichever is farther.
    difference = (ink - paper).mean(1, keepdim=True)
    side = torch.where(paper.mean(1, keepdim=True) > 0, -1.0, 1.0)
    ink = torch.where(difference.abs() < MIN_CONTRAST, ink / 4 + side * 3 / 4, ink)
    center, half_range = ((ink + paper) / 2)[..., None, None], ((ink - paper) / 2)[..., None, None]
    return torch.addcmul(center, half_range, images)


def unchanged(images: Tensor) -> Tensor:
    return images


def weak(images: Tensor) -> Tensor:
    """Small random affine map: rotation, shear, scaling and translation within the variation of handwriting."""
    return warp(images, turn=0.15, slant=0.15, scale=0.1, move=0.1)


def strong(images: Tensor, textures: Tensor | None = None) -> Tensor:
    """Strong random affine map, colors, blur, backgrounds, noise and cutout; the digit stays recognizable.

    The background is a smooth color field or, for half of the images and if there are `textures` (m, 3, h, w), a magnified
    part of one of these.
    """
    images = blur_or_sharpen(recolor(warp(images, turn=0.35, slant=0.3, scale=0.35, move=0.15)))
    backed = add_clouds(images)
    if textures is not None:
        chosen = draw(images, 1, 1, 1, low=0, high=1) < 0.5
        backed = torch.where(chosen, add_texture(images, textures), backed)
    return cut_out(add_noise(backed)).clamp(-1, 1)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": unchanged, "weak": weak, "strong": strong}


def draw(images: Tensor, *shape: int, low: float, high: float) -> Tensor:
    """Uniform random numbers from `low` to `high`, of shape (n, *shape)."""
    return torch.empty((len(images), *shape), device=images.device).uniform_(low, high)


def warp(images: Tensor, turn: float, slant: float, scale: float, move: float) -> Tensor:
    """Random affine map of each image, with border padding.

    Rotate by at most `turn` and shear by at most `slant` radians, scale width and height independently by factors
    from 1 / (1 + scale) to 1 + scale, and translate by at most `move` times half the image size.
    """
    angle = draw(images, low=-turn, high=turn)
    cos, sin = angle.cos(), angle.sin()
    shear = draw(images, low=-slant, high=slant).tan()
    wide, high = draw(images, 2, low=-math.log1p(scale), high=math.log1p(scale)).exp().unbind(1)
    x, y = draw(images, 2, low=-move, high=move).unbind(1)
    matrix = [wide * cos, wide * (shear * cos - sin), x, high * sin, high * (shear * sin + cos), y]
    return affine_map(images, matrix, padding="border")


def affine_map(images: Tensor, matrix: list[Tensor], padding: str) -> Tensor:
    """Map each image by its own matrix, 2 rows of 3; each entry is given for all images, as (n,)."""
    theta = torch.stack(matrix, dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)


def recolor(images: Tensor) -> Tensor:
    """Random linear map of each channel that stays within -1 to 1; it inverts the channel with probability 1/2."""
    slope = draw(images, 3, 1, 1, low=0.3, high=1)
    offset = draw(images, 3, 1, 1, low=-1, high=1) * (1 - slope)
    sign = draw(images, 3, 1, 1, low=-1, high=1).sign()
    return torch.addcmul(offset, slope * sign, images)


def blur_or_sharpen(images: Tensor) -> Tensor:
    """Interpolate each image towards its blurred version, or extrapolate away from it."""
    line = constant((1.0, 4.0, 6.0, 4.0, 1.0), images) / 16
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 5, 5)
    blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), kernel, groups=images.shape[1])
    # In mixed precision the convolution returns bfloat16.
    return images.lerp(blurred.to(images), draw(images, 1, 1, 1, low=-0.5, high=1))


def add_clouds(images: Tensor) -> Tensor:
    """Add a smooth random color field of random strength, as a background."""
    coarse = draw(images, images.shape[1], 5, 5, low=-1, high=1)
    clouds = F.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=True)
    return images + clouds * draw(images, 1, 1, 1, low=0, high=0.8)


def add_texture(images: Tensor, textures: Tensor) -> Tensor:
    """Add a part of a random one of `textures`, rotated and magnified 1.4 to 5 times, of random strength."""
    pieces = textures[torch.randint(len(textures), (len(images),), device=images.device)]
    angle = draw(images, low=-math.pi, high=math.pi)
    size = draw(images, low=math.log(0.2), high=math.log(0.7)).exp()
    cos, sin = size * angle.cos(), size * angle.sin()
    x, y = draw(images, 2, low=-0.5, high=0.5).unbind(1)
    pieces = affine_map(pieces, [cos, -sin, x, sin, cos, y], padding="reflection")
    pieces = pieces - pieces.mean((2, 3), keepdim=True)
    return images + pieces * draw(images, 1, 1, 1, low=0, high=1.2)


def add_noise(images: Tensor) -> Tensor:
    return images + torch.randn_like(images) * draw(images, 1, 1, 1, low=0, high=0.2)


def cut_out(images: Tensor) -> Tensor:
    """Cutout: fill a random rectangle of at most 0.4 of the width and height with a random gray."""
    covers = []
    for size in images.shape[2:]:
        place = (torch.arange(size, device=images.device) + 0.5) / size
        center, half = draw(images, 1, low=0, high=1), draw(images, 1, low=0, high=0.2)
        covers.append((place - center).abs() < half)
    cover = covers[0][:, None, :, None] & covers[1][:, None, None, :]
    return torch.where(cover, draw(images, 1, 1, 1, low=-1, high=1), images)
