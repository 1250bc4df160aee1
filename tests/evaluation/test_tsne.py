"""t-SNE keeps neighbors together, takes features of any width, and refuses too few of them in one line."""

import numpy as np
import pytest
from conftest import complaint

from hw2core.evaluation.tsne import project, silhouette
from hw2core.settings.models import Tsne

SETTINGS = Tsne(images_per_domain=20, perplexity=5, seed=0)


@pytest.mark.parametrize("width", [1, 2, 80])
def test_two_clusters_stay_apart(width: int) -> None:
    """Each point's nearest neighbor on the map is of its own cluster."""
    cluster = np.arange(40) % 2
    noise = np.random.default_rng(0).normal(size=(40, width))
    coordinates, divergence = project((noise + 50 * cluster[:, None]).astype(np.float32), SETTINGS)
    assert coordinates.shape == (40, 2)
    assert divergence > 0
    distances = np.linalg.norm(coordinates[:, None] - coordinates, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (cluster[distances.argmin(axis=1)] == cluster).all()


def test_fewer_points_than_the_perplexity_are_refused() -> None:
    features = np.zeros((5, 3), np.float32)
    assert complaint(lambda: project(features, SETTINGS)) == (
        "tsne.perplexity: must be less than the 5 test images there are, not 5.0"
    )


def test_silhouettes_tell_separate_labels_from_mixed_ones() -> None:
    features = np.repeat([[0.0], [1.0]], 10, axis=0).astype(np.float32)
    assert silhouette(features, np.repeat(["a", "b"], 10)) == 1
    mixed = silhouette(features, np.tile(["a", "b"], 10))
    assert mixed is not None
    assert mixed < 0
    assert silhouette(features, np.repeat("a", 20)) is None
