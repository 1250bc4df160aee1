"""What every system promises to the loop and to the judges."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hw2core.engine.randomness import seed_torch
from hw2core.params import ADAPTERS, Params
from hw2core.stages.predictors import Predictor, StartsFromSource, build_adapter, build_classifier

SYSTEMS = ("classifier", *ADAPTERS)
LEARNERS = tuple(
    name for name in SYSTEMS if name != "adda"
)  # ADDA reads labels only in the classifier's training
every_system = pytest.mark.parametrize("name", SYSTEMS)
every_learner = pytest.mark.parametrize("name", LEARNERS)


def build(params: Params, name: str) -> Predictor:
    """A system as its training begins."""
    seed_torch("initial weights")
    if name == "classifier":
        return build_classifier(params)
    system = build_adapter(params, name)
    if isinstance(system, StartsFromSource):
        system.start()
    return system


def learning(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are not frozen."""
    return {key: weight for key, weight in network.named_parameters() if weight.requires_grad}


def images(count: int, seed: int) -> Tensor:
    return torch.rand((count, 3, 28, 28), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def batch(name: str, count: int = 12) -> Any:
    labels = torch.arange(count) % 10
    return (
        (images(count, 0), labels) if name == "classifier" else (images(count, 0), labels, images(count, 1))
    )


def step(system: Predictor, name: str, k: int) -> dict[str, Tensor]:
    seed_torch("step", k)
    return system.step(batch(name), k)


@every_system
def test_a_few_steps_change_every_network_that_learns(params: Params, name: str) -> None:
    system = build(params, name)
    before = copy.deepcopy(system.networks.state_dict())
    for k in range(3):
        step(system, name, k)
    for network in system.networks:
        changed = [
            key
            for key, weight in learning(system.networks[network]).items()
            if not torch.equal(weight, before[f"{network}.{key}"])
        ]
        matrices = [key for key, weight in learning(system.networks[network]).items() if weight.ndim > 1]
        assert set(matrices) <= set(changed), network


@every_system
def test_every_weight_belongs_to_one_optimiser(params: Params, name: str) -> None:
    system = build(params, name)
    owned = [
        id(weight)
        for optimiser in system.optimisers.values()
        for group in optimiser.param_groups
        for weight in group["params"]
    ]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(weight) for weight in learning(system.networks).values()}


@every_system
def test_the_optimisers_have_the_settings_of_params(params: Params, name: str) -> None:
    section = getattr(params, name)
    rates = [key for key in type(section).model_fields if key.endswith("lr")]
    changes = {**dict.fromkeys(rates, 0.004), "beta1": 0.7, "beta2": 0.98, "weight_decay": 0.03}
    system = build(params.model_copy(update={name: section.model_copy(update=changes)}), name)
    for optimiser in system.optimisers.values():
        for group in optimiser.param_groups:
            assert (group["lr"], *group["betas"], group["weight_decay"]) == (0.004, 0.7, 0.98, 0.03)


@every_system
def test_losses_are_single_finite_numbers(params: Params, name: str) -> None:
    losses = step(build(params, name), name, 0)
    assert losses
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())


@every_system
@pytest.mark.parametrize("augment", ["none", "strong"])
def test_it_trains_in_mixed_precision(params: Params, name: str, augment: str) -> None:
    section = getattr(params, name)
    changes = {"augment": augment} if "augment" in type(section).model_fields else {}
    system = build(params.model_copy(update={name: section.model_copy(update=changes)}), name)
    with torch.autocast("cpu", torch.bfloat16):
        losses = step(system, name, 0)
    assert all(loss.isfinite() for loss in losses.values())
    assert all(weight.dtype == torch.float32 for weight in learning(system.networks).values())


@every_system
def test_the_same_names_train_the_same_weights(params: Params, name: str) -> None:
    systems = [build(params, name) for _ in range(2)]
    for system in systems:
        for k in range(3):
            step(system, name, k)
    one, other = (system.networks.state_dict() for system in systems)
    assert all(torch.equal(one[key], other[key]) for key in one)


@every_learner
def test_a_system_learns_what_it_is_shown(params: Params, name: str) -> None:
    """Forty steps on one small batch: it knows these images by heart."""
    system = build(params, name)
    for k in range(40):
        step(system, name, k)
    system.networks.eval()
    with torch.no_grad():
        source, labels = batch(name)[:2]
        assert (system.logits(source).argmax(1) == labels).float().mean() >= 0.9


@every_system
def test_it_predicts_ten_classes_from_features(params: Params, name: str) -> None:
    system = build(params, name)
    system.networks.eval()
    with torch.no_grad():
        features, logits = system.features(images(5, 3)), system.logits(images(5, 3))
    assert logits.shape == (5, 10)
    assert features.ndim == 2
    assert len(features) == 5
    assert logits.isfinite().all()


@every_system
def test_judging_draws_nothing_and_changes_nothing(params: Params, name: str) -> None:
    system = build(params, name)
    system.networks.eval()
    before = copy.deepcopy(system.networks.state_dict())
    with torch.no_grad():
        one, other = system.logits(images(5, 3)), system.logits(images(5, 3))
    assert torch.equal(one, other)
    after = system.networks.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@every_system
def test_its_networks_are_a_module_dict_and_hold_all_it_has(params: Params, name: str) -> None:
    system = build(params, name)
    assert isinstance(system.networks, nn.ModuleDict)
    held = {id(module) for module in system.networks.modules()}
    others = [value for value in vars(system).values() if isinstance(value, nn.Module)]
    assert all(id(module) in held for module in others)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_bears_batches_of_two_sizes(params: Params, name: str) -> None:
    system = build(params, name)
    losses = system.step((images(8, 0), torch.arange(8), images(5, 1)), 0)
    assert all(loss.isfinite() for loss in losses.values())
