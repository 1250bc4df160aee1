"""The backbones of domain adaptation, as named parts, and the layers that several methods put on them.

A backbone is an extractor, a label head and a domain head. They take 28x28 RGB images from -1 to 1. Bounds and
methods share one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.optimizer import Optimizer

from hw2core.params import Training

CLASSES = 10


def r19() -> nn.ModuleDict:
    """R19's network: two 5x5 convolutions to 768 features. It has no dropout in the extractor."""
    return nn.ModuleDict(
        {
            "extractor": nn.Sequential(
                *(nn.Conv2d(3, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(32, 48, 5), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
                nn.Flatten(),
            ),
            "label_head": nn.Sequential(
                *(nn.Linear(768, 100), nn.ReLU(), nn.Dropout(0.5)),
                *(nn.Linear(100, 100), nn.BatchNorm1d(100), nn.ReLU()),
                nn.Linear(100, CLASSES),
            ),
            "domain_head": nn.Sequential(nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 2)),
        }
    )


def r20() -> nn.ModuleDict:
    """R20's network: five 3x3 convolutions at full size, then the mean over the picture to 512 features."""
    return nn.ModuleDict(
        {
            "extractor": nn.Sequential(
                *convolution(3, 64, padding=1),
                *convolution(64, 128, padding=1),
                *convolution(128, 256, padding=1),
                *convolution(256, 256, padding=1),
                *convolution(256, 512, padding=1),
                *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            ),
            "label_head": nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, CLASSES)),
            "domain_head": nn.Sequential(
                *(nn.Linear(512, 256), nn.LeakyReLU(0.2)),
                *(nn.Linear(256, 128), nn.LeakyReLU(0.2)),
                *(nn.Linear(128, 1), AgainstZero()),
            ),
        }
    )


def r21() -> nn.ModuleDict:
    """R21's and R22b's network, like VGG: five 3x3 convolutions, of which two are pooled, to 512 features."""
    return nn.ModuleDict(
        {
            "extractor": nn.Sequential(
                *(*convolution(3, 64, padding=1), nn.MaxPool2d(2)),
                *(*convolution(64, 128, padding=1), nn.MaxPool2d(2)),
                *convolution(128, 256),
                *convolution(256, 256),
                *convolution(256, 512),
                nn.Flatten(),
            ),
            "label_head": nn.Sequential(
                *(nn.Linear(512, 512), nn.ReLU()),
                *(nn.Linear(512, 512), nn.ReLU()),
                nn.Linear(512, CLASSES),
            ),
            "domain_head": nn.Sequential(
                *(layer for _ in range(4) for layer in (nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU())),
                *(nn.Linear(512, 1), AgainstZero()),
            ),
        }
    )


def lenet() -> nn.ModuleDict:
    """The LeNet that R19 and R20 ran ADDA on, to 500 features. They had no DANN on it: the domain head is R19's
    critic of these features."""
    return nn.ModuleDict(
        {
            "extractor": nn.Sequential(
                *(nn.Conv2d(3, 20, 5), nn.MaxPool2d(2), nn.ReLU()),
                *(nn.Conv2d(20, 50, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(800, 500)),
            ),
            "label_head": nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(500, CLASSES)),
            "domain_head": nn.Sequential(nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 2)),
        }
    )


def resnet() -> nn.ModuleDict:
    """A ResNet with eight layers of weights for small pictures (He et al. 2016, section 4.2, with n = 1), twice as
    wide and, for the sake of CPUs, halved at once by its first convolution. R22a's bounds used ResNet-34,
    which is made for pictures eight times as large."""
    return nn.ModuleDict(
        {
            "extractor": nn.Sequential(
                *convolution(3, 32, size=5, padding=2, stride=2),
                Residual(32, 32, stride=1),
                Residual(32, 64, stride=2),
                Residual(64, 128, stride=2),
                *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            ),
            "label_head": nn.Sequential(nn.Linear(128, CLASSES)),
            "domain_head": nn.Sequential(nn.Linear(128, 100), nn.ReLU(), nn.Linear(100, 2)),
        }
    )


def convolution(
    inputs: int, outputs: int, size: int = 3, padding: int = 0, stride: int = 1
) -> tuple[nn.Module, ...]:
    """A convolution, its batch norm and a ReLU."""
    return (
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *convolution(inputs, outputs, padding=1, stride=stride),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.path(images) + self.shortcut(images))


class AgainstZero(nn.Module):
    """A sigmoid's logit as the two logits of a softmax, zero being the other: the probabilities are the same."""

    def forward(self, logits: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(logits), logits], dim=1)


def adam(network: nn.Module, settings: Training, lr: float) -> Adam:
    return Adam(
        network.parameters(),
        lr=lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )


class OnBackbone:
    """What the systems on a backbone have in common: how they predict, and one optimiser for all their networks,
    unless they say otherwise."""

    settings: Training
    networks: nn.ModuleDict

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        return {"all": adam(self.networks, self.settings, self.settings.lr)}

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.networks["extractor"](images)
        return features

    def logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.networks["label_head"](self.features(images))
        return logits


class ReverseGradient(torch.autograd.Function):
    """The identity on the way forward; minus `weight` times the gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


BACKBONES: dict[str, Callable[[], nn.ModuleDict]] = {
    "R19": r19,
    "R20": r20,
    "R21": r21,
    "LeNet": lenet,
    "ResNet": resnet,
}


def feature_count(parts: nn.ModuleDict) -> int:
    """How many features a backbone's extractor gives: as many as its domain head's first layer takes."""
    return next(parts["domain_head"].parameters()).shape[1]


@contextmanager
def batch_norms_at_rest(network: nn.Module) -> Iterator[None]:
    """Within, a batch is normalised by its own figures as ever, but the running figures do not move."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
