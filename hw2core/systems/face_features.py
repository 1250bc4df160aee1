"""A small network that tells faces apart, learnt without labels: its features are what `fid_faces_offline` compares.

Contrastive learning (SimCLR, Chen et al. 2020): of a batch seen twice, each image must find its other view among all.
The views differ in place, light and colour alone. What else a face is made of, blur and noise with it, is what tells
it from others, so that is what the features keep.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.data.augment import draw, warp
from hw2core.params import FaceFeatures as Settings
from hw2core.systems.backbones import OnBackbone, convolution


class FaceFeatures(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        width = settings.width
        self.networks = nn.ModuleDict(
            {
                "extractor": nn.Sequential(
                    *convolution(3, width, size=4, padding=1, stride=2),
                    *convolution(width, 2 * width, size=4, padding=1, stride=2),
                    *convolution(2 * width, 4 * width, size=4, padding=1, stride=2),
                    *convolution(4 * width, 4 * width, size=4, padding=1, stride=2),
                    *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                ),
                "projection": nn.Sequential(
                    nn.Linear(4 * width, 4 * width), nn.ReLU(), nn.Linear(4 * width, 64)
                ),
            }
        )

    def step(self, batch: tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        images, _ = batch
        views = torch.cat([view(images), view(images)])
        codes = F.normalize(self.networks["projection"](self.features(views)).float(), dim=1)
        likeness = codes @ codes.T / self.settings.temperature
        likeness.fill_diagonal_(-torch.inf)  # nobody is looked for in himself
        others = torch.arange(len(views), device=views.device).roll(len(images))
        loss = F.cross_entropy(likeness, others)
        self.optimisers["all"].zero_grad()
        loss.backward()
        self.optimisers["all"].step()
        return {"contrast_loss": loss}


def view(images: Tensor) -> Tensor:
    """Each image slightly moved and turned, perhaps mirrored, in a light of another strength and colour."""
    mirrored = torch.where(draw(images, 1, 1, 1, low=-1, high=1) > 0, images, images.flip(3))
    moved = warp(mirrored, turn=0.1, slant=0.0, scale=0.1, move=0.1)
    return (
        moved * draw(images, 3, 1, 1, low=0.8, high=1.2) + draw(images, 3, 1, 1, low=-0.15, high=0.15)
    ).clamp(-1, 1)
