"""AdaMatch's three parts on cases computed by hand, and its step written out."""

import copy
import math

import pytest
import torch
from small_systems import batch, build, step, uniform
from torch.nn import functional as F

from hw2core.engine.augmentation import strong, weak
from hw2core.systems.adamatch import align, confidence_mask, frozen_batch_norm_statistics, interpolate


def test_logits_are_interpolated_between_the_joint_batch_and_the_source_alone() -> None:
    joint, source_only = torch.tensor([[4.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 8.0], [1.0, -2.0]])
    lam = torch.tensor([[0.25, 0.75], [0.5, 1.0]])
    assert interpolate(joint, source_only, lam).tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_distribution_alignment() -> None:
    """The source's classes have 1/2 and 1/2, the target's 3/4 and 1/4: the factors are 2/3 and 2."""
    source = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    target = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    expected = torch.tensor([[0.6 / 0.8, 0.2 / 0.8], [0.4 / 1.2, 0.8 / 1.2]])
    assert torch.allclose(align(target, source.mean(0)), expected)
    source, target = torch.randn((2, 20, 10), generator=torch.Generator().manual_seed(0)).softmax(2)
    assert torch.allclose(align(target, source.mean(0)).sum(1), torch.ones(20))
    assert torch.allclose(align(target, target.mean(0)), target, atol=1e-6)


def test_the_prior_is_the_sources_class_distribution_or_uniform() -> None:
    source, target = torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([[0.6, 0.4], [0.2, 0.8]])
    of_source, uniform = (
        build("adamatch", label_prior=prior).prior(source) for prior in ("source", "uniform")
    )
    assert torch.allclose(of_source, torch.tensor([0.7, 0.3]))
    assert torch.allclose(align(target, uniform), torch.tensor([[9 / 13, 4 / 13], [3 / 11, 8 / 11]]))


def test_the_confidence_threshold_is_relative_to_the_sources_mean_confidence() -> None:
    """The source's mean confidence is 0.8; 0.9 of it is 0.72."""
    source = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    target = torch.tensor([[0.71, 0.29], [0.27, 0.73], [1.0, 0.0], [0.5, 0.5]])
    assert confidence_mask(target, source, 0.9).tolist() == [0, 1, 1, 0]
    assert confidence_mask(target, source, 0.0).tolist() == [1, 1, 1, 1]


def test_the_target_loss_warms_up_over_the_first_half() -> None:
    system = build("adamatch", steps=100)
    assert system.mu(0) == 0
    assert system.mu(10) == pytest.approx(0.5 - math.cos(math.pi / 5) / 2)
    assert system.mu(25) == pytest.approx(0.5)
    assert [system.mu(k) for k in (50, 75, 99)] == [1.0, 1.0, 1.0]


def test_the_losses_are_those_of_the_paper() -> None:
    """In evaluation mode, without dropout and batch statistics, both passes give the same logits."""
    system = build("adamatch", confidence_threshold=0.9)
    system.networks.eval()
    plain = copy.deepcopy(system)
    source, labels, target = batch("adamatch")
    torch.manual_seed(3)
    losses = system.step((source, labels, target), 5)

    torch.manual_seed(3)
    source_weak, source_strong = plain.logits(weak(source)), plain.logits(strong(source))
    target_weak, target_strong = plain.logits(weak(target)), plain.logits(strong(target))
    label_loss = F.cross_entropy(source_weak, labels) + F.cross_entropy(source_strong, labels)
    pseudo_labels = align(target_weak.softmax(1), source_weak.softmax(1).mean(0))
    mask = confidence_mask(pseudo_labels, source_weak.softmax(1), 0.9)
    target_loss = -(pseudo_labels * target_strong.log_softmax(1)).sum(1) @ mask / len(target)
    assert losses["label_loss"].item() == pytest.approx(label_loss.item(), rel=1e-4)
    assert losses["target_loss"].item() == pytest.approx(target_loss.item(), rel=1e-4)
    assert losses["mask_rate"].item() == pytest.approx(mask.mean().item())
    assert list(losses) == ["label_loss", "target_loss", "mask_rate"]


def test_the_pass_over_the_source_alone_moves_no_batch_norm_statistics() -> None:
    system = build("adamatch")
    norm = system.networks["extractor"][1]
    before = norm.running_mean.clone(), norm.running_var.clone(), norm.momentum
    with frozen_batch_norm_statistics(system.networks):
        system.logits(uniform(8, 28))
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert norm.momentum == before[2]

    convolution = system.networks["extractor"][0]
    seen: list[torch.Tensor] = []
    convolution.register_forward_hook(lambda *arguments: seen.append(arguments[2].detach()))
    step(system, "adamatch", 0)
    assert torch.allclose(norm.running_mean, 0.1 * seen[0].mean((0, 2, 3)), atol=1e-5)


def test_target_images_are_the_textures_of_strongly_augmented_images() -> None:
    source, labels, target = batch("adamatch")
    seen: list[torch.Tensor] = []
    system = build("adamatch", background="target")
    system.networks["extractor"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    torch.manual_seed(3)
    system.step((source, labels, target), 0)
    torch.manual_seed(3)
    expected = [weak(source), strong(source, target), weak(target), strong(target, target)]
    assert torch.equal(seen[0], torch.cat(expected))


def test_the_statistics_are_those_of_plain_target_images() -> None:
    """In one step from a running mean of 0, with a momentum of 0.1; the weights are those before the step."""
    source, labels, target = batch("adamatch")
    system = build("adamatch", batch_norm="target")
    convolution = copy.deepcopy(system.networks["extractor"][0])
    system.step((source, labels, target), 0)
    expected = 0.1 * convolution(target).mean((0, 2, 3))
    assert torch.allclose(system.networks["extractor"][1].running_mean, expected, atol=1e-5)
