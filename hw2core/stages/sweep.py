"""Stage sweep_ddpm: one diffusion model sampled with other samplers, steps and guidance, without training it again."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.device import choose_device
from hw2core.engine.randomness import rng_for
from hw2core.engine.tiles import write_tiles
from hw2core.evaluation.classification import accuracy, outputs
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import CONDITIONAL, SAMPLERS
from hw2core.settings.systems import Sampling
from hw2core.stages import generators
from hw2core.stages.digits_extractor import digit_reader
from hw2core.stages.evaluate_digits import image_set
from hw2core.systems.samplers import slerp

STATIONS = 8  # images of an interpolation
ETAS = (0.0, 0.25, 0.5, 0.75, 1.0)
INTERPOLATED = (0, 3, 8)  # digits


def sweep_ddpm(params: Params, layout: Layout, item: str) -> None:
    generators.check_named(item, params.conditional.ddpm, "conditional.ddpm")
    device = choose_device(params.engine)
    folder = layout.stage("sweep_ddpm", item)
    seed = params.generation.seeds.conditional[0]
    system = generators.load(params, layout, device, "ddpm", seed)
    reader, reader_name = digit_reader(params, layout, device, params.data.digits)
    labels = torch.arange(params.sweep.images) % CONDITIONAL["ddpm"]

    def sample(sampling: Sampling, y: Tensor) -> NDArray[np.uint8]:
        """From the same noise for all settings."""
        return generators.sample_labels(system, y, sampling, "sweep_ddpm", f"seed {seed}")

    rows = []
    for sampling in settings_to_compare(params):
        logits = outputs(reader, image_set(sample(sampling, labels), labels, device))
        rows.append(
            row(sampling, params.ddpm.timesteps)
            | {"digit_accuracy": accuracy(logits, labels.to(device.kind))}
        )
    table = pd.DataFrame(rows)
    write_whole(folder / "sweep.csv", table.to_csv(index=False, float_format="%.6g").encode())

    digits = torch.arange(10)
    by_eta = [sample(params.ddpm.with_changes(sampler="ddim", eta=eta), digits) for eta in ETAS]
    write_tiles(folder / "eta.png", np.concatenate(by_eta), len(digits))
    scales = params.sweep.guidance_scale
    by_guidance = [sample(params.ddpm.with_changes(guidance_scale=scale), digits) for scale in scales]
    write_tiles(folder / "guidance.png", np.concatenate(by_guidance), len(digits))
    interpolated, names = interpolations(system, params)
    write_tiles(folder / "interpolation.png", np.concatenate(interpolated), STATIONS)
    journal.write_metrics(
        folder,
        {
            "settings": rows,
            "images": len(labels),
            "classifier": reader_name,
            "etas": list(ETAS),
            "interpolations": names,
            "seed": seed,
            "device": device.about,
        },
    )


def settings_to_compare(params: Params) -> list[Sampling]:
    """Every sampler with every number of steps, then every guidance scale."""
    found = [
        params.ddpm.with_changes(sampler=sampler, sampling_steps=steps)
        for sampler in SAMPLERS
        for steps in params.sweep.sampling_steps
    ]
    found += [params.ddpm.with_changes(guidance_scale=scale) for scale in params.sweep.guidance_scale]
    return list({tuple(row(one, params.ddpm.timesteps).values()): one for one in found}.values())


def row(sampling: Sampling, timesteps: int) -> dict[str, Any]:
    """The settings, with the number of function evaluations: guidance evaluates the network with and without label."""
    steps = min(sampling.sampling_steps, timesteps)
    return {
        "sampler": sampling.sampler,
        "sampling_steps": steps,
        "guidance_scale": sampling.guidance_scale,
        "nfe": steps if sampling.guidance_scale in (0, 1) else 2 * steps,
    }


def interpolations(system: Any, params: Params) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Images between two noises of one digit, on the sphere and on the straight line, by a deterministic sampler."""
    sampling: Sampling = params.ddpm
    if is_stochastic(sampling):
        sampling = sampling.with_changes(eta=0.0, sampler="ddim")
    images, names = [], []
    rng = rng_for("sweep_ddpm", "interpolation")
    weights = np.linspace(0, 1, STATIONS)
    for digit in INTERPOLATED:
        one, other = system.noise(2, rng).to(system.device).split(1)
        for name, between in (("sphere", slerp), ("straight", torch.lerp)):
            noise = torch.cat([between(one, other, float(weight)) for weight in weights])
            labels = torch.full((STATIONS,), digit, device=system.device)
            with torch.no_grad():
                generated = system.sample(noise, labels, sampling, rng)
            images.append(generators.to_uint8(generated))
            names.append(name)
    return images, names


def is_stochastic(sampling: Sampling) -> bool:
    """Whether the sampler adds noise, so that the first noise does not determine the image."""
    return sampling.sampler in ("ddpm", "ddpm_posterior") or (sampling.sampler == "ddim" and sampling.eta > 0)
