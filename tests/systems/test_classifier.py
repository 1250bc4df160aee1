"""The bounds: a backbone trained by cross-entropy alone."""

import copy

import torch
from torch.nn import functional as F

from hw2core.settings import Params
from hw2core.systems.backbones import BACKBONES
from hw2core.systems.classifier import Classifier


def test_the_classifier_is_the_backbone_without_its_domain_head(params: Params) -> None:
    system, parts = Classifier(params.classifier, "R19"), BACKBONES["R19"]()
    assert list(system.networks) == ["extractor", "label_head"]
    for name, network in system.networks.items():
        assert str(network) == str(parts[name])


def test_one_step_descends_the_cross_entropy(params: Params) -> None:
    torch.manual_seed(0)
    system = Classifier(params.classifier.model_copy(update={"augment": "none"}), "R19")
    system.networks.eval()  # without dropout, and each image by itself
    plain = copy.deepcopy(system.networks)
    images, labels = torch.rand(6, 3, 28, 28), torch.arange(6)
    loss = F.cross_entropy(plain["label_head"](plain["extractor"](images)), labels)
    gradients = torch.autograd.grad(loss, list(plain.parameters()))
    assert torch.equal(system.step((images, labels), 0)["label_loss"], loss)
    for weight, gradient in zip(system.networks.parameters(), gradients, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-7)
