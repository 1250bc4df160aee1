"""Stage evaluate_autoencoder: samples, reconstructions, interpolations and codes of an autoencoder."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hw2core.engine import journal
from hw2core.engine.batches import ImageSet, resident
from hw2core.engine.device import choose_device
from hw2core.engine.images import UNKNOWN, open_split, read_about
from hw2core.engine.tiles import write_tiles
from hw2core.evaluation.classification import outputs
from hw2core.evaluation.reconstruction import squared_errors
from hw2core.evaluation.tsne import project
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.models import Tsne
from hw2core.stages import generators
from hw2core.stages.evaluate_faces import COLUMNS, ROWS, evaluate_samples

RECONSTRUCTED = 10  # test images that are kept beside their reconstructions
ATTRIBUTES = 8  # that the map of codes shows at most


def evaluate_autoencoder(params: Params, layout: Layout, name: str, seed: int) -> None:
    generators.check_named(name, params.autoencoders, "autoencoders")
    device = choose_device(params.engine)
    folder = layout.stage("evaluate_autoencoder", name, seed)
    ready = layout.ready(params.data.faces)
    test = resident(open_split(ready, "test"), device)
    system: Any = generators.load(params, layout, device, name, seed)
    reconstructions, errors = reconstruct(system, test)
    first = test.images[:RECONSTRUCTED].cpu().numpy()
    write_tiles(
        folder / "reconstructions.png",
        np.concatenate([first, reconstructions[:RECONSTRUCTED]]),
        len(first),
    )
    write_tiles(folder / "interpolation.png", interpolate(system, test), COLUMNS)
    codes = project_codes(system, test, read_about(ready).get("attributes", []), params.tsne)
    write_whole(folder / "latents.csv", codes.to_csv(index=False, float_format="%.4f").encode())
    journal.write_metrics(
        folder,
        {
            **evaluate_samples(params, layout, device, name, seed, folder),
            "reconstruction_mse": errors.mean().item(),
            "reconstruction_mse_first": errors[:RECONSTRUCTED].tolist(),
            "reconstructed_images": len(test),
            "mapped_images": len(codes),
        },
    )


@torch.no_grad()
def reconstruct(system: Any, test: ImageSet) -> tuple[NDArray[np.uint8], torch.Tensor]:
    """The reconstructions (n, h, w, 3) of all test images, and each image's mean squared error (n,)."""
    pictures, errors = [], []
    for part in torch.arange(len(test), device=test.images.device).split(generators.CHUNK):
        images, _ = test.take(part)
        reconstructed = system.reconstruct(images)
        pictures.append(generators.to_uint8(reconstructed))
        errors.append(squared_errors(images, reconstructed).cpu())
    return np.concatenate(pictures), torch.cat(errors)


@torch.no_grad()
def interpolate(system: Any, test: ImageSet) -> NDArray[np.uint8]:
    """Rows of two test faces, at the ends, with decoded codes on the straight line between theirs."""
    picks = torch.arange(2 * ROWS, device=test.images.device) % len(test)
    codes = system.encode(test.take(picks)[0])
    weights = torch.linspace(0, 1, COLUMNS - 2).tolist()
    points = torch.stack([torch.lerp(codes[:ROWS], codes[ROWS:], weight) for weight in weights], dim=1)
    between = generators.decode(system, points.flatten(0, 1))
    ends = test.images[picks].cpu().numpy()
    strips = between.reshape(ROWS, COLUMNS - 2, *ends.shape[1:])
    rows = np.concatenate([ends[:ROWS, None], strips, ends[ROWS:, None]], axis=1)
    return rows.reshape(-1, *ends.shape[1:])


def project_codes(system: Any, test: ImageSet, names: list[str], settings: Tsne) -> pd.DataFrame:
    """t-SNE of the first test faces' codes, with the attributes that tell about those faces."""
    faces = test.first(2 * settings.images_per_domain)
    coordinates, _ = project(outputs(system.encode, faces).cpu().numpy(), settings)
    table = pd.DataFrame(coordinates, columns=["x", "y"])
    for name, values in informative_attributes(faces.labels.cpu().numpy(), names).items():
        table[name] = values
    return table


def informative_attributes(labels: NDArray[np.int64], names: list[str]) -> dict[str, NDArray[np.int64]]:
    """The attributes that some faces have and others lack; of many, those that divide the faces most evenly."""
    rarer = {
        name: min((column == 0).sum(), ((column != 0) & (column != UNKNOWN)).sum())
        for name, column in zip(names, labels.T, strict=bool(names))
    }
    shown = sorted((name for name in rarer if rarer[name]), key=lambda name: -rarer[name])[:ATTRIBUTES]
    return {name: labels[:, at] for at, name in enumerate(names) if name in shown}
