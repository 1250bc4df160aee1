"""Stages evaluate_gan, evaluate_vae and evaluate_real: generated faces judged, and what real ones would score."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hw2core.data.batches import ImageSet, resident
from hw2core.data.store import open_split, read_about
from hw2core.engine import journal
from hw2core.engine.device import Device, choose_device
from hw2core.engine.randomness import seed_for
from hw2core.files import sha256_of
from hw2core.judges.classification import spread
from hw2core.judges.extractors import Extractor, compare, extract
from hw2core.judges.faces import faces_in_arrays
from hw2core.judges.inception import inception
from hw2core.judges.reconstruction import squared_errors
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.report import figures
from hw2core.report.results import read_metrics
from hw2core.stages import generators

ROWS, COLUMNS = 4, 8  # of the grid of samples, as the reports show them
REBUILT = 10  # test images beside their reconstructions
MISSING = "not measured: judges.inception names no weights (docs/judges.md says how to get them)"


def evaluate_gan(params: Params, layout: Layout, method: str) -> None:
    generators.check_gan(params, method)
    device = choose_device(params.engine)
    evaluate_generator(params, layout, device, method, {})


def evaluate_vae(params: Params, layout: Layout) -> None:
    from hw2core.stages import latents

    device = choose_device(params.engine)
    folder = layout.stage("evaluate_vae", "faces")
    test = resident(open_split(layout.ready(params.data.faces), "test"), device)
    names = read_about(layout.ready(params.data.faces)).get("attributes", [])
    errors, mapped = [], 0
    for seed in params.generation.seeds:
        vae: Any = generators.load(params, layout, device, "vae", seed)
        rebuilt, found = reconstruct(vae, test)
        errors.append(found)
        if seed == params.generation.seeds[0]:
            pictures = test.images[:REBUILT].cpu().numpy()
            picture = figures.reconstructions(pictures, rebuilt[:REBUILT], found[:REBUILT].tolist())
            figures.save_photos(picture, folder / "reconstructions.png")
            code_map, mapped = latents.code_map(vae, test, names, params.tsne)
            figures.save(code_map, folder / "latents.png")
            ways = latents.ways(vae, test, ROWS, COLUMNS)
            title = "test faces at both ends, the VAE's between them"
            figures.save_photos(figures.grid(ways, ROWS, COLUMNS, title), folder / "interpolation.png")
    evaluate_generator(
        params,
        layout,
        device,
        "vae",
        {
            "reconstruction_mse": spread([found.mean().item() for found in errors]),
            "reconstruction_mse_first": errors[0][:REBUILT].tolist(),
            "reconstructed_images": len(test),
            "mapped_images": mapped,
        },
    )


@torch.no_grad()
def reconstruct(vae: Any, test: ImageSet) -> tuple[NDArray[np.uint8], torch.Tensor]:
    """All test images again from their codes, and each one's squared error."""
    pictures, errors = [], []
    for part in torch.arange(len(test), device=test.images.device).split(generators.CHUNK):
        images, _ = test.take(part)
        rebuilt = vae.reconstruct(images)
        pictures.append(generators.pixels(rebuilt))
        errors.append(squared_errors(images, rebuilt).cpu())
    return np.concatenate(pictures), torch.cat(errors)


def evaluate_real(params: Params, layout: Layout) -> None:
    """The ends of the scale: as many real training faces, and noise, judged as if they were generated."""
    device = choose_device(params.engine)
    train = open_split(layout.ready(params.data.faces), "train").images
    count = min(params.generation.images, len(train))
    random = np.random.default_rng(seed_for("evaluate_real", "noise"))
    noise = random.integers(0, 256, (count, *train.shape[1:]), dtype=np.uint8)
    folder = layout.stage("evaluate_real", "faces")
    test = open_split(layout.ready(params.data.faces), "test").images
    figures.save_photos(
        figures.grid(np.array(test[: ROWS * COLUMNS]), ROWS, COLUMNS, "real test images"),
        folder / "samples.png",
    )
    journal.write_metrics(
        folder,
        {
            "test_images": faces_in_arrays(test, "real test images"),
            "training_images": judge(params, layout, device, np.array(train[:count])),
            "noise": judge(params, layout, device, noise),
            "device": device.about,
        },
    )


def evaluate_generator(
    params: Params, layout: Layout, device: Device, name: str, more: dict[str, Any]
) -> None:
    stage, item = generators.place_of(name)
    folder = layout.stage(stage.replace("train_", "evaluate_"), item)
    judged = []
    for seed in params.generation.seeds:
        system: Any = generators.load(params, layout, device, name, seed)
        images = generators.draw(system, params.generation.images, stage, item, f"seed {seed}", "samples")
        judged.append(judge(params, layout, device, images))
        if seed == params.generation.seeds[0]:
            title = f"{name}, the first {ROWS * COLUMNS}"
            figures.save_photos(figures.grid(images, ROWS, COLUMNS, title), folder / "samples.png")
    journal.write_metrics(
        folder,
        {
            **of_faces(judged),
            **more,
            "seeds": params.generation.seeds,
            "device": device.about,
            "training": about_training(layout, stage, item),
        },
    )


def judge(params: Params, layout: Layout, device: Device, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Everything that is measured of a set of faces against the real test faces."""
    real = open_split(layout.ready(params.data.faces), "test").images
    extractors = [offline_extractor(params, layout)]
    found: dict[str, Any] = {"faces": faces_in_arrays(images, "faces")}
    if params.judges.inception and (path := Path(params.judges.inception).expanduser()).is_file():
        extractors.append(inception(path))
    else:
        found["fid"] = MISSING
    for extractor in extractors:
        sets = [
            extract(extractor, part, device, layout.features, title)
            for part, title in ((images, "generated images"), (real, "real test images"))
        ]
        note(found, compare(extractor, *sets))
    return found


def note(found: dict[str, Any], comparison: dict[str, Any]) -> None:
    """Add what was measured, and apart from it, in a list, what it was measured on and by."""
    measured = {key: value for key, value in comparison.items() if key.partition("_")[0] in FIGURES}
    found |= measured
    found.setdefault("by", []).append({key: comparison[key] for key in comparison if key not in measured})


FIGURES = ("fid", "kid", "precision", "recall", "is")


def over_seeds(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure's mean and spread over the seeds; what it was measured on and by is the same for all."""
    found: dict[str, Any] = {}
    for key, value in judged[0].items():
        if isinstance(value, float):
            found[key] = spread([one[key] for one in judged])
        elif isinstance(value, dict) and "mean" in value:
            found[key] = spread([one[key]["mean"] for one in judged])
        elif isinstance(value, str) or key == "by":
            found[key] = value
    return found


def of_faces(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """And how many faces were found."""
    faces = [one["faces"] for one in judged]
    return {
        "faces_found": spread([one["faces_found"] for one in faces]),
        **over_seeds(judged),
        "faces": faces,
    }


def offline_extractor(params: Params, layout: Layout) -> Extractor:
    """The small network that learnt these faces' likeness: what `fid_faces_offline` is measured by."""
    from hw2core.systems.face_features import FaceFeatures

    system = FaceFeatures(params.face_features)
    folder = layout.stage("train_face_features", "faces")
    path = folder / "model.safetensors"
    journal.load_weights(system.networks, journal.read_model(folder, "seed0.last"), path)
    system.networks.eval()
    return Extractor(
        name=f"the small network of {params.data.faces}, learnt without labels",
        suffix="_faces_offline",
        sha256=sha256_of(path),
        resize="not resized",
        size=None,
        network=system.networks,
        features=lambda images: (system.features(images), None),
    )


def about_training(layout: Layout, stage: str, item: str) -> dict[str, Any]:
    """What the report says of the training that was judged, and which history is its own: see stages/evaluate.py."""
    folder = layout.stage(stage, item)
    metrics = read_metrics(layout, stage, item, "steps", "parameters", "at_the_end", "device")
    kept = {key: metrics[key] for key in ("steps", "parameters", "at_the_end", "device")}
    return {
        **kept,
        "collapsed_seeds": metrics.get("collapsed_seeds", []),
        "history": sha256_of(folder / "history.csv"),
        "progress": sha256_of(folder / "progress.png"),
    }
