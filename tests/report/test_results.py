"""Every cell of a table is a metric that a stage measured, or a mean, a standard deviation or a ratio of such metrics."""

import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fabricated import fabricate

from hw2core.engine.journal import read_json, write_metrics
from hw2core.layout import Layout
from hw2core.report.references import BEST, REPORTS, beside, comparisons
from hw2core.report.results import (
    DIGIT_METRICS,
    FACE_METRICS,
    adaptation_table,
    best_method,
    best_systems,
    conclusions,
    digits_table,
    faces_table,
    gap_closed,
    selection_table,
    separated,
)
from hw2core.settings import Params
from hw2core.settings.validation import validate

SEEDS = [0, 1, 5]
GENERATOR_SEEDS = {"gans": [2, 3, 4], "autoencoders": [6, 7], "conditional": [8, 9]}


@pytest.fixture(scope="module")
def params() -> Params:
    from conftest import small_raw

    raw = small_raw()
    raw["seeds"] = SEEDS
    raw["generation"]["seeds"] = GENERATOR_SEEDS
    return validate(raw, "params.yaml")


@pytest.fixture(scope="module")
def layout(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Not to be changed."""
    layout = Layout(tmp_path_factory.mktemp("workspace"))
    fabricate(params, layout)
    return layout


def measured(layout: Layout, stage: str, item: str, seeds: list[int], *keys: str) -> list[float]:
    """A metric of every seed; of a metric with a mean of its own, the mean."""
    values = []
    for seed in seeds:
        value = read_json(layout.stages / stage / item / f"seed{seed}" / "metrics.json")
        for key in keys:
            value = value[key]
        values.append(value["mean"] if isinstance(value, dict) else value)
    return values


def holds(row: Any, column: str, values: list[float]) -> None:
    assert row[column] == pytest.approx(statistics.mean(values))
    assert row[f"{column} std"] == pytest.approx(statistics.stdev(values))


# --- domain adaptation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["last", "chosen"])
def test_every_accuracy_of_a_pair_is_the_evaluations(params: Params, layout: Layout, which: str) -> None:
    table = adaptation_table(params, layout, which).set_index("pair")
    domains = params.data.domains
    assert list(table.index[: len(params.pairs)]) == list(params.pairs)
    assert sorted(table.index) == sorted(f"{a}-{b}" for a in domains for b in domains if a != b)
    for pair, row in table.iterrows():
        source, target = str(pair).split("-")
        for column, domain in (("source only", source), ("target only", target)):
            keys = ("on", target, "accuracy", which)
            holds(row, column, measured(layout, "evaluate_classifier", domain, SEEDS, *keys))
        for method in params.adapters:
            if pair in params.pairs:
                found = measured(layout, "evaluate", f"{method}-{pair}", SEEDS, "accuracy", which)
                holds(row, method, found)
            else:
                assert pd.isna(row[method])
                assert pd.isna(row[f"{method} gap closed"])
        assert (row["n"], row["test images"]) == (len(SEEDS), 20)


def test_the_gap_closed_is_relative_to_the_bounds(params: Params, layout: Layout) -> None:
    """Those of the same seed. Without a gap in every seed there is no fraction of it."""
    table = adaptation_table(params, layout, "last").set_index("pair")
    for pair, (source, target) in ((pair, pair.split("-")) for pair in params.pairs):
        low, high = (
            measured(layout, "evaluate_classifier", domain, SEEDS, "on", target, "accuracy", "last")
            for domain in (source, target)
        )
        gaps = [b - a for a, b in zip(low, high, strict=True)]
        for method in params.adapters:
            accuracy = measured(layout, "evaluate", f"{method}-{pair}", SEEDS, "accuracy", "last")
            if min(gaps) > 0:
                gains = [b - a for a, b in zip(low, accuracy, strict=True)]
                closed = [100 * gain / gap for gain, gap in zip(gains, gaps, strict=True)]
                holds(table.loc[pair], f"{method} gap closed", closed)
            else:
                assert pd.isna(table.loc[pair, f"{method} gap closed"])


def test_the_gap_of_each_seed_counts() -> None:
    low, accuracy, high = ({"values": values} for values in ([50.0, 60.0], [60.0, 80.0], [90.0, 100.0]))
    closed = gap_closed(low, accuracy, high)
    assert closed is not None
    assert closed["values"] == [25.0, 50.0]
    assert gap_closed(low, accuracy, {"values": [90.0, 60.0]}) is None
    assert gap_closed(low, None, high) is None


def test_the_selection_table_has_the_accuracy_of_every_criterion(params: Params, layout: Layout) -> None:
    table = selection_table(params, layout)
    keys = list(zip(table["pair"], table["method"], strict=True))
    assert keys == [(pair, method) for pair in params.pairs for method in params.adapters]
    for _, row in table.iterrows():
        for column, key in (("last", "last"), ("infomax", "chosen"), ("snd", "snd"), ("oracle", "oracle")):
            found = measured(layout, f"train_{row['method']}", row["pair"], SEEDS, "accuracy", key)
            holds(row, column, found)


def test_with_one_seed_there_is_no_standard_deviation(params: Params, layout: Layout) -> None:
    one = params.model_copy(update={"seeds": [5]})
    table = adaptation_table(one, layout, "last")
    assert table["source only std"].isna().all()
    assert table["source only"].notna().all()


# --- generators -------------------------------------------------------------------------------------------------


def test_every_metric_of_faces_is_the_evaluations(params: Params, layout: Layout) -> None:
    table = faces_table(params, layout).set_index("system")
    assert list(table.index) == ["real training images", "dcgan4", "sngan", "vae", "noise"]
    for name, kind in (("dcgan4", "gan"), ("sngan", "gan"), ("vae", "autoencoder")):
        row, seeds = table.loc[name], GENERATOR_SEEDS[f"{kind}s"]
        for metric in FACE_METRICS:
            if metric in ("fid", "is") or (metric == "reconstruction_mse" and kind == "gan"):
                assert pd.isna(row[metric])
            else:
                holds(row, metric, measured(layout, f"evaluate_{kind}", name, seeds, metric))
        assert row["n"] == len(seeds)
        training = read_json(layout.stage(f"train_{kind}", name, seeds[0]) / "metrics.json")
        assert row["parameters"] == sum(training["parameters"].values())
        assert row["steps"] == training["steps"]
        for spread_of in ("", " std"):
            rate = row[f"face_detection_rate{spread_of}"]
            assert row[f"ratio{spread_of}"] == pytest.approx(100 * rate / 90)
    real = read_json(layout.stage("evaluate_real", "faces") / "metrics.json")
    for name, key in (("real training images", "training_images"), ("noise", "noise")):
        assert table.loc[name, "fd_faces"] == real[key]["fd_faces"]
        assert table.loc[name, "kd_faces"] == real[key]["kd_faces"]["mean"]
        assert table.loc[name, "face_detection_rate"] == real[key]["faces"]["face_detection_rate"]
        assert pd.isna(table.loc[name, "kd_faces std"])


def test_collapsed_seeds_are_counted(params: Params, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    fabricate(params, layout)
    folder = layout.stage("train_gan", "sngan", GENERATOR_SEEDS["gans"][1])
    write_metrics(folder, {**read_json(folder / "metrics.json"), "collapsed": True})
    collapsed = faces_table(params, layout).set_index("system")["collapsed"]
    assert (collapsed["dcgan4"], collapsed["sngan"], collapsed["vae"]) == (0, 1, 0)


def test_every_metric_of_digits_is_the_evaluations(params: Params, layout: Layout) -> None:
    table = digits_table(params, layout).set_index("system")
    assert list(table.index) == ["acgan/digits", "ddpm"]
    for name, stage in (("acgan/digits", "evaluate_acgan"), ("ddpm", "evaluate_ddpm")):
        for metric in DIGIT_METRICS:
            holds(
                table.loc[name],
                metric,
                measured(layout, stage, "digits", GENERATOR_SEEDS["conditional"], metric),
            )
        for digit in map(str, range(10)):
            values = measured(layout, stage, "digits", GENERATOR_SEEDS["conditional"], "per_digit", digit)
            holds(table.loc[name], digit, values)


# --- conclusions ------------------------------------------------------------------------------------------------


def one_pair(*, std: float | None = 1.0, n: int = 2, **accuracies: float) -> dict[str, Any]:
    row: dict[str, Any] = {"pair": "a-b", "n": n}
    for column, accuracy in {"source only": 70.0, "target only": 90.0, **accuracies}.items():
        row |= {column: accuracy, f"{column} std": std}
    return row


def test_the_best_method_is_named_if_it_differs_from_every_other_one() -> None:
    """With a standard deviation of 1, two accuracies differ if they are more than two points apart."""
    row = one_pair(dann=85.0, adda=88.0)
    assert best_method(row, ["dann", "adda"]) == "adda"
    assert conclusions([row], ["dann", "adda"]) == [
        "a \u2192 b: ADDA is best, 18.0 points above source only."
    ]
    for close in (one_pair(dann=86.0, adda=88.0), one_pair(dann=85.0, adda=88.0, std=None, n=1)):
        assert best_method(close, ["dann", "adda"]) is None
        assert conclusions([close], ["dann", "adda"]) == []


def test_methods_outside_the_bounds_are_named_if_they_differ_from_them() -> None:
    (sentence,) = conclusions([one_pair(dann=65.0, adda=93.0)], ["dann", "adda"])
    assert "**DANN does not help:** it is 5.0 points below source only." in sentence
    assert "**ADDA is above target only**, by 3.0 points." in sentence
    methods = ["dann", "adda", "dsn"]
    assert separated(one_pair(dann=65.0, adda=72.0, dsn=72.1), methods) == ["dann", "dsn"]
    assert conclusions([one_pair(dann=68.0, adda=92.0, dsn=91.0)], methods) == []


def test_a_pair_that_is_not_trained_has_no_conclusion() -> None:
    row = one_pair() | {"dann": None, "dann std": None}
    assert conclusions([row], ["dann"]) == []
    assert separated(row, ["dann"]) == []


def test_the_best_system_of_a_metric_differs_from_every_other_one() -> None:
    systems = {
        "real": (None, 99.0, 0.1),
        "dcgan4": (3, 60.0, 9.0),
        "sngan": (3, 80.0, 2.0),
        "vae": (2, 10.0, 8.9),
    }
    rows = []
    for system, (n, rate, fd) in systems.items():
        row: dict[str, Any] = {"system": system, "n": n}
        for metric in FACE_METRICS:
            row |= {metric: None, f"{metric} std": None}
        std = 1.0 if n else None
        row |= {
            "face_detection_rate": rate,
            "face_detection_rate std": std,
            "fd_faces": fd,
            "fd_faces std": std,
        }
        rows.append(row)
    best = best_systems(rows)
    assert (best["face_detection_rate"], best["fd_faces"], best["fid"]) == ("sngan", "sngan", None)
    rows[2]["fd_faces"] = 7.5
    assert best_systems(rows)["fd_faces"] is None


# --- published results ------------------------------------------------------------------------------------------


def test_published_results_are_compared_with_pairs_of_their_names_only() -> None:
    table = pd.DataFrame([{"pair": "mnistm-usps", "dann": 1.0}, {"pair": "blended-printed", "dann": 2.0}])
    (one,) = beside(table)
    assert one["ours"] == {"pair": "mnistm-usps", "dann": 1.0}
    assert [reference.report for reference in one["reports"]] == ["R21", "R22a", "R22b"]
    assert all(r.source_only < r.target_only for r in REPORTS)
    assert {r.pair for r in REPORTS} == set(BEST)


def test_a_reports_values_are_compared_with_the_same_system_and_pair() -> None:
    pairs = pd.DataFrame([{"pair": "mnistm-usps", "source only": 70.0, "dann": 80.0, "target only": 99.0}])
    faces = pd.DataFrame([{"system": "dcgan5", "fid": 30.0}, {"system": "sngan", "fid": 20.0}])
    found = [
        (comparison.metric, comparison.theirs, comparison.row and comparison.row[comparison.column])
        for comparison in comparisons("R22a", pairs, faces)
        if comparison.column != "face_detection_rate"
    ]
    assert found == [
        ("DCGAN, FID", "38.68", 30.0),
        ("SNGAN, FID", "25.66", 20.0),
        ("mnistm \u2192 usps, source only", "50.645", 70.0),
        ("mnistm \u2192 usps, DANN", "86.425", 80.0),
        ("mnistm \u2192 usps, target only", "98.658", 99.0),
        *(
            (f"mnistm \u2192 svhn, {column}", theirs, None)
            for column, theirs in (("source only", "19.159"), ("DANN", "64.506"), ("target only", "96.038"))
        ),
    ]


def test_a_method_that_does_not_run_here_has_no_value_beside_a_reports() -> None:
    pairs = pd.DataFrame([{"pair": "mnistm-usps", "source only": 70.0, "target only": 99.0}])
    rows = {c.metric: c.row for c in comparisons("R22a", pairs, pd.DataFrame(columns=["system"]))}
    assert rows["mnistm \u2192 usps, DANN"] is None
    assert rows["mnistm \u2192 usps, source only"] is not None
