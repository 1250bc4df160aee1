"""A workspace in which every stage seems to have run: data/ready and stages/ with made-up values, in milliseconds."""

import zlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hw2core.engine import images, journal
from hw2core.engine.tiles import write_tiles
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import SAMPLERS

SIDE = 8  # pixels of a fabricated image
ATTRIBUTES = ["dark_hair", "glasses"]
STEPS = [100, 200, 1500]
ETAS = [0.0, 0.5, 1.0]
DEVICE = "cpu (avx2) with 1 thread"


def fabricate(params: Params, layout: Layout) -> None:
    """Write what the report reads if these params run."""
    for domain in params.data.domains:
        write_domain(layout, domain)
        for seed in params.seeds:
            write_training(
                layout, "train_classifier", domain, seed, ["test_accuracy"], accuracies(domain, seed)
            )
            on = {other: evaluation_of("classifier", domain, other, seed) for other in params.data.domains}
            write(layout, "evaluate_classifier", domain, seed, {"on": on})
    for pair in params.pairs:
        for method in params.adapters:
            write_adapter(params, layout, method, pair)
        if params.adapters:
            write_map(layout, "classifier", pair)
    faces = params.gans or params.autoencoders or params.conditional.acgan
    if faces:
        write_faces(layout, params.data.faces)
        write_real(params, layout)
    for gan in params.gans:
        for seed in params.generation.seeds.gans:
            write_gan(layout, gan, seed)
    for autoencoder in params.autoencoders:
        for seed in params.generation.seeds.autoencoders:
            write_autoencoder(layout, autoencoder, seed)
    for seed in params.generation.seeds.conditional:
        for item in params.conditional.acgan:
            write_acgan(layout, item, seed)
        if params.conditional.ddpm:
            write_ddpm(layout, seed)
    if params.conditional.ddpm:
        write_sweep(params, layout)
    for name in params.extractors.faces:
        write_training(layout, f"train_{name}", "faces", 0, ["contrastive_loss"], {})


def value(*names: object) -> float:
    """A number from 5 to 95, of its own for every name."""
    return 5 + zlib.crc32(" ".join(map(str, names)).encode()) % 9000 / 100


def pictures(count: int, *names: object) -> NDArray[np.uint8]:
    rng = np.random.default_rng(zlib.crc32(repr(names).encode()))
    return rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


# --- data -----------------------------------------------------------------------------------------------------


def write_domain(layout: Layout, domain: str) -> None:
    labels = np.arange(20, dtype=np.uint8) % 10
    splits = {name: images.Split(pictures(20, domain, name), labels) for name in images.SPLITS}
    facts = {"name": domain, "source": "embedded"}
    images.write(layout.ready(domain), images.ImageData(splits, f"made up for {domain}"), facts)


def write_faces(layout: Layout, dataset: str) -> None:
    labels = np.arange(40, dtype=np.uint8).reshape(20, 2) % 2
    splits = {name: images.Split(pictures(20, dataset, name), labels) for name in images.SPLITS}
    data = images.ImageData(splits, "made-up faces", ATTRIBUTES)
    images.write(layout.ready(dataset), data, {"name": dataset, "source": "embedded"})


# --- classifiers and adapters ---------------------------------------------------------------------------------


def write_adapter(params: Params, layout: Layout, method: str, pair: str) -> None:
    for seed in params.seeds:
        metrics = accuracies(method, pair, seed)
        write_training(layout, f"train_{method}", pair, seed, ["infomax", "test_accuracy"], metrics)
        per_digit = {str(digit): value("per digit", method, pair, digit, seed) for digit in range(10)}
        write(
            layout,
            "evaluate",
            f"{method}-{pair}",
            seed,
            evaluation_of(method, pair, "", seed) | {"per_digit": per_digit},
        )
        write_predictions(layout, method, pair, seed)
    write_map(layout, method, pair)


def write_predictions(layout: Layout, method: str, pair: str, seed: int) -> None:
    labels = np.arange(20) % 10
    predicted = np.where(np.arange(20) < value("right", method, pair, seed) / 5, labels, (labels + 1) % 10)
    rows = pd.DataFrame({"image": np.arange(20), "label": labels, "predicted": predicted})
    folder = layout.stage("evaluate", f"{method}-{pair}", seed)
    write_whole(folder / "predictions.csv", rows.to_csv(index=False).encode())


def write_map(layout: Layout, network: str, pair: str) -> None:
    folder = layout.stage("tsne", f"{network}-{pair}")
    points = pd.DataFrame(
        {
            "domain": np.repeat(pair.split("-"), 10),
            "digit": np.arange(20) % 10,
            "predicted": np.arange(20) % 9,
            "x": np.linspace(0, 1, 20),
            "y": np.linspace(1, 0, 20) ** 2,
        }
    )
    write_whole(folder / "coordinates.csv", points.to_csv(index=False).encode())
    silhouette = {by: value("silhouette", network, pair, by) / 100 for by in ("domain", "digit")}
    settings = {"perplexity": 5, "initialization": "pca", "points": 20, "seed": 0, "device": DEVICE}
    journal.write_metrics(folder, {"kl_divergence": 1.5, "silhouette": silhouette, **settings})


def accuracies(*names: object) -> dict[str, Any]:
    return {
        "accuracy": {which: value(which, *names) for which in ("last", "chosen", "snd", "oracle")},
        "test_images": 20,
        "selected_by": "infomax over 9 images",
        "chosen_step": 200,
    }


def evaluation_of(system: str, item: str, domain: str, seed: int) -> dict[str, Any]:
    accuracy = {which: value("evaluated", system, item, domain, which, seed) for which in ("last", "chosen")}
    return {"accuracy": accuracy, "test_images": 20}


# --- generators -----------------------------------------------------------------------------------------------


def write_gan(layout: Layout, name: str, seed: int) -> None:
    columns = ["d_loss", "g_loss", "d_real_acc", "d_fake_acc", "diversity"]
    write_generator(layout, "train_gan", name, seed, columns, 8, {"collapsed": False})
    write_samples(layout, "evaluate_gan", name, seed, 8, face_metrics(name, seed))


def write_autoencoder(layout: Layout, name: str, seed: int) -> None:
    write_generator(layout, "train_autoencoder", name, seed, ["reconstruction", "kl"], 8, {})
    metrics = face_metrics(name, seed) | {
        "reconstruction_mse": value("mse", name, seed) / 1000,
        "reconstruction_mse_first": [0.01] * 10,
        "reconstructed_images": 20,
        "mapped_images": 20,
    }
    write_samples(layout, "evaluate_autoencoder", name, seed, 8, metrics)
    folder = layout.stage("evaluate_autoencoder", name, seed)
    write_tiles(folder / "reconstructions.png", pictures(20, name, "reconstructions"), 10)
    write_tiles(folder / "interpolation.png", pictures(32, name, "interpolation"), 8)
    latents = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20.0) ** 2})
    for attribute in ATTRIBUTES:
        latents[attribute] = [0, 1, images.UNKNOWN, 1] * 5
    write_whole(folder / "latents.csv", latents.to_csv(index=False).encode())


def write_acgan(layout: Layout, item: str, seed: int) -> None:
    columns = ["d_adv_loss", "d_aux_loss", "g_adv_loss", "g_aux_loss"]
    write_generator(layout, "train_acgan", item, seed, columns, 10 if item == "digits" else 8, {})
    if item == "digits":
        write_digits(layout, "evaluate_acgan", seed, {})
        return
    attribute = {
        "attribute": ATTRIBUTES[0],
        "attribute_accuracy": value("attribute accuracy", seed),
        "attribute_accuracy_of_real": 99.5,
    }
    metrics = face_metrics("acgan", seed) | attribute | {"nearest_train_rmse_first": [0.1] * 10}
    write_samples(layout, "evaluate_acgan", "faces", seed, 10, metrics)
    folder = layout.stage("evaluate_acgan", "faces", seed)
    write_tiles(folder / "samples.png", pictures(20, "pairs"), 10)
    write_tiles(folder / "neighbors.png", pictures(20, "neighbors"), 10)


def write_ddpm(layout: Layout, seed: int) -> None:
    write_generator(layout, "train_ddpm", "digits", seed, ["loss"], 10, {})
    write_digits(layout, "evaluate_ddpm", seed, {"reverse_timesteps": [999, 500, 0]})
    write_tiles(layout.stage("evaluate_ddpm", "digits", seed) / "reverse.png", pictures(3, "reverse"), 3)


def write_digits(layout: Layout, stage: str, seed: int, more: dict[str, Any]) -> None:
    metrics = {
        name: value(stage, name, seed)
        for name in ("digit_accuracy", "fd_digits", "precision_digits", "recall_digits", "nearest_train_rmse")
    }
    metrics |= {
        "kd_digits": {"mean": value(stage, "kd", seed), "std": 0.25, "subset": 20},
        "per_digit": {str(digit): value(stage, "per digit", digit, seed) for digit in range(10)},
        "nearest_train_rmse_first": [0.1] * 10,
        "nearest_train_rmse_of_real_test_images": 0.1875,
        "images": 100,
        "classifier": "classifier of printed, seed 0",
        "extractor": [{"extractor": "classifier of printed", "n_fake": 100, "n_real": 20}],
    }
    write_samples(layout, stage, "digits", seed, 10, metrics | more)
    folder = layout.stage(stage, "digits", seed)
    write_tiles(folder / "samples.png", pictures(100, stage, "samples"), 10)
    write_tiles(folder / "neighbors.png", pictures(20, stage, "neighbors"), 10)


def write_sweep(params: Params, layout: Layout) -> None:
    folder = layout.stage("sweep_ddpm", "digits")
    ddpm = params.ddpm
    compared = [
        *(
            (sampler, steps, ddpm.guidance_scale)
            for sampler in SAMPLERS
            for steps in params.sweep.sampling_steps
        ),
        *((ddpm.sampler, ddpm.sampling_steps, scale) for scale in params.sweep.guidance_scale),
    ]
    settings = [
        {
            "sampler": sampler,
            "sampling_steps": steps,
            "guidance_scale": scale,
            "nfe": 2 * steps,
            "digit_accuracy": value("sweep", sampler, steps, scale),
        }
        for sampler, steps, scale in compared
    ]
    write_whole(folder / "sweep.csv", pd.DataFrame(settings).to_csv(index=False).encode())
    names = ["sphere", "straight"]
    scales = params.sweep.guidance_scale
    write_tiles(folder / "guidance.png", pictures(10 * len(scales), "guidance"), 10)
    write_tiles(folder / "eta.png", pictures(10 * len(ETAS), "eta"), 10)
    write_tiles(folder / "interpolation.png", pictures(8 * len(names), "interpolation"), 8)
    facts = {"settings": settings, "images": 20, "etas": ETAS, "interpolations": names}
    journal.write_metrics(folder, facts | {"seed": 0, "device": DEVICE})


def write_real(params: Params, layout: Layout) -> None:
    folder = layout.stage("evaluate_real", "faces")
    detected = {"face_detection_rate": 90.0, "images": 20, "detector": "a detector"}
    parts = {part: face_metrics(part, 0) for part in ("training_images", "noise")}
    journal.write_metrics(folder, {"test_images": detected, **parts, "device": DEVICE})
    write_tiles(folder / "samples.png", pictures(32, "real"), 8)


def face_metrics(name: str, seed: int) -> dict[str, Any]:
    metrics = ("face_detection_rate", "fd_faces", "precision_faces", "recall_faces")
    found: dict[str, Any] = {metric: value(name, metric, seed) for metric in metrics}
    return found | {
        "kd_faces": {"mean": value(name, "kd", seed), "std": 0.25, "subset": 20},
        "faces": {"face_detection_rate": found["face_detection_rate"], "images": 40},
        "fid": "not measured: no weights",
        "extractor": [{"extractor": "face_features of somewhere", "n_fake": 40, "n_real": 20}],
        "images": 40,
    }


# --- files ----------------------------------------------------------------------------------------------------


def write_generator(
    layout: Layout, stage: str, item: str, seed: int, columns: list[str], width: int, more: dict[str, Any]
) -> None:
    write_training(layout, stage, item, seed, columns, {"progress_steps": STEPS, "final": {}, **more})
    folder = layout.stage(stage, item, seed)
    write_tiles(folder / "progress.png", pictures(len(STEPS) * width, stage, item), width)


def write_training(
    layout: Layout, stage: str, item: str, seed: int, columns: list[str], metrics: dict[str, Any]
) -> None:
    facts = {"steps": 1500, "parameters": {"one": 1000, "other": 1 + zlib.crc32(item.encode()) % 1000}}
    write(layout, stage, item, seed, metrics | facts)
    rows = [
        {"step": step, **{column: value(stage, item, column, step, seed) / 100 for column in columns}}
        for step in STEPS
    ]
    folder = layout.stage(stage, item, seed)
    journal.write_history(folder, rows)
    layers = [
        {"layer": "1.conv", "module": f"Conv2d(1, 2_) of {stage} {item}", "output": "", "parameters": 7},
        {"layer": "2", "module": "Tanh()", "output": "3 x 64 x 64", "parameters": 1000},
    ]
    journal.write_networks(folder, [{"network": "one", **layer} for layer in layers])


def write_samples(
    layout: Layout, stage: str, item: str, seed: int, columns: int, metrics: dict[str, Any]
) -> None:
    write(layout, stage, item, seed, metrics)
    write_tiles(layout.stage(stage, item, seed) / "samples.png", pictures(4 * columns, stage, item), columns)


def write(layout: Layout, stage: str, item: str, seed: int, metrics: dict[str, Any]) -> None:
    journal.write_metrics(layout.stage(stage, item, seed), metrics | {"seed": seed, "device": DEVICE})
