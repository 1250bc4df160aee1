"""The report of several seeds: every metric has its standard deviation, and only differences that the seeds show are called so."""

import re

import pytest
from conftest import Raw
from fabricated import fabricate
from reported import params_of, rows_below, undrawn

from hw2core.engine.journal import read_json, write_metrics
from hw2core.layout import Layout
from hw2core.stages import report as stage

SEEDS_BY_KIND = {"gans": [0, 1, 2], "autoencoders": [0, 1], "conditional": [0, 1]}
PM = r"\d+\.?\d*\u00a0±\u00a0\d+\.?\d*"
"""A mean with its standard deviation."""


def change_metrics(layout: Layout, stage_name: str, item: str, changes: list[Raw]) -> None:
    """Change the metrics of seeds 0, 1, ..."""
    for seed, change in enumerate(changes):
        folder = layout.stage(stage_name, item, seed)
        write_metrics(folder, read_json(folder / "metrics.json") | change)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with several seeds of every system, in which AdaMatch and SNGAN's FD differ from all others."""
    params = params_of(adapters=["adda", "adamatch"], generation={"seeds": SEEDS_BY_KIND, "images": 40})
    layout = Layout(tmp_path_factory.mktemp("several"))
    fabricate(params, layout)
    for method, accuracies in (("adda", (72.0, 74.0)), ("adamatch", (90.0, 91.0))):
        changes = [{"accuracy": {"last": last, "chosen": 50.0}} for last in accuracies]
        change_metrics(layout, "evaluate", f"{method}-blended-handwritten", changes)
    for domain, accuracies in (("blended", (70.0, 72.0)), ("handwritten", (95.0, 97.0))):
        on = [
            read_json(layout.stage("evaluate_classifier", domain, seed) / "metrics.json")["on"]
            for seed in (0, 1)
        ]
        for seed, last in enumerate(accuracies):
            on[seed]["handwritten"]["accuracy"] = {"last": last, "chosen": 50.0}
        change_metrics(layout, "evaluate_classifier", domain, [{"on": found} for found in on])
    for kind, name, distances in (
        ("gan", "dcgan4", (50.0, 51.0, 52.0)),
        ("gan", "sngan", (10.0, 11.0, 12.0)),
        ("autoencoder", "vae", (50.0, 52.0)),
    ):
        changes = [{"fd_faces": fd, "recall_faces": 0.5 + fd / 1e4} for fd in distances]
        change_metrics(layout, f"evaluate_{kind}", name, changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "draw", undrawn)
        stage.report(params, layout)
    return (layout.reports / "report.md").read_text(encoding="utf-8")


def test_a_gain_that_other_seeds_could_cause_is_marked(several: str) -> None:
    rows = rows_below(several, "Domain adaptation")
    first, *_ = [row for row in rows if row[0] == "blended \u2192 handwritten"]
    assert first == [
        "blended \u2192 handwritten",
        "71.0\u00a0±\u00a01.4",
        "73.0\u00a0±\u00a01.4 (+2.0\u00a0n.s.)",
        "**90.5\u00a0±\u00a00.7** (+19.5)",
        "96.0\u00a0±\u00a01.4",
        "20",
    ]
    assert "**n.s.** (not separated) marks a gain within two pooled standard deviations" in several
    assert "- blended \u2192 handwritten: AdaMatch is best, 19.5 points above source only." in several
    gap = rows[rows.index(["pair", "ADDA", "AdaMatch"]) + 2]
    assert gap == ["blended \u2192 handwritten", "8\u00a0±\u00a00\u00a0n.s.", "78\u00a0±\u00a03"]


def test_the_best_faces_are_bold_if_they_differ_from_all_others(several: str) -> None:
    table = rows_below(several, "Faces")
    rows = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[2:]}
    column = {name: row["FD (face features)"] for name, row in rows.items()}
    assert column["SNGAN"] == "**11.00\u00a0±\u00a01.00**"
    assert column["DCGAN 4x4"] == "51.00\u00a0±\u00a01.00"
    assert [name for name, cell in column.items() if "**" in cell] == ["SNGAN"]
    assert {name: row["seeds"] for name, row in rows.items() if "±" in row["recall"]} == {
        "DCGAN 4x4": "3",
        "SNGAN": "3",
        "VAE": "2",
    }
    assert "of GANs: mean ± standard deviation over 3 seeds (0, 1, 2); of autoencoders: mean" in several


def test_every_metric_of_several_seeds_has_its_standard_deviation(several: str) -> None:
    assert re.search(rf"test images\nthe error is {PM}\.", several)
    # A metric of real images is the same for every seed.
    assert re.search(rf"its accuracy is {PM} % on the generated faces and \d+\.\d % on the real", several)
    assert re.search(rf"detection rate is {PM} %, FD \(face features\) {PM}\.", several)
    assert re.search(r"For\n  real test images it is \d+\.\d+;", several)
    for heading, firsts in (
        ("Conditional generation", ("ACGAN", "DDPM")),
        ("Accuracy by digit", ("ADDA, ", "AdaMatch, ")),
    ):
        rows = [row for row in rows_below(several, heading) if row[0].startswith(firsts)]
        assert len(rows) == 4
        metrics = [cell for row in rows for cell in row[1:] if not re.fullmatch(r"\d,\d{3}", cell)]
        assert len(metrics) in (2 * 6 + 2 * 10, 4 * 10)
        assert all(re.fullmatch(PM, cell) for cell in metrics)
    selection = [
        row
        for row in rows_below(several, "Domain adaptation")
        if len(row) == 6 and row[1] in ("ADDA", "AdaMatch")
    ]
    assert len(selection) == 4
    assert all(re.fullmatch(PM, cell) for row in selection for cell in row[2:])


def test_the_seeds_of_each_kind_are_listed(several: str) -> None:
    for kind, seeds in (
        ("classifiers and adapters", "0, 1"),
        ("GANs", "0, 1, 2"),
        ("autoencoders", "0, 1"),
        ("conditional generators", "0, 1"),
    ):
        assert f"| seeds of {kind} | {seeds} |" in several
