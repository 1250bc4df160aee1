"""The base class of systems: one optimizer's parameters are updated, and no others."""

import pytest
import torch
from torch import Tensor, nn

from hw2core.engine.system import Batch, System, adam
from hw2core.settings import Params


class TwoNetworks(System):
    def __init__(self, params: Params) -> None:
        self.settings = params.classifier
        torch.manual_seed(0)
        self.networks = nn.ModuleDict({"first": nn.Linear(3, 4), "second": nn.Linear(4, 1)})
        self.optimizers = {name: adam(network, self.settings, 0.1) for name, network in self.networks.items()}

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        raise AssertionError("not called")


def loss_of(system: System) -> Tensor:
    return system.networks["second"](system.networks["first"](torch.ones(2, 3))).square().mean()


def test_descend_updates_one_optimizers_parameters_alone(params: Params) -> None:
    system = TwoNetworks(params)
    before = {name: weight.clone() for name, weight in system.networks.named_parameters()}
    system.descend("second", loss_of(system))
    changed = {
        name for name, weight in system.networks.named_parameters() if not torch.equal(weight, before[name])
    }
    assert changed == {"second.weight", "second.bias"}
    assert all(weight.grad is None for weight in system.networks["first"].parameters())


def test_descend_returns_the_norm_of_the_gradient_of_this_loss_alone(params: Params) -> None:
    system = TwoNetworks(params)
    expected = torch.autograd.grad(loss_of(system), list(system.networks["first"].parameters()))
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm()
    assert system.descend("first", loss_of(system)).item() == pytest.approx(norm.item(), rel=1e-6)
    again = torch.autograd.grad(loss_of(system), list(system.networks["first"].parameters()))
    norm = torch.cat([gradient.flatten() for gradient in again]).norm()
    assert system.descend("first", loss_of(system)).item() == pytest.approx(norm.item(), rel=1e-6)


def test_adam_has_the_settings(params: Params) -> None:
    settings = params.classifier.model_copy(
        update={
            "optimizer": params.classifier.optimizer.model_copy(
                update={"betas": (0.3, 0.4), "weight_decay": 0.5}
            )
        }
    )
    (group,) = adam(nn.Linear(2, 2), settings, 0.7).param_groups
    assert (group["lr"], group["betas"], group["weight_decay"], group["fused"]) == (
        0.7,
        (0.3, 0.4),
        0.5,
        True,
    )
