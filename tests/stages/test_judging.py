"""The stages that judge: their figures are those of the weights that were saved."""

import csv
from collections import Counter

import numpy as np
import pytest
from conftest import Hw2, Workspace
from PIL import Image

from hw2core.data.store import open_split
from hw2core.engine.journal import read_json
from hw2core.params import ADAPTERS

PAIR = "blended-handwritten"
SOURCE, TARGET = "blended", "handwritten"
every_method = pytest.mark.parametrize("method", ADAPTERS)


def read_table(workspace: Workspace, stage: str, item: str, name: str) -> list[dict[str, str]]:
    with (workspace.layout.stage(stage, item) / name).open() as file:
        return list(csv.DictReader(file))


@every_method
def test_an_adapted_classifier_is_judged_as_its_training_saw_it(finished: Workspace, method: str) -> None:
    judged = read_json(finished.layout.stage("evaluate", f"{method}-{PAIR}") / "metrics.json")
    trained = read_json(finished.layout.stage(f"train_{method}", PAIR) / "metrics.json")
    assert judged["accuracy"] == {which: trained["accuracy"][which] for which in ("last", "chosen")}
    assert judged["training"]["accuracy"] == trained["accuracy"]
    assert judged["test_images"] == trained["test_images"] == 100
    assert judged["seeds"] == trained["seeds"]
    assert judged["device"] == trained["device"]


@pytest.mark.parametrize("domain", ["handwritten", "blended", "printed"])
def test_a_bound_is_judged_on_every_domain_and_on_its_own_as_its_training_saw_it(
    finished: Workspace, domain: str
) -> None:
    judged = read_json(finished.layout.stage("evaluate_classifier", domain) / "metrics.json")
    trained = read_json(finished.layout.stage("train_classifier", domain) / "metrics.json")
    assert list(judged["on"]) == ["handwritten", "blended", "printed"]
    assert judged["on"][domain]["accuracy"] == trained["accuracy"]
    assert all(figures["test_images"] == 100 for figures in judged["on"].values())


@every_method
def test_every_prediction_is_written_and_gives_the_accuracy(finished: Workspace, method: str) -> None:
    item = f"{method}-{PAIR}"
    rows = read_table(finished, "evaluate", item, "predictions.csv")
    labels = open_split(finished.layout.ready(TARGET), "test").labels.tolist()
    assert [int(row["image"]) for row in rows] == list(range(100))
    assert [int(row["label"]) for row in rows] == labels
    metrics = read_json(finished.layout.stage("evaluate", item) / "metrics.json")
    right = [row["label"] == row["predicted"] for row in rows]
    assert metrics["accuracy"]["last"]["mean"] == pytest.approx(100 * np.mean(right))
    for digit, figure in metrics["per_digit"].items():
        of_digit = [row["predicted"] == digit for row in rows if row["label"] == digit]
        assert figure == pytest.approx(100 * np.mean(of_digit), rel=1e-5)
    assert set(metrics["per_digit"]) == set(map(str, labels))


@every_method
def test_every_seed_has_its_predictions(workspace: Workspace, hw2: Hw2, method: str) -> None:
    workspace.change("seeds", [0, 1])
    assert hw2("train_classifier", SOURCE).status == 0  # which ADDA starts from
    assert hw2(f"train_{method}", PAIR).status == 0
    assert hw2("evaluate", method, PAIR).status == 0
    rows = read_table(workspace, "evaluate", f"{method}-{PAIR}", "predictions.csv")
    assert Counter(row["seed"] for row in rows) == {"0": 100, "1": 100}
    metrics = read_json(workspace.layout.stage("evaluate", f"{method}-{PAIR}") / "metrics.json")
    assert metrics["accuracy"]["last"]["n"] == 2
    for seed, figure in zip(("0", "1"), metrics["accuracy"]["last"]["each"], strict=True):
        right = [row["label"] == row["predicted"] for row in rows if row["seed"] == seed]
        assert figure == pytest.approx(100 * np.mean(right))


@every_method
def test_judging_again_leaves_the_same_bytes(workspace: Workspace, hw2: Hw2, method: str) -> None:
    before = workspace.tree()
    assert hw2("evaluate_classifier", TARGET).status == 0
    assert hw2("evaluate", method, PAIR).status == 0
    assert hw2("tsne", method, PAIR).status == 0
    assert workspace.tree() == before


@every_method
def test_a_map_has_a_point_for_each_test_image_of_both_domains(finished: Workspace, method: str) -> None:
    rows = read_table(finished, "tsne", f"{method}-{PAIR}", "coordinates.csv")
    for domain in ("blended", TARGET):
        labels = open_split(finished.layout.ready(domain), "test").labels[:20].tolist()
        assert [int(row["digit"]) for row in rows if row["domain"] == domain] == labels
    assert len({(row["x"], row["y"]) for row in rows}) == 40
    metrics = read_json(finished.layout.stage("tsne", f"{method}-{PAIR}") / "metrics.json")
    assert metrics["points"] == 40


@every_method
@pytest.mark.parametrize("picture", ["by_digit", "by_domain"])
def test_a_map_has_two_pictures(finished: Workspace, method: str, picture: str) -> None:
    with Image.open(finished.layout.stage("tsne", f"{method}-{PAIR}") / f"{picture}.png") as image:
        colours = image.convert("RGB").getcolors(10**6)
    assert colours is not None
    assert len(colours) > 10


@every_method
def test_a_perplexity_too_large_for_the_test_images_is_refused(
    workspace: Workspace, hw2: Hw2, method: str
) -> None:
    workspace.change("tsne.images", 1000)
    workspace.change("tsne.perplexity", 200)
    outcome = hw2("tsne", method, PAIR)
    assert outcome.status == 2
    assert outcome.problems == [
        "hw2: tsne.perplexity: must be less than the 200 test images there are, not 200.0"
    ]
