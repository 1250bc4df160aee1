"""DDPM: what is mixed, guessed, weighed and guided is what the papers say."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hw2core.engine.device import Device
from hw2core.engine.loop import Trained, Watch, train
from hw2core.engine.randomness import generator, seed_torch
from hw2core.engine.resume import Checkpoint
from hw2core.settings import Ddpm as Settings
from hw2core.settings import Sampling
from hw2core.systems.ddpm import Ddpm
from hw2core.systems.unet import NULL_LABEL, UNETS

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
LABELS = torch.arange(6)
WAY: dict[str, Any] = {"sampler": "dpm_solver", "sampling_steps": 5, "guidance": 2.0, "skip": 0.0, "eta": 0.0}


def settings(**changes: Any) -> Settings:
    values = {
        "steps": 5,
        "batch": 4,
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0,
        "ema": 0.0,
        "arch": "compact",
        "width": 8,
        "times": 100,
        "noise": "cosine",
        "prediction": "v",
        "unlabeled": 0.1,
        "min_snr": 0.0,
        **WAY,
    }
    return Settings(**values | changes)


def how(**changes: Any) -> Sampling:
    return Sampling(**WAY | changes)


def build(**changes: Any) -> Ddpm:
    """A system as it begins, but with guesses: the compact network begins by guessing nothing."""
    seed_torch("initial weights")
    system = Ddpm(settings(**changes))
    for weight in system.networks.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    return system


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 6, seed: int = 0) -> Tensor:
    return torch.rand((count, 3, 28, 28), generator=random(seed)) * 2 - 1


def sampled(system: Ddpm, way: Sampling, count: int = 6, labels: Tensor = LABELS) -> Tensor:
    system.networks.eval()
    with torch.no_grad():
        return system.sample(system.noise(count, random()), labels, way, random(1))


# --- the forward process --------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 37, 100])
@pytest.mark.parametrize("noise", ["linear", "cosine"])
def test_a_diffused_image_has_the_moments_of_q(noise: str, t: int) -> None:
    system = build(noise=noise)
    alpha_bar = system.alpha_bar(torch.full((4000,), t))
    start = torch.linspace(-1, 1, 12).reshape(1, 3, 2, 2).expand(4000, 3, 2, 2)
    x = system.diffuse(start, torch.randn(start.shape, generator=random()), alpha_bar)
    left = system.alpha_bars[t].item()
    assert torch.allclose(x.mean(0), left**0.5 * start[0], atol=5 * ((1 - left) / 4000) ** 0.5)
    assert torch.allclose(x.var(0), torch.tensor(1 - left), rtol=0.15)


def test_training_draws_every_time_from_the_first_to_the_last_and_never_0() -> None:
    system = build(times=50, unlabeled=0.5)
    seen: list[Tensor] = []
    told: list[Tensor] = []

    class Ear(nn.Module):
        def forward(self, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
            seen.append(times)
            told.append(labels)
            return images * self.weight

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    system.networks["unet"] = Ear()
    labels = torch.arange(2000) % 10
    for k in range(3):
        seed_torch("step", k)
        system.step((torch.zeros(2000, 3, 2, 2), labels), k)
    assert set(torch.cat(seen).tolist()) == set(range(1, 51))
    assert len({tuple(times.tolist()) for times in seen}) == 3
    for heard in told:
        kept = heard != NULL_LABEL
        assert (heard[kept] == labels[kept]).all()
        assert kept.float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.1, 850, 1150)])
def test_the_share_of_dropped_labels(share: float, low: int, high: int) -> None:
    seed_torch("drop")
    labels = torch.arange(10_000) % 10
    dropped = build(unlabeled=share).drop(labels)
    assert low <= (dropped == NULL_LABEL).sum() <= high
    assert (dropped[dropped != NULL_LABEL] == labels[dropped != NULL_LABEL]).all()


# --- what is guessed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("noise", ["linear", "cosine"])
@pytest.mark.parametrize("t", [1, 50, 99])
def test_the_true_guess_leads_back_to_the_image(prediction: str, noise: str, t: int) -> None:
    system = build(prediction=prediction, noise=noise)
    start, epsilon = images(), torch.randn((6, 3, 28, 28), generator=random(1))
    alpha_bar = system.alpha_bar(torch.full((6,), t))
    x, guess = system.diffuse(start, epsilon, alpha_bar), system.target(start, epsilon, alpha_bar)
    assert torch.allclose(system.image(guess, x, t), start, atol=1e-3)


def test_epsilon_and_v_say_the_same() -> None:
    """v = sqrt(a) epsilon - sqrt(1 - a) x_0, and back: epsilon = sqrt(1 - a) x_t + sqrt(a) v."""
    of_epsilon, of_v = build(prediction="epsilon"), build(prediction="v")
    t = 40
    a = of_v.alpha_bars[t].item()
    x, epsilon = torch.randn((2, 6, 3, 4, 4), generator=random())
    start = of_epsilon.image(epsilon, x, t)
    v = a**0.5 * epsilon - (1 - a) ** 0.5 * start
    assert torch.allclose(of_v.image(v, x, t), start, atol=1e-5)
    assert torch.allclose((1 - a) ** 0.5 * x + a**0.5 * v, epsilon, atol=1e-5)


@pytest.mark.parametrize(
    ("prediction", "ratios", "expected"),
    [
        # SNR 1/4, 5 and 20 with gamma 5: min(SNR, 5) is 1/4, 5, 5
        ("epsilon", [0.25, 5.0, 20.0], [1, 1, 5 / 20]),
        ("v", [0.25, 5.0, 20.0], [0.25 / 1.25, 5 / 6, 5 / 21]),
    ],
)
def test_min_snr_weights(prediction: str, ratios: list[float], expected: list[float]) -> None:
    alpha_bar = torch.tensor([ratio / (1 + ratio) for ratio in ratios])
    found = build(prediction=prediction, min_snr=5.0).weight(alpha_bar)
    assert torch.allclose(found, torch.tensor(expected), rtol=1e-4)
    assert build(prediction=prediction).weight(alpha_bar).tolist() == [1, 1, 1]


def test_the_weighted_losses_of_epsilon_and_v_are_one_loss_on_the_image() -> None:
    """An error of the image counts alike, whichever of the two was guessed."""
    t, error = 30, images(seed=3)
    losses = []
    for prediction in ("epsilon", "v"):
        system = build(prediction=prediction, min_snr=5.0)
        alpha_bar = system.alpha_bar(torch.full((6,), t))
        epsilon = torch.randn(error.shape, generator=random())
        x = system.diffuse(images(), epsilon, alpha_bar)
        wrong = images() + error
        its_epsilon = (x - alpha_bar.sqrt() * wrong) / (1 - alpha_bar).sqrt()
        difference = system.target(images(), epsilon, alpha_bar) - system.target(
            wrong, its_epsilon, alpha_bar
        )
        losses.append(system.weight(alpha_bar.flatten())[0] * difference.square().mean())
        ratio = (alpha_bar / (1 - alpha_bar))[0].item()
        assert losses[-1].item() == pytest.approx(min(ratio, 5) * error.square().mean().item(), rel=1e-3)
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-3)


# --- guidance -------------------------------------------------------------------------------------------------


def test_guidance_1_is_exactly_the_labeled_guess_and_0_the_unlabeled() -> None:
    system = build()
    x, times = images(), torch.full((6,), 50)
    unet = system.networks["unet"].eval()
    with torch.no_grad():
        labeled, unlabeled = unet(x, times, LABELS), unet(x, times, torch.full((6,), NULL_LABEL))
        assert torch.equal(system.guided(x, 50, LABELS, 1.0), labeled)
        assert torch.equal(system.guided(x, 50, LABELS, 0.0), unlabeled)
        assert not torch.allclose(labeled, unlabeled, atol=1e-4)
        for scale in (0.5, 3.0):
            expected = unlabeled + scale * (labeled - unlabeled)
            assert torch.allclose(system.guided(x, 50, LABELS, scale), expected, atol=1e-4)


def test_both_halves_are_asked_for_in_one_batch() -> None:
    system = build()
    sizes = count_images(system)
    sampled(system, how(sampling_steps=3, guidance=2.0))
    assert sizes == [12, 12, 12]


def count_images(system: Ddpm) -> list[int]:
    """How many images each call of the network is given from here on."""
    sizes: list[int] = []
    system.networks["unet"].register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    return sizes


def test_at_skipped_steps_the_unlabeled_half_is_left_out() -> None:
    system = build()
    sizes = count_images(system)
    sampled(system, how(sampling_steps=50, skip=0.4))
    assert set(sizes) == {6, 12}
    assert 10 <= sizes.count(6) <= 30
    chance = (torch.rand(50, generator=random(1)) < 0.4).tolist()
    assert [size == 6 for size in sizes] == chance


def test_skipping_every_step_is_the_conditional_model_and_none_is_guidance() -> None:
    system = build()
    conditional, guided = (sampled(system, how(guidance=scale)) for scale in (1.0, 3.0))
    assert torch.equal(sampled(system, how(guidance=3.0, skip=1.0)), conditional)
    assert not torch.allclose(conditional, guided, atol=1e-3)


# --- samples --------------------------------------------------------------------------------------------------

WAYS = [how(sampler=name) for name in ("ddpm", "ddpm_posterior", "ddim", "dpm_solver")] + [
    how(sampler="ddim", eta=0.5),
    how(sampling_steps=1),
    how(sampling_steps=100),
    how(sampling_steps=5000),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.sampler}-{way.sampling_steps}-{way.eta}")
def test_samples_are_images_whatever_the_way(way: Sampling) -> None:
    x = sampled(build(), way)
    assert x.shape == (6, 3, 28, 28)
    assert x.isfinite().all()
    assert x.abs().max() <= 1
    assert torch.equal(x, sampled(build(), way))


@pytest.mark.parametrize("arch", UNETS)
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_every_network_and_prediction_trains_and_samples(arch: str, prediction: str) -> None:
    system = build(arch=arch, prediction=prediction, min_snr=5.0)
    for k in range(3):
        seed_torch("step", k)
        losses = system.step((images(), LABELS), k)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    assert sampled(system, how()).isfinite().all()


def test_the_trajectory_goes_from_the_noise_to_the_sample() -> None:
    system = build(times=60)
    noise = system.noise(6, random())
    system.networks.eval()
    with torch.no_grad():
        way = list(system.trajectory(noise, LABELS, how(sampler="ddim", sampling_steps=10), random(1)))
    assert [t for t, _ in way] == [60, 54, 48, 42, 36, 30, 24, 18, 12, 6, 0]
    assert torch.equal(way[0][1], noise)
    assert torch.equal(way[-1][1].clamp(-1, 1), sampled(system, how(sampler="ddim", sampling_steps=10)))


def test_chunks_change_nothing_but_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    system = build()
    whole = sampled(system, how(sampler="ddpm"))
    monkeypatch.setattr("hw2core.systems.ddpm.CHUNK", 4)
    assert torch.allclose(sampled(system, how(sampler="ddpm")), whole, atol=1e-4)


def test_noise_is_what_the_generator_says() -> None:
    system = build()
    assert torch.equal(system.noise(3, random(5)), torch.randn((3, 3, 28, 28), generator=random(5)))


# --- as the loop trains it ------------------------------------------------------------------------------------


class Killed(BaseException):
    """A process that ends here and now."""


def run(folder: Path, options: Settings, killed_at: int | None = None) -> Trained:
    seed_torch("initial weights")
    system = Ddpm(options)

    def batch_at(k: int) -> tuple[Tensor, Tensor]:
        if k == killed_at:
            raise Killed
        return images(options.batch, seed=k), torch.randint(10, (options.batch,), generator=generator(k))

    watch = Watch(
        2, lambda step: {"mean": sampled(system, how(sampling_steps=2)).mean().item()}, chooses="mean"
    )
    return train(system, batch_at, options, watch, CPU, Checkpoint(folder / "state"), 2, ("ddpm", "seed 0"))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_training_ends_in_the_very_same_bytes(tmp_path: Path, ema: float) -> None:
    options = settings(ema=ema)
    whole = run(tmp_path / "whole", options)
    with pytest.raises(Killed):
        run(tmp_path / "cut", options, killed_at=3)
    resumed = run(tmp_path / "cut", options)
    assert whole.history == resumed.history
    assert all(torch.equal(whole.last[name], resumed.last[name]) for name in whole.last)


def test_averaging_leaves_the_schedule_alone(tmp_path: Path) -> None:
    options = settings(ema=0.9)
    seed_torch("initial weights")
    system = Ddpm(options)
    before = system.alpha_bars.clone()
    batch = (images(4), torch.arange(4))
    watch = Watch(5, lambda step: {"mean": 0.0}, chooses="mean")
    train(system, lambda k: batch, options, watch, CPU, Checkpoint(tmp_path / "state"), 5, ("ddpm",))
    assert torch.equal(system.alpha_bars, before)
    assert not list(system.networks.buffers())
    assert set(system.networks.state_dict()) == {name for name, _ in system.networks.named_parameters()}


def test_it_learns_what_it_is_shown() -> None:
    """One even image: what it guesses, it guesses better and better."""
    seed_torch("initial weights")
    system = Ddpm(settings(width=16, lr=3e-3, unlabeled=0.0))
    shown = torch.full((16, 3, 28, 28), 0.5)
    losses = []
    for k in range(40):
        seed_torch("step", k)
        losses.append(system.step((shown, torch.zeros(16, dtype=torch.int64)), k)["loss"].item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_the_optimizer_has_the_settings_of_params_and_every_weight() -> None:
    system = build(lr=0.004, beta1=0.7, beta2=0.98, weight_decay=0.03)
    (group,) = system.optimizers["unet"].param_groups
    assert (group["lr"], *group["betas"], group["weight_decay"]) == (0.004, 0.7, 0.98, 0.03)
    assert {id(weight) for weight in group["params"]} == {id(w) for w in system.networks.parameters()}


def test_sampling_changes_nothing_of_the_networks() -> None:
    system = build()
    before = copy.deepcopy(system.networks.state_dict())
    sampled(system, how())
    after = system.networks.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
