"""What a VAE makes of real faces: a map of their codes, and the ways between them."""

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw2core.data.batches import ImageSet
from hw2core.data.store import UNKNOWN
from hw2core.judges.classification import outputs
from hw2core.params import Tsne
from hw2core.report import figures
from hw2core.report.maps import project
from hw2core.stages import generators
from hw2core.systems.vae import Vae

PANELS = 8  # attributes that are shown at most


def code_map(vae: Vae, test: ImageSet, names: list[str], settings: Tsne) -> tuple[Figure, int]:
    """The codes of the first test faces by t-SNE, coloured by what is known of each face; and how many they are: as
    many as the points of the maps of a pair."""
    faces = test.first(2 * settings.images)
    places, _ = project(outputs(vae.encode, faces).cpu().numpy(), settings)
    return figures.by_attribute(places, attributes(faces.labels.cpu().numpy(), names)), len(faces)


def attributes(labels: NDArray[np.int64], names: list[str]) -> dict[str, NDArray[np.int64]]:
    """Each attribute that some of the faces have and others lack; of many attributes, those that divide the faces
    most evenly."""
    rarer = {
        name: min((column == 0).sum(), ((column != 0) & (column != UNKNOWN)).sum())
        for name, column in zip(names, labels.T, strict=bool(names))
    }
    shown = sorted((name for name in rarer if rarer[name]), key=lambda name: -rarer[name])[:PANELS]
    return {name: labels[:, at] for at, name in enumerate(names) if name in shown}


@torch.no_grad()
def ways(vae: Vae, test: ImageSet, rows: int, columns: int) -> NDArray[np.uint8]:
    """For each row two test faces, at its ends, and between them what lies on the straight way from the code of one to
    that of the other."""
    picks = torch.arange(2 * rows, device=test.images.device) % len(test)
    codes = vae.encode(test.take(picks)[0])
    shares = torch.linspace(0, 1, columns - 2).tolist()
    points = torch.stack([torch.lerp(codes[:rows], codes[rows:], share) for share in shares], dim=1)
    between = np.concatenate(list(generators.draw_parts(vae, points.flatten(0, 1))))
    ends = test.images[picks].cpu().numpy()
    strips = between.reshape(rows, columns - 2, *ends.shape[1:])
    return np.concatenate([ends[:rows, None], strips, ends[rows:, None]], axis=1).reshape(-1, *ends.shape[1:])
