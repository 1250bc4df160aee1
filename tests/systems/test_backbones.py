"""The backbones are those of the reference reports, layer by layer."""

import pytest
import torch
from torch import nn

from hw2core.settings import Dann
from hw2core.systems.backbones import BACKBONES, AgainstZero

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
"""How many weights each part has, layer by layer as the reports print them."""


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_every_part_has_as_many_weights_as_its_layers_by_hand(arch: str) -> None:
    parts = BACKBONES[arch]()
    assert {
        name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()
    } == WEIGHTS[arch]


def test_r20s_and_r21s_extractors_end_in_512_features() -> None:
    for arch in ("R20", "R21"):
        assert BACKBONES[arch]()["extractor"].eval()(torch.zeros(1, 3, 28, 28)).shape == (1, 512)


def test_a_sigmoids_logit_against_zero_gives_the_sigmoids_probabilities() -> None:
    logits = torch.tensor([[-2.0], [0.0], [3.0]])
    assert torch.allclose(AgainstZero()(logits).softmax(1)[:, 1:], logits.sigmoid())


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


@pytest.mark.parametrize("arch", [arch for arch in BACKBONES if arch != "LeNet"])
def test_no_extractor_that_dann_was_run_on_has_dropout(arch: str) -> None:
    """R19's finding, whose ADDA's LeNet has some."""
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
