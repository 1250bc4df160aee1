"""t-SNE (van der Maaten and Hinton 2008): a map in two dimensions that keeps neighbors together."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from hw2core.errors import UserError
from hw2core.settings.models import Tsne

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
    model = TSNE(perplexity=settings.perplexity, init="pca", random_state=settings.seed)
    return model.fit_transform(reduced), float(model.kl_divergence_)
