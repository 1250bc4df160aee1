"""Stage sweep_ddpm: the same diffusion model sampled in other ways, without training it again."""

from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.device import choose_device
from hw2core.engine.randomness import generator
from hw2core.files import write_whole
from hw2core.judges.classification import accuracy, outputs
from hw2core.layout import Layout
from hw2core.params import LABELLED, Params, Sampling
from hw2core.report import figures
from hw2core.stages import generators
from hw2core.stages.digit_judges import digit_judge
from hw2core.stages.evaluate_conditional import image_set
from hw2core.systems.samplers import slerp

STATIONS = 8  # between two noises
ETAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def sweep_ddpm(params: Params, layout: Layout) -> None:
    device = choose_device(params.engine)
    folder = layout.stage("sweep_ddpm", "digits")
    seed = params.generation.seeds[0]
    system: Any = generators.load(params, layout, device, "ddpm", seed)
    reader, judged_by = digit_judge(params, layout, device, params.data.digits)
    labels = torch.arange(params.sweep.images) % LABELLED["ddpm"]

    def draw(how: Sampling, wanted: Tensor) -> Any:
        """Of the same noise in every way."""
        return generators.draw_labelled(system, wanted, how, "sweep_ddpm", f"seed {seed}")

    rows = []
    for how in ways(params):
        images = draw(how, labels)
        read = accuracy(outputs(reader, image_set(images, labels, device)), labels.to(device.kind))
        rows.append({**row(how, params.ddpm.times), "digits_read": read})
    table = pd.DataFrame(rows)
    write_whole(folder / "sweep.csv", table.to_csv(index=False, float_format="%.6g").encode())
    figures.save(figures.sweep(table, row(params.ddpm, params.ddpm.times)), folder / "sweep.png")

    ten = torch.arange(10)
    by_eta = [draw(params.ddpm.changed(sampler="ddim", eta=eta), ten) for eta in ETAS]
    figures.save_photos(figures.rows(by_eta, [f"η = {eta:g}" for eta in ETAS]), folder / "eta.png")
    by_guidance = [draw(params.ddpm.changed(guidance=scale), ten) for scale in params.sweep.guidance]
    names = [f"guidance {scale:g}" for scale in params.sweep.guidance]
    figures.save_photos(figures.rows(by_guidance, names), folder / "guidance.png")
    between, names = interpolations(system, params)
    figures.save_photos(figures.rows(between, names), folder / "interpolation.png")
    journal.write_metrics(
        folder,
        {
            "ways": rows,
            "images": len(labels),
            "judge": judged_by,
            "seed": seed,
            "device": device.about,
        },
    )


def ways(params: Params) -> list[Sampling]:
    """Every sampler in every number of steps, then every strength of guidance."""
    samplers = get_args(Sampling.model_fields["sampler"].annotation)
    found = [
        params.ddpm.changed(sampler=sampler, sampling_steps=steps)
        for sampler in samplers
        for steps in params.sweep.sampling_steps
    ]
    found += [params.ddpm.changed(guidance=scale) for scale in params.sweep.guidance]
    return list({tuple(row(how, params.ddpm.times).values()): how for how in found}.values())


def row(how: Sampling, times: int) -> dict[str, Any]:
    """What a way is, and how often the network looks at an image on it."""
    steps = min(how.sampling_steps, times)
    looks = steps if how.guidance in (0, 1) else 2 * steps
    return {
        "sampler": how.sampler,
        "sampling_steps": steps,
        "guidance": how.guidance,
        "looks": looks,
    }


def interpolations(system: Any, params: Params) -> tuple[list[Any], list[str]]:
    """Ways between two noises of the same digit, along the sphere and straight, by a sampler without chance."""
    how = params.ddpm.changed(eta=0.0, sampler="ddim") if by_chance(params.ddpm) else params.ddpm
    drawn, names = [], []
    random = generator("sweep_ddpm", "interpolation")
    device = next(system.networks.parameters()).device
    shares = np.linspace(0, 1, STATIONS)
    for digit in (0, 3, 8):
        one, other = system.noise(2, random).to(device).split(1)
        for name, between in (("sphere", slerp), ("straight", torch.lerp)):
            noise = torch.cat([between(one, other, float(share)) for share in shares])
            with torch.no_grad():
                images = system.sample(noise, torch.full((STATIONS,), digit, device=device), how, random)
            drawn.append(generators.pixels(images))
            names.append(name)
    return drawn, names


def by_chance(how: Sampling) -> bool:
    """Whether noise does not decide the image alone."""
    return how.sampler in ("ddpm", "ddpm_posterior") or (how.sampler == "ddim" and how.eta > 0)
