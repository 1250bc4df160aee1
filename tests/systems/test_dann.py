"""DANN does what the paper says: the domain loss comes to the extractor reversed, and to its own head as it is."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.settings import Params
from hw2core.systems.backbones import ReverseGradient
from hw2core.systems.dann import Dann


def build(params: Params, **changes: Any) -> Dann:
    torch.manual_seed(0)
    return Dann(params.dann.model_copy(update={"augment": "none", **changes}), "R19")


def batch() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    source, target = (torch.rand((n, 3, 28, 28), generator=random) for n in (6, 9))
    return source, torch.arange(6), 3 * target - 1


def gradients(networks: nn.ModuleDict, loss: Tensor) -> dict[str, Tensor]:
    """The plain gradient of every weight that the loss depends on."""
    names, weights = zip(*networks.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}


@pytest.mark.parametrize("k", [0, 5, 50])
@pytest.mark.parametrize("batches", ["together", "apart"])
def test_the_extractor_gets_the_domain_gradient_reversed_and_weighted(
    params: Params, k: int, batches: str
) -> None:
    system = build(params, steps=50, reversal=2.0, reversal_schedule="ganin", batches=batches)
    system.networks.eval()  # without dropout, and each image by itself
    plain = copy.deepcopy(system.networks)
    source, labels, target = batch()
    features = plain["extractor"](torch.cat([source, target]))
    label_loss = F.cross_entropy(plain["label_head"](features[:6]), labels)
    domain_loss = F.cross_entropy(plain["domain_head"](features), torch.tensor([0] * 6 + [1] * 9))
    of_label, of_domain = gradients(plain, label_loss), gradients(plain, domain_loss)

    losses = system.step((source, labels, target), k)

    assert losses["label_loss"].item() == pytest.approx(label_loss.item(), abs=1e-6)
    assert losses["domain_loss"].item() == pytest.approx(domain_loss.item(), abs=1e-6)
    weight = 2.0 * (2 / (1 + math.exp(-10 * k / 50)) - 1)
    for name, parameter in system.networks.named_parameters():
        part = name.partition(".")[0]
        expected = {
            "extractor": lambda name: of_label[name] - weight * of_domain[name],
            "label_head": lambda name: of_label[name],
            "domain_head": lambda name: of_domain[name],
        }[part](name)
        assert torch.allclose(parameter.grad, expected, atol=1e-6, rtol=1e-4), name
    assert max(gradient.abs().max() for gradient in of_domain.values()) > 1e-3


def test_without_reversal_the_extractor_learns_from_the_labels_alone(params: Params) -> None:
    system = build(params, reversal=0.0, reversal_schedule="constant")
    system.networks.eval()
    plain = copy.deepcopy(system.networks)
    source, labels, target = batch()
    label_loss = F.cross_entropy(plain["label_head"](plain["extractor"](source)), labels)
    expected = gradients(plain, label_loss)
    system.step((source, labels, target), 3)
    for name, parameter in system.networks["extractor"].named_parameters():
        assert torch.allclose(parameter.grad, expected[f"extractor.{name}"], atol=1e-6)


def test_the_reversing_layer_is_the_identity_and_minus_its_weight() -> None:
    features = torch.tensor([[1.0, -2.0]], requires_grad=True)
    passed = ReverseGradient.apply(features, 0.25)
    assert torch.equal(passed, features)
    (passed * torch.tensor([[4.0, 8.0]])).sum().backward()
    assert features.grad.tolist() == [[-1.0, -2.0]]  # type: ignore[union-attr]


def test_the_reversal_grows_as_in_the_paper(params: Params) -> None:
    system = build(params, steps=1000, reversal=1.0, reversal_schedule="ganin")
    assert system.reversal(0) == 0
    for k in (1, 100, 500, 999):
        p = k / 1000
        assert system.reversal(k) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1)
    assert system.reversal(100) == pytest.approx(0.4621171572600098)  # tanh(1/2)
    assert system.reversal(1000) == pytest.approx(0.9999092042625951)  # tanh(5)


def test_the_reversal_is_times_its_setting_and_may_be_constant(params: Params) -> None:
    grown = build(params, steps=1000, reversal=3.0, reversal_schedule="ganin")
    assert grown.reversal(100) == pytest.approx(3 * 0.4621171572600098)
    constant = build(params, steps=1000, reversal=3.0, reversal_schedule="constant")
    assert [constant.reversal(k) for k in (0, 100, 999)] == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("batches", ["together", "apart"])
def test_batch_norm_is_over_both_domains_together_or_over_each_apart(params: Params, batches: str) -> None:
    system = build(params, batches=batches)
    source, labels, target = batch()
    convolution, norm = system.networks["extractor"][:2]
    with torch.no_grad():
        seen = [convolution(images) for images in (source, target)]
    system.networks.train()
    system.step((source, labels, target), 0)
    if batches == "together":
        expected = 0.1 * torch.cat(seen).mean((0, 2, 3))
        count = 1
    else:
        expected = 0.9 * 0.1 * seen[0].mean((0, 2, 3)) + 0.1 * seen[1].mean((0, 2, 3))
        count = 2
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.num_batches_tracked == count


def test_the_two_ways_to_batch_train_different_weights(params: Params) -> None:
    together, apart = (build(params, batches=batches) for batches in ("together", "apart"))
    for system in (together, apart):
        torch.manual_seed(1)
        system.step(batch(), 1)
    assert not torch.equal(together.networks["extractor"][0].weight, apart.networks["extractor"][0].weight)
