"""The backbones of domain adaptation, which the bounds and all methods share, and gradient reversal.

A backbone is an extractor, a label head and a domain head for 28x28 RGB images in [-1, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 10
SOURCE, TARGET = 0, 1  # the labels of the domains


@dataclass(frozen=True)
class Backbone:
    """Each function builds a new network with random weights."""

    features: int
    extractor: Callable[[], nn.Module]
    """Images (n, 3, 28, 28) to (n, features)."""
    label_head: Callable[[], nn.Module]
    """(n, features) to class logits (n, 10)."""
    domain_head: Callable[[], nn.Module]
    """(n, features) to domain logits (n, 2)."""


def conv(
    inputs: int, outputs: int, size: int = 3, padding: int = 0, stride: int = 1
) -> tuple[nn.Module, ...]:
    """A convolution, batch norm and a ReLU."""
    return (
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the size or the channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *conv(inputs, outputs, padding=1, stride=stride),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.path(images) + self.shortcut(images))


class BinaryToTwoLogits(nn.Module):
    """Turns a sigmoid's logit (n, 1) into two logits (n, 2), 0 and itself, with the same probabilities."""

    def forward(self, logits: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(logits), logits], dim=1)


class GradientReversal(torch.autograd.Function):
    """The identity in the forward pass; multiplies the gradient by -lambda_p in the backward pass (Ganin et al. 2016)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, lambda_p: float) -> Tensor:
        ctx.lambda_p = lambda_p
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.lambda_p * gradients[0], None


# R19's network: two 5x5 convolutions, no dropout in the extractor.
R19 = Backbone(
    features=768,
    extractor=lambda: nn.Sequential(
        *(*conv(3, 32, size=5), nn.MaxPool2d(2)),
        *(*conv(32, 48, size=5), nn.MaxPool2d(2)),
        nn.Flatten(),
    ),
    label_head=lambda: nn.Sequential(
        *(nn.Linear(768, 100), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(100, 100), nn.BatchNorm1d(100), nn.ReLU()),
        nn.Linear(100, CLASSES),
    ),
    domain_head=lambda: nn.Sequential(nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 2)),
)

# R20's network: five 3x3 convolutions at full size, then global average pooling.
R20 = Backbone(
    features=512,
    extractor=lambda: nn.Sequential(
        *conv(3, 64, padding=1),
        *conv(64, 128, padding=1),
        *conv(128, 256, padding=1),
        *conv(256, 256, padding=1),
        *conv(256, 512, padding=1),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    label_head=lambda: nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, CLASSES)),
    domain_head=lambda: nn.Sequential(
        *(nn.Linear(512, 256), nn.LeakyReLU(0.2)),
        *(nn.Linear(256, 128), nn.LeakyReLU(0.2)),
        *(nn.Linear(128, 1), BinaryToTwoLogits()),
    ),
)

# R21's and R22b's network, similar to VGG: five 3x3 convolutions, the first two followed by pooling.
R21 = Backbone(
    features=512,
    extractor=lambda: nn.Sequential(
        *(*conv(3, 64, padding=1), nn.MaxPool2d(2)),
        *(*conv(64, 128, padding=1), nn.MaxPool2d(2)),
        *(*conv(128, 256), *conv(256, 256), *conv(256, 512)),
        nn.Flatten(),
    ),
    label_head=lambda: nn.Sequential(
        *(nn.Linear(512, 512), nn.ReLU()),
        *(nn.Linear(512, 512), nn.ReLU()),
        nn.Linear(512, CLASSES),
    ),
    domain_head=lambda: nn.Sequential(
        *(layer for _ in range(4) for layer in (nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU())),
        *(nn.Linear(512, 1), BinaryToTwoLogits()),
    ),
)

# The LeNet of R19's and R20's ADDA. They ran no DANN on it: the domain head is R19's discriminator.
LENET = Backbone(
    features=500,
    extractor=lambda: nn.Sequential(
        *(nn.Conv2d(3, 20, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(20, 50, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(800, 500)),
    ),
    label_head=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(500, CLASSES)),
    domain_head=lambda: nn.Sequential(nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 2)),
)

# A ResNet-8 for small images (He et al. 2016, section 4.2, n = 1) with twice the channels. Its first convolution has
# stride 2, which makes it affordable on CPUs. R22a's bounds used ResNet-34, which is designed for 224x224 pixels.
RESNET = Backbone(
    features=128,
    extractor=lambda: nn.Sequential(
        *conv(3, 32, size=5, padding=2, stride=2),
        Residual(32, 32, stride=1),
        Residual(32, 64, stride=2),
        Residual(64, 128, stride=2),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    label_head=lambda: nn.Sequential(nn.Linear(128, CLASSES)),
    domain_head=lambda: nn.Sequential(nn.Linear(128, 100), nn.ReLU(), nn.Linear(100, 2)),
)

BACKBONES: dict[str, Backbone] = {"R19": R19, "R20": R20, "R21": R21, "LeNet": LENET, "ResNet": RESNET}
