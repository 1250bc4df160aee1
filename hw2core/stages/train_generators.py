"""Stages train_gan, train_vae, train_acgan, train_ddpm and train_face_features: what learns from faces or digits, and
what is kept to look at."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hw2core.data.batches import ImageSet, Shuffle, resident
from hw2core.data.store import open_split
from hw2core.engine import journal
from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Trained, Watch
from hw2core.files import write_array
from hw2core.judges.classification import spread
from hw2core.layout import Layout
from hw2core.params import LABELLED, Params, Sampling, Training
from hw2core.report import figures
from hw2core.stages import generators
from hw2core.stages.seeds import trained_seeds

SHOWN = 8  # images of the strip that shows a training's progress: one of each digit where digits are drawn
MOMENTS = 8  # at most so many times
PLAINLY = Sampling(sampler="dpm_solver", sampling_steps=15, guidance=1, skip=0, eta=0)
"""How a diffusion model draws them: not as params say, for nothing is to be trained again when those change."""
COLLAPSED = 0.1  # diversity below which a GAN draws all but one picture


def train_gan(params: Params, layout: Layout, method: str) -> None:
    generators.check_gan(params, method)
    train_generator(params, layout, method)


def train_vae(params: Params, layout: Layout) -> None:
    train_generator(params, layout, "vae")


def train_acgan(params: Params, layout: Layout, item: str) -> None:
    train_generator(params, layout, generators.check_item(item))


def train_ddpm(params: Params, layout: Layout) -> None:
    train_generator(params, layout, "ddpm")


def train_generator(params: Params, layout: Layout, name: str) -> None:
    stage, item = generators.place_of(name)
    settings = generators.settings_of(params, name)
    device = choose_device(params.engine)
    images = generators.read_images(
        params, layout, device, name, "train", generators.build(params, name).size
    )

    def watch(system: Any, folder: Path) -> Watch:
        """Keep some images of the same noise at each look."""

        def look(step: int) -> dict[str, float]:
            names = (stage, item, "progress")
            if labels := LABELLED.get(name):
                shown = torch.arange(max(SHOWN, labels)) % labels
                drawn = generators.draw_labelled(system, shown, PLAINLY, *names)
            else:
                drawn = generators.draw(system, SHOWN, *names)
            write_array(folder / f"progress-{step:08d}.npy", drawn)
            return {}

        return Watch(params.engine.evaluate_every, look, chooses=None)

    with trained_seeds(
        stage,
        item,
        params,
        layout,
        device,
        seeds=params.generation.seeds,
        settings=settings,
        build=lambda seed: generators.build(params, name),
        batches=batches(images, settings),
        watch=watch,
        reads=[generators.dataset_of(params, name)],
        facts={},
    ) as (runs, kept):
        folder = layout.stage(stage, item)
        figures.save_photos(
            figures.progress(first_progress(kept / f"seed{params.generation.seeds[0]}")),
            folder / "progress.png",
        )
        journal.write_metrics(folder, metrics(runs, settings, params, device, name))


def train_face_features(params: Params, layout: Layout) -> None:
    """The network that faces are compared by offline."""
    from hw2core.systems.face_features import FaceFeatures

    device = choose_device(params.engine)
    faces = resident(open_split(layout.ready(params.data.faces), "train"), device)
    settings = params.face_features
    with trained_seeds(
        "train_face_features",
        "faces",
        params,
        layout,
        device,
        seeds=[0],
        settings=settings,
        build=lambda seed: FaceFeatures(settings),
        batches=batches(faces, settings),
        watch=lambda system, folder: Watch(params.engine.evaluate_every, lambda step: {}, chooses=None),
        reads=[params.data.faces],
        facts={},
    ) as (runs, _):
        journal.write_metrics(
            layout.stage("train_face_features", "faces"),
            {
                "contrast_loss": runs[0].history[-1]["contrast_loss"],
                "steps": settings.steps,
                "images": len(faces),
                "device": device.about,
            },
        )


def batches(faces: ImageSet, settings: Training) -> Callable[..., Callable[[int], Any]]:
    return lambda *names: Shuffle(faces, settings.batch, *names).at


def first_progress(folder: Path) -> dict[int, NDArray[np.uint8]]:
    """What was kept at the steps looked at, or at so many of them, evenly."""
    kept = sorted(folder.glob("progress-*.npy"))
    chosen = np.unique(np.linspace(0, len(kept) - 1, min(MOMENTS, len(kept))).round().astype(int))
    return {int(kept[i].stem.partition("-")[2]): np.load(kept[i]) for i in chosen}


def metrics(
    runs: dict[int, Trained], settings: Training, params: Params, device: Device, name: str
) -> dict[str, Any]:
    """The health at the end, and whether a GAN's generator has fallen to one picture."""
    last = [run.history[-1] for run in runs.values()]
    figures_of = [key for key in last[0] if key not in ("step", "lr")]
    networks = generators.build(params, name).networks
    found: dict[str, Any] = {
        "at_the_end": {key: spread([row[key] for row in last]) for key in figures_of},
        "steps": settings.steps,
        "parameters": {
            part: sum(weight.numel() for weight in network.parameters()) for part, network in networks.items()
        },
        "seeds": params.generation.seeds,
        "device": device.about,
    }
    if "diversity" in last[0]:
        fallen = [seed for seed, row in zip(runs, last, strict=True) if row["diversity"] < COLLAPSED]
        found["collapsed_seeds"] = fallen
        for seed in fallen:
            print(
                f"{name} seed {seed}: collapsed: its images differ {runs[seed].history[-1]['diversity']:.2f} times as "
                f"much as real ones (less than {COLLAPSED})",
                file=sys.stderr,
            )
    return found
