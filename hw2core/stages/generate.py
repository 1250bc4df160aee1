"""`hw2 generate`: images of a trained generator, one file each."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hw2core.engine.device import choose_device
from hw2core.engine.randomness import generator
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.stages import generators

ROWS, COLUMNS = 4, 8


def generate(
    params: Params, layout: Layout, run: str, out: str, count: int, seed: int, grid: bool, interpolate: bool
) -> None:
    """Write 00001.png, 00002.png, ... into a new folder, and pictures of several on demand."""
    folder = Path(out)
    if folder.exists():
        raise UserError(f"{out}: is there already; name a new folder, so that nothing is lost")
    name = check_run(params, run)
    device = choose_device(params.engine)
    system = generators.load(params, layout, device, name, params.generation.seeds[0])
    noise = system.noise(count, generator("generate", seed))
    images = np.concatenate(list(generators.draw_parts(system, noise)))
    with new_folder(folder) as draft:
        for i, image in enumerate(images, start=1):
            Image.fromarray(image).save(draft / f"{i:05d}.png")
        if grid:
            Image.fromarray(sheet(images[: ROWS * COLUMNS])).save(draft / "grid.png")
        if interpolate:
            ends = system.noise(2 * ROWS, generator("generate", seed, "interpolation"))
            ways = [slerp(ends[:ROWS], ends[ROWS:], i / (COLUMNS - 1)) for i in range(COLUMNS)]
            rows = torch.stack(ways, dim=1).flatten(0, 1)
            drawn = np.concatenate(list(generators.draw_parts(system, rows)))
            Image.fromarray(sheet(drawn)).save(draft / "interpolation.png")
    print(f"{out}: {count} images by {run}, seed {seed}")


def check_run(params: Params, run: str) -> str:
    """The generator that gan/METHOD or vae names."""
    kind, _, method = run.partition("/")
    if kind == "gan":
        generators.check_gan(params, method)
        return method
    if run != "vae":
        raise UserError(f"--run: must be gan/METHOD or vae, not {run!r}")
    return run


def slerp(one: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    """From one noise to another along the sphere that noise lives near: a straight way leads through its middle,
    where no noise ever is."""
    cosine = torch.cosine_similarity(one, other, dim=1)[:, None]
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    return (((1 - share) * angle).sin() * one + (share * angle).sin() * other) / angle.sin()


def sheet(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images row by row, without gaps."""
    count, height, width, _ = images.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = images
    tiled = whole.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return tiled.reshape(rows * height, columns * width, 3)
