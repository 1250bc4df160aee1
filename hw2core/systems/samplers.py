"""Samplers of diffusion models: ways from noise back to images, in any number of steps.

All have one signature. `denoise(x, t)` is the network's guess of the image behind `x` at time t; `alpha_bars` is the
noise schedule, with alpha_bars[0] = 1 for the image itself; `times` fall from T to 0. A sampler yields each time
with what it holds then, from (T, the noise it was given) to (0, the images). Fresh noise is drawn on the CPU from
`random`, so that it is the same on every device.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

Denoise = Callable[[Tensor, int], Tensor]
BETA_FIRST, BETA_LAST = 1e-4, 0.02  # of the linear schedule with 1000 times


class Sampler(Protocol):
    def __call__(
        self, denoise: Denoise, noise: Tensor, alpha_bars: Tensor, times: list[int], random: torch.Generator
    ) -> Iterator[tuple[int, Tensor]]: ...


def linear_schedule(times: int) -> Tensor:
    """DDPM's (Ho et al. 2020), sqrt-alpha-bar from almost 1 to almost 0. With fewer times than its authors' 1000,
    each adds proportionally more noise, so that the last is noise all the same."""
    scale = 1000 / times
    return alpha_bars(torch.linspace(scale * BETA_FIRST, scale * BETA_LAST, times, dtype=torch.float64))


def cosine_schedule(times: int) -> Tensor:
    """Improved DDPM's (Nichol & Dhariwal 2021): noise comes slowly at either end."""
    part = torch.arange(times + 1, dtype=torch.float64) / times
    wanted = ((part + 0.008) / 1.008 * math.pi / 2).cos().square()
    return alpha_bars((1 - wanted[1:] / wanted[:-1]).clamp(max=0.999))


def alpha_bars(betas: Tensor) -> Tensor:
    """The share of the image's variance that is left at each time, from 0 on."""
    return torch.cat([torch.ones(1, dtype=betas.dtype), (1 - betas).cumprod(0)])


SCHEDULES: dict[str, Callable[[int], Tensor]] = {"linear": linear_schedule, "cosine": cosine_schedule}


def even_times(last: int, steps: int) -> list[int]:
    """`steps` + 1 times from `last` down to 0, as evenly as whole numbers allow."""
    return [round(last * (steps - i) / steps) for i in range(steps + 1)]


def ddpm(
    denoise: Denoise, noise: Tensor, alpha_bars: Tensor, times: list[int], random: torch.Generator
) -> Iterator[tuple[int, Tensor]]:
    """Ancestral sampling, algorithm 2 of DDPM with sigma^2 = beta: the mean of q(x_s | x_t, x_0), and as much noise as
    the way from s to t adds. No noise in the last step."""
    x = noise
    yield times[0], x
    for t, s in pairwise(times):
        at, to = alpha_bars[t].item(), alpha_bars[s].item()
        beta = 1 - at / to
        image = denoise(x, t)
        x = math.sqrt(to) * beta / (1 - at) * image + math.sqrt(at / to) * (1 - to) / (1 - at) * x
        if s > 0:
            x = x + math.sqrt(beta) * draw(x, random)
        yield s, x


def ddim(
    denoise: Denoise,
    noise: Tensor,
    alpha_bars: Tensor,
    times: list[int],
    random: torch.Generator,
    eta: float = 0.0,
) -> Iterator[tuple[int, Tensor]]:
    """DDIM (Song et al. 2021), equation 12. With eta = 0 the noise decides the image; with eta = 1 it is ancestral
    sampling with the posterior's variance, sigma^2 = beta (1 - alpha_bar_s) / (1 - alpha_bar_t)."""
    x = noise
    yield times[0], x
    for t, s in pairwise(times):
        at, to = alpha_bars[t].item(), alpha_bars[s].item()
        sigma = eta * math.sqrt((1 - to) / (1 - at) * (1 - at / to))
        image = denoise(x, t)
        epsilon = (x - math.sqrt(at) * image) / math.sqrt(1 - at)
        x = math.sqrt(to) * image + math.sqrt(max(0.0, 1 - to - sigma**2)) * epsilon
        if sigma > 0:
            x = x + sigma * draw(x, random)
        yield s, x


def dpm_solver(
    denoise: Denoise, noise: Tensor, alpha_bars: Tensor, times: list[int], random: torch.Generator
) -> Iterator[tuple[int, Tensor]]:
    """DPM-Solver++(2M) (Lu et al. 2022), algorithm 2: along half the logarithm of the signal-to-noise ratio, with the
    guess extrapolated from the last two. The first step has no second guess, and the last needs none."""
    x, last_image, last_width = noise, None, 0.0
    yield times[0], x
    for t, s in pairwise(times):
        image = denoise(x, t)
        if s == 0:
            yield s, image
            return
        at, to = alpha_bars[t].item(), alpha_bars[s].item()
        width = (math.log(to / (1 - to)) - math.log(at / (1 - at))) / 2
        guess = image
        if last_image is not None:
            guess = image + width / (2 * last_width) * (image - last_image)
        x = math.sqrt((1 - to) / (1 - at)) * x - math.sqrt(to) * math.expm1(-width) * guess
        last_image, last_width = image, width
        yield s, x


def choose_sampler(name: str, eta: float) -> Sampler:
    """The sampler that params name; `eta` is DDIM's alone."""
    samplers: dict[str, Sampler] = {
        "ddpm": ddpm,
        "ddpm_posterior": partial(ddim, eta=1.0),
        "ddim": partial(ddim, eta=eta),
        "dpm_solver": dpm_solver,
    }
    return samplers[name]


def draw(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=random).to(like.device)


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """From one noise to another along the sphere that noise lives on: between two draws the straight line
    (`torch.lerp`) runs through points too near to zero to be noise."""
    flat, other_flat = one.flatten(1), other.flatten(1)
    cosine = (flat * other_flat).sum(1) / (flat.norm(dim=1) * other_flat.norm(dim=1))
    angle = cosine.clamp(-1, 1).acos()
    near = angle < 1e-4  # the two are one, and the sines vanish
    sine = torch.where(near, 1.0, angle.sin())
    first = torch.where(near, 1 - share, ((1 - share) * angle).sin() / sine)
    second = torch.where(near, share, (share * angle).sin() / sine)
    shape = (-1, *[1] * (one.ndim - 1))
    return first.reshape(shape) * one + second.reshape(shape) * other
