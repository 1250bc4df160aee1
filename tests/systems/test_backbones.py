"""The backbones are those of the reference reports, layer by layer."""

import pytest
import torch
from torch import nn

from hw2core.params import Dann
from hw2core.systems.backbones import BACKBONES

R19 = {
    # C(3,32,5) BN ReLU Pool2, C(32,48,5) BN ReLU Pool2, flatten 768
    "extractor": [
        ("Conv2d", 32 * 3 * 5 * 5 + 32),
        ("BatchNorm2d", 2 * 32),
        ("ReLU", 0),
        ("MaxPool2d", 0),
        ("Conv2d", 48 * 32 * 5 * 5 + 48),
        ("BatchNorm2d", 2 * 48),
        ("ReLU", 0),
        ("MaxPool2d", 0),
        ("Flatten", 0),
    ],
    # L(768,100) ReLU Dropout.5 L(100,100) BN ReLU L(100,10)
    "label_head": [
        ("Linear", 768 * 100 + 100),
        ("ReLU", 0),
        ("Dropout", 0),
        ("Linear", 100 * 100 + 100),
        ("BatchNorm1d", 2 * 100),
        ("ReLU", 0),
        ("Linear", 100 * 10 + 10),
    ],
    # L(768,100) ReLU L(100,2)
    "domain_head": [("Linear", 768 * 100 + 100), ("ReLU", 0), ("Linear", 100 * 2 + 2)],
}


def layers(network: nn.Module) -> list[tuple[str, int]]:
    """The kind and the number of weights of each layer, in order."""
    return [
        (type(layer).__name__, sum(weight.numel() for weight in layer.parameters()))
        for layer in network.modules()
        if not isinstance(layer, nn.Sequential)
    ]


@pytest.mark.parametrize("part", list(R19))
def test_r19_has_the_layers_and_weights_of_the_report(part: str) -> None:
    assert layers(BACKBONES["R19"]()[part]) == R19[part]


def test_r19_drops_half_of_the_label_heads_units() -> None:
    assert BACKBONES["R19"]()["label_head"][2].p == 0.5


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_no_extractor_has_dropout(arch: str) -> None:
    """R19's finding."""
    kinds = {type(layer).__name__ for layer in BACKBONES[arch]()["extractor"].modules()}
    assert not [kind for kind in kinds if "Dropout" in kind]


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_a_backbone_takes_digits_to_ten_classes_and_two_domains(arch: str) -> None:
    parts = BACKBONES[arch]().eval()
    features = parts["extractor"](torch.zeros(2, 3, 28, 28))
    assert features.ndim == 2
    assert parts["label_head"](features).shape == (2, 10)
    assert parts["domain_head"](features).shape == (2, 2)


def test_every_backbone_that_params_know_is_there() -> None:
    assert set(BACKBONES) == set(Dann.model_fields["arch"].annotation.__args__)  # type: ignore[union-attr]
