"""DDPM here and in two known libraries: training steps, and sampling with DDIM in 50 network evaluations.

    python bench/ddpm.py [--device cpu] [--precision bf16] [--steps 10] [--rounds 5] [--threads 2] [--images 64]

Only this benchmark uses the libraries, and no requirement names them. `pip install diffusers denoising-diffusion-pytorch`
installs both, preferably into an environment of their own that sees the project's packages:

    python -m venv FOLDER
    ls -d $PWD/.venv/lib/python3*/site-packages > $(echo FOLDER/lib/python3*/site-packages)/project.pth
    FOLDER/bin/pip install diffusers denoising-diffusion-pytorch
    FOLDER/bin/python bench/ddpm.py

A library that is not installed is left out.

All sides generate 28x28 RGB images with U-Nets of the same number of parameters (within 2 %), with two resolutions and
attention at the lower one, trained with 1000 timesteps in batches of 64, all in --precision. Ours is engine/loop.py with
systems/ddpm.py and the compact U-Net of params.yaml. It packs 2x2 pixels into one position, so that its resolutions are 14x14
and 7x7 and theirs 28x28 and 14x14; it is conditioned on labels, theirs are not. The step of diffusers is that of its training
example: DDPMScheduler's noise, mean squared error, clipped gradients, AdamW, a cosine learning rate. The step of
denoising-diffusion-pytorch is its Trainer's: GaussianDiffusion's loss, clipped gradients, Adam. No side averages its weights.
Their batches are floats on the device beforehand; ours are made from bytes in each step.
"""

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from rounds import OURS, our_training, parser, setting, take_turns
from torch import Tensor, nn

from hw2core.engine.batches import ImageSet, Shuffle
from hw2core.engine.device import Device
from hw2core.engine.randomness import rng_for
from hw2core.settings.systems import Ddpm as Settings
from hw2core.settings.systems import Sampling
from hw2core.systems.ddpm import Ddpm

SIZE, TIMESTEPS, BATCH, NFE = 28, 1000, 64, 50
PACKAGES = {"diffusers": "diffusers", "denoising-diffusion-pytorch": "denoising_diffusion_pytorch"}
COMPACT: dict[str, object] = {
    "arch": "compact",
    "width": 32,
    "timesteps": TIMESTEPS,
    "noise_schedule": "cosine",
    "prediction": "v",
}
LEARNING: dict[str, object] = {
    "batch": BATCH,
    "lr": 2e-3,
    "optimizer": {"betas": [0.9, 0.999], "weight_decay": 0.0},
    "lr_schedule": {"kind": "cosine", "warmup_steps": 0},
    "ema_decay": 0.0,
    "label_dropout": 0.1,
    "min_snr_gamma": 0.0,
}
DDIM = Sampling(sampler="ddim", sampling_steps=NFE, guidance_scale=1.0, guidance_skip_prob=0.0, eta=0.0)
"""Conditional and without guidance: one network evaluation per step, as on the other sides."""


@dataclass(frozen=True)
class Side:
    network: nn.Module
    train: Callable[[], object]
    """--steps steps."""
    sample: Callable[[], Tensor]
    """--images images."""


def main() -> None:
    options = parser(__doc__, steps=10, rounds=5)
    options.add_argument(
        "--images", type=int, default=64, help="images generated at once, per round of sampling"
    )
    given = options.parse_args()
    _, device = setting(given)
    sides = {OURS: ours(device, given.steps, given.images)}
    for name, build in (("diffusers", diffusers), ("denoising-diffusion-pytorch", lucid)):
        if importlib.util.find_spec(PACKAGES[name]) is None:
            print(f"{name} is not installed and is left out; `pip install {name}` installs it")
        else:
            sides[name] = build(device, given.steps, given.images)
    print(f"{SIZE}x{SIZE} images, batches of {BATCH}; {device.about}")
    for name, side in sides.items():
        print(f"  {name}: {sum(weight.numel() for weight in side.network.parameters()):,} parameters")
    take_turns(
        "training", given.steps * BATCH, given.rounds, {name: side.train for name, side in sides.items()}
    )
    runs = {name: sampling(side, device, given.images) for name, side in sides.items()}
    take_turns(f"DDIM with {NFE} network evaluations", given.images, given.rounds, runs)


def sampling(side: Side, device: Device, images: int) -> Callable[[], object]:
    def run() -> None:
        side.network.eval()
        with torch.no_grad(), device.autocast(), contextlib.redirect_stderr(io.StringIO()):
            generated = side.sample()
        assert generated.shape == (images, 3, SIZE, SIZE)
        assert generated.isfinite().all()

    return run


# --- ours ---------------------------------------------------------------------------------------------------------


def ours(device: Device, steps: int, count: int) -> Side:
    settings = Settings.model_validate(COMPACT | LEARNING | DDIM.model_dump() | {"steps": steps})
    system = Ddpm(settings)
    order = Shuffle(pictures(device), BATCH, "bench", "order")

    def sample() -> Tensor:
        rng = rng_for("bench", "samples")
        noise = system.noise(count, rng).to(device.kind)
        labels = torch.arange(count, device=device.kind) % Ddpm.labels
        return system.sample(noise, labels, DDIM, rng)

    return Side(system.networks, our_training(system, order.at, settings, device), sample)


def pictures(device: Device) -> ImageSet:
    rng = rng_for("bench", "pictures")
    images = torch.randint(0, 256, (2000, SIZE, SIZE, 3), dtype=torch.uint8, generator=rng)
    labels = torch.randint(0, Ddpm.labels, (2000,), generator=rng)
    return ImageSet(images.to(device.kind), labels.to(device.kind), device)


# --- theirs -------------------------------------------------------------------------------------------------------


def batches(device: Device) -> Iterator[Tensor]:
    """Yield images as floats from -1 to 1, in torch's default memory format."""
    images = pictures(device).images.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
    while True:
        yield from images[torch.randperm(len(images), device=device.kind)].split(BATCH)[
            : len(images) // BATCH
        ]


def diffusers(device: Device, steps: int, count: int) -> Side:
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
    from diffusers.optimization import get_cosine_schedule_with_warmup

    network = UNet2DModel(
        sample_size=SIZE,
        block_out_channels=(22, 44),
        layers_per_block=1,
        norm_num_groups=11,
        attention_head_dim=11,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).to(device.kind)
    noising = DDPMScheduler(TIMESTEPS, beta_schedule="squaredcos_cap_v2")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, 10**6)
    source = batches(device)

    def step(images: Tensor) -> None:
        noise = torch.randn_like(images)
        timesteps = torch.randint(0, TIMESTEPS, (len(images),), device=images.device)
        predicted = network(noising.add_noise(images, noise, timesteps), timesteps).sample
        nn.functional.mse_loss(predicted.float(), noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()

    def sample() -> Tensor:
        scheduler: Any = DDIMScheduler(TIMESTEPS, beta_schedule="squaredcos_cap_v2")
        scheduler.set_timesteps(NFE)
        x = torch.randn(count, 3, SIZE, SIZE, device=device.kind)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t).sample, t, x).prev_sample
        return x

    return Side(network, repeated(step, source, steps, network, device), sample)


def lucid(device: Device, steps: int, count: int) -> Side:
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    network = Unet(dim=20, init_dim=16, dim_mults=(1, 2))
    diffusion = GaussianDiffusion(
        network, image_size=SIZE, timesteps=TIMESTEPS, sampling_timesteps=NFE, beta_schedule="cosine"
    ).to(device.kind)
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
    source = (images.add(1).div(2) for images in batches(device))  # it expects the range from 0 to 1

    def step(images: Tensor) -> None:
        diffusion(images).backward()
        nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return Side(
        network,
        repeated(step, source, steps, network, device),
        lambda: diffusion.sample(batch_size=count).clone(),
    )


def repeated(
    step: Callable[[Tensor], None], source: Iterator[Tensor], steps: int, network: nn.Module, device: Device
) -> Callable[[], object]:
    def run() -> None:
        network.train()
        for images in islice(source, steps):
            with device.autocast():
                step(images)

    return run


if __name__ == "__main__":
    main()
