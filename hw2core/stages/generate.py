"""`hw2 generate`: images of a trained generator, one file each."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from hw2core.engine.randomness import rng_for
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import CONDITIONAL
from hw2core.settings.runs import generator_seeds
from hw2core.settings.systems import Sampling
from hw2core.stages import generators
from hw2core.stages.commands import every_core
from hw2core.systems.samplers import slerp

ROWS, COLUMNS = 4, 8


def generate(
    params: Params, layout: Layout, run: str, out: str, count: int, seed: int, grid: bool, interpolate: bool
) -> None:
    """Write 00001.png, 00002.png, ... into a new folder, and grids beside it: inside, they would be evaluated too."""
    folder = new_out(out)
    device = every_core(params)
    name = named(params, run)
    system = generators.load(params, layout, device, name, generator_seeds(params, name)[0])
    start = time.perf_counter()
    images = generators.decode(system, system.noise(count, rng_for("generate", seed)))
    seconds = time.perf_counter() - start
    with new_folder(folder) as draft:
        for i, image in enumerate(images, start=1):
            Image.fromarray(image).save(draft / f"{i:05d}.png")
    if grid:
        Image.fromarray(sheet(images[: ROWS * COLUMNS])).save(beside(folder, "grid"))
    if interpolate:
        ends = system.noise(2 * ROWS, rng_for("generate", seed, "interpolation"))
        paths = [slerp(ends[:ROWS], ends[ROWS:], i / (COLUMNS - 1)) for i in range(COLUMNS)]
        between = generators.decode(system, torch.stack(paths, dim=1).flatten(0, 1))
        Image.fromarray(sheet(between)).save(beside(folder, "interpolation"))
    report(out, run, seed, count, seconds, device.about)


def generate_labeled(
    params: Params,
    layout: Layout,
    run: str,
    out: str,
    per_class: int,
    only: int | None,
    seed: int,
    grid: bool,
    changes: dict[str, Any],
) -> None:
    """Write 0_001.png ... 9_100.png: `per_class` images of each label, or of `only` one."""
    folder = new_out(out)
    labels = range(CONDITIONAL[run])
    if only is not None and only not in labels:
        raise UserError(f"--class: the labels of {run} are {labels[0]} to {labels[-1]}, not {only}")
    sampling = changed_sampling(params, run, changes)
    device = every_core(params)
    system = generators.load(params, layout, device, run, generator_seeds(params, run)[0])
    wanted = torch.tensor(labels if only is None else [only]).repeat_interleave(per_class)
    start = time.perf_counter()
    images = generators.sample_labels(system, wanted, sampling, "generate", seed)
    seconds = time.perf_counter() - start
    digits = max(3, len(str(per_class)))
    with new_folder(folder) as draft:
        for i, (image, label) in enumerate(zip(images, wanted.tolist(), strict=True)):
            Image.fromarray(image).save(draft / f"{label}_{i % per_class + 1:0{digits}d}.png")
    if grid:
        firsts = images.reshape(-1, per_class, *images.shape[1:])[:, :COLUMNS].reshape(-1, *images.shape[1:])
        Image.fromarray(sheet(firsts, min(COLUMNS, per_class))).save(beside(folder, "grid"))
    report(out, run, seed, len(images), seconds, device.about)


def new_out(out: str) -> Path:
    folder = Path(out)
    for path in (folder, beside(folder, "grid"), beside(folder, "interpolation")):
        if path.exists():
            raise UserError(f"{path}: exists; name a new folder, so that nothing is lost")
    return folder


def beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}-{kind}.png")


def named(params: Params, run: str) -> str:
    """The generator that gan/NAME, or an autoencoder's name, stands for."""
    kind, _, name = run.partition("/")
    if kind == "gan":
        generators.check_named(name, params.gans, "gans")
        return name
    if run not in params.autoencoders:
        known = ", ".join(["gan/NAME", *params.autoencoders, *CONDITIONAL])
        raise UserError(f"--run: must be one of {known}, not {run!r}")
    return run


def changed_sampling(params: Params, run: str, changes: dict[str, Any]) -> Sampling:
    """The sampling settings of params, except for those given on the command line."""
    given = {name: value for name, value in changes.items() if value is not None}
    if given and run != "ddpm":
        raise UserError(f"--{option(next(iter(given)))}: only ddpm is sampled in steps")
    try:
        return params.ddpm.with_changes(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].replace("Input should", "must")
        raise UserError(f"--{option(str(first['loc'][0]))}: {message}") from None


def option(setting: str) -> str:
    """The command line option of a sampling setting."""
    return {"sampling_steps": "steps", "guidance_scale": "guidance-scale"}.get(setting, setting)


def report(out: str, run: str, seed: int, count: int, seconds: float, device: str) -> None:
    print(f"{out}: {count} images by {run}, seed {seed}")
    print(f"{seconds:.1f} s, {count / seconds:.1f} images/s on {device}", file=sys.stderr)


def sheet(images: NDArray[np.uint8], most_columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Images row by row, without gaps."""
    count, height, width, _ = images.shape
    columns = min(most_columns, count)
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = images
    tiled = whole.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return tiled.reshape(rows * height, columns * width, 3)
