"""Judges of classifiers, on cases computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hw2core.data.batches import ImageSet
from hw2core.engine.device import Device
from hw2core.judges import classification
from hw2core.judges.classification import (
    TEMPERATURE,
    accuracy,
    density,
    information,
    log_likelihood,
    outputs,
    per_class,
    spread,
)


def certain(classes: list[int], of: int = 10) -> Tensor:
    """Logits that are sure of these classes."""
    return 1000.0 * torch.nn.functional.one_hot(torch.tensor(classes), of)


def test_accuracy_is_the_share_in_per_cent_of_the_largest_logits_that_are_right() -> None:
    logits = torch.tensor([[0.1, 0.2], [3.0, -1.0], [-2.0, -1.0], [5.0, 4.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 0])) == 75.0
    assert accuracy(logits, torch.tensor([1, 0, 1, 0])) == 100.0
    assert accuracy(logits, torch.tensor([0, 1, 0, 1])) == 0.0


def test_accuracy_is_exact_for_many_images() -> None:
    labels = torch.zeros(30_001, dtype=torch.int64)
    logits = certain([0] * 10_000 + [1] * 20_001, of=2)
    assert accuracy(logits, labels) == pytest.approx(100 * 10_000 / 30_001, rel=1e-12)


def test_accuracy_by_class_names_the_classes_that_occur() -> None:
    labels = torch.tensor([0, 0, 0, 3, 3, 9])
    assert per_class(certain([0, 0, 1, 3, 9, 0]), labels) == {
        "0": pytest.approx(200 / 3),
        "3": 50.0,
        "9": 0.0,
    }


def test_the_log_likelihood_is_the_mean_of_the_labels_log_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    expected = (math.log(0.25) + math.log(0.7)) / 2
    assert log_likelihood(logits, torch.tensor([1, 2])) == pytest.approx(expected, rel=1e-6)


def test_uniform_predictions_say_nothing() -> None:
    assert information(torch.zeros(20, 10)) == pytest.approx(0, abs=1e-12)


def test_certain_predictions_spread_evenly_over_ten_classes_say_all() -> None:
    assert information(certain(list(range(10)) * 3)) == pytest.approx(math.log(10))


def test_certain_predictions_of_one_class_say_nothing() -> None:
    assert information(certain([4] * 20)) == pytest.approx(0, abs=1e-12)


def test_information_of_a_case_by_hand() -> None:
    """Predictions (3/4, 1/4) and (1/4, 3/4): ln 2 less the entropy of (3/4, 1/4)."""
    logits = torch.log(torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.float64))
    expected = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert information(logits) == pytest.approx(expected, rel=1e-12)


@given(seed=st.integers(0, 999), count=st.integers(1, 30), scale=st.sampled_from([0.01, 1.0, 30.0, 1e4]))
def test_information_is_a_number_between_nothing_and_ln_10(seed: int, count: int, scale: float) -> None:
    logits = scale * torch.randn((count, 10), generator=torch.Generator().manual_seed(seed))
    assert -1e-9 <= information(logits) <= math.log(10) + 1e-9


def test_images_of_one_prediction_are_all_near_neighbours() -> None:
    """Each has four others at the same distance: the entropy is ln 4."""
    assert density(certain([3] * 5)) == pytest.approx(math.log(4))


def test_groups_are_dense_and_strays_are_not() -> None:
    """In groups of three each has two near neighbours, and the others weigh exp(-1/T) as much."""
    weights = [1.0, 1.0, *[math.exp(-1 / TEMPERATURE)] * 27]
    shares = [weight / sum(weights) for weight in weights]
    expected = -sum(share * math.log(share) for share in shares)
    assert density(certain(list(range(10)) * 3)) == pytest.approx(expected)
    assert density(certain([0, 0, 1, 1])) == pytest.approx(0, abs=1e-6)


def test_density_of_a_case_by_hand() -> None:
    """Three predictions: two alike, the third at a right angle but for numerical dust."""
    near = 1 / (1 + math.exp(-1 / TEMPERATURE))
    entropy_of_two = -near * math.log(near) - (1 - near) * math.log(1 - near)
    expected = (2 * entropy_of_two + math.log(2)) / 3
    assert density(certain([0, 0, 1])) == pytest.approx(expected)


def test_spread_is_the_mean_and_the_deviation_of_a_sample() -> None:
    assert spread([1.0, 2.0, 6.0]) == {
        "mean": 3.0,
        "std": pytest.approx(math.sqrt((4 + 1 + 9) / 2)),
        "n": 3,
        "each": [1.0, 2.0, 6.0],
    }


def test_two_figures_have_a_deviation() -> None:
    assert spread([1.0, 3.0])["std"] == pytest.approx(math.sqrt(2))


def test_one_figure_has_no_deviation() -> None:
    assert spread([7.5]) == {"mean": 7.5, "std": None, "n": 1, "each": [7.5]}


def image_set(count: int) -> ImageSet:
    images = torch.randint(256, (count, 6, 6, 3), generator=torch.Generator().manual_seed(0))
    device = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
    return ImageSet(images.to(torch.uint8), torch.zeros(count, dtype=torch.int64), device)


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 500])
def test_outputs_do_not_depend_on_the_batches_they_were_computed_in(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
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
