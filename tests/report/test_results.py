"""The tables hold what the stages measured, and nothing else."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hw2core.engine.journal import write_metrics
from hw2core.judges.classification import spread
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, Params
from hw2core.report.references import BEST, REPORTS, beside, figures_of
from hw2core.report.results import adaptation_table, selection_table, verdicts

METHOD = ADAPTERS[0]
# Accuracy of each domain's classifier on each domain, of three seeds: the mean is in the middle.
BOUNDS = {
    "handwritten": {"handwritten": 90.0, "blended": 30.0, "printed": 40.0},
    "blended": {"handwritten": 70.0, "blended": 80.0, "printed": 50.0},
    "printed": {"handwritten": 60.0, "blended": 20.0, "printed": 95.0},
}
CRITERIA = {"last": 10.0, "chosen": 20.0, "density": 30.0, "oracle": 40.0}
ADAPTED = {"blended-handwritten": 85.0, "handwritten-printed": 35.0}


def accuracy(mean: float) -> dict[str, Any]:
    return {
        "last": spread([mean - 1, mean, mean + 1]),
        "chosen": spread([mean + 1, mean + 2, mean + 3]),
    }


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    for domain, figures in BOUNDS.items():
        on = {name: {"accuracy": accuracy(mean), "test_images": 100} for name, mean in figures.items()}
        write_metrics(layout.stage("evaluate_classifier", domain), {"on": on})
    for method in ADAPTERS:
        for pair, mean in ADAPTED.items():
            write_metrics(layout.stage("evaluate", f"{method}-{pair}"), {"accuracy": accuracy(mean)})
    return layout


def test_every_ordered_pair_of_domains_has_a_row_those_that_were_run_first(
    params: Params, layout: Layout
) -> None:
    pairs = adaptation_table(params, layout)["pair"].tolist()
    assert pairs[:2] == list(ADAPTED)
    assert sorted(pairs) == sorted(f"{a}-{b}" for a in BOUNDS for b in BOUNDS if a != b)


def test_the_bounds_of_a_pair_are_the_sources_and_the_targets_classifier_on_the_target(
    params: Params, layout: Layout
) -> None:
    table = adaptation_table(params, layout).set_index("pair")
    for pair in table.index:
        source, target = pair.split("-")
        assert table.loc[pair, "source only"] == BOUNDS[source][target]
        assert table.loc[pair, "target only"] == BOUNDS[target][target]
        assert table.loc[pair, "source only std"] == 1.0
        assert table.loc[pair, "n"] == 3
        assert table.loc[pair, "test images"] == 100


def test_a_method_has_figures_for_the_pairs_it_was_run_on_and_none_for_others(
    params: Params, layout: Layout
) -> None:
    table = adaptation_table(params, layout).set_index("pair")
    for pair in table.index:
        if pair in ADAPTED:
            assert table.loc[pair, METHOD] == ADAPTED[pair]
        else:
            assert pd.isna(table.loc[pair, METHOD])
            assert pd.isna(table.loc[pair, f"{METHOD} gap closed"])


def test_the_gap_closed_is_the_share_of_the_way_from_the_lower_to_the_upper_bound(
    params: Params, layout: Layout
) -> None:
    table = adaptation_table(params, layout).set_index("pair")
    assert table.loc["blended-handwritten", f"{METHOD} gap closed"] == pytest.approx(100 * 15 / 20)
    assert table.loc["handwritten-printed", f"{METHOD} gap closed"] == pytest.approx(100 * -5 / 55)


def test_figures_at_the_chosen_step_are_apart(params: Params, layout: Layout) -> None:
    last, chosen = (adaptation_table(params, layout, which).set_index("pair") for which in ("last", "chosen"))
    for column in ("source only", METHOD, "target only"):
        assert chosen.loc["blended-handwritten", column] == last.loc["blended-handwritten", column] + 2


def test_the_best_method_is_named_and_those_below_the_lower_bound(params: Params, layout: Layout) -> None:
    other = ADAPTERS[1]
    write_metrics(layout.stage("evaluate", f"{other}-blended-handwritten"), {"accuracy": accuracy(88.0)})
    sentence = verdicts(adaptation_table(params, layout), [METHOD, other])[0]
    assert sentence.startswith("blended \u2192 handwritten: ADDA does best; it gains 18.0 points")
    assert "help" not in sentence


def test_every_criterion_has_a_figure_of_every_method_and_pair(params: Params, layout: Layout) -> None:
    at = {which: spread([mean, mean + 2]) for which, mean in CRITERIA.items()}
    for method in ADAPTERS:
        for pair in ADAPTED:
            folder = layout.stage("evaluate", f"{method}-{pair}")
            write_metrics(folder, {"accuracy": accuracy(50.0), "training": {"accuracy": at}})
    table = selection_table(params, layout)
    assert list(zip(table["pair"], table["method"], strict=True)) == [
        (p, m) for p in ADAPTED for m in ADAPTERS
    ]
    for which, mean in CRITERIA.items():
        assert set(table[which]) == {mean + 1}
        assert set(table[f"{which} std"].round(4)) == {1.4142}


def test_others_figures_stand_beside_pairs_of_their_names_alone() -> None:
    table = pd.DataFrame([{"pair": "mnistm-usps", "dann": 1.0}, {"pair": "blended-printed", "dann": 2.0}])
    (one,) = beside(table)
    assert one["ours"] == {"pair": "mnistm-usps", "dann": 1.0}
    assert [reference.report for reference in one["reports"]] == ["R21", "R22a", "R22b"]
    assert all(r.source_only < r.target_only for r in REPORTS)
    assert {r.pair for r in REPORTS} == set(BEST)


def test_a_reports_figures_stand_beside_those_of_the_same_system_and_pair() -> None:
    pairs = pd.DataFrame([{"pair": "mnistm-usps", "source only": 70.0, "dann": 80.0, "target only": 99.0}])
    faces = pd.DataFrame([{"system": "dcgan5", "fid": 30.0}, {"system": "sngan", "fid": 20.0}])
    found = [
        (figure.what, figure.theirs, figure.row and figure.row[figure.column])
        for figure in figures_of("R22a", pairs, faces)
        if figure.column != "faces_found"
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


def test_a_method_that_does_not_help_is_said_not_to(params: Params, layout: Layout) -> None:
    sentences = verdicts(adaptation_table(params, layout), [METHOD])
    assert len(sentences) == len(ADAPTED)
    helps, harms = sentences
    assert "15.0 points" in helps
    assert "75 %" in helps
    assert "does not help" in harms
    assert "5.0 points" in harms


def test_a_method_above_its_upper_bound_is_pointed_out(params: Params, layout: Layout) -> None:
    write_metrics(layout.stage("evaluate", f"{METHOD}-blended-handwritten"), {"accuracy": accuracy(93.0)})
    sentence = verdicts(adaptation_table(params, layout), [METHOD])[0]
    assert "above target only" in sentence
    assert "3.0 points" in sentence
