"""DANN: the extractor gets the gradient of the domain loss reversed, the domain head as it is."""

import copy
import math

import pytest
import torch
from small_systems import build
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.systems.backbones import GradientReversal


def batch() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    source, target = (torch.rand((n, 3, 28, 28), generator=rng) for n in (6, 9))
    return source, torch.arange(6), 3 * target - 1


def gradients(networks: nn.ModuleDict, loss: Tensor) -> dict[str, Tensor]:
    """The plain gradient of every weight that the loss depends on."""
    names, weights = zip(*networks.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}


@pytest.mark.parametrize("k", [0, 5, 50])
@pytest.mark.parametrize("batch_norm", ["joint", "per_domain"])
def test_the_extractor_gets_the_domain_gradient_times_minus_lambda(k: int, batch_norm: str) -> None:
    system = build(
        "dann", steps=50, lambda_max=2.0, lambda_schedule="ganin", batch_norm=batch_norm, augment="none"
    )
    system.networks.eval()  # no dropout, no batch statistics
    plain = copy.deepcopy(system.networks)
    source, labels, target = batch()
    features = plain["extractor"](torch.cat([source, target]))
    label_loss = F.cross_entropy(plain["label_head"](features[:6]), labels)
    domain_loss = F.cross_entropy(plain["domain_head"](features), torch.tensor([0] * 6 + [1] * 9))
    of_label, of_domain = gradients(plain, label_loss), gradients(plain, domain_loss)

    losses = system.step((source, labels, target), k)

    assert losses["label_loss"].item() == pytest.approx(label_loss.item(), abs=1e-6)
    assert losses["domain_loss"].item() == pytest.approx(domain_loss.item(), abs=1e-6)
    lambda_p = 2.0 * (2 / (1 + math.exp(-10 * k / 50)) - 1)
    for name, weight in system.networks.named_parameters():
        expected = {
            "extractor": lambda name: of_label[name] - lambda_p * of_domain[name],
            "label_head": lambda name: of_label[name],
            "domain_head": lambda name: of_domain[name],
        }[name.partition(".")[0]](name)
        assert torch.allclose(weight.grad, expected, atol=1e-6, rtol=1e-4), name
    assert max(gradient.abs().max() for gradient in of_domain.values()) > 1e-3


def test_gradient_reversal_is_the_identity_forward_and_minus_lambda_backward() -> None:
    features = torch.tensor([[1.0, -2.0]], requires_grad=True)
    passed = GradientReversal.apply(features, 0.25)
    assert torch.equal(passed, features)
    (passed * torch.tensor([[4.0, 8.0]])).sum().backward()
    assert features.grad.tolist() == [[-1.0, -2.0]]  # type: ignore[union-attr]


def test_lambda_grows_as_in_the_paper_or_is_constant() -> None:
    system = build("dann", steps=1000, lambda_max=1.0, lambda_schedule="ganin")
    assert system.lambda_p(0) == 0
    for k in (1, 100, 500, 999):
        assert system.lambda_p(k) == pytest.approx(2 / (1 + math.exp(-10 * k / 1000)) - 1)
    assert system.lambda_p(100) == pytest.approx(0.4621171572600098)  # tanh(1/2)
    assert system.lambda_p(1000) == pytest.approx(0.9999092042625951)  # tanh(5)
    scaled = build("dann", steps=1000, lambda_max=3.0, lambda_schedule="ganin")
    assert scaled.lambda_p(100) == pytest.approx(3 * 0.4621171572600098)
    constant = build("dann", steps=1000, lambda_max=3.0, lambda_schedule="constant")
    assert [constant.lambda_p(k) for k in (0, 100, 999)] == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("batch_norm", ["joint", "per_domain"])
def test_batch_norm_is_over_both_domains_or_over_each(batch_norm: str) -> None:
    system = build("dann", batch_norm=batch_norm, augment="none")
    source, labels, target = batch()
    convolution, norm = system.networks["extractor"][:2]
    with torch.no_grad():
        seen = [convolution(images) for images in (source, target)]
    system.networks.train()
    system.step((source, labels, target), 0)
    if batch_norm == "joint":
        expected, passes = 0.1 * torch.cat(seen).mean((0, 2, 3)), 1
    else:
        expected = 0.9 * 0.1 * seen[0].mean((0, 2, 3)) + 0.1 * seen[1].mean((0, 2, 3))
        passes = 2
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.num_batches_tracked == passes
