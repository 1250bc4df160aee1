"""ADDA: the source's side stands still, the target's starts from it, and the critic learns from neither's shadow."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hw2core.settings import Params
from hw2core.systems.adda import SOURCE, Adda
from hw2core.systems.classifier import Classifier


def build(params: Params, **changes: Any) -> Adda:
    """ADDA started from a classifier with random weights and batch-norm figures of its own."""
    torch.manual_seed(0)
    classifier = Classifier(params.classifier, "R19")
    classifier.step((torch.rand(10, 3, 28, 28), torch.arange(10)), 0)
    system = Adda(params.adda.model_copy(update=changes), "R19")
    system.source_classifier.load_state_dict(classifier.networks.state_dict())
    system.start()
    return system


def batch() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    source, target = (torch.rand((n, 3, 28, 28), generator=random) * 2 - 1 for n in (12, 10))
    return source, torch.arange(12) % 10, target


def test_the_targets_extractor_starts_as_the_sources(params: Params) -> None:
    system = build(params)
    source, target = (system.networks[name].state_dict() for name in ("source_extractor", "extractor"))
    assert all(torch.equal(source[key], target[key]) for key in source)
    system.networks.eval()
    images = batch()[2]
    assert torch.equal(
        system.logits(images),
        system.networks["label_head"](system.networks["source_extractor"](images)),
    )


def test_the_sources_extractor_and_the_label_head_stay_as_they_are(params: Params) -> None:
    """Their batch norm too, though the loop puts everything into training mode."""
    system = build(params)
    before = copy.deepcopy(system.networks.state_dict())
    system.networks.train()
    for k in range(3):
        system.step(batch(), k)
    after = system.networks.state_dict()
    for key, value in before.items():
        part = key.partition(".")[0]
        still = part in ("source_extractor", "label_head")
        assert torch.equal(value, after[key]) or not still, key
    assert not torch.equal(before["extractor.0.weight"], after["extractor.0.weight"])
    assert not torch.equal(before["critic.0.weight"], after["critic.0.weight"])


def test_the_critics_step_leaves_the_extractor_and_the_extractors_step_the_critic(params: Params) -> None:
    system = build(params)
    critic, extractor = (
        {id(weight) for group in system.optimizers[name].param_groups for weight in group["params"]}
        for name in ("critic", "extractor")
    )
    assert critic == {id(weight) for weight in system.networks["critic"].parameters()}
    assert extractor == {id(weight) for weight in system.networks["extractor"].parameters()}


def test_a_smoothed_critic_is_told_apart_by_hand(params: Params) -> None:
    """With smoothing s the source's label is (1 - s/2, s/2)."""
    system = build(params, smoothing=0.2)
    system.networks["critic"] = nn.Identity()
    verdict = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    log = verdict.log_softmax(1)
    expected = -(0.9 * log[:, 0] + 0.1 * log[:, 1]).mean()
    assert torch.allclose(system.told_apart(verdict, SOURCE), expected)


@pytest.mark.parametrize(
    ("critic", "weights"),
    [
        ("R19", 768 * 500 + 500 + 500 * 2 + 2),
        ("R20", 768 * 200 + 200 + 200 * 200 + 200 + 200 * 2 + 2),
    ],
)
def test_the_critics_are_those_of_the_reports(params: Params, critic: str, weights: int) -> None:
    network = build(params, critic=critic).networks["critic"]
    assert sum(weight.numel() for weight in network.parameters()) == weights


def test_the_two_optimizers_have_their_own_rates(params: Params) -> None:
    system = build(params, lr=0.004, critic_lr=0.0007)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in system.optimizers.items()}
    assert rates == {"extractor": 0.004, "critic": 0.0007}
