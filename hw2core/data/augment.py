"""Batched augmentation on the device: one draw for each image, as a function of the step alone."""

import torch
from torch import Tensor

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
