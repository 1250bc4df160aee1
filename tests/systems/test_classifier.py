"""The bounds: a backbone trained by cross-entropy alone."""

import copy

import torch
from small_systems import build
from torch.nn import functional as F

from hw2core.systems.backbones import BACKBONES


def test_a_step_descends_the_cross_entropy_of_extractor_and_label_head() -> None:
    system = build("classifier", augment="none")
    assert list(system.networks) == ["extractor", "label_head"]
    for name, network in system.networks.items():
        assert str(network) == str(getattr(BACKBONES["R19"], name)())
    system.networks.eval()  # no dropout, no batch statistics
    plain = copy.deepcopy(system.networks)
    images, labels = torch.rand(6, 3, 28, 28), torch.arange(6)
    loss = F.cross_entropy(plain["label_head"](plain["extractor"](images)), labels)
    gradients = torch.autograd.grad(loss, list(plain.parameters()))
    assert torch.equal(system.step((images, labels), 0)["label_loss"], loss)
    for weight, gradient in zip(system.networks.parameters(), gradients, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-7)
