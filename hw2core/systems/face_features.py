"""A small contrastive network; `fd_faces` compares its features of faces.

SimCLR (Chen et al. 2020): each image is augmented twice, and each view must identify the other view of its image among
the whole batch. The views differ only in position, lighting and color. The features therefore keep everything else,
blur and noise included.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.augmentation import draw, warp
from hw2core.engine.system import Batch, System
from hw2core.settings.systems import FaceFeatures as Settings


def halve(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


def augment(images: Tensor) -> Tensor:
    """Move and rotate each image slightly, flip it or not, change its brightness and color."""
    flipped = torch.where(draw(images, 1, 1, 1, low=-1, high=1) > 0, images, images.flip(3))
    moved = warp(flipped, turn=0.1, slant=0.0, scale=0.1, move=0.1)
    gain, offset = draw(images, 3, 1, 1, low=0.8, high=1.2), draw(images, 3, 1, 1, low=-0.15, high=0.15)
    return (moved * gain + offset).clamp(-1, 1)


class FaceFeatures(System):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        w = settings.width
        self.networks = nn.ModuleDict(
            {
                "extractor": nn.Sequential(
                    *(*halve(3, w), *halve(w, 2 * w), *halve(2 * w, 4 * w), *halve(4 * w, 4 * w)),
                    *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                ),
                "projection": nn.Sequential(nn.Linear(4 * w, 4 * w), nn.ReLU(), nn.Linear(4 * w, 64)),
            }
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        images = batch[0]  # (n, 3, h, w)
        views = torch.cat([augment(images), augment(images)])  # (2 n, 3, h, w)
        z = F.normalize(self.networks["projection"](self.features(views)).float(), dim=1)  # (2 n, 64)
        similarity = z @ z.T / self.settings.temperature  # (2 n, 2 n)
        similarity.fill_diagonal_(-torch.inf)  # a view is no candidate for itself
        positives = torch.arange(len(views), device=views.device).roll(len(images))
        contrastive_loss = F.cross_entropy(similarity, positives)
        self.descend("all", contrastive_loss)
        return {"contrastive_loss": contrastive_loss}

    def features(self, images: Tensor) -> Tensor:
        """The features (n, 4 width) of images (n, 3, h, w)."""
        features: Tensor = self.networks["extractor"](images)
        return features
