"""Distances between features, against mpmath, pytorch-fid's formula and torch-fidelity."""

import mpmath
import numpy as np
import pytest
import torch
from pytorch_fid import fid_score
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from hw2core.evaluation import distances
from hw2core.evaluation.distances import Gaussian, frechet, inception_score, kid, precision_recall


def features(count: int, dimensions: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features whose variances differ by orders of magnitude, as those of networks do."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn((dimensions, dimensions), generator=rng) / dimensions**0.5
    scales = torch.logspace(0, -3, dimensions)
    return (torch.randn((count, dimensions), generator=rng) @ mix) * scales * scale + shift


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return frechet(Gaussian.of(one), Gaussian.of(other))


def pytorch_fid_distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The distance of pytorch-fid. It passes `disp`, which recent SciPy has removed; the matrix root is the same."""
    from scipy import linalg

    class Linalg:
        @staticmethod
        def sqrtm(matrix: np.ndarray, disp: bool = True) -> object:
            root = linalg.sqrtm(matrix)
            return root if disp else (root, None)

    moments = [(x.double().mean(0).numpy(), np.cov(x.double().numpy(), rowvar=False)) for x in (one, other)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fid_score, "linalg", Linalg)
        return float(fid_score.calculate_frechet_distance(*moments[0], *moments[1]))


def exact(one: torch.Tensor, other: torch.Tensor) -> float:
    """The distance in 60 digits, by the eigenvalues of C1 C2: the roots of those of G G^T, G the cross-Gram matrix
    of the centered features."""
    with mpmath.workdps(60):
        matrices = [mpmath.matrix(x.double().tolist()) for x in (one, other)]
        means, centered = [], []
        for x in matrices:
            mean = [mpmath.fsum(x[i, j] for i in range(x.rows)) / x.rows for j in range(x.cols)]
            means.append(mean)
            centered.append(
                mpmath.matrix(
                    [
                        [(x[i, j] - mean[j]) / mpmath.sqrt(x.rows - 1) for j in range(x.cols)]
                        for i in range(x.rows)
                    ]
                )
            )
        gram = centered[0] * centered[1].T
        values = mpmath.eigsy(gram * gram.T, eigvals_only=True)
        root = mpmath.fsum(mpmath.sqrt(abs(value)) for value in values)
        square = mpmath.fsum((a - b) ** 2 for a, b in zip(*means, strict=True))
        traces = mpmath.fsum(x[i, j] ** 2 for x in centered for i in range(x.rows) for j in range(x.cols))
        return float(square + traces - 2 * root)


def test_frechet_equals_pytorch_fid_with_more_images_than_dimensions() -> None:
    one, other = features(400, 64, 0), features(300, 64, 1, scale=1.3, shift=0.2)
    assert distance(one, other) == pytest.approx(pytorch_fid_distance(one, other), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(12, 9), (12, 12), (12, 60)])
def test_frechet_is_exact_with_fewer_images_than_dimensions(n: int, m: int) -> None:
    one, other = features(n, 40, 0), features(m, 40, 1, scale=1.2, shift=0.05)
    assert distance(one, other) == pytest.approx(exact(one, other), rel=1e-8)


def test_frechet_equals_the_closed_form_of_scaled_and_shifted_features() -> None:
    # Equal but for a scaling of 2 and a shift: |shift|^2 + sum of (sd - 2 sd)^2.
    one = features(50, 8, 0).double()
    other = 2 * (one - one.mean(0)) + one.mean(0) + 3
    expected = 8 * 9 + one.var(0).sum().item()
    assert distance(one, other) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_set_with_itself_is_zero_and_not_negative() -> None:
    one = features(30, 200, 3)
    assert 0 <= distance(one, one) < 1e-12


def test_frechet_is_symmetric_and_independent_of_image_order() -> None:
    one, other = features(30, 50, 0), features(45, 50, 1)
    expected = distance(one, other)
    assert distance(other, one) == pytest.approx(expected, rel=1e-10)
    assert distance(one.flip(0), other) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("subset", [20, 50])
def test_kid_equals_torch_fidelity(subset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "SUBSET", subset)
    fake, real = features(50, 32, 0), features(70, 32, 1, shift=0.3)
    theirs = kid_features_to_metric(
        fake.double(), real.double(), kid_subset_size=subset, kid_subsets=100, verbose=False
    )
    mean, std, size = kid(fake, real)
    assert size == subset
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6)


def test_kid_uses_and_returns_smaller_subsets_of_fewer_images() -> None:
    _, _, size = kid(features(30, 8, 0), features(40, 8, 1))
    assert size == 30


def test_kid_is_unbiased() -> None:
    # Its mean over pairs of sets from one distribution is zero.
    samples = torch.randn((100, 20, 4), generator=torch.Generator().manual_seed(0))
    means = [kid(pair[:10], pair[10:])[0] for pair in samples]
    assert abs(np.mean(means)) < 3 * np.std(means) / len(means) ** 0.5


def test_inception_score_equals_torch_fidelity() -> None:
    logits = features(95, 12, 0, scale=3)
    theirs = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    mean, std = inception_score(logits)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-9)


def test_inception_score_of_confident_balanced_classes_is_close_to_their_number() -> None:
    mean, _ = inception_score(100 * torch.eye(10).repeat(1000, 1))
    assert 9.9 < mean <= 10  # below 10, since the parts are not exactly balanced


def test_precision_and_recall_equal_torch_fidelity() -> None:
    fake, real = features(60, 6, 0, shift=0.5), features(80, 6, 1)
    theirs = prc_features_to_metric(
        fake.double(), real.double(), prc_neighborhood=3, prc_batch_size=1000, verbose=False
    )
    assert precision_recall(fake, real) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)


def test_computing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = features(60, 6, 0, shift=0.5), features(80, 6, 1)
    whole = (*kid(fake, real), *precision_recall(fake, real))
    monkeypatch.setattr(distances, "PAIRS", 300)
    assert (*kid(fake, real), *precision_recall(fake, real)) == pytest.approx(whole, rel=1e-9)


def test_a_generator_that_misses_one_of_two_modes_has_half_the_recall() -> None:
    rng = torch.Generator().manual_seed(0)
    real = torch.randn((400, 4), generator=rng)
    real[:200] += 50
    precision, recall = precision_recall(torch.randn((400, 4), generator=rng), real)
    assert precision > 0.8
    assert 0.4 < recall <= 0.5
