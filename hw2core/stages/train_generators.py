"""Stages train_gan, train_autoencoder, train_acgan, train_ddpm and train_face_features."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hw2core.engine.batches import ImageSet, Shuffle, resident
from hw2core.engine.curves import samples_file
from hw2core.engine.device import choose_device
from hw2core.engine.images import open_split
from hw2core.engine.loop import Trained
from hw2core.engine.system import Batch
from hw2core.engine.tiles import write_tiles
from hw2core.files import write_array
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import CONDITIONAL
from hw2core.settings.systems import Sampling
from hw2core.stages import generators, job
from hw2core.stages.job import Job, Names
from hw2core.systems.generator import Generator

SAMPLES = 8  # images in a row of the progress strip; as many as there are labels where those are more
ROWS = 8  # at most
PROGRESS_SAMPLING = Sampling(
    sampler="dpm_solver", sampling_steps=15, guidance_scale=1, guidance_skip_prob=0, eta=0
)
"""How a DDPM is sampled for the strip. Not as params say, so that no training depends on those settings."""
COLLAPSED = 0.1  # diversity below which a GAN generates one image for almost all noise


def train_gan(params: Params, layout: Layout, name: str, seed: int) -> None:
    generators.check_named(name, params.gans, "gans")
    train_generator(params, layout, name, seed)


def train_autoencoder(params: Params, layout: Layout, name: str, seed: int) -> None:
    generators.check_named(name, params.autoencoders, "autoencoders")
    train_generator(params, layout, name, seed)


def train_acgan(params: Params, layout: Layout, item: str, seed: int) -> None:
    generators.check_named(item, params.conditional.acgan, "conditional.acgan")
    train_generator(params, layout, f"acgan/{item}", seed)


def train_ddpm(params: Params, layout: Layout, item: str, seed: int) -> None:
    generators.check_named(item, params.conditional.ddpm, "conditional.ddpm")
    train_generator(params, layout, "ddpm", seed)


def train_generator(params: Params, layout: Layout, name: str, seed: int) -> None:
    stage, item = generators.place_of(name)
    settings = generators.settings_of(params, name)
    device = choose_device(params.engine)
    images = generators.read_images(params, layout, device, name, "train")
    labels = CONDITIONAL.get(name, 0)

    def build() -> Generator:
        system = generators.build(params, name)
        generators.check_size(images, generators.dataset_of(params, name), system.size)
        return system

    def save_samples(system: Generator, step: int, scratch: Path) -> dict[str, float]:
        """Keep images of the same noise at each step."""
        names = (stage, item, "progress")
        if labels:
            y = torch.arange(max(SAMPLES, labels)) % labels
            generated = generators.sample_labels(system, y, PROGRESS_SAMPLING, *names)
        else:
            generated = generators.sample(system, SAMPLES, *names)
        write_array(samples_file(scratch, step), generated)
        return {}

    def summarize(trained: Trained, scratch: Path) -> dict[str, Any]:
        steps = write_progress(scratch, layout.stage(stage, item, seed) / "progress.png")
        final = final_losses(trained)
        collapse = collapsed(f"{name} seed {seed}", final["diversity"]) if "diversity" in final else {}
        return {"final": final, "progress_steps": steps, **collapse}

    training = Job(
        stage=stage,
        item=item,
        seed=seed,
        settings=settings,
        datasets=(generators.dataset_of(params, name),),
        build=build,
        batches=lambda names: shuffled(images, settings.batch, names),
        evaluate=save_samples,
        selects=None,
        summary=summarize,
    )
    job.run(training, params.engine, layout, device)


def train_face_features(params: Params, layout: Layout, extractor: str) -> None:
    """The network whose features compare faces where Inception's weights are missing."""
    from hw2core.systems.face_features import FaceFeatures

    generators.check_named(extractor, params.extractors.faces, "extractors.faces")
    device = choose_device(params.engine)
    faces = resident(open_split(layout.ready(params.data.faces), "train"), device)
    settings = params.face_features
    training = Job(
        stage="train_face_features",
        item="faces",
        seed=0,
        settings=settings,
        datasets=(params.data.faces,),
        build=lambda: FaceFeatures(settings),
        batches=lambda names: shuffled(faces, settings.batch, names),
        evaluate=lambda *_: {},
        selects=None,
        summary=lambda trained, _: {"final": final_losses(trained), "images": len(faces)},
    )
    job.run(training, params.engine, layout, device)


def shuffled(images: ImageSet, batch: int, names: Names) -> Callable[[int], Batch]:
    return Shuffle(images, batch, *names).at


def final_losses(trained: Trained) -> dict[str, float]:
    """The last row of the history without step and learning rate."""
    return {key: value for key, value in trained.history[-1].items() if key not in ("step", "lr")}


def write_progress(scratch: Path, path: Path) -> list[int]:
    """Write the kept samples of evenly spaced steps, a row for each; returns the steps."""
    kept = sorted(scratch.glob("progress-*.npy"))
    rows = np.unique(np.linspace(0, len(kept) - 1, min(ROWS, len(kept))).round().astype(int))
    samples = [np.load(kept[row]) for row in rows]
    write_tiles(path, np.concatenate(samples), columns=len(samples[0]))
    return [int(kept[row].stem.partition("-")[2]) for row in rows]


def collapsed(name: str, diversity: float) -> dict[str, bool]:
    """Whether a GAN generates almost the same image for all noise."""
    if diversity < COLLAPSED:
        print(
            f"{name}: collapsed: its images vary {diversity:.2f} times as much as real ones (less than {COLLAPSED})",
            file=sys.stderr,
        )
    return {"collapsed": diversity < COLLAPSED}
