"""Noise schedules and samplers of diffusion models.

Time step 0 is the image and T is noise; alpha_bars (T + 1,) holds alpha_bar_t, with alpha_bar_0 = 1:

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps

All samplers have one signature. `predict_x0(x_t, t)` is the network's prediction of x_0; `timesteps` fall from T to 0.
A sampler yields (t, x_t) for each of them, from (T, noise) to (0, images), and goes from t to s, the next. It draws fresh
noise from `rng` on the CPU, so that it is the same on every device.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

PredictX0 = Callable[[Tensor, int], Tensor]
BETA_START, BETA_END = 1e-4, 0.02  # of the linear schedule with T = 1000


class Sampler(Protocol):
    def __call__(
        self,
        predict_x0: PredictX0,
        noise: Tensor,
        alpha_bars: Tensor,
        timesteps: list[int],
        rng: torch.Generator | None,
    ) -> Iterator[tuple[int, Tensor]]: ...


def linear_schedule(timesteps: int) -> Tensor:
    """The schedule of DDPM (Ho et al. 2020): linear betas.

    With fewer than 1000 time steps the betas grow in proportion, so that the last is still almost pure noise.
    """
    scale = 1000 / timesteps
    betas = torch.linspace(scale * BETA_START, scale * BETA_END, timesteps, dtype=torch.float64)
    return alpha_bars_of(betas)


def cosine_schedule(timesteps: int) -> Tensor:
    """The schedule of Improved DDPM (Nichol & Dhariwal 2021), which adds noise slowly at both ends."""
    progress = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = ((progress + 0.008) / 1.008 * math.pi / 2).cos().square()
    return alpha_bars_of((1 - f[1:] / f[:-1]).clamp(max=0.999))


def alpha_bars_of(betas: Tensor) -> Tensor:
    """alpha_bar_t, the product of 1 - beta up to t, of betas (T,): (T + 1,)."""
    return torch.cat([torch.ones(1, dtype=betas.dtype), (1 - betas).cumprod(0)])


NOISE_SCHEDULES: dict[str, Callable[[int], Tensor]] = {"linear": linear_schedule, "cosine": cosine_schedule}


def even_timesteps(last: int, steps: int) -> list[int]:
    """`steps` + 1 time steps from `last` to 0, as evenly spaced as integers can be."""
    return [round(last * (steps - i) / steps) for i in range(steps + 1)]


def ddpm(
    predict_x0: PredictX0,
    noise: Tensor,
    alpha_bars: Tensor,
    timesteps: list[int],
    rng: torch.Generator | None,
) -> Iterator[tuple[int, Tensor]]:
    """Ancestral sampling, algorithm 2 of DDPM with sigma^2 = beta: x_s is the mean of q(x_s | x_t, x_0) plus noise."""
    x = noise
    yield timesteps[0], x
    for t, s in pairwise(timesteps):
        alpha_bar_t, alpha_bar_s = alpha_bars[t].item(), alpha_bars[s].item()
        beta = 1 - alpha_bar_t / alpha_bar_s
        x_0 = predict_x0(x, t)
        x = (
            math.sqrt(alpha_bar_s) * beta / (1 - alpha_bar_t) * x_0
            + math.sqrt(alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x
        )
        if s > 0:
            x = x + math.sqrt(beta) * randn_like(x, rng)
        yield s, x


def ddim(
    predict_x0: PredictX0,
    noise: Tensor,
    alpha_bars: Tensor,
    timesteps: list[int],
    rng: torch.Generator | None,
    eta: float = 0.0,
) -> Iterator[tuple[int, Tensor]]:
    """DDIM (Song et al. 2021), equation 12.

    With eta = 0 the noise alone decides the image. With eta = 1 it is ancestral sampling with the posterior variance,
    sigma^2 = beta (1 - alpha_bar_s) / (1 - alpha_bar_t).
    """
    x = noise
    yield timesteps[0], x
    for t, s in pairwise(timesteps):
        alpha_bar_t, alpha_bar_s = alpha_bars[t].item(), alpha_bars[s].item()
        sigma = eta * math.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s))
        x_0 = predict_x0(x, t)
        eps = (x - math.sqrt(alpha_bar_t) * x_0) / math.sqrt(1 - alpha_bar_t)
        x = math.sqrt(alpha_bar_s) * x_0 + math.sqrt(max(0.0, 1 - alpha_bar_s - sigma**2)) * eps
        if sigma > 0:
            x = x + sigma * randn_like(x, rng)
        yield s, x


def dpm_solver(
    predict_x0: PredictX0,
    noise: Tensor,
    alpha_bars: Tensor,
    timesteps: list[int],
    rng: torch.Generator | None,
) -> Iterator[tuple[int, Tensor]]:
    """DPM-Solver++(2M) (Lu et al. 2022), algorithm 2.

    It integrates over half the logarithm of the signal-to-noise ratio, of which h is the step size, and extrapolates
    from the last two predictions. The first step has one prediction only; the last step returns its prediction.
    """
    x, last_x_0, last_h = noise, None, 0.0
    yield timesteps[0], x
    for t, s in pairwise(timesteps):
        x_0 = predict_x0(x, t)
        if s == 0:
            yield s, x_0
            return
        alpha_bar_t, alpha_bar_s = alpha_bars[t].item(), alpha_bars[s].item()
        h = (math.log(alpha_bar_s / (1 - alpha_bar_s)) - math.log(alpha_bar_t / (1 - alpha_bar_t))) / 2
        d = x_0
        if last_x_0 is not None:
            d = x_0 + h / (2 * last_h) * (x_0 - last_x_0)
        x = math.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) * x - math.sqrt(alpha_bar_s) * math.expm1(-h) * d
        last_x_0, last_h = x_0, h
        yield s, x


def choose_sampler(name: str, eta: float) -> Sampler:
    """The sampler of that name; only "ddim" uses `eta`."""
    samplers: dict[str, Sampler] = {
        "ddpm": ddpm,
        "ddpm_posterior": partial(ddim, eta=1.0),
        "ddim": partial(ddim, eta=eta),
        "dpm_solver": dpm_solver,
    }
    return samplers[name]


def randn_like(x: Tensor, rng: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=rng).to(x.device)


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """Spherical interpolation of noise (n, ...).

    The straight line between two samples of Gaussian noise (`torch.lerp`) passes points whose norm is too small.
    """
    start_flat, end_flat = start.flatten(1), end.flatten(1)
    cosine = (start_flat * end_flat).sum(1) / (start_flat.norm(dim=1) * end_flat.norm(dim=1))
    angle = cosine.clamp(-1, 1).acos()  # (n,)
    parallel = angle < 1e-4  # where the sines vanish, interpolate linearly
    sine = torch.where(parallel, 1.0, angle.sin())
    start_weight = torch.where(parallel, 1 - weight, ((1 - weight) * angle).sin() / sine)
    end_weight = torch.where(parallel, weight, (weight * angle).sin() / sine)
    shape = (-1, *[1] * (start.ndim - 1))
    return start_weight.reshape(shape) * start + end_weight.reshape(shape) * end
