"""ADDA: the source's networks are frozen, the target extractor starts from the source's, the discriminator is weak."""

import copy
from typing import Any

import pytest
import torch
from small_systems import batch, build, step
from torch import nn

from hw2core.settings.registry import ADAPTER_SETTINGS
from hw2core.systems.backbones import SOURCE


def started(**changes: Any) -> Any:
    """ADDA started from a classifier with batch-norm statistics of its own."""
    classifier = build("classifier", seed=2)
    step(classifier, "classifier", 0)
    system = build("adda", **changes)
    system.start(classifier.networks.state_dict())
    return system


def test_it_starts_from_the_source_with_both_extractors() -> None:
    system = started()
    assert ADAPTER_SETTINGS["adda"].starts_from_source
    source, target = (system.networks[name].state_dict() for name in ("source_extractor", "extractor"))
    assert all(torch.equal(source[key], target[key]) for key in source)
    assert source["1.running_mean"].any()
    assert system.networks["source_extractor"] is not system.networks["extractor"]


def test_the_source_extractor_and_the_label_head_are_frozen() -> None:
    """So are their batch-norm statistics, although the loop sets training mode everywhere."""
    system = started()
    before = copy.deepcopy(system.networks.state_dict())
    system.networks.train()
    for k in range(3):
        step(system, "adda", k)
    after = system.networks.state_dict()
    for key, value in before.items():
        frozen = key.partition(".")[0] in ("source_extractor", "label_head")
        assert torch.equal(value, after[key]) or not frozen, key
    assert not torch.equal(before["extractor.0.weight"], after["extractor.0.weight"])
    assert not torch.equal(before["discriminator.0.weight"], after["discriminator.0.weight"])


def test_the_losses_are_those_of_the_paper() -> None:
    """L_D classifies both domains; L_M, of the updated discriminator, has inverted labels."""
    system = started(augment="none", label_smoothing=0.0)
    system.networks.eval()
    plain = copy.deepcopy(system.networks)
    source, _, target = batch("adda")
    losses = system.step((source, torch.zeros(12), target), 0)

    def log_probs(networks: nn.ModuleDict, extractor: str, images: torch.Tensor) -> torch.Tensor:
        return networks["discriminator"](plain[extractor](images)).log_softmax(1)

    d_loss = (
        -log_probs(plain, "source_extractor", source)[:, 0].mean()
        - log_probs(plain, "extractor", target)[:, 1].mean()
    )
    assert losses["discriminator_loss"].item() == pytest.approx(d_loss.item(), rel=1e-4)
    adv_loss = -log_probs(system.networks, "extractor", target)[:, 0].mean()
    assert losses["adv_loss"].item() == pytest.approx(adv_loss.item(), rel=1e-4)


def test_label_smoothing_of_the_discriminator() -> None:
    """With smoothing s the source's label is (1 - s/2, s/2)."""
    system = started(label_smoothing=0.2)
    system.networks["discriminator"] = nn.Identity()
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    log_probs = logits.log_softmax(1)
    expected = -(0.9 * log_probs[:, 0] + 0.1 * log_probs[:, 1]).mean()
    assert torch.allclose(system.domain_loss(logits, SOURCE), expected)


@pytest.mark.parametrize(
    ("discriminator", "parameters"),
    [
        ("R19", 768 * 500 + 500 + 500 * 2 + 2),
        ("R20", 768 * 200 + 200 + 200 * 200 + 200 + 200 * 2 + 2),
    ],
)
def test_the_discriminators_are_those_of_the_reports(discriminator: str, parameters: int) -> None:
    network = build("adda", discriminator=discriminator).networks["discriminator"]
    assert sum(weight.numel() for weight in network.parameters()) == parameters
