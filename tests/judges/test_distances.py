"""Distances between features, against mpmath, pytorch-fid's formula and torch-fidelity."""

import mpmath
import numpy as np
import pytest
import torch
from pytorch_fid import fid_score
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from hw2core.judges import distances
from hw2core.judges.distances import Gaussian, frechet, inception_score, kid, precision_recall


def features(count: int, dimensions: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features of very different spread, as a network's are."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn((dimensions, dimensions), generator=random) / dimensions**0.5
    spread = torch.logspace(0, -3, dimensions)
    return (torch.randn((count, dimensions), generator=random) @ mix) * spread * scale + shift


def of(one: torch.Tensor, other: torch.Tensor) -> float:
    return frechet(Gaussian.of(one), Gaussian.of(other))


def pytorch_fids(one: torch.Tensor, other: torch.Tensor) -> float:
    """pytorch-fid's distance. New SciPy has no `disp`, which it passes; the root itself is the same."""
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
    of the centred features."""
    with mpmath.workdps(60):
        matrices = [mpmath.matrix(x.double().tolist()) for x in (one, other)]
        means, centred = [], []
        for x in matrices:
            mean = [mpmath.fsum(x[i, j] for i in range(x.rows)) / x.rows for j in range(x.cols)]
            means.append(mean)
            centred.append(
                mpmath.matrix(
                    [
                        [(x[i, j] - mean[j]) / mpmath.sqrt(x.rows - 1) for j in range(x.cols)]
                        for i in range(x.rows)
                    ]
                )
            )
        gram = centred[0] * centred[1].T
        values = mpmath.eigsy(gram * gram.T, eigvals_only=True)
        root = mpmath.fsum(mpmath.sqrt(abs(value)) for value in values)
        square = mpmath.fsum((a - b) ** 2 for a, b in zip(*means, strict=True))
        traces = mpmath.fsum(x[i, j] ** 2 for x in centred for i in range(x.rows) for j in range(x.cols))
        return float(square + traces - 2 * root)


def test_frechet_is_pytorch_fids_where_there_are_more_images_than_dimensions() -> None:
    one, other = features(400, 64, 0), features(300, 64, 1, scale=1.3, shift=0.2)
    assert of(one, other) == pytest.approx(pytorch_fids(one, other), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(12, 9), (12, 12), (12, 60)])
def test_frechet_is_exact_where_there_are_fewer_images_than_dimensions(n: int, m: int) -> None:
    one, other = features(n, 40, 0), features(m, 40, 1, scale=1.2, shift=0.05)
    assert of(one, other) == pytest.approx(exact(one, other), rel=1e-8)


def test_frechet_of_normal_distributions_known_in_closed_form() -> None:
    # Equal but for a scaling of 2 and a shift: |shift|^2 + sum of (sd - 2 sd)^2.
    one = features(50, 8, 0).double()
    other = 2 * (one - one.mean(0)) + one.mean(0) + 3
    expected = 8 * 9 + one.var(0).sum().item()
    assert of(one, other) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_set_with_itself_is_zero_and_never_below() -> None:
    one = features(30, 200, 3)
    assert 0 <= of(one, one) < 1e-12


def test_frechet_knows_no_order_and_no_sides() -> None:
    one, other = features(30, 50, 0), features(45, 50, 1)
    there = of(one, other)
    assert of(other, one) == pytest.approx(there, rel=1e-10)
    assert of(one.flip(0), other) == pytest.approx(there, rel=1e-10)


@pytest.mark.parametrize("subset", [20, 50])
def test_kid_is_torch_fidelitys(subset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "SUBSET", subset)
    fake, real = features(50, 32, 0), features(70, 32, 1, shift=0.3)
    theirs = kid_features_to_metric(
        fake.double(), real.double(), kid_subset_size=subset, kid_subsets=100, verbose=False
    )
    mean, std, size = kid(fake, real)
    assert size == subset
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6)


def test_kid_takes_smaller_subsets_of_fewer_images_and_says_so() -> None:
    _, _, size = kid(features(30, 8, 0), features(40, 8, 1))
    assert size == 30


def test_kid_is_unbiased() -> None:
    # Over sets of one distribution it is as often below zero as above.
    drawn = torch.randn((100, 20, 4), generator=torch.Generator().manual_seed(0))
    means = [kid(pair[:10], pair[10:])[0] for pair in drawn]
    assert abs(np.mean(means)) < 3 * np.std(means) / len(means) ** 0.5


def test_inception_score_is_torch_fidelitys() -> None:
    logits = features(95, 12, 0, scale=3)
    theirs = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    mean, std = inception_score(logits)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-9)


def test_inception_score_of_sure_and_even_classes_near_their_number() -> None:
    mean, _ = inception_score(100 * torch.eye(10).repeat(1000, 1))
    assert 9.9 < mean <= 10  # not quite: a part has not just as many of each


def test_precision_and_recall_are_torch_fidelitys() -> None:
    fake, real = features(60, 6, 0, shift=0.5), features(80, 6, 1)
    theirs = prc_features_to_metric(
        fake.double(), real.double(), prc_neighborhood=3, prc_batch_size=1000, verbose=False
    )
    assert precision_recall(fake, real) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)


def test_in_blocks_or_at_once_the_figures_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = features(60, 6, 0, shift=0.5), features(80, 6, 1)
    whole = (*kid(fake, real), *precision_recall(fake, real))
    monkeypatch.setattr(distances, "PAIRS", 300)
    assert (*kid(fake, real), *precision_recall(fake, real)) == pytest.approx(whole, rel=1e-9)


def test_a_set_that_lacks_half_of_the_real_one_is_precise_but_recalls_half() -> None:
    random = torch.Generator().manual_seed(0)
    real = torch.randn((400, 4), generator=random)
    real[:200] += 50
    precision, recall = precision_recall(torch.randn((400, 4), generator=random), real)
    assert precision > 0.8
    assert 0.4 < recall <= 0.5
