"""What every system that draws images promises to the loop, to the judges and to those who want images."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_generators import GANS, SYSTEMS, build, faces, settings
from torch import Tensor

from hw2core.engine.device import Device
from hw2core.engine.journal import load_weights, read_model, write_model
from hw2core.engine.loop import Trained, Watch, train
from hw2core.engine.randomness import generator, seed_torch
from hw2core.engine.resume import Checkpoint

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
every_system = pytest.mark.parametrize("name", SYSTEMS)
every_gan = pytest.mark.parametrize("name", GANS)


def step(system: Any, k: int) -> dict[str, Tensor]:
    seed_torch("step", k)
    losses: dict[str, Tensor] = system.step((faces(seed=k), torch.zeros(6, dtype=torch.long)), k)
    return losses


def bits(state: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in state.items()}


@every_system
def test_a_few_steps_change_every_weight_and_stay_finite(name: str) -> None:
    system = build(name)
    before = copy.deepcopy(dict(system.networks.named_parameters()))
    for k in range(3):
        losses = step(system, k)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    after = dict(system.networks.named_parameters())
    assert not [key for key in after if torch.equal(before[key], after[key])]
    assert all(tensor.isfinite().all() for tensor in system.networks.state_dict().values())


@every_system
def test_the_losses_have_the_same_names_at_every_step(name: str) -> None:
    system = build(name)
    assert len({tuple(step(system, k)) for k in range(4)}) == 1


@every_system
def test_every_weight_belongs_to_one_optimiser_with_the_settings_of_params(name: str) -> None:
    changes = {"lr": 0.004, "beta1": 0.7, "beta2": 0.98, "weight_decay": 0.03}
    changes |= {"critic_lr": 0.008} if name in GANS else {}
    system = build(name, **changes)
    owned = []
    for optimiser_name, optimiser in system.optimisers.items():
        for group in optimiser.param_groups:
            owned += [id(weight) for weight in group["params"]]
            lr = 0.008 if optimiser_name == "critic" else 0.004
            assert (group["lr"], *group["betas"], group["weight_decay"]) == (lr, 0.7, 0.98, 0.03)
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(weight) for weight in system.networks.parameters()}


@every_system
def test_a_batch_may_be_images_with_labels_or_images_alone(name: str) -> None:
    systems = build(name), build(name)
    step(systems[0], 0)
    seed_torch("step", 0)
    systems[1].step(faces(seed=0), 0)
    assert bits(systems[0].networks.state_dict()) == bits(systems[1].networks.state_dict())


@every_system
@pytest.mark.parametrize("size", [32, 64, 128])
def test_samples_are_images_of_the_size_asked_for_from_minus_one_to_one(name: str, size: int) -> None:
    system = build(name, size=size)
    system.networks.eval()
    with torch.no_grad():
        images = system.sample(system.noise(3, generator("noise")))
    assert images.shape == (3, 3, size, size)
    assert images.isfinite().all()
    assert images.abs().max() <= 1


@every_system
def test_the_same_noise_gives_the_same_images_however_it_is_divided(name: str) -> None:
    """In evaluation mode an image depends on its own noise alone, and drawing changes nothing."""
    system = build(name)
    step(system, 0)
    system.networks.eval()
    before = copy.deepcopy(system.networks.state_dict())
    noise = system.noise(5, generator("noise"))
    assert torch.equal(noise, system.noise(5, generator("noise")))
    assert torch.equal(noise[:2], system.noise(2, generator("noise")))
    with torch.no_grad():
        images = system.sample(noise)
        torch.rand(10)
        assert torch.equal(images, system.sample(noise))
        parts = torch.cat([system.sample(noise[:2]), system.sample(noise[2:])])
    assert torch.allclose(images, parts, atol=1e-5)
    assert (images[0] - images[1]).abs().max() > 1e-4
    assert bits(before) == bits(system.networks.state_dict())


@every_gan
def test_one_networks_turn_moves_the_other_by_nothing(name: str) -> None:
    """Neither a weight nor a gradient: the generator is not trained twice."""
    system = build(name)
    for mover, other in (("critic", "generator"), ("generator", "critic")):
        system.networks.zero_grad()
        before = copy.deepcopy(dict(system.networks[other].named_parameters()))
        fake = system.fakes(6)
        system.turn(mover, system.verdict(system.seen(fake)).mean())
        assert all(weight.grad is None for weight in system.networks[other].parameters())
        assert all(weight.grad is not None for weight in system.networks[mover].parameters())
        after = dict(system.networks[other].named_parameters())
        assert all(torch.equal(before[key], after[key]) for key in after)


@every_gan
def test_the_critic_learns_nothing_of_the_generators_graph(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is shown in its own turn is cut off from the generator: the first loss ends at images."""
    system = build(name)
    shown = []

    def turn(mover: str, loss: Tensor) -> Tensor:
        if mover == "critic":
            weights = list(system.networks["generator"].parameters())
            shown.extend(torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True))
        return type(system).turn(system, mover, loss)

    monkeypatch.setattr(system, "turn", turn)
    step(system, 0)
    assert shown
    assert all(gradient is None for gradient in shown)


@every_gan
def test_the_health_of_the_run_is_in_what_a_step_returns(name: str) -> None:
    losses = step(build(name), 0)
    assert {"real_accuracy", "fake_accuracy", "critic_gradient", "generator_gradient", "diversity"} <= set(
        losses
    )
    assert all(0 <= losses[key] <= 1 for key in ("real_accuracy", "fake_accuracy"))
    assert losses["critic_gradient"] > 0
    assert losses["generator_gradient"] > 0


# --- under the loop ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """A process that ends here and now."""


def batch_at(k: int) -> tuple[Tensor, Tensor]:
    return faces(seed=k), torch.zeros(6, dtype=torch.long)


def trained(
    folder: Path, name: str, ema: float, batches: Callable[[int], Any] = batch_at, device: Device = CPU
) -> Trained:
    options = settings(name, ema=ema, steps=7)
    system = build(name, ema=ema, steps=7)

    def look(step: int) -> dict[str, float]:
        return {"mean": system.sample(system.noise(4, generator("noise"))).mean().item()}

    watch = Watch(3, look, chooses="mean")
    return train(system, batches, options, watch, device, Checkpoint(folder / "state"), 2, ("train", name))


@every_system
@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_a_killed_training_ends_in_the_very_same_bytes(tmp_path: Path, name: str, ema: float) -> None:
    whole = trained(tmp_path / "whole", name, ema)
    for killed_at in (3, 6):

        def killed(k: int, killed_at: int = killed_at) -> Any:
            if k == killed_at:
                raise Killed
            return batch_at(k)

        with pytest.raises(Killed):
            trained(tmp_path / "killed", name, ema, killed)
    again = trained(tmp_path / "killed", name, ema)
    assert bits(again.last) == bits(whole.last)
    assert bits(again.chosen) == bits(whole.chosen)
    assert again.history == whole.history


@every_system
def test_what_is_saved_draws_the_same_images(tmp_path: Path, name: str) -> None:
    run = trained(tmp_path, name, ema=0.8)
    write_model(tmp_path, {"seed0.last": run.last}, {})
    system = build(name)
    load_weights(system.networks, read_model(tmp_path, "seed0.last"), tmp_path)
    system.networks.eval()
    with torch.no_grad():
        mean = system.sample(system.noise(4, generator("noise"))).mean().item()
    # The loop's networks lie in another memory format: the sums' order differs.
    assert mean == pytest.approx(run.history[-1]["mean"], abs=1e-5)


@every_system
def test_it_trains_in_bfloat16_too(tmp_path: Path, name: str) -> None:
    device = Device(torch.device("cpu"), bf16=True, channels_last=True, compiled=False, about="cpu")
    assert len(trained(tmp_path, name, ema=0.8, device=device).history) == 3
