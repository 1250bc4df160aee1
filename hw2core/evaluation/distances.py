"""Distances between generated and real images, computed from their features: pure functions, in float64.

Features are (images, dimensions). The caller chooses the network that extracts them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SPLITS = 10  # of the Inception score
SUBSETS, SUBSET = 100, 1000  # of KID: number of subsets, and of images in each if there are enough
NEIGHBORS = 3  # k of precision and recall: a ball reaches to its center's k-th nearest neighbor
PAIRS = 2**24  # pairwise values in memory at a time
SEED = (
    2020  # of KID's subsets and the Inception score's order: torch-fidelity's, so that values are comparable
)


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution with the mean and covariance of the features."""

    mean: Tensor
    root: Tensor
    """(rank, dimensions): root^T root is the covariance. It has min(images, dimensions) rows, and keeps the small
    singular values that a covariance matrix loses by rounding."""

    @classmethod
    def of(cls, features: Tensor) -> "Gaussian":
        features = features.double()
        mean = features.mean(0)
        centered = features - mean
        if len(features) > features.shape[1]:
            centered = torch.linalg.qr(centered, mode="r").R
        return cls(mean, centered / (len(features) - 1) ** 0.5)


def frechet(one: Gaussian, other: Gaussian) -> float:
    """Return the squared Fréchet distance, as FID does: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    With C = R^T R the last trace is the sum of the singular values of R1 R2^T. This needs no matrix square root, so no
    imaginary part arises, and it stays stable and is faster if there are fewer images than dimensions.
    """
    means = (one.mean - other.mean).square().sum()
    traces = one.root.square().sum() + other.root.square().sum()
    # The difference of almost equal sums can be negative by rounding.
    return max(0.0, (means + traces - 2 * torch.linalg.svdvals(one.root @ other.root.T).sum()).item())


def kid(fake: Tensor, real: Tensor) -> tuple[float, float, int]:
    """Return the kernel Inception distance (Binkowski et al. 2018): the unbiased squared MMD, kernel (x.y / d + 1)^3.

    The result is the mean and standard deviation over random subsets of both sets, and the size of a subset.
    """
    fake, real = fake.double(), real.double()
    size = min(SUBSET, len(fake), len(real))
    rng = np.random.RandomState(SEED)
    in_fake, in_real = (torch.zeros((SUBSETS, len(x)), dtype=x.dtype, device=x.device) for x in (fake, real))
    for subset in range(SUBSETS):
        for members in (in_fake, in_real):
            members[subset, rng.choice(members.shape[1], size, replace=False)] = 1
    within = sum(
        kernel_sums(x, x, members, members) - members @ kernel_diagonal(x)
        for x, members in ((fake, in_fake), (real, in_real))
    )
    between = kernel_sums(fake, real, in_fake, in_real)
    values = within / (size * (size - 1)) - 2 * between / size**2
    return values.mean().item(), values.std(correction=0).item(), size


def kernel_sums(one: Tensor, other: Tensor, in_one: Tensor, in_other: Tensor) -> Tensor:
    """Return the kernel's sum over all pairs of each subset. `in_one` and `in_other` (subsets, images) are 1 for the
    images of the subset and 0 elsewhere."""
    rows = rows_at_a_time(other)
    return sum(
        (
            (members @ (part @ other.T / one.shape[1] + 1) ** 3 * in_other).sum(1)
            for part, members in zip(one.split(rows), in_one.split(rows, dim=1), strict=True)
        ),
        torch.zeros((), dtype=one.dtype, device=one.device),
    )


def kernel_diagonal(features: Tensor) -> Tensor:
    """Return the kernel of each image with itself."""
    return (features.square().sum(1) / features.shape[1] + 1) ** 3


def rows_at_a_time(features: Tensor) -> int:
    """Return how many rows of a pairwise matrix with `features` are in memory at a time."""
    return max(1, PAIRS // len(features))


def inception_score(logits: Tensor) -> tuple[float, float]:
    """Return the Inception score (Salimans et al. 2016): exp of the mean KL divergence of p(y|x) from p(y).

    The result is the mean and standard deviation over SPLITS parts. The images are shuffled first, because generated
    digits are sorted by class.
    """
    rng = np.random.RandomState(SEED)
    logits = logits.double()[rng.permutation(len(logits))]
    splits, scores = min(SPLITS, len(logits)), []
    for part in logits.tensor_split([i * len(logits) // splits for i in range(1, splits)]):
        log = part.log_softmax(1)
        divergence = (log.exp() * (log - log.exp().mean(0).log())).sum(1)
        scores.append(divergence.mean().exp())
    values = torch.stack(scores)
    return values.mean().item(), values.std(correction=0).item()


def precision_recall(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """Return improved precision and recall (Kynkäänniemi et al. 2019), as fractions.

    Precision is the fraction of generated images inside the manifold of the real ones, recall the reverse. The manifold
    of a set is the union of balls around its images, each reaching to the third nearest neighbor in the set.
    """
    fake, real = fake.double(), real.double()
    return fraction_within(fake, real), fraction_within(real, fake)


def fraction_within(points: Tensor, centers: Tensor) -> float:
    """Return the fraction of points inside at least one ball around a center."""
    rows, nearest = rows_at_a_time(centers), min(NEIGHBORS + 1, len(centers))  # the nearest center is itself
    radii = [torch.cdist(part, centers).kthvalue(nearest).values for part in centers.split(rows)]
    radius = torch.cat(radii)
    within = [(torch.cdist(part, centers) <= radius).any(1) for part in points.split(rows)]
    return torch.cat(within).double().mean().item()
