"""Digits read: the share of generated digits that a classifier takes for what they are meant to be."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.judges.classification import accuracy, per_class
from hw2core.judges.foreign import read_weights

CLASSES = 10
WANTED = "the course's LeNet: convolutions of 6 and 16 filters 5x5, layers 256-128-64-10"


def lenet() -> nn.Sequential:
    """The course's judge, 44,674 parameters; its images are 28x28 from -1 to 1."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(256, 128), nn.ReLU()),
        *(nn.Linear(128, 64), nn.ReLU()),
        nn.Linear(64, CLASSES),
    )


def load_lenet(path: Path) -> nn.Sequential:
    """The network with the weights of the course's checkpoint, whatever its layers are called there."""
    found = list(read_weights(path, WANTED).values())
    network = lenet()
    wanted = network.state_dict()
    if [value.shape for value in found] != [value.shape for value in wanted.values()]:
        raise UserError(f"{path}: not {WANTED}")
    network.load_state_dict(dict(zip(wanted, found, strict=True)))
    return network.eval()


def digits_read(logits: Tensor, meant: Tensor) -> dict[str, Any]:
    """Per cent read as meant, over all and of each digit, and which were taken for which."""
    confusion = torch.zeros((CLASSES, CLASSES), dtype=torch.int64)
    confusion.index_put_(
        (meant.cpu(), logits.argmax(1).cpu()), torch.ones(len(meant), dtype=torch.int64), accumulate=True
    )
    return {
        "digits_read": accuracy(logits, meant),
        "per_digit": per_class(logits, meant),
        "confusion": confusion.tolist(),
        "images": len(meant),
    }
