"""`hw2 compare`: two commits side by side, and what differs by more than their seeds explain."""

import subprocess
from pathlib import Path

import pytest
from conftest import complaint, small_raw
from fabricated import fabricate
from reported import params_of, rows_below

from hw2core.engine.journal import read_json, write_metrics
from hw2core.layout import Layout
from hw2core.report import comparison, html, pages
from hw2core.revisions import find_commit
from hw2core.settings.yaml import write_yaml
from hw2core.stages import compare as stage

PARAMS = params_of(adapters=["adda"])
CHANGED = PARAMS.model_copy(update={"adda": PARAMS.adda.model_copy(update={"lr": 0.5})})


def commit(layout: Layout, params: object, message: str) -> None:
    with layout.params.open("w") as file:
        write_yaml(params.model_dump(mode="json"), file)  # type: ignore[attr-defined]
    for command in (["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", message]):
        subprocess.run(["git", *command], cwd=layout.root, check=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The second commit has another learning rate of ADDA, with which it reaches 90 and 91 instead of 50 and 52 %."""
    layout = Layout(tmp_path_factory.mktemp("repository"))
    fabricate(PARAMS, layout)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=layout.root, check=True)
    for params, accuracies in ((PARAMS, (50.0, 52.0)), (CHANGED, (90.0, 91.0))):
        for seed, last in enumerate(accuracies):
            folder = layout.stage("evaluate", "adda-blended-handwritten", seed)
            metrics = read_json(folder / "metrics.json")
            write_metrics(folder, metrics | {"accuracy": {"last": last, "chosen": 1.0}})
        commit(layout, params, "results")
    return layout


@pytest.fixture
def text(repository: Layout, monkeypatch: pytest.MonkeyPatch) -> str:
    written: list[str] = []
    monkeypatch.setattr(html, "page", lambda text, *_: written.append(text) or "")
    monkeypatch.setattr(stage, "draw", lambda figures: ({}, {}))
    stage.compare(repository, "main~1", "main")
    return written[0]


def test_a_difference_beyond_the_seeds_is_told_from_equal_results(text: str) -> None:
    rows = {(row[0], row[1]): row[2:] for row in rows_below(text, "Domain adaptation")}
    assert rows["blended \u2192 handwritten", "ADDA"] == [
        *("51.0\u00a0±\u00a01.4", "90.5\u00a0±\u00a00.7", "+39.5", "**more than the seeds explain**"),
    ]
    same = rows["handwritten \u2192 printed", "ADDA"]
    assert (same[0], same[2], same[3]) == (same[1], "+0.0", "equal")
    assert all(row[5] == "equal" for row in rows_below(text, "Faces")[2:])


def test_changed_params_are_named(text: str) -> None:
    assert rows_below(text, "Params")[2:] == [["adda.lr", str(PARAMS.adda.lr), "0.5"]]


def test_the_page_has_the_samples_of_both(repository: Layout) -> None:
    page = stage.compare(repository, "main~1", "main").read_text(encoding="utf-8")
    assert page.count("sngan_samples</figcaption>") == 2


def test_one_seed_has_another_verdict_than_several_that_do_not_differ() -> None:
    assert comparison.verdict(same=False, one_seed=True, beyond=False) == "one seed: not tested"
    assert comparison.verdict(same=False, one_seed=False, beyond=False) == "within the seeds"


def test_an_unknown_revision_is_one_line(repository: Layout) -> None:
    line = complaint(lambda: stage.compare(repository, "main", "nothing"))
    assert (
        line == "there is no revision and no experiment nothing here; `git fetch` brings what others pushed"
    )


def test_an_experiment_is_found_by_its_name(repository: Layout) -> None:
    head = find_commit(repository, "main")
    reference = f"refs/exps/{head[:2]}/{head[2:]}/brisk-name"
    subprocess.run(["git", "update-ref", reference, head], cwd=repository.root, check=True)
    assert find_commit(repository, "brisk-name") == head


def test_a_revision_without_results_is_one_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "params.yaml").write_text(pages.as_yaml(small_raw()))
    commit(layout, PARAMS, "no stages")
    line = complaint(lambda: stage.compare(layout, "HEAD", "HEAD"))
    assert line == "HEAD: has no params.yaml or no stages/, so there is nothing to compare"
