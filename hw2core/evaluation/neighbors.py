"""Nearest training images: their distances show whether a generator copies its training set."""

import torch
from torch import Tensor

from hw2core.engine.numerics import exact_sqrt

CHUNK = 200


def nearest(images: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of each image's nearest neighbor in the pool, and the root mean squared error between the two.

    Images are (n, h, w, 3) of bytes. The error is on the scale from 0 to 1.
    """
    indices, distances = [], []
    others = flat(pool)
    lengths = others.square().sum(1)
    for part in images.split(CHUNK):
        mine = flat(part)
        squared = mine.square().sum(1, keepdim=True) - 2 * mine @ others.T + lengths
        least = squared.min(1)
        indices.append(least.indices)
        distances.append(exact_sqrt(least.values.clamp_min(0) / mine.shape[1]))
    return torch.cat(indices), torch.cat(distances)


def flat(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255
