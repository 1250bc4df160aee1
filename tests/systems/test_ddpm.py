"""DDPM: forward process, predictions, loss weights and guidance are those of the papers."""

import copy
from typing import Any

import pytest
import torch
from small_systems import build as build_small
from small_systems import uniform
from torch import Tensor, nn

from hw2core.engine.randomness import seed_torch
from hw2core.settings.registry import SAMPLERS
from hw2core.settings.systems import Sampling
from hw2core.systems.ddpm import Ddpm
from hw2core.systems.unet import NULL_LABEL, UNETS

LABELS = torch.arange(6)


def sampling(**changes: Any) -> Sampling:
    values = {
        "sampler": "dpm_solver",
        "sampling_steps": 5,
        "guidance_scale": 2.0,
        "guidance_skip_prob": 0.0,
        "eta": 0.0,
    }
    return Sampling(**values | changes)


def build(**changes: Any) -> Ddpm:
    """A system without layers whose weights are zero: the compact network starts by predicting zero."""
    system: Ddpm = build_small("ddpm", **changes)
    for weight in system.networks.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    return system


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(seed: int = 0) -> Tensor:
    return uniform(6, 28, seed)


@torch.no_grad()
def sample(system: Ddpm, settings: Sampling, labels: Tensor | None = LABELS) -> Tensor:
    system.networks.eval()
    return system.sample(system.noise(6, rng()), labels, settings, rng(1))


# --- training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 37, 100])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_x_t_has_the_moments_of_q(schedule: str, t: int) -> None:
    system = build(noise_schedule=schedule)
    alpha_bar_t = system.alpha_bar(torch.full((4000,), t))
    x_0 = torch.linspace(-1, 1, 12).reshape(1, 3, 2, 2).expand(4000, 3, 2, 2)
    x_t = system.add_noise(x_0, torch.randn(x_0.shape, generator=rng()), alpha_bar_t)
    value = system.alpha_bars[t].item()
    assert alpha_bar_t[0].item() == pytest.approx(value)
    assert torch.allclose(x_t.mean(0), value**0.5 * x_0[0], atol=5 * ((1 - value) / 4000) ** 0.5)
    assert torch.allclose(x_t.var(0), torch.tensor(1 - value), rtol=0.15)


def test_training_samples_every_time_step_from_1_to_the_last_and_drops_labels() -> None:
    system = build(timesteps=50, label_dropout=0.5)
    seen: list[tuple[Tensor, Tensor]] = []

    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
            seen.append((t, labels))
            return x_t * self.weight

    system.networks["unet"] = Recorder()
    labels = torch.arange(2000) % 10
    for k in range(3):
        seed_torch("step", k)
        system.step((torch.zeros(2000, 3, 2, 2), labels), k)
    assert set(torch.cat([t for t, _ in seen]).tolist()) == set(range(1, 51))
    assert len({tuple(t.tolist()) for t, _ in seen}) == 3
    for _, given in seen:
        kept = given != NULL_LABEL
        assert (given[kept] == labels[kept]).all()
        assert kept.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(build(label_dropout=0.0).drop_labels(labels), labels)


def test_the_loss_is_the_squared_error_of_the_prediction() -> None:
    system = build(prediction="epsilon", label_dropout=0.0)
    plain = copy.deepcopy(system)
    seed_torch("step")
    loss = system.step((images(), LABELS), 0)["loss"]
    seed_torch("step")
    t, eps = torch.randint(1, 101, (6,)), torch.randn(6, 3, 28, 28)
    x_t = plain.add_noise(images(), eps, plain.alpha_bars[t].float()[:, None, None, None])
    predicted = plain.networks["unet"](x_t, t, LABELS)
    assert loss.item() == pytest.approx(nn.functional.mse_loss(predicted, eps).item(), rel=1e-5)


def test_it_learns_a_constant_image() -> None:
    """The same ten draws of t and eps again and again, so that losses are comparable."""
    system = build_small("ddpm", lr=1e-2, label_dropout=0.0, prediction="epsilon")
    shown = torch.full((8, 3, 28, 28), 0.5)
    losses = []
    for k in range(40):
        seed_torch("step", k % 10)
        losses.append(system.step((shown, torch.zeros(8, dtype=torch.int64)), k)["loss"].item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


# --- predictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("t", [1, 50, 99])
def test_a_correct_prediction_gives_x_0(prediction: str, schedule: str, t: int) -> None:
    system = build(prediction=prediction, noise_schedule=schedule)
    x_0, eps = images(), torch.randn((6, 3, 28, 28), generator=rng(1))
    alpha_bar_t = system.alpha_bar(torch.full((6,), t))
    x_t, target = system.add_noise(x_0, eps, alpha_bar_t), system.target(x_0, eps, alpha_bar_t)
    assert torch.allclose(system.to_x0(target, x_t, t), x_0, atol=1e-3)


def test_v_is_that_of_salimans_and_ho() -> None:
    """v = sqrt(a) eps - sqrt(1 - a) x_0, and inversely eps = sqrt(1 - a) x_t + sqrt(a) v."""
    of_eps, of_v = build(prediction="epsilon"), build(prediction="v")
    t = 40
    a = of_v.alpha_bars[t].item()
    x_t, eps = torch.randn((2, 6, 3, 4, 4), generator=rng())
    x_0 = of_eps.to_x0(eps, x_t, t)
    v = a**0.5 * eps - (1 - a) ** 0.5 * x_0
    assert torch.allclose(of_v.to_x0(v, x_t, t), x_0, atol=1e-5)
    assert torch.allclose((1 - a) ** 0.5 * x_t + a**0.5 * v, eps, atol=1e-5)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        # of SNR 1/4, 5 and 20 with gamma 5: min(SNR, 5) is 1/4, 5, 5
        ("epsilon", [1, 1, 5 / 20]),
        ("v", [0.25 / 1.25, 5 / 6, 5 / 21]),
    ],
)
def test_min_snr_weights(prediction: str, expected: list[float]) -> None:
    alpha_bar_t = torch.tensor([snr / (1 + snr) for snr in (0.25, 5.0, 20.0)])
    found = build(prediction=prediction, min_snr_gamma=5.0).loss_weight(alpha_bar_t)
    assert torch.allclose(found, torch.tensor(expected), rtol=1e-4)
    assert build(prediction=prediction).loss_weight(alpha_bar_t).tolist() == [1, 1, 1]


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_weighted_loss_is_min_snr_times_the_error_of_x_0(prediction: str) -> None:
    t, error = 30, images(seed=3)
    system = build(prediction=prediction, min_snr_gamma=5.0)
    alpha_bar_t = system.alpha_bar(torch.full((6,), t))
    eps = torch.randn(error.shape, generator=rng())
    x_t = system.add_noise(images(), eps, alpha_bar_t)
    wrong_x_0 = images() + error
    wrong_eps = (x_t - alpha_bar_t.sqrt() * wrong_x_0) / (1 - alpha_bar_t).sqrt()
    wrong = system.target(wrong_x_0, wrong_eps, alpha_bar_t)
    difference = system.target(images(), eps, alpha_bar_t) - wrong
    loss = system.loss_weight(alpha_bar_t.flatten())[0] * difference.square().mean()
    snr = (alpha_bar_t / (1 - alpha_bar_t))[0].item()
    assert loss.item() == pytest.approx(min(snr, 5) * error.square().mean().item(), rel=1e-3)


# --- guidance ---------------------------------------------------------------------------------------------------


def test_classifier_free_guidance() -> None:
    """A scale of 1 is exactly the conditional prediction, 0 the unconditional one, others are linear in between."""
    system = build()
    x_t, t = images(), torch.full((6,), 50)
    unet = system.networks["unet"].eval()
    with torch.no_grad():
        conditional = unet(x_t, t, LABELS)
        unconditional = unet(x_t, t, torch.full((6,), NULL_LABEL))
        assert torch.equal(system.guided(x_t, 50, LABELS, 1.0), conditional)
        assert torch.equal(system.guided(x_t, 50, LABELS, 0.0), unconditional)
        assert not torch.allclose(conditional, unconditional, atol=1e-4)
        for scale in (0.5, 3.0):
            expected = unconditional + scale * (conditional - unconditional)
            assert torch.allclose(system.guided(x_t, 50, LABELS, scale), expected, atol=1e-4)


def test_guidance_is_one_batch_and_skipped_steps_evaluate_the_conditional_half_alone() -> None:
    system = build()
    sizes: list[int] = []
    system.networks["unet"].register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    sample(system, sampling(sampling_steps=3))
    assert sizes == [12, 12, 12]
    sizes.clear()
    sample(system, sampling(sampling_steps=50, guidance_skip_prob=0.4))
    skipped = (torch.rand(50, generator=rng(1)) < 0.4).tolist()
    assert sizes == [6 if skip else 12 for skip in skipped]
    assert 10 <= sum(skipped) <= 30


def test_skipping_guidance_at_every_step_is_the_conditional_model() -> None:
    system = build()
    conditional, guided = (sample(system, sampling(guidance_scale=scale)) for scale in (1.0, 3.0))
    skipping = sampling(guidance_scale=3.0, guidance_skip_prob=1.0)
    assert torch.equal(sample(system, skipping), conditional)
    assert not torch.allclose(conditional, guided, atol=1e-3)


# --- samples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        *(sampling(sampler=name) for name in SAMPLERS),
        sampling(sampler="ddim", eta=0.5),
        *(sampling(sampling_steps=steps) for steps in (1, 100, 5000)),
    ],
    ids=lambda settings: f"{settings.sampler}-{settings.sampling_steps}-{settings.eta}",
)
def test_samples_are_reproducible_images(settings: Sampling) -> None:
    x = sample(build(), settings)
    assert x.shape == (6, 3, 28, 28)
    assert x.isfinite().all()
    assert x.abs().max() <= 1
    assert torch.equal(x, sample(build(), settings))


def test_without_labels_samples_are_unconditional() -> None:
    system = build()
    null_labels = torch.full((6,), NULL_LABEL)
    assert torch.equal(sample(system, sampling(), None), sample(system, sampling(), null_labels))


@pytest.mark.parametrize("arch", UNETS)
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_every_network_and_prediction_trains_and_samples(arch: str, prediction: str) -> None:
    system = build(arch=arch, prediction=prediction, min_snr_gamma=5.0)
    assert system.step((images(), LABELS), 0)["loss"].isfinite()
    assert sample(system, sampling(sampling_steps=2)).isfinite().all()
    # The schedule is no weight: neither averaged nor saved.
    assert set(system.networks.state_dict()) == {name for name, _ in system.networks.named_parameters()}


def test_the_trajectory_goes_from_the_noise_to_the_sample() -> None:
    system = build(timesteps=60)
    noise, settings = system.noise(6, rng()), sampling(sampler="ddim", sampling_steps=10)
    system.networks.eval()
    with torch.no_grad():
        trajectory = list(system.trajectory(noise, LABELS, settings, rng(1)))
    assert [t for t, _ in trajectory] == [60, 54, 48, 42, 36, 30, 24, 18, 12, 6, 0]
    assert torch.equal(trajectory[0][1], noise)
    assert torch.equal(trajectory[-1][1].clamp(-1, 1), sample(system, settings))


def test_the_size_of_chunks_changes_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    system = build()
    whole = sample(system, sampling(sampler="ddpm"))
    monkeypatch.setattr("hw2core.systems.ddpm.CHUNK", 4)
    assert torch.allclose(sample(system, sampling(sampler="ddpm")), whole, atol=1e-4)


def test_the_noise_of_many_images_is_one_draw_of_the_rng() -> None:
    assert torch.equal(build().noise(3, rng(5)), torch.randn((3, 3, 28, 28), generator=rng(5)))
