"""Differentiable augmentation (Zhao et al. 2020) of all images that a discriminator sees, real and fake.

Every image (n, 3, h, w) gets random numbers of its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def uniform(images: Tensor, low: float, high: float) -> Tensor:
    """One random number for each image, (n, 1, 1, 1)."""
    return torch.empty((len(images), 1, 1, 1), device=images.device).uniform_(low, high)


def color(images: Tensor) -> Tensor:
    """Brightness by at most 0.5, then saturation by a factor in [0, 2], then contrast by one in [0.5, 1.5]."""
    images = images + uniform(images, -0.5, 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * uniform(images, 0, 2)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * uniform(images, 0.5, 1.5)


def translation(images: Tensor) -> Tensor:
    """Move by whole pixels, at most an eighth of the size, and fill with gray.

    The move is a product with a shifted identity matrix: as fast as indexing, with a simpler gradient.
    """
    rows, columns = (shift_matrices(images, size) for size in images.shape[2:])
    return rows @ images @ columns.mT


def shift_matrices(images: Tensor, size: int) -> Tensor:
    """A matrix for each image, (n, 1, size, size), that moves rows down by a random number of pixels."""
    reach = size // 8
    move = torch.randint(-reach, reach + 1, (len(images), 1, 1, 1), device=images.device)
    index = torch.arange(size, device=images.device)
    return (index[:, None] == index + move).to(images.dtype)


def cutout(images: Tensor) -> Tensor:
    """Fill a square of half the size, centered anywhere, with gray."""
    inside = []
    for size in images.shape[2:]:
        center = torch.randint(0, size + 1, (len(images), 1), device=images.device)
        index = torch.arange(size, device=images.device)
        inside.append((index >= center - size // 4) & (index < center + size // 4))
    return images * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


DIFFAUGMENT: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
