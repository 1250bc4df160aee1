"""Whether generated images are copies: how near the nearest training image is, beside the same for real test images."""

import torch
from torch import Tensor

CHUNK = 200


def nearest(images: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """For each image (n, h, w, 3) of bytes the place of the nearest in the pool, and how far that is: the root of the
    mean squared difference of their pixels, from 0 to 1."""
    places, distances = [], []
    others = flat(pool)
    lengths = others.square().sum(1)
    for part in images.split(CHUNK):
        mine = flat(part)
        squared = mine.square().sum(1, keepdim=True) - 2 * mine @ others.T + lengths
        least = squared.min(1)
        places.append(least.indices)
        distances.append((least.values.clamp_min(0) / mine.shape[1]).sqrt())
    return torch.cat(places), torch.cat(distances)


def flat(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255
