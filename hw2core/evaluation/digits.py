"""Digit accuracy: the rate of generated digits that a classifier assigns to the label they were generated for."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.evaluation.classification import accuracy, per_class
from hw2core.evaluation.foreign import read_weights

CLASSES = 10
WANTED = "the course's LeNet: convolutions of 6 and 16 filters 5x5, layers 256-128-64-10"


def lenet() -> nn.Sequential:
    """Build the course's digit classifier: 44,674 parameters, images of 28x28 pixels from -1 to 1."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(256, 128), nn.ReLU()),
        *(nn.Linear(128, 64), nn.ReLU()),
        nn.Linear(64, CLASSES),
    )


def load_lenet(path: Path) -> nn.Sequential:
    """Load the course's checkpoint. The tensors are matched by their order and shapes, not by their names."""
    loaded = list(read_weights(path, WANTED).values())
    network = lenet()
    expected = network.state_dict()
    if [value.shape for value in loaded] != [value.shape for value in expected.values()]:
        raise UserError(f"{path}: not {WANTED}")
    network.load_state_dict(dict(zip(expected, loaded, strict=True)))
    return network.eval()


def digit_accuracy(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return the accuracy in percent, overall and per digit, and the confusion matrix (label, predicted).

    `labels` are the digits that the images were generated for.
    """
    confusion = torch.zeros((CLASSES, CLASSES), dtype=torch.int64)
    confusion.index_put_(
        (labels.cpu(), logits.argmax(1).cpu()), torch.ones(len(labels), dtype=torch.int64), accumulate=True
    )
    return {
        "digit_accuracy": accuracy(logits, labels),
        "per_digit": per_class(logits, labels),
        "confusion": confusion.tolist(),
        "images": len(labels),
    }
