"""t-SNE keeps neighbours, takes points of any width, and says in one line when there are too few."""

import numpy as np
import pytest
from conftest import complaint

from hw2core.params import Tsne
from hw2core.report.maps import project

SETTINGS = Tsne(images=20, perplexity=5, seed=0)


@pytest.mark.parametrize("width", [1, 2, 80])
def test_what_lies_together_stays_together(width: int) -> None:
    """Two groups far apart: each point's nearest neighbour on the map is of its own group."""
    group = np.arange(40) % 2
    noise = np.random.default_rng(0).normal(size=(40, width))
    places, divergence = project((noise + 50 * group[:, None]).astype(np.float32), SETTINGS)
    assert places.shape == (40, 2)
    assert divergence > 0
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (group[distances.argmin(axis=1)] == group).all()


def test_points_fewer_than_the_perplexity_are_refused() -> None:
    points = np.zeros((5, 3), np.float32)
    assert complaint(lambda: project(points, SETTINGS)) == (
        "tsne.perplexity: must be less than the 5 test images there are, not 5.0"
    )
