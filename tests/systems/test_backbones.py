"""The backbones are those of the reference reports, layer by layer."""

from typing import get_args

import pytest
import torch
from torch import nn

from hw2core.settings import Params
from hw2core.systems.backbones import BACKBONES, BinaryToTwoLogits

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


def convolution(inputs: int, outputs: int, size: int) -> int:
    return outputs * inputs * size * size + outputs


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


FIVE_CONVOLUTIONS = (
    *(convolution(3, 64, 3), 2 * 64, convolution(64, 128, 3), 2 * 128),
    *(convolution(128, 256, 3), 2 * 256, convolution(256, 256, 3), 2 * 256),
    *(convolution(256, 512, 3), 2 * 512),
)

WEIGHTS = {
    "R19": {"extractor": 41_040, "label_head": 88_210, "domain_head": 77_102},
    "R20": {
        "extractor": sum(FIVE_CONVOLUTIONS),
        "label_head": linear(512, 256) + linear(256, 10),
        "domain_head": linear(512, 256) + linear(256, 128) + linear(128, 1),
    },
    "R21": {
        "extractor": sum(FIVE_CONVOLUTIONS),
        "label_head": linear(512, 512) + linear(512, 512) + linear(512, 10),
        "domain_head": 4 * (linear(512, 512) + 2 * 512) + linear(512, 1),
    },
    "LeNet": {
        "extractor": convolution(3, 20, 5) + convolution(20, 50, 5) + linear(800, 500),
        "label_head": linear(500, 10),
        "domain_head": linear(500, 500) + linear(500, 2),
    },
    "ResNet": {
        "extractor": sum(
            (
                *(convolution(3, 32, 5), 2 * 32),
                2 * (convolution(32, 32, 3) + 2 * 32),
                *(convolution(32, 64, 3) + 2 * 64, convolution(64, 64, 3) + 2 * 64),
                convolution(32, 64, 1) + 2 * 64,
                *(convolution(64, 128, 3) + 2 * 128, convolution(128, 128, 3) + 2 * 128),
                convolution(64, 128, 1) + 2 * 128,
            )
        ),
        "label_head": linear(128, 10),
        "domain_head": linear(128, 100) + linear(100, 2),
    },
}
"""The number of parameters of each part, layer by layer as the reports print them."""


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_every_part_has_the_parameters_of_its_layers(arch: str) -> None:
    parts = {name: getattr(BACKBONES[arch], name)() for name in WEIGHTS[arch]}
    assert {
        name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()
    } == WEIGHTS[arch]


def test_two_logits_have_the_probabilities_of_the_sigmoid() -> None:
    logits = torch.tensor([[-2.0], [0.0], [3.0]])
    assert torch.allclose(BinaryToTwoLogits()(logits).softmax(1)[:, 1:], logits.sigmoid())


def layers(network: nn.Module) -> list[tuple[str, int]]:
    """The kind and the number of weights of each layer, in order."""
    return [
        (type(layer).__name__, sum(weight.numel() for weight in layer.parameters()))
        for layer in network.modules()
        if not isinstance(layer, nn.Sequential)
    ]


@pytest.mark.parametrize("part", list(R19))
def test_r19_has_the_layers_of_the_report(part: str) -> None:
    network = getattr(BACKBONES["R19"], part)()
    assert layers(network) == R19[part]
    assert all(layer.p == 0.5 for layer in network.modules() if isinstance(layer, nn.Dropout))


@pytest.mark.parametrize("arch", [arch for arch in BACKBONES if arch != "LeNet"])
def test_no_extractor_that_dann_was_run_on_has_dropout(arch: str) -> None:
    """R19's finding. Its LeNet, used for ADDA only, has dropout."""
    kinds = {type(layer).__name__ for layer in BACKBONES[arch].extractor().modules()}
    assert not [kind for kind in kinds if "Dropout" in kind]


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_a_backbone_maps_digits_to_ten_classes_and_two_domains(arch: str) -> None:
    backbone = BACKBONES[arch]
    features = backbone.extractor().eval()(torch.zeros(2, 3, 28, 28))
    assert features.shape == (2, backbone.features)
    assert backbone.label_head().eval()(features).shape == (2, 10)
    assert backbone.domain_head().eval()(features).shape == (2, 2)


def test_params_accept_exactly_these_backbones() -> None:
    assert set(BACKBONES) == set(get_args(Params.model_fields["backbone"].annotation))
