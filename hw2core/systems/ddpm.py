"""DDPM, conditional, with classifier-free guidance (Ho et al., NeurIPS 2020; Ho & Salimans 2021).

Time steps run from 0, the image x_0, to T, noise:

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps

A U-Net predicts, at random time steps, eps or the velocity v. In training some images come without their label, so that
the network learns the unconditional prediction too; sampling extrapolates from it beyond the conditional one.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.optimizer import Optimizer

from hw2core.engine.device import to_device
from hw2core.engine.numerics import exact_sqrt
from hw2core.engine.system import Batch
from hw2core.settings.systems import Ddpm as Settings
from hw2core.settings.systems import Sampling
from hw2core.systems.generator import Generator
from hw2core.systems.samplers import NOISE_SCHEDULES, choose_sampler, even_timesteps
from hw2core.systems.unet import NULL_LABEL, UNETS

CHUNK = 250  # the largest batch of the network while sampling


class Ddpm(Generator):
    settings: Settings
    size = 28
    latent_shape = (3, 28, 28)
    labels = 10

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.alpha_bars = NOISE_SCHEDULES[settings.noise_schedule](settings.timesteps)  # (T + 1,)
        self.table = self.alpha_bars.float()  # the same, on the device of the last batch
        self.networks = nn.ModuleDict({"unet": UNETS[settings.arch](self.labels, settings.width)})

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "unet": AdamW(
                self.networks.parameters(),
                lr=self.settings.lr,
                betas=self.settings.optimizer.betas,
                weight_decay=self.settings.optimizer.weight_decay,
                fused=True,
            )
        }

    # --- training: algorithm 1 of DDPM ----------------------------------------------------------------------

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        x_0, labels = batch  # (n, 3, 28, 28), (n,)
        t = torch.randint(1, self.settings.timesteps + 1, (len(x_0),), device=x_0.device)
        eps = torch.randn_like(x_0)
        alpha_bar_t = self.alpha_bar(t)  # (n, 1, 1, 1)
        x_t = self.add_noise(x_0, eps, alpha_bar_t)
        predicted = self.networks["unet"](x_t, t, self.drop_labels(labels)).float()
        error = (predicted - self.target(x_0, eps, alpha_bar_t)).square().mean((1, 2, 3))  # (n,)
        loss = (self.loss_weight(alpha_bar_t.flatten()) * error).mean()
        self.descend("unet", loss)
        return {"loss": loss}

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha_bar_t of time steps (n,), as (n, 1, 1, 1)."""
        if self.table.device != t.device:
            self.table = to_device(self.table, t.device)
        return self.table[t][:, None, None, None]

    def add_noise(self, x_0: Tensor, eps: Tensor, alpha_bar_t: Tensor) -> Tensor:
        """x_t, a sample of q(x_t | x_0)."""
        return exact_sqrt(alpha_bar_t) * x_0 + exact_sqrt(1 - alpha_bar_t) * eps

    def drop_labels(self, labels: Tensor) -> Tensor:
        """Replace labels by NULL_LABEL with probability `label_dropout`."""
        dropped = torch.rand(len(labels), device=labels.device) < self.settings.label_dropout
        return labels.masked_fill(dropped, NULL_LABEL)

    def target(self, x_0: Tensor, eps: Tensor, alpha_bar_t: Tensor) -> Tensor:
        """What the network predicts: eps, or v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0 (Salimans & Ho 2022)."""
        if self.settings.prediction == "epsilon":
            return eps
        return exact_sqrt(alpha_bar_t) * eps - exact_sqrt(1 - alpha_bar_t) * x_0

    def loss_weight(self, alpha_bar_t: Tensor) -> Tensor:
        """Min-SNR weights (n,) of the squared errors (Hang et al. 2023).

        min(SNR, gamma) is the weight of an error of x_0; an error of eps is that times SNR, of v times SNR + 1.
        """
        if self.settings.min_snr_gamma == 0:
            return torch.ones_like(alpha_bar_t)
        snr = alpha_bar_t / (1 - alpha_bar_t)
        scale = snr if self.settings.prediction == "epsilon" else snr + 1
        return snr.clamp(max=self.settings.min_snr_gamma) / scale

    # --- sampling -------------------------------------------------------------------------------------------

    def sample(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images of `labels`; None or NULL_LABEL: unconditional. `sampling` is that of the settings unless given."""
        x = noise
        for _, x_t in self.trajectory(noise, labels, sampling, rng):
            x = x_t
        return x.clamp(-1, 1)

    def trajectory(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """(t, x_t) of each time step that `sample` takes, from T to 0.

        The time steps are evenly spaced: T, 4T/5, ..., 0 are among them whenever 5 divides T and the sampling steps.
        With probability `guidance_skip_prob` a step has no guidance, which is R22b's way to save time.
        """
        sampling = sampling or self.settings
        noise = noise.to(self.device)
        if labels is None:
            labels = torch.full((len(noise),), NULL_LABEL)
        labels = labels.to(self.device)
        steps = min(sampling.sampling_steps, self.settings.timesteps)
        timesteps = even_timesteps(self.settings.timesteps, steps)
        skipped = (torch.rand(steps, generator=rng) < sampling.guidance_skip_prob).tolist()
        scale = {
            t: 1.0 if skip else sampling.guidance_scale
            for t, skip in zip(timesteps[:-1], skipped, strict=True)
        }

        def predict_x0(x_t: Tensor, t: int) -> Tensor:
            return self.predict_x0(x_t, t, labels, scale[t])

        sampler = choose_sampler(sampling.sampler, sampling.eta)
        return sampler(predict_x0, noise, self.alpha_bars, timesteps, rng)

    def predict_x0(self, x_t: Tensor, t: int, labels: Tensor, guidance_scale: float) -> Tensor:
        """The prediction of x_0 (n, 3, 28, 28), clipped to [-1, 1]."""
        chunks = zip(x_t.split(CHUNK), labels.split(CHUNK), strict=True)
        predicted = torch.cat([self.guided(x, t, y, guidance_scale) for x, y in chunks])
        return self.to_x0(predicted, x_t, t).clamp(-1, 1)

    def to_x0(self, predicted: Tensor, x_t: Tensor, t: int) -> Tensor:
        """x_0 that follows from x_t and a prediction of eps or v."""
        alpha_bar_t = self.alpha_bars[t].item()
        signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
        if self.settings.prediction == "epsilon":
            return (x_t - noise * predicted) / signal
        return signal * x_t - noise * predicted

    def guided(self, x_t: Tensor, t: int, labels: Tensor, guidance_scale: float) -> Tensor:
        """Classifier-free guidance: unconditional + guidance_scale (conditional - unconditional).

        A scale of 0 is the unconditional prediction and 1 the conditional one; each needs one evaluation of the network,
        any other scale two, in one batch. The scale is w + 1 in Ho & Salimans' notation.
        """
        unet = self.networks["unet"]
        timesteps = torch.full((len(x_t),), t, device=x_t.device)
        null_labels = torch.full_like(labels, NULL_LABEL)
        if guidance_scale == 1:
            return unet(x_t, timesteps, labels).float()
        if guidance_scale == 0:
            return unet(x_t, timesteps, null_labels).float()
        both = unet(x_t.repeat(2, 1, 1, 1), timesteps.repeat(2), torch.cat([labels, null_labels]))
        conditional, unconditional = both.float().chunk(2)
        return unconditional + guidance_scale * (conditional - unconditional)
