"""DDPM, conditional, with classifier-free guidance (Ho et al. 2020; Ho & Salimans 2021).

Times run from 0, the image, to T, noise:

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon

A U-Net learns, at random times, what was mixed in. Some images come to it without their label, so that it can be
asked with and without; the sampler follows the difference further than the labelled guess alone would.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.optimizer import Optimizer

from hw2core.params import Ddpm as Settings
from hw2core.params import Sampling
from hw2core.systems.samplers import SCHEDULES, choose_sampler, even_times
from hw2core.systems.unet import NOBODY, UNETS

CLASSES = 10
SIZE = 28  # pixels a side
CHUNK = 250  # images that the network sees at once while sampling


class Ddpm:
    settings: Settings
    size = SIZE

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.alpha_bars = SCHEDULES[settings.noise](settings.times)
        self.networks = nn.ModuleDict({"unet": UNETS[settings.arch](CLASSES, settings.width)})

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        return {
            "unet": AdamW(
                self.networks.parameters(),
                lr=self.settings.lr,
                betas=(self.settings.beta1, self.settings.beta2),
                weight_decay=self.settings.weight_decay,
                fused=True,
            )
        }

    # --- training: algorithm 1 of DDPM ----------------------------------------------------------------------

    def step(self, batch: tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        images, labels = batch
        times = torch.randint(1, self.settings.times + 1, (len(images),), device=images.device)
        epsilon = torch.randn_like(images)
        alpha_bar = self.alpha_bar(times)
        guess = self.networks["unet"](self.diffuse(images, epsilon, alpha_bar), times, self.drop(labels))
        error = (guess.float() - self.target(images, epsilon, alpha_bar)).square().mean((1, 2, 3))
        loss = (self.weight(alpha_bar.flatten()) * error).mean()
        self.optimisers["unet"].zero_grad()
        loss.backward()
        self.optimisers["unet"].step()
        return {"loss": loss}

    def alpha_bar(self, times: Tensor) -> Tensor:
        """Of each image's time, to be multiplied with images."""
        table = self.alpha_bars.to(times.device, torch.float32, non_blocking=True)
        return table[times][:, None, None, None]

    def diffuse(self, images: Tensor, epsilon: Tensor, alpha_bar: Tensor) -> Tensor:
        """A draw of q(x_t | x_0)."""
        return alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * epsilon

    def drop(self, labels: Tensor) -> Tensor:
        """The labels, without those of some images."""
        dropped = torch.rand(len(labels), device=labels.device) < self.settings.unlabelled
        return labels.masked_fill(dropped, NOBODY)

    def target(self, images: Tensor, epsilon: Tensor, alpha_bar: Tensor) -> Tensor:
        """What the network is to guess: the noise, or the velocity from image to noise (Salimans & Ho 2022)."""
        if self.settings.prediction == "epsilon":
            return epsilon
        return alpha_bar.sqrt() * epsilon - (1 - alpha_bar).sqrt() * images

    def weight(self, alpha_bar: Tensor) -> Tensor:
        """Of each image's loss. Min-SNR (Hang et al. 2023) caps what times of little noise weigh in a loss on
        images, min(SNR, gamma); the errors of epsilon and v are that of the image times SNR and SNR + 1."""
        if self.settings.min_snr == 0:
            return torch.ones_like(alpha_bar)
        ratio = alpha_bar / (1 - alpha_bar)
        scale = ratio if self.settings.prediction == "epsilon" else ratio + 1
        return ratio.clamp(max=self.settings.min_snr) / scale

    # --- sampling -------------------------------------------------------------------------------------------

    def noise(self, count: int, random: torch.Generator) -> Tensor:
        """What samples start from; the same on every device."""
        return torch.randn((count, 3, SIZE, SIZE), generator=random)

    def sample(self, noise: Tensor, labels: Tensor, how: Sampling, random: torch.Generator) -> Tensor:
        """Images from -1 to 1 of these labels (NOBODY: of any)."""
        images = noise
        for _, x in self.trajectory(noise, labels, how, random):
            images = x
        return images.clamp(-1, 1)

    def trajectory(
        self, noise: Tensor, labels: Tensor, how: Sampling, random: torch.Generator
    ) -> Iterator[tuple[int, Tensor]]:
        """Each time of the way, from T to 0, and what `sample` holds then. The stages of the way are even, so those
        at T, 4T/5, ..., 0 are among them whenever 5 divides the steps and T.

        At a share `skip` of the steps, drawn by chance, there is no guidance: R22b's way to save time."""
        times = even_times(self.settings.times, min(how.sampling_steps, self.settings.times))
        skips = (torch.rand(len(times) - 1, generator=random) < how.skip).tolist()
        guidance = {t: 1.0 if skip else how.guidance for t, skip in zip(times[:-1], skips, strict=True)}

        def denoise(x: Tensor, t: int) -> Tensor:
            return self.denoise(x, t, labels, guidance[t])

        sampler = choose_sampler(how.sampler, how.eta)
        return sampler(denoise, noise, self.alpha_bars, times, random)

    def denoise(self, x: Tensor, t: int, labels: Tensor, guidance: float) -> Tensor:
        """The guess of the images behind x at time t, from -1 to 1 as images are."""
        parts = zip(x.split(CHUNK), labels.split(CHUNK), strict=True)
        guess = torch.cat([self.guided(part, t, its_labels, guidance) for part, its_labels in parts])
        return self.image(guess, x, t).clamp(-1, 1)

    def image(self, guess: Tensor, x: Tensor, t: int) -> Tensor:
        """The image that a guess of epsilon or v speaks of."""
        alpha_bar = self.alpha_bars[t].item()
        signal, noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        if self.settings.prediction == "epsilon":
            return (x - noise * guess) / signal
        return signal * x - noise * guess

    def guided(self, x: Tensor, t: int, labels: Tensor, guidance: float) -> Tensor:
        """The network's guess, moved from the unlabelled one towards the labelled by `guidance` times their
        difference: 0 is the unlabelled, 1 exactly the labelled, beyond 1 is guidance. Where both are needed they
        are asked for in one batch. (Ho & Salimans' w is this less 1.)"""
        unet = self.networks["unet"]
        times = torch.full((len(x),), t, device=x.device)
        unlabelled = torch.full_like(labels, NOBODY)
        if guidance == 1:
            return unet(x, times, labels).float()
        if guidance == 0:
            return unet(x, times, unlabelled).float()
        both = unet(x.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([labels, unlabelled]))
        with_label, without = both.float().chunk(2)
        return without + guidance * (with_label - without)
