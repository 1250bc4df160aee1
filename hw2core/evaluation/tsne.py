"""t-SNE (van der Maaten and Hinton 2008): a map in two dimensions that keeps neighbors together."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from hw2core.errors import UserError
from hw2core.settings.models import Tsne

INITIALIZATION = "pca"

COMPONENTS = 50
"""PCA comes first: distances in 50 dimensions cost less than in hundreds, and what is dropped is mostly noise."""


def project(features: NDArray[np.float32], settings: Tsne) -> tuple[NDArray[np.float32], float]:
    """Return coordinates (n, 2) of features (n, d), and the KL divergence that t-SNE reached."""
    if settings.perplexity >= len(features):
        raise UserError(
            f"tsne.perplexity: must be less than the {len(features)} test images there are, "
            f"not {settings.perplexity}"
        )
    if features.shape[1] == 1:  # initialization by PCA needs two dimensions
        features = np.hstack([features, np.zeros_like(features)])
    reduced = PCA(min(COMPONENTS, *features.shape), random_state=settings.seed).fit_transform(features)
    model = TSNE(perplexity=settings.perplexity, init=INITIALIZATION, random_state=settings.seed)
    return model.fit_transform(reduced), float(model.kl_divergence_)


def silhouette(features: NDArray[np.float32], labels: NDArray[np.generic]) -> float | None:
    """How well the features of each label are separated: the mean silhouette coefficient (Rousseeuw 1987), from -1 over
    0, where the labels are mixed, to 1. It is of the features, not of their map. None without two labels."""
    count = len(np.unique(labels))
    return float(silhouette_score(features, labels)) if 1 < count < len(labels) else None
