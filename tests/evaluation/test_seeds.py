"""Metrics of several seeds combined: mean, sample standard deviation, number and values. And when two of them differ."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw2core.evaluation.seeds import Value, best, combine, differ, pooled_std, spread


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


# --- two pooled standard deviations -------------------------------------------------------------------------------


def test_the_pooled_standard_deviation_of_as_many_seeds_is_the_root_of_the_mean_variance() -> None:
    assert pooled_std(Value(0, 3.0, 2), Value(9, 4.0, 2)) == pytest.approx(math.sqrt((9 + 16) / 2))


def test_variances_are_weighted_by_the_degrees_of_freedom() -> None:
    a, b = [1.0, 2.0, 6.0, 8.0], [5.0, 9.0]
    squares = sum((x - 4.25) ** 2 for x in a) + sum((x - 7) ** 2 for x in b)
    values = [Value(s["mean"], s["std"], s["n"]) for s in (spread(a), spread(b))]  # type: ignore[arg-type]
    assert pooled_std(*values) == pytest.approx(math.sqrt(squares / (len(a) + len(b) - 2)))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Value(80, 1.0, 2), Value(82, 1.0, 2), False),  # at two standard deviations
        (Value(80, 1.0, 2), Value(82.01, 1.0, 2), True),
        (Value(80, 0.0, 2), Value(82, 2.0, 2), False),  # 2 < 2 sqrt(2)
        (Value(80, 0.0, 3), Value(82, 2.0, 2), False),  # 2 < 2 sqrt(4 / 3)
        (Value(80, 0.0, 9), Value(82, 2.0, 2), True),  # 2 > 2 sqrt(4 / 9)
        (Value(54.1, 0.5, 2), Value(53.1, 0.5, 2), False),  # 1.0000000000000142 in floating point
        (Value(80, None, 1), Value(20, 1.0, 3), False),  # one seed
        (Value(80, None, 1), Value(20, None, 1), False),
        (Value(80, 1.0, None), Value(20, 1.0, 2), False),  # deviations of something else than seeds
        (Value(80, 0.0, 2), Value(80, 0.0, 2), False),
        (Value(80, 0.0, 2), Value(80.001, 0.0, 2), True),  # no spread: every difference counts
        (Value(0.3, 0.0, 2), Value(0.1 + 0.2, 0.0, 3), False),  # but not that of rounding
    ],
)
def test_means_differ_if_they_are_more_than_two_pooled_standard_deviations_apart(
    a: Value, b: Value, expected: bool
) -> None:
    assert differ(a, b) is expected
    assert differ(b, a) is expected


def test_the_best_value_differs_from_every_other_one() -> None:
    values = {"a": Value(90, 1.0, 2), "b": Value(80, 1.0, 2), "c": Value(70, 1.0, 2)}
    assert best(values, "up") == "a"
    assert best(values, "down") == "c"
    assert best(values | {"b": Value(89, 1.0, 2)}, "up") is None
    assert best(values | {"c": Value(70, 20.0, 2)}, "up") is None  # the last does not differ from the first
    assert best(values | {"b": Value(80, None, 1)}, "up") is None


def test_nothing_is_best_of_one_or_none() -> None:
    assert best({"a": Value(90, 1.0, 2)}, "up") is None
    assert best({}, "up") is None
