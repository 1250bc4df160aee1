"""AdaMatch's three parts on cases computed by hand, and what they make of a step."""

import math

import pytest
import torch

from hw2core.settings import Params
from hw2core.systems.adamatch import Adamatch, align, confident, interpolate
from hw2core.systems.backbones import batch_norms_at_rest


def test_logit_interpolation_goes_from_the_source_alone_to_the_joint_batch() -> None:
    together, alone = torch.tensor([[4.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 8.0], [1.0, -2.0]])
    share = torch.tensor([[0.25, 0.75], [0.5, 1.0]])
    assert interpolate(together, alone, share).tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_distribution_alignment_of_a_case_by_hand() -> None:
    """The source's classes have 1/2 and 1/2, the target's 3/4 and 1/4: the factors are 2/3 and 2."""
    source = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    target = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    aligned = align(target, source.mean(0))
    expected = [[0.6 / 0.8, 0.2 / 0.8], [0.4 / 1.2, 0.8 / 1.2]]
    assert torch.allclose(aligned, torch.tensor(expected))


def test_aligned_probabilities_sum_to_one_and_alike_domains_are_left_alone() -> None:
    random = torch.Generator().manual_seed(0)
    source, target = (torch.randn((20, 10), generator=random).softmax(1) for _ in range(2))
    assert torch.allclose(align(target, source.mean(0)).sum(1), torch.ones(20))
    assert torch.allclose(align(target, target.mean(0)), target, atol=1e-6)


def test_the_classes_shares_are_the_sources_or_even(params: Params) -> None:
    source = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    shares = [
        Adamatch(params.adamatch.model_copy(update={"classes": classes}), "R19").shares(source)
        for classes in ("source", "even")
    ]
    target = torch.tensor([[0.6, 0.4], [0.2, 0.8]])  # means of 0.4 and 0.6
    assert torch.allclose(shares[0], torch.tensor([0.7, 0.3]))
    assert torch.allclose(align(target, shares[1]), torch.tensor([[9 / 13, 4 / 13], [3 / 11, 8 / 11]]))


def test_confidence_is_measured_by_the_sources() -> None:
    """The source's mean greatest probability is 0.8; nine tenths of it are 0.72."""
    source = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    target = torch.tensor([[0.71, 0.29], [0.27, 0.73], [1.0, 0.0], [0.5, 0.5]])
    assert confident(target, source, 0.9).tolist() == [0, 1, 1, 0]
    assert confident(target, source, 0.0).tolist() == [1, 1, 1, 1]


def test_the_targets_loss_comes_in_over_the_first_half(params: Params) -> None:
    system = Adamatch(params.adamatch.model_copy(update={"steps": 100}), "R19")
    assert system.warmup(0) == 0
    assert system.warmup(25) == pytest.approx(0.5)
    assert system.warmup(10) == pytest.approx(0.5 - math.cos(math.pi / 5) / 2)
    assert [system.warmup(k) for k in (50, 75, 99)] == [1.0, 1.0, 1.0]


def test_at_the_first_step_the_target_teaches_nothing_but_is_seen(params: Params) -> None:
    """The warm-up starts at nothing, so the target reaches the weights through batch norm alone."""
    torch.manual_seed(0)
    system = Adamatch(params.adamatch, "R19")
    random = torch.Generator().manual_seed(1)
    source, target = (torch.rand((12, 3, 28, 28), generator=random) * 2 - 1 for _ in range(2))
    losses = system.step((source, torch.arange(12) % 10, target), 0)
    assert set(losses) == {"label_loss", "target_loss", "confident"}
    assert 0 <= losses["confident"] <= 1
    assert losses["target_loss"] >= 0


def test_the_pass_over_the_source_alone_moves_no_running_figure(params: Params) -> None:
    system = Adamatch(params.adamatch, "R19")
    norm = system.networks["extractor"][1]
    before = norm.running_mean.clone(), norm.running_var.clone(), norm.momentum
    with batch_norms_at_rest(system.networks):
        system.logits(torch.rand(8, 3, 28, 28))
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert norm.momentum == before[2]
    system.logits(torch.rand(8, 3, 28, 28))
    assert not torch.equal(norm.running_mean, before[0])
