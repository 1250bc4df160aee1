"""Metrics of several seeds combined: mean, sample standard deviation, number and values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw2core.evaluation.seeds import combine, spread


def test_spread_has_the_mean_and_the_sample_standard_deviation() -> None:
    assert spread([1.0, 2.0, 6.0]) == {
        "mean": 3.0,
        "std": pytest.approx(math.sqrt((4 + 1 + 9) / 2)),
        "n": 3,
        "values": [1.0, 2.0, 6.0],
    }


def test_one_value_has_no_standard_deviation() -> None:
    assert spread([7.5]) == {"mean": 7.5, "std": None, "n": 1, "values": [7.5]}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10))
def test_spread_keeps_the_values_and_its_mean_is_among_them(values: list[float]) -> None:
    found = spread(values)
    assert found["values"] == values
    assert found["n"] == len(values)
    assert isinstance(found["mean"], float)
    tolerance = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - tolerance <= found["mean"] <= max(values) + tolerance


def test_numbers_become_spreads_at_any_depth() -> None:
    seeds = [{"accuracy": {"last": 80.0, "chosen": 70.0}}, {"accuracy": {"last": 82.0, "chosen": 74.0}}]
    assert combine(seeds) == {"accuracy": {"last": spread([80.0, 82.0]), "chosen": spread([70.0, 74.0])}}


def test_a_mean_over_subsets_becomes_the_spread_of_the_means() -> None:
    seeds = [{"kd_faces": {"mean": mean, "std": 0.1, "subset": 100}} for mean in (1.0, 3.0)]
    assert combine(seeds) == {"kd_faces": spread([1.0, 3.0])}


def test_values_that_all_seeds_share_stay_as_they_are() -> None:
    about = {
        "test_images": 600,
        "device": "cpu",
        "extractor": [{"n_fake": 40, "n_real": 100}],
        "fid": "not measured",
    }
    assert combine([about, dict(about)]) == about


def test_other_values_become_the_list_of_all() -> None:
    seeds = [
        {"seed": 0, "collapsed": False, "per_step": [1, 2]},
        {"seed": 1, "collapsed": True, "per_step": [1, 3]},
    ]
    assert combine(seeds) == {"seed": [0, 1], "collapsed": [False, True], "per_step": [[1, 2], [1, 3]]}


def test_a_key_that_a_seed_lacks_is_combined_over_the_others() -> None:
    """A class can be missing from the accuracies per digit of one seed."""
    assert combine([{"0": 1.0, "1": 2.0}, {"0": 3.0}]) == {"0": spread([1.0, 3.0]), "1": spread([2.0])}


def test_one_seed_is_combined_too() -> None:
    assert combine([{"accuracy": 80.0, "steps": 500}]) == {"accuracy": spread([80.0]), "steps": 500}
