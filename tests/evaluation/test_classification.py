"""Metrics of classifiers, on cases computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hw2core.engine.batches import ImageSet
from hw2core.engine.device import Device
from hw2core.evaluation import classification
from hw2core.evaluation.classification import (
    TEMPERATURE,
    accuracy,
    infomax,
    log_likelihood,
    outputs,
    per_class,
    snd,
)


def confident(classes: list[int], of: int = 10) -> Tensor:
    """Logits that predict these classes with probability 1."""
    return 1000.0 * torch.nn.functional.one_hot(torch.tensor(classes), of)


def test_accuracy_is_the_percentage_of_correct_predictions() -> None:
    logits = torch.tensor([[0.1, 0.2], [3.0, -1.0], [-2.0, -1.0], [5.0, 4.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 0])) == 75.0
    assert accuracy(logits, torch.tensor([1, 0, 1, 0])) == 100.0
    assert accuracy(logits, torch.tensor([0, 1, 0, 1])) == 0.0


def test_accuracy_is_exact_for_many_images() -> None:
    labels = torch.zeros(30_001, dtype=torch.int64)
    logits = confident([0] * 10_000 + [1] * 20_001, of=2)
    assert accuracy(logits, labels) == pytest.approx(100 * 10_000 / 30_001, rel=1e-12)


def test_per_class_accuracy_has_the_classes_that_occur() -> None:
    labels = torch.tensor([0, 0, 0, 3, 3, 9])
    assert per_class(confident([0, 0, 1, 3, 9, 0]), labels) == {
        "0": pytest.approx(200 / 3),
        "3": 50.0,
        "9": 0.0,
    }


def test_the_log_likelihood_is_the_mean_of_the_labels_log_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    expected = (math.log(0.25) + math.log(0.7)) / 2
    assert log_likelihood(logits, torch.tensor([1, 2])) == pytest.approx(expected, rel=1e-6)


def test_infomax_of_uniform_predictions_is_zero() -> None:
    assert infomax(torch.zeros(20, 10)) == pytest.approx(0, abs=1e-12)


def test_infomax_of_confident_predictions_of_all_classes_is_the_maximum() -> None:
    assert infomax(confident(list(range(10)) * 3)) == pytest.approx(math.log(10))


def test_infomax_of_confident_predictions_of_one_class_is_zero() -> None:
    assert infomax(confident([4] * 20)) == pytest.approx(0, abs=1e-12)


def test_infomax_of_two_predictions_computed_by_hand() -> None:
    """Predictions (3/4, 1/4) and (1/4, 3/4): ln 2 minus the entropy of (3/4, 1/4)."""
    logits = torch.log(torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.float64))
    expected = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert infomax(logits) == pytest.approx(expected, rel=1e-12)


@given(seed=st.integers(0, 999), count=st.integers(1, 30), scale=st.sampled_from([0.01, 1.0, 30.0, 1e4]))
def test_infomax_is_between_zero_and_ln_10(seed: int, count: int, scale: float) -> None:
    logits = scale * torch.randn((count, 10), generator=torch.Generator().manual_seed(seed))
    assert -1e-9 <= infomax(logits) <= math.log(10) + 1e-9


def test_snd_of_equal_predictions_counts_all_neighbors() -> None:
    """Each has four others at the same distance: the entropy is ln 4."""
    assert snd(confident([3] * 5)) == pytest.approx(math.log(4))


def test_snd_is_high_for_clusters_and_zero_for_pairs() -> None:
    """In clusters of three each has two near neighbors; the other 27 have the relative weight exp(-1/T)."""
    weights = [1.0, 1.0, *[math.exp(-1 / TEMPERATURE)] * 27]
    p = [weight / sum(weights) for weight in weights]
    expected = -sum(p_j * math.log(p_j) for p_j in p)
    assert snd(confident(list(range(10)) * 3)) == pytest.approx(expected)
    assert snd(confident([0, 0, 1, 1])) == pytest.approx(0, abs=1e-6)


def test_snd_of_three_predictions_computed_by_hand() -> None:
    """Three predictions: two are equal, the third is orthogonal to them."""
    near = 1 / (1 + math.exp(-1 / TEMPERATURE))
    entropy_of_two = -near * math.log(near) - (1 - near) * math.log(1 - near)
    expected = (2 * entropy_of_two + math.log(2)) / 3
    assert snd(confident([0, 0, 1])) == pytest.approx(expected)


def image_set(count: int) -> ImageSet:
    images = torch.randint(256, (count, 6, 6, 3), generator=torch.Generator().manual_seed(0))
    device = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
    return ImageSet(images.to(torch.uint8), torch.zeros(count, dtype=torch.int64), device)


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 500])
def test_outputs_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5)).eval()
    images = image_set(8)
    expected = torch.cat([network(images.take(torch.tensor([i]))[0]) for i in range(8)]).detach()
    monkeypatch.setattr(classification, "BATCH", batch)
    got = outputs(network, images)
    assert got.shape == (8, 5)
    assert torch.allclose(got, expected, atol=1e-6)


def test_outputs_are_in_fp32_and_without_gradients() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(108, 5)).to(torch.float64)
    got = outputs(lambda images: network(images.double()), image_set(3))
    assert got.dtype == torch.float32
    assert not got.requires_grad
