"""Evaluations of classifiers and adapters: their metrics are those of the saved weights."""

import csv

import numpy as np
import pytest
from conftest import Hw2, Workspace

from hw2core.engine.batches import resident
from hw2core.engine.device import Device
from hw2core.engine.images import open_split
from hw2core.engine.journal import read_json
from hw2core.evaluation.classification import outputs
from hw2core.settings import Params
from hw2core.settings.registry import ADAPTERS
from hw2core.stages import predictors

PAIR = "blended-handwritten"
SOURCE, TARGET = PAIR.split("-")
each_method = pytest.mark.parametrize("method", ADAPTERS)


def read_table(
    workspace: Workspace, stage: str, item: str, seed: int | None, name: str
) -> list[dict[str, str]]:
    with (workspace.layout.stage(stage, item, seed) / name).open() as file:
        return list(csv.DictReader(file))


@each_method
def test_an_adapter_has_the_test_accuracy_that_its_training_logged(finished: Workspace, method: str) -> None:
    evaluated = read_json(finished.layout.stage("evaluate", f"{method}-{PAIR}", 0) / "metrics.json")
    trained = read_json(finished.layout.stage(f"train_{method}", PAIR, 0) / "metrics.json")
    assert evaluated["accuracy"] == {which: trained["accuracy"][which] for which in ("last", "chosen")}
    for key in ("test_images", "seed", "device"):
        assert evaluated[key] == trained[key]
    assert evaluated.keys() == {"accuracy", "per_digit", "test_images", "seed", "device"}


@pytest.mark.parametrize("domain", ["handwritten", "blended", "printed"])
def test_a_classifier_is_evaluated_on_every_domain(finished: Workspace, domain: str) -> None:
    """On its own as its training logged it."""
    evaluated = read_json(finished.layout.stage("evaluate_classifier", domain, 0) / "metrics.json")
    trained = read_json(finished.layout.stage("train_classifier", domain, 0) / "metrics.json")
    assert list(evaluated["on"]) == ["handwritten", "blended", "printed"]
    assert evaluated["on"][domain]["accuracy"] == trained["accuracy"]
    assert all(values["test_images"] == 100 for values in evaluated["on"].values())
    assert (evaluated["seed"], evaluated["device"]) == (0, trained["device"])


@each_method
def test_predictions_are_those_of_the_last_step_beside_their_labels(
    finished: Workspace, params: Params, device: Device, method: str
) -> None:
    item = f"{method}-{PAIR}"
    rows = read_table(finished, "evaluate", item, 0, "predictions.csv")
    test = open_split(finished.layout.ready(TARGET), "test")
    assert [int(row["image"]) for row in rows] == list(range(100))
    assert [int(row["label"]) for row in rows] == test.labels.tolist()
    system = predictors.load(params, finished.layout, device, method, PAIR, 0, "last")
    predicted = outputs(system.logits, resident(test, device)).argmax(1).tolist()
    assert [int(row["predicted"]) for row in rows] == predicted
    metrics = read_json(finished.layout.stage("evaluate", item, 0) / "metrics.json")
    assert set(metrics["per_digit"]) == set(map(str, test.labels.tolist()))
    for digit, value in metrics["per_digit"].items():
        of_digit = [row["predicted"] == digit for row in rows if row["label"] == digit]
        assert value == pytest.approx(100 * np.mean(of_digit), rel=1e-5)


@pytest.mark.parametrize("which", ["last", "chosen"])
def test_last_and_chosen_are_the_weights_of_these_names(workspace: Workspace, hw2: Hw2, which: str) -> None:
    """A file with the weights of another training under one of the names changes that accuracy alone."""
    from safetensors.torch import load_file, save

    layout = workspace.layout
    target, other = (load_file(layout.model("train_dann", pair, 0)) for pair in (PAIR, "handwritten-printed"))
    mixed = {name: other[name] if name.startswith(which) else weight for name, weight in target.items()}
    path = str(layout.model("train_dann", PAIR, 0).relative_to(workspace.root))
    workspace.damage(path, lambda _: save(mixed))
    folder = layout.stage("evaluate", f"dann-{PAIR}", 0)
    before, predictions = read_json(folder / "metrics.json"), (folder / "predictions.csv").read_bytes()
    assert hw2("evaluate", "dann", PAIR, "0").status == 0
    after = read_json(folder / "metrics.json")
    assert {name for name in after["accuracy"] if after["accuracy"][name] != before["accuracy"][name]} == {
        which
    }
    assert (after["per_digit"] == before["per_digit"]) == (which == "chosen")
    assert ((folder / "predictions.csv").read_bytes() == predictions) == (which == "chosen")


def test_the_same_evaluation_leaves_the_same_bytes(workspace: Workspace, hw2: Hw2) -> None:
    before = workspace.tree()
    for command in (
        ("evaluate_classifier", TARGET, "0"),
        ("evaluate", "dann", PAIR, "0"),
        ("tsne", "dann", PAIR),
    ):
        assert hw2(*command).status == 0
    assert workspace.tree() == before


def test_another_seed_is_evaluated_with_its_own_weights(workspace: Workspace, hw2: Hw2) -> None:
    """Seed 1 of this test has the weights of another pair, seed 0."""
    layout = workspace.layout
    layout.model("train_dann", PAIR, 1).hardlink_to(layout.model("train_dann", "handwritten-printed", 0))
    assert hw2("evaluate", "dann", PAIR, "1").status == 0
    one, other = (
        read_table(workspace, "evaluate", f"dann-{PAIR}", seed, "predictions.csv") for seed in (0, 1)
    )
    assert one != other
    assert read_json(layout.stage("evaluate", f"dann-{PAIR}", 1) / "metrics.json")["seed"] == 1


# --- tsne ----------------------------------------------------------------------------------------------------


@each_method
def test_tsne_has_a_point_for_each_test_image_of_both_domains(finished: Workspace, method: str) -> None:
    item = f"{method}-{PAIR}"
    rows = read_table(finished, "tsne", item, None, "coordinates.csv")
    for domain in (SOURCE, TARGET):
        labels = open_split(finished.layout.ready(domain), "test").labels[:20].tolist()
        assert [int(row["digit"]) for row in rows if row["domain"] == domain] == labels
    assert len({(row["x"], row["y"]) for row in rows}) == 40
    metrics = read_json(finished.layout.stage("tsne", item) / "metrics.json")
    assert (metrics["points"], metrics["seed"], metrics["perplexity"]) == (40, 0, 5)
    assert metrics["kl_divergence"] > 0
    assert all(-1 <= metrics["silhouette"][by] <= 1 for by in ("domain", "digit"))


@each_method
def test_tsne_has_the_predictions_of_the_evaluation(finished: Workspace, method: str) -> None:
    points = read_table(finished, "tsne", f"{method}-{PAIR}", None, "coordinates.csv")
    evaluated = read_table(finished, "evaluate", f"{method}-{PAIR}", 0, "predictions.csv")
    predicted = [row["predicted"] for row in points if row["domain"] == TARGET]
    assert predicted == [row["predicted"] for row in evaluated[:20]]


def test_tsne_of_the_classifier_is_of_the_sources_own_network(finished: Workspace) -> None:
    maps = {
        item: read_table(finished, "tsne", f"{item}-{PAIR}", None, "coordinates.csv")
        for item in ("classifier", "dann")
    }
    assert [row["digit"] for row in maps["classifier"]] == [row["digit"] for row in maps["dann"]]
    assert maps["classifier"] != maps["dann"]


def test_tsne_shows_the_first_seed(workspace: Workspace, hw2: Hw2) -> None:
    layout = workspace.layout
    before = read_table(workspace, "tsne", f"dann-{PAIR}", None, "coordinates.csv")
    layout.model("train_dann", PAIR, 3).hardlink_to(layout.model("train_dann", "handwritten-printed", 0))
    workspace.change("seeds", [3, 0])
    assert hw2("tsne", "dann", PAIR).status == 0
    assert read_table(workspace, "tsne", f"dann-{PAIR}", None, "coordinates.csv") != before
    assert read_json(layout.stage("tsne", f"dann-{PAIR}") / "metrics.json")["seed"] == 3


def test_a_perplexity_above_the_number_of_test_images_is_refused(workspace: Workspace, hw2: Hw2) -> None:
    workspace.change("tsne.images_per_domain", 1000)
    workspace.change("tsne.perplexity", 200)
    outcome = hw2("tsne", "dann", PAIR)
    assert outcome.status == 2
    assert outcome.problems == [
        "hw2: tsne.perplexity: must be less than the 200 test images there are, not 200.0"
    ]
