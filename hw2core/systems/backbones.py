"""The backbones of domain adaptation, as named parts: what bounds and methods share.

A backbone is an extractor, a label head and a domain head. They take 28x28 RGB images from -1 to 1.
"""

from collections.abc import Callable

from torch import nn

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


BACKBONES: dict[str, Callable[[], nn.ModuleDict]] = {"R19": r19}
