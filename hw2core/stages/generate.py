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

from hw2core.engine.randomness import generator
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.layout import Layout
from hw2core.params import LABELLED, Params, Sampling
from hw2core.stages import generators
from hw2core.stages.commands import every_core
from hw2core.systems.samplers import slerp

ROWS, COLUMNS = 4, 8


def generate(
    params: Params, layout: Layout, run: str, out: str, count: int, seed: int, grid: bool, interpolate: bool
) -> None:
    """Write 00001.png, 00002.png, ... into a new folder, and pictures of several beside it on demand: within, they would
    be judged with the others."""
    folder = free_folder(out)
    device = every_core(params)
    system: Any = generators.load(params, layout, device, check_run(params, run), params.generation.seeds[0])
    began = time.perf_counter()
    noise = system.noise(count, generator("generate", seed))
    images = np.concatenate(list(generators.draw_parts(system, noise)))
    seconds = time.perf_counter() - began
    with new_folder(folder) as draft:
        for i, image in enumerate(images, start=1):
            Image.fromarray(image).save(draft / f"{i:05d}.png")
    if grid:
        Image.fromarray(sheet(images[: ROWS * COLUMNS])).save(beside(folder, "grid"))
    if interpolate:
        ends = system.noise(2 * ROWS, generator("generate", seed, "interpolation"))
        ways = [slerp(ends[:ROWS], ends[ROWS:], i / (COLUMNS - 1)) for i in range(COLUMNS)]
        rows = torch.stack(ways, dim=1).flatten(0, 1)
        drawn = np.concatenate(list(generators.draw_parts(system, rows)))
        Image.fromarray(sheet(drawn)).save(beside(folder, "interpolation"))
    say(out, run, seed, count, seconds, device.about)


def generate_labelled(
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
    """Write 0_001.png ... 9_100.png, so many of each label or of `only` one."""
    folder = free_folder(out)
    labels = range(LABELLED[run])
    if only is not None and only not in labels:
        raise UserError(f"--class: {run} draws {labels[0]} to {labels[-1]}, not {only}")
    how = changed_way(params, run, changes)
    device = every_core(params)
    system: Any = generators.load(params, layout, device, run, params.generation.seeds[0])
    wanted = torch.tensor(labels if only is None else [only]).repeat_interleave(per_class)
    began = time.perf_counter()
    images = generators.draw_labelled(system, wanted, how, "generate", seed)
    seconds = time.perf_counter() - began
    digits = max(3, len(str(per_class)))
    with new_folder(folder) as draft:
        for i, (image, label) in enumerate(zip(images, wanted.tolist(), strict=True)):
            Image.fromarray(image).save(draft / f"{label}_{i % per_class + 1:0{digits}d}.png")
    if grid:
        firsts = images.reshape(-1, per_class, *images.shape[1:])[:, :COLUMNS].reshape(-1, *images.shape[1:])
        Image.fromarray(sheet(firsts, min(COLUMNS, per_class))).save(beside(folder, "grid"))
    say(out, run, seed, len(images), seconds, device.about)


def free_folder(out: str) -> Path:
    folder = Path(out)
    for path in (folder, beside(folder, "grid"), beside(folder, "interpolation")):
        if path.exists():
            raise UserError(f"{path}: is there already; name a new folder, so that nothing is lost")
    return folder


def beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}-{kind}.png")


def check_run(params: Params, run: str) -> str:
    """The generator that gan/METHOD or vae names."""
    kind, _, method = run.partition("/")
    if kind == "gan":
        generators.check_gan(params, method)
        return method
    if run != "vae":
        raise UserError(f"--run: must be gan/METHOD, vae, {' or '.join(LABELLED)}, not {run!r}")
    return run


def changed_way(params: Params, run: str, changes: dict[str, Any]) -> Sampling:
    """How params say that a diffusion model is sampled, but for what the command line says."""
    wanted = {name: value for name, value in changes.items() if value is not None}
    if wanted and run != "ddpm":
        raise UserError(f"--{next(iter(wanted)).removeprefix('sampling_')}: only ddpm is sampled in steps")
    try:
        return params.ddpm.changed(**wanted)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).removeprefix("sampling_")
        raise UserError(f"--{name}: {first['msg'].replace('Input should', 'must')}") from None


def say(out: str, run: str, seed: int, count: int, seconds: float, device: str) -> None:
    print(f"{out}: {count} images by {run}, seed {seed}")
    print(f"{seconds:.1f} s, {count / seconds:.1f} images a second on {device}", file=sys.stderr)


def sheet(images: NDArray[np.uint8], most_columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Images row by row, without gaps."""
    count, height, width, _ = images.shape
    columns = min(most_columns, count)
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = images
    tiled = whole.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return tiled.reshape(rows * height, columns * width, 3)
