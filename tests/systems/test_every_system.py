"""What every system promises to the training loop."""

import copy
from typing import Any

import pytest
import torch
from small_systems import ALL, FACE_GENERATORS, PREDICTORS, batch, build, settings, step, uniform
from torch import nn

from hw2core.engine.system import System
from hw2core.settings.registry import ADAPTERS

every_system = pytest.mark.parametrize("name", ALL)
every_predictor = pytest.mark.parametrize("name", PREDICTORS)


def trainable(system: Any) -> dict[str, nn.Parameter]:
    return {key: weight for key, weight in system.networks.named_parameters() if weight.requires_grad}


@every_system
def test_three_steps_change_the_weights_by_finite_losses_of_constant_names(name: str) -> None:
    system = build(name)
    assert isinstance(system, System)
    before = copy.deepcopy(trainable(system))
    rows = [step(system, name, k) for k in range(3)]
    assert len({tuple(row) for row in rows}) == 1
    assert all(loss.ndim == 0 and loss.isfinite() for row in rows for loss in row.values())
    assert all(tensor.isfinite().all() for tensor in system.networks.state_dict().values())
    assert not [
        key
        for key, weight in trainable(system).items()
        if torch.equal(before[key], weight) and (weight.ndim > 1 or name in FACE_GENERATORS)
    ]


@every_system
def test_every_trainable_weight_belongs_to_one_optimizer_with_its_settings(name: str) -> None:
    changes: dict[str, Any] = {"lr": 0.004, "optimizer": {"betas": (0.7, 0.98), "weight_decay": 0.03}}
    if hasattr(settings(name), "discriminator_lr"):
        changes["discriminator_lr"] = 0.008
    system = build(name, **changes)
    owned = []
    for optimizer_name, optimizer in system.optimizers.items():
        lr = 0.008 if optimizer_name == "discriminator" else 0.004
        for group in optimizer.param_groups:
            owned += [id(weight) for weight in group["params"]]
            assert (group["lr"], *group["betas"], group["weight_decay"]) == (lr, 0.7, 0.98, 0.03)
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(weight) for weight in trainable(system).values()}


@every_system
def test_networks_and_optimizers_are_the_whole_state_of_a_training(name: str) -> None:
    """A system with other initial weights continues in the same bytes once these are loaded."""
    system, resumed = build(name), build(name, seed=1)
    for k in range(2):
        step(system, name, k)
    resumed.networks.load_state_dict(system.networks.state_dict())
    for key, optimizer in resumed.optimizers.items():
        optimizer.load_state_dict(copy.deepcopy(system.optimizers[key].state_dict()))
    assert {key: loss.item() for key, loss in step(system, name, 2).items()} == {
        key: loss.item() for key, loss in step(resumed, name, 2).items()
    }
    one, other = system.networks.state_dict(), resumed.networks.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    held = {id(module) for module in system.networks.modules()}
    assert all(id(value) in held for value in vars(system).values() if isinstance(value, nn.Module))


@every_system
def test_it_trains_in_mixed_precision(name: str) -> None:
    changes = {"augment": "strong"} if hasattr(settings(name), "augment") else {}
    system = build(name, **changes)
    with torch.autocast("cpu", torch.bfloat16):
        losses = step(system, name, 0)
    assert all(loss.isfinite() for loss in losses.values())
    assert all(weight.dtype == torch.float32 for weight in trainable(system).values())


# --- predictors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PREDICTORS if name != "adda"])
def test_a_predictor_memorizes_a_small_batch_in_forty_steps(name: str) -> None:
    """ADDA need not: it starts from the source's classifier, which learned the labels."""
    system = build(name, lr=1e-3, steps=40)
    shown = batch(name)
    for k in range(40):
        torch.manual_seed(k)
        system.step(shown, k)
    system.networks.eval()
    with torch.no_grad():
        assert (system.logits(shown[0]).argmax(1) == shown[1]).float().mean() >= 0.9


@every_predictor
def test_prediction_is_deterministic_and_changes_nothing(name: str) -> None:
    system = build(name)
    system.networks.eval()
    before = copy.deepcopy(system.networks.state_dict())
    images = uniform(5, 28)
    with torch.no_grad():
        features, logits = system.features(images), system.logits(images)
        assert torch.equal(logits, system.logits(images))
        assert torch.equal(logits, system.networks["label_head"](features))
    assert features.ndim == 2
    assert logits.shape == (5, 10)
    after = system.networks.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@every_predictor
def test_a_predictor_starts_from_the_sources_own_classifier(name: str) -> None:
    classifier, system = build("classifier", seed=2), build(name)
    step(classifier, "classifier", 0)  # gives it batch-norm statistics
    system.start(classifier.networks.state_dict())
    for networks in (classifier.networks, system.networks):
        networks.eval()
    assert torch.equal(system.logits(uniform(5, 28)), classifier.logits(uniform(5, 28)))


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_accepts_batches_of_two_sizes(name: str) -> None:
    losses = build(name).step((uniform(8, 28), torch.arange(8), uniform(5, 28, 1)), 0)
    assert all(loss.isfinite() for loss in losses.values())
