"""How far generated images are from real ones, as figures of their features: pure functions, in float64.

Features are (images, dimensions). Which network made them, and of which images, is the caller's to say.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SPLITS = 10  # of the inception score
SUBSETS, SUBSET = 100, 1000  # of KID: how many, and of how many images each where there are so many
NEIGHBOURS = 3  # of precision and recall: an image's ball reaches to this nearest other
PAIRS = 2**24  # whose values are held at once
SEED = 2020  # of KID's subsets and the inception score's order: torch-fidelity's, so that figures compare


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution with the features' mean and covariance."""

    mean: Tensor
    root: Tensor
    """(rank, dimensions): root^T root is the covariance. It has as many rows as there are images or dimensions,
    whichever is less, and keeps the small directions that a covariance matrix rounds away."""

    @classmethod
    def of(cls, features: Tensor) -> "Gaussian":
        features = features.double()
        mean = features.mean(0)
        centred = features - mean
        if len(features) > features.shape[1]:
            centred = torch.linalg.qr(centred, mode="r").R
        return cls(mean, centred / (len(features) - 1) ** 0.5)


def frechet(one: Gaussian, other: Gaussian) -> float:
    """The Fréchet distance, squared as in FID: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    With C = R^T R the last trace is the sum of the singular values of R1 R2^T. No matrix root is taken, so nothing
    turns imaginary, and fewer images than dimensions make it faster, not unstable.
    """
    means = (one.mean - other.mean).square().sum()
    traces = one.root.square().sum() + other.root.square().sum()
    # The difference of sums that almost cancel can fall short of zero by rounding.
    return max(0.0, (means + traces - 2 * torch.linalg.svdvals(one.root @ other.root.T).sum()).item())


def kid(fake: Tensor, real: Tensor) -> tuple[float, float, int]:
    """Kernel Inception distance (Binkowski et al. 2018): the unbiased squared MMD under the kernel (x.y / d + 1)^3.

    Mean and standard deviation over random subsets of both sets, and how many images a subset has.
    """
    fake, real = fake.double(), real.double()
    size = min(SUBSET, len(fake), len(real))
    random = np.random.RandomState(SEED)
    in_fake, in_real = (torch.zeros((SUBSETS, len(x)), dtype=x.dtype, device=x.device) for x in (fake, real))
    for subset in range(SUBSETS):
        for members in (in_fake, in_real):
            members[subset, random.choice(members.shape[1], size, replace=False)] = 1
    within = sum(
        kernel_sums(x, x, members, members) - members @ kernel_with_itself(x)
        for x, members in ((fake, in_fake), (real, in_real))
    )
    between = kernel_sums(fake, real, in_fake, in_real)
    values = within / (size * (size - 1)) - 2 * between / size**2
    return values.mean().item(), values.std(correction=0).item(), size


def kernel_sums(one: Tensor, other: Tensor, in_one: Tensor, in_other: Tensor) -> Tensor:
    """Of each subset the kernel's sum over all its pairs; `in_one` and `in_other` (subsets, images) hold a 1 for
    each of its images."""
    rows = block(other)
    return sum(
        (
            (members @ (part @ other.T / one.shape[1] + 1) ** 3 * in_other).sum(1)
            for part, members in zip(one.split(rows), in_one.split(rows, dim=1), strict=True)
        ),
        torch.zeros((), dtype=one.dtype, device=one.device),
    )


def kernel_with_itself(features: Tensor) -> Tensor:
    return (features.square().sum(1) / features.shape[1] + 1) ** 3


def block(features: Tensor) -> int:
    """How many rows of a matrix of pairs with `features` are held at once."""
    return max(1, PAIRS // len(features))


def inception_score(logits: Tensor) -> tuple[float, float]:
    """Inception score (Salimans et al. 2016): e to the mean divergence of an image's classes from all images'.

    Mean and standard deviation over SPLITS parts, after shuffling: generated digits come sorted by class.
    """
    random = np.random.RandomState(SEED)
    logits = logits.double()[random.permutation(len(logits))]
    splits, scores = min(SPLITS, len(logits)), []
    for part in logits.tensor_split([i * len(logits) // splits for i in range(1, splits)]):
        log = part.log_softmax(1)
        divergence = (log.exp() * (log - log.exp().mean(0).log())).sum(1)
        scores.append(divergence.mean().exp())
    values = torch.stack(scores)
    return values.mean().item(), values.std(correction=0).item()


def precision_recall(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019): the share of the generated images within a ball
    around a real one, and the other way round. A ball reaches to the third nearest image of its own set."""
    fake, real = fake.double(), real.double()
    return share_within(fake, real), share_within(real, fake)


def share_within(points: Tensor, centres: Tensor) -> float:
    rows, nearest = block(centres), min(NEIGHBOURS + 1, len(centres))  # the nearest to a centre is itself
    radii = [torch.cdist(part, centres).kthvalue(nearest).values for part in centres.split(rows)]
    radius = torch.cat(radii)
    within = [(torch.cdist(part, centres) <= radius).any(1) for part in points.split(rows)]
    return torch.cat(within).double().mean().item()
