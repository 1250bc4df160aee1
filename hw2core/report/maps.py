"""t-SNE: many numbers a point become two, and near points stay near."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from hw2core.errors import UserError
from hw2core.params import Tsne

COMPONENTS = (
    50  # PCA first: distances between 50 numbers cost less than between hundreds, and lose only noise
)


def project(points: NDArray[np.float32], settings: Tsne) -> tuple[NDArray[np.float32], float]:
    """Two coordinates for each point, and the divergence that is left between the two neighbourhoods."""
    if settings.perplexity >= len(points):
        raise UserError(
            f"tsne.perplexity: must be less than the {len(points)} test images there are, "
            f"not {settings.perplexity}"
        )
    if points.shape[1] == 1:  # t-SNE starts from a plane
        points = np.hstack([points, np.zeros_like(points)])
    reduced = PCA(min(COMPONENTS, *points.shape), random_state=settings.seed).fit_transform(points)
    model = TSNE(perplexity=settings.perplexity, init="pca", random_state=settings.seed)
    return model.fit_transform(reduced), float(model.kl_divergence_)
