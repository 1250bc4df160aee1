"""The samplers on a Gaussian, whose score is known: no network is trained here."""

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from hw2core.systems.samplers import (
    PredictX0,
    Sampler,
    alpha_bars_of,
    choose_sampler,
    cosine_schedule,
    ddim,
    ddpm,
    dpm_solver,
    even_timesteps,
    linear_schedule,
    slerp,
)

SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm,
    "ddpm_posterior": partial(ddim, eta=1.0),
    "ddim": ddim,
    "eta=0.5": partial(ddim, eta=0.5),
    "dpm_solver": dpm_solver,
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
T = 1000
COSINE = cosine_schedule(T)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- schedules ------------------------------------------------------------------------------------------------


def test_the_linear_schedule_is_the_product_of_one_minus_beta() -> None:
    schedule = linear_schedule(1000)
    alpha_bar, expected = 1.0, [1.0]
    for t in range(1, 1001):
        alpha_bar *= 1 - (1e-4 + (0.02 - 1e-4) * (t - 1) / 999)
        expected.append(alpha_bar)
    assert torch.allclose(schedule, torch.tensor(expected, dtype=torch.float64), rtol=1e-12)


def test_the_linear_schedule_ends_in_noise_with_fewer_time_steps() -> None:
    assert linear_schedule(1000)[-1].item() == pytest.approx(4.036e-5, rel=1e-3)
    assert linear_schedule(600)[-1].item() == pytest.approx(4.036e-5, rel=0.1)
    assert linear_schedule(50)[-1].item() < 1e-4


def test_the_cosine_schedule_is_the_papers_formula() -> None:
    def f(t: int) -> float:
        return math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 2, 250, 500, 750, 990):
        assert COSINE[t].item() == pytest.approx(f(t) / f(0), rel=1e-9)
    # The last beta would be 1 and is clipped to 0.999.
    assert COSINE[T].item() == pytest.approx(0.001 * f(T - 1) / f(0), rel=1e-9)


@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
@pytest.mark.parametrize("timesteps", [50, 600, 1000])
def test_a_schedule_falls_from_the_image_to_noise(schedule: Any, timesteps: int) -> None:
    values = schedule(timesteps)
    assert len(values) == timesteps + 1
    assert values[0] == 1  # time 0 is the image itself
    assert (values.diff() < 0).all()
    assert 0 < values[timesteps] < 2e-3
    assert 0.9 < values[1] < 1


def test_the_first_beta_is_that_of_time_1() -> None:
    assert torch.allclose(
        alpha_bars_of(torch.tensor([0.1, 0.5], dtype=torch.float64)),
        torch.tensor([1, 0.9, 0.45], dtype=torch.float64),
    )


@pytest.mark.parametrize("steps", [1, 2, 7, 15, 250, 999, 1000])
def test_time_steps_are_even_and_fall_from_the_last_to_0(steps: int) -> None:
    timesteps = even_timesteps(T, steps)
    assert (timesteps[0], timesteps[-1], len(timesteps)) == (T, 0, steps + 1)
    gaps = {t - s for t, s in itertools.pairwise(timesteps)}
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


def test_six_time_steps_are_those_that_r22_shows() -> None:
    assert even_timesteps(1000, 5) == [1000, 800, 600, 400, 200, 0]
    assert even_timesteps(600, 5) == [600, 480, 360, 240, 120, 0]
    assert set(even_timesteps(1000, 5)) <= set(even_timesteps(1000, 15))


# --- a Gaussian -----------------------------------------------------------------------------------------------

MEAN = torch.tensor([0.4, -0.3], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.20, 0.06], [0.06, 0.09]], dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)


def covariance_at(alpha_bar: float) -> Tensor:
    """The covariance of x_t."""
    return alpha_bar * COVARIANCE + (1 - alpha_bar) * EYE


def gaussian(schedule: Tensor) -> PredictX0:
    """E[x_0 | x_t], the prediction of a perfect network."""

    def predict_x0(x: Tensor, t: int) -> Tensor:
        alpha_bar_t = schedule[t].item()
        gain = math.sqrt(alpha_bar_t) * COVARIANCE @ covariance_at(alpha_bar_t).inverse()
        return MEAN + (x - math.sqrt(alpha_bar_t) * MEAN) @ gain.T

    return predict_x0


def root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.sqrt()) @ vectors.T


def finish(sampler: Sampler, noise: Tensor, schedule: Tensor, steps: int) -> Tensor:
    *_, (t, x) = sampler(
        gaussian(schedule), noise, schedule, even_timesteps(len(schedule) - 1, steps), rng(1)
    )
    assert t == 0
    return x


@pytest.mark.parametrize("schedule", [COSINE, linear_schedule(T)], ids=["cosine", "linear"])
@every_sampler
def test_a_sampler_reaches_the_mean_and_covariance_of_a_gaussian(sampler: Sampler, schedule: Tensor) -> None:
    """Ancestral sampling with the posterior variance falls slightly short of it at a finite number of steps."""
    noise = torch.randn((10_000, 2), generator=rng(), dtype=torch.float64)
    x = finish(sampler, noise, schedule, 500)
    assert torch.allclose(x.mean(0), MEAN, atol=0.015)
    assert torch.allclose(x.T.cov(), COVARIANCE, rtol=0.02, atol=0.01)


def exact(noise: Tensor, schedule: Tensor) -> Tensor:
    """The solution of the probability flow, which scales along the axes of the covariance."""
    alpha_bar_t = schedule[-1].item()
    transform = root(COVARIANCE) @ root(covariance_at(alpha_bar_t)).inverse()
    return MEAN + (noise - math.sqrt(alpha_bar_t) * MEAN) @ transform.T


@pytest.mark.parametrize("schedule", [COSINE, linear_schedule(T)], ids=["cosine", "linear"])
def test_in_15_steps_dpm_solver_is_closer_than_ddim(schedule: Tensor) -> None:
    noise = torch.randn((2000, 2), generator=rng(), dtype=torch.float64)
    exact_x = exact(noise, schedule)
    errors = {
        name: (finish(SAMPLERS[name], noise, schedule, 15) - exact_x).norm(dim=1).mean().item()
        for name in ("ddim", "dpm_solver")
    }
    assert errors["dpm_solver"] < 0.7 * errors["ddim"], errors


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm_solver", 2)])
def test_the_error_falls_with_the_steps_as_the_order_says(name: str, order: int) -> None:
    """At even steps of the log signal-to-noise ratio, up to the time step before the last."""
    half_logs = torch.linspace(-4, 2, 97, dtype=torch.float64)
    schedule = torch.cat([torch.ones(1, dtype=torch.float64), torch.sigmoid(2 * half_logs).flip(0)])
    noise = torch.randn((500, 2), generator=rng(), dtype=torch.float64)
    alpha_bar_t, alpha_bar_s = schedule[97 - 1 + 1].item(), schedule[1].item()
    transform = root(covariance_at(alpha_bar_s)) @ root(covariance_at(alpha_bar_t)).inverse()
    exact_x = math.sqrt(alpha_bar_s) * MEAN + (noise - math.sqrt(alpha_bar_t) * MEAN) @ transform.T
    errors = []
    for stride in (4, 2):
        timesteps = list(range(97, 0, -stride))
        assert timesteps[-1] == 1
        *_, (_, x) = SAMPLERS[name](gaussian(schedule), noise, schedule, timesteps, rng())
        errors.append((x - exact_x).norm(dim=1).mean().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


# --- ancestral sampling ---------------------------------------------------------------------------------------


def one_step(sampler: Sampler, schedule: Tensor, t: int, s: int) -> Tensor:
    """Many steps from t to s with the same x_t and prediction: only the noise varies."""
    start = torch.full((50_000,), 0.7, dtype=torch.float64)
    steps = sampler(lambda x, t: torch.full_like(x, -0.2), start, schedule, [t, s], rng())
    assert next(steps)[1] is start
    return next(steps)[1]


@pytest.mark.parametrize(("t", "s"), [(1000, 999), (500, 499), (2, 1), (700, 400)])
def test_ancestral_steps_have_the_mean_and_the_variances_of_the_papers(t: int, s: int) -> None:
    schedule = linear_schedule(T)
    alpha_bar_t, alpha_bar_s = schedule[t].item(), schedule[s].item()
    beta = 1 - alpha_bar_t / alpha_bar_s
    mean = (
        math.sqrt(alpha_bar_s) * beta / (1 - alpha_bar_t) * -0.2
        + math.sqrt(1 - beta) * (1 - alpha_bar_s) / (1 - alpha_bar_t) * 0.7
    )  # DDPM, equation 7
    for sampler, variance in (
        (ddpm, beta),
        (partial(ddim, eta=1.0), beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)),
    ):
        x = one_step(sampler, schedule, t, s)
        assert x.mean().item() == pytest.approx(mean, abs=0.015 * math.sqrt(variance))
        assert x.var().item() == pytest.approx(variance, rel=0.03)


def test_half_the_eta_is_a_quarter_of_the_variance() -> None:
    whole, half = (one_step(partial(ddim, eta=eta), COSINE, 600, 500) for eta in (1.0, 0.5))
    assert half.var().item() == pytest.approx(whole.var().item() / 4, rel=0.03)


def test_with_eta_1_and_all_steps_ddim_is_ancestral_sampling() -> None:
    """DDPM's algorithm 2 in terms of epsilon, with the posterior variance, on the same noise."""
    schedule = linear_schedule(100)
    predict_x0 = gaussian(schedule)
    x = torch.randn((5, 2), generator=rng(), dtype=torch.float64)
    *_, (_, found) = ddim(predict_x0, x, schedule, even_timesteps(100, 100), rng(1), eta=1.0)
    fresh = rng(1)
    for t in range(100, 0, -1):
        alpha_bar_t, alpha_bar_s = schedule[t], schedule[t - 1]
        epsilon = (x - alpha_bar_t.sqrt() * predict_x0(x, t)) / (1 - alpha_bar_t).sqrt()
        beta = 1 - alpha_bar_t / alpha_bar_s
        x = (x - beta / (1 - alpha_bar_t).sqrt() * epsilon) / (1 - beta).sqrt()
        if t > 1:
            x = x + ((1 - alpha_bar_s) / (1 - alpha_bar_t) * beta).sqrt() * torch.randn(
                x.shape, generator=fresh
            )
    assert torch.allclose(found, x, atol=1e-9)


@every_sampler
def test_the_last_step_gives_the_prediction_without_noise(sampler: Sampler) -> None:
    for t in (1, 67):
        assert torch.allclose(one_step(sampler, COSINE, t, 0), torch.tensor(-0.2, dtype=torch.float64))


# --- all samplers -----------------------------------------------------------------------------------------


@every_sampler
def test_a_sampler_yields_each_time_step_from_the_noise_to_the_image(sampler: Sampler) -> None:
    noise = torch.randn((3, 2), generator=rng(), dtype=torch.float64)
    evaluated: list[int] = []

    def predict_x0(x: Tensor, t: int) -> Tensor:
        evaluated.append(t)
        return gaussian(COSINE)(x, t)

    timesteps = even_timesteps(T, 10)
    yielded = list(sampler(predict_x0, noise, COSINE, timesteps, rng()))
    assert [t for t, _ in yielded] == timesteps
    assert evaluated == timesteps[:-1]  # never at the image itself
    assert yielded[0][1] is noise
    assert all(x.isfinite().all() for _, x in yielded)


@every_sampler
def test_the_same_rng_gives_the_same_images(sampler: Sampler) -> None:
    noise = torch.randn((3, 2), generator=rng(), dtype=torch.float64)
    before = noise.clone()
    one, other = (finish(sampler, noise, COSINE, 10) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(noise, before)


def test_samplers_by_their_names_in_params() -> None:
    noise = torch.randn((3, 2), generator=rng(), dtype=torch.float64)
    for name, eta, sampler in (
        ("ddpm", 0.0, ddpm),
        ("ddpm_posterior", 0.0, partial(ddim, eta=1.0)),
        ("ddim", 0.3, partial(ddim, eta=0.3)),
        ("dpm_solver", 0.3, dpm_solver),
    ):
        chosen = finish(choose_sampler(name, eta), noise, COSINE, 10)
        assert torch.equal(chosen, finish(sampler, noise, COSINE, 10))


# --- between two noises ---------------------------------------------------------------------------------------


def test_slerp_interpolates_and_preserves_the_norm() -> None:
    one, other = torch.randn((2, 4, 3, 8, 8), generator=rng(), dtype=torch.float64)
    assert torch.allclose(slerp(one, other, 0.0), one)
    assert torch.allclose(slerp(one, other, 1.0), other)
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    third = slerp(east, north, 1 / 3)
    assert torch.allclose(third, torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]]))
    middle, straight = (f(one, other, 0.5).flatten(1).norm(dim=1).mean() for f in (slerp, torch.lerp))
    assert middle.item() == pytest.approx(one.flatten(1).norm(dim=1).mean().item(), rel=0.05)
    assert straight < 0.8 * middle


def test_slerp_between_equal_noise_is_that_noise() -> None:
    noise = torch.randn((4, 3, 8, 8), generator=rng())
    assert torch.allclose(slerp(noise, noise, 0.3), noise, atol=1e-6)
