"""The stages that train: what they may look at, what they leave, and what changes it."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Hw2, Workspace, refused

from hw2core.data import store
from hw2core.data.augment import jitter
from hw2core.data.batches import ImageSet, Shuffle
from hw2core.engine.device import Device
from hw2core.engine.journal import read_json
from hw2core.params import ADAPTERS, Params
from hw2core.stages.train import labelled

PAIR = "blended-handwritten"
ADAPTER_STAGES = [(f"train_{method}", PAIR) for method in ADAPTERS]
TRAININGS = [("train_classifier", "handwritten"), *ADAPTER_STAGES]
every_training = pytest.mark.parametrize(("stage", "item"), TRAININGS)


def retrain_start(hw2: Hw2, stage: str, item: str) -> None:
    """Train again the source's classifier, if that is what the stage starts from."""
    if stage == "train_adda":
        assert hw2("train_classifier", item.partition("-")[0]).status == 0


def weights(workspace: Workspace, stage: str, item: str) -> bytes:
    return (workspace.layout.stage(stage, item) / "model.safetensors").read_bytes()


def history(workspace: Workspace, stage: str, item: str) -> list[dict[str, str]]:
    with (workspace.layout.stage(stage, item) / "history.csv").open() as file:
        return list(csv.DictReader(file))


def spoil(
    workspace: Workspace, domain: str, split: str, change: Callable[[store.Split], store.Split]
) -> None:
    """Put changed images or labels into a ready dataset, as if it had been made so."""
    folder = workspace.layout.ready(domain)
    splits = {
        name: store.Split(np.array(old.images), np.array(old.labels))
        for name in store.SPLITS
        for old in [store.open_split(folder, name)]
    }
    splits[split] = change(splits[split])
    store.write(folder, store.ImageData(splits, "changed"), {"name": domain})


def other_labels(split: store.Split) -> store.Split:
    return store.Split(split.images, (split.labels + 3) % 10)


def all_sevens(split: store.Split) -> store.Split:
    return store.Split(split.images, np.full_like(split.labels, 7))


def other_images(split: store.Split) -> store.Split:
    return store.Split(255 - split.images, split.labels)


@every_training
def test_the_same_stage_leaves_the_same_bytes(workspace: Workspace, hw2: Hw2, stage: str, item: str) -> None:
    before = workspace.tree()
    assert hw2(stage, item).status == 0
    assert workspace.tree() == before


@pytest.mark.parametrize(("stage", "item"), ADAPTER_STAGES)
def test_no_label_of_the_targets_training_set_changes_anything(
    workspace: Workspace, hw2: Hw2, stage: str, item: str
) -> None:
    folder = workspace.layout.stage(stage, item)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    spoil(workspace, "handwritten", "train", other_labels)
    assert hw2(stage, item).status == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@every_training
def test_no_test_label_changes_a_weight_or_the_chosen_step(
    workspace: Workspace, hw2: Hw2, stage: str, item: str
) -> None:
    folder = workspace.layout.stage(stage, item)
    before, metrics = weights(workspace, stage, item), read_json(folder / "metrics.json")
    figures = [row["test_accuracy"] for row in history(workspace, stage, item)]
    spoil(workspace, "handwritten", "test", all_sevens)
    assert hw2(stage, item).status == 0
    assert weights(workspace, stage, item) == before
    again = read_json(folder / "metrics.json")
    assert again["chosen_steps"] == metrics["chosen_steps"]
    assert [row["test_accuracy"] for row in history(workspace, stage, item)] != figures


@every_training
def test_what_it_should_learn_from_it_does(workspace: Workspace, hw2: Hw2, stage: str, item: str) -> None:
    """That the tests above can fail: these changes do reach the weights."""
    before = weights(workspace, stage, item)
    labelled_domain = item.partition("-")[0]
    spoil(workspace, labelled_domain, "train", other_labels)
    retrain_start(hw2, stage, item)
    assert hw2(stage, item).status == 0
    assert weights(workspace, stage, item) != before
    if "-" in item:
        after = weights(workspace, stage, item)
        spoil(workspace, "handwritten", "train", other_images)
        assert hw2(stage, item).status == 0
        assert weights(workspace, stage, item) != after


@every_training
def test_held_out_images_are_not_trained_on(workspace: Workspace, hw2: Hw2, stage: str, item: str) -> None:
    """The last tenth of the labelled images may change a step's choice, never the weights at the last step."""
    from hw2core.engine.journal import read_model

    def spoil_last_tenth(split: store.Split) -> store.Split:
        images = split.images.copy()
        images[-10:] = 255 - images[-10:]
        return store.Split(images, split.labels)

    folder = workspace.layout.stage(stage, item)
    before = read_model(folder, "seed0.last")
    spoil(workspace, item.partition("-")[0], "train", spoil_last_tenth)
    assert hw2(stage, item).status == 0
    after = read_model(folder, "seed0.last")
    assert all(torch.equal(before[name], after[name]) for name in before)


@every_training
def test_a_seed_is_the_same_whatever_other_seeds_there_are(
    workspace: Workspace, hw2: Hw2, stage: str, item: str
) -> None:
    from hw2core.engine.journal import read_model

    folder = workspace.layout.stage(stage, item)
    alone = read_model(folder, "seed0.last")
    workspace.change("seeds", [4, 0])
    retrain_start(hw2, stage, item)
    assert hw2(stage, item).status == 0
    among_others, other = (read_model(folder, f"seed{seed}.last") for seed in (0, 4))
    assert all(torch.equal(alone[name], among_others[name]) for name in alone)
    assert not all(torch.equal(alone[name], other[name]) for name in alone)


@every_training
def test_figures_come_with_their_seeds_their_count_their_judge_and_their_device(
    workspace: Workspace, hw2: Hw2, stage: str, item: str
) -> None:
    workspace.change("seeds", [0, 1])
    retrain_start(hw2, stage, item)
    assert hw2(stage, item).status == 0
    metrics = read_json(workspace.layout.stage(stage, item) / "metrics.json")
    rows = history(workspace, stage, item)
    assert metrics["seeds"] == [0, 1]
    assert metrics["test_images"] == 100
    assert metrics["steps"] == 7
    assert metrics["device"].startswith("cpu with 1 thread, fp32")
    assert metrics["chosen_by"]
    for which, chosen in (("last", ["7", "7"]), ("chosen", [str(step) for step in metrics["chosen_steps"]])):
        figures = [
            float(row["test_accuracy"])
            for seed, step in zip(("0", "1"), chosen, strict=True)
            for row in rows
            if (row["seed"], row["step"]) == (seed, step)
        ]
        accuracy = metrics["accuracy"][which]
        assert accuracy["n"] == 2
        assert accuracy["each"] == figures
        assert accuracy["mean"] == pytest.approx(np.mean(figures), rel=1e-5)
        assert accuracy["std"] == pytest.approx(np.std(figures, ddof=1), rel=1e-5, abs=1e-9)


@every_training
def test_the_chosen_step_is_where_its_criterion_is_highest(
    finished: Workspace, stage: str, item: str
) -> None:
    rows = history(finished, stage, item)
    assert [row["step"] for row in rows] == ["3", "6", "7"]
    criterion = "held_out_log_likelihood" if stage == "train_classifier" else "information"
    best = max(rows, key=lambda row: float(row[criterion]))
    metrics = read_json(finished.layout.stage(stage, item) / "metrics.json")
    assert metrics["chosen_steps"] == [int(best["step"])]


@every_training
def test_nothing_of_the_resume_state_is_left(finished: Workspace, stage: str, item: str) -> None:
    left = [path for path in finished.layout.runs.rglob("*") if path.is_file()]
    assert {path.parent for path in left} == {finished.layout.features}
    assert {path.name for path in finished.layout.stage(stage, item).iterdir()} == {
        "model.safetensors",
        "metrics.json",
        "history.csv",
    }


@every_training
def test_how_often_it_is_saved_changes_no_byte(workspace: Workspace, hw2: Hw2, stage: str, item: str) -> None:
    folder = workspace.layout.stage(stage, item)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    workspace.change("engine.checkpoint_every", 1)
    assert hw2(stage, item).status == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def images(count: int) -> ImageSet:
    device = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
    values = torch.randint(256, (count, 4, 4, 1), generator=torch.Generator().manual_seed(0))
    return ImageSet(values.to(torch.uint8).expand(-1, -1, -1, 3), torch.arange(count), device)


def test_labelled_images_of_a_jittered_domain_get_colours_and_those_of_others_do_not(params: Params) -> None:
    assert params.data.jitter == ["handwritten"]
    plain = Shuffle(images(10), 4, "seed 0", "order")
    kept = labelled(params, "blended", images(10), 4, "seed 0", "order")
    coloured = labelled(params, "handwritten", images(10), 4, "seed 0", "order")
    for k in (0, 7, 0):
        assert torch.equal(kept(k)[0], plain.at(k)[0])
        assert torch.equal(coloured(k)[1], plain.at(k)[1])
        assert not torch.equal(coloured(k)[0], plain.at(k)[0])
        assert torch.equal(coloured(k)[0], jitter(plain.at(k)[0], "seed 0", "order", "jitter", k))


@pytest.mark.parametrize(("stage", "item"), ADAPTER_STAGES)
def test_the_targets_images_are_read_as_they_are(
    workspace: Workspace, hw2: Hw2, stage: str, item: str
) -> None:
    """Handwriting is jittered where it has labels to teach; as a target it is left alone."""
    before = weights(workspace, stage, item)
    workspace.change("data.jitter", [])
    assert hw2(stage, item).status == 0
    assert weights(workspace, stage, item) == before
    workspace.change("data.jitter", ["blended"])
    assert hw2(stage, item).status == 0
    assert weights(workspace, stage, item) != before


def interrupted(hw2: Hw2, monkeypatch: pytest.MonkeyPatch, stage: str, item: str) -> None:
    """Start a stage and end it by Ctrl-C after its first checkpoint."""
    from hw2core.engine.resume import Checkpoint

    save = Checkpoint.save

    def save_and_end(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_end)
        assert hw2(stage, item).status == 130


@every_training
@pytest.mark.parametrize("change", ["nothing", "params", "data"])
def test_only_the_very_same_training_is_resumed(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch, stage: str, item: str, change: str
) -> None:
    interrupted(hw2, monkeypatch, stage, item)
    if change == "params":
        workspace.change(f"{stage.removeprefix('train_')}.beta1", 0.55)
    if change == "data":
        spoil(workspace, item.partition("-")[0], "train", other_labels)
    outcome = hw2(stage, item)
    assert outcome.status == 0
    assert ("goes on from step 4 of 7" in outcome.err) == (change == "nothing")


def test_an_interrupted_stage_leaves_what_was_there(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = {name: content for name, content in workspace.tree().items() if not name.startswith("runs")}
    interrupted(hw2, monkeypatch, "train_classifier", "handwritten")
    after = {name: content for name, content in workspace.tree().items() if not name.startswith("runs")}
    assert after == before


def test_adda_starts_from_its_sources_classifier_of_the_same_seed(workspace: Workspace, hw2: Hw2) -> None:
    from hw2core.engine.journal import read_model

    workspace.change("seeds", [0, 1])
    assert hw2("train_classifier", "blended").status == 0
    assert hw2("train_adda", PAIR).status == 0
    for seed in (0, 1):
        start = read_model(workspace.layout.stage("train_classifier", "blended"), f"seed{seed}.last")
        adapted = read_model(workspace.layout.stage("train_adda", PAIR), f"seed{seed}.last")
        for name, weight in start.items():
            assert torch.equal(weight, adapted[name.replace("extractor", "source_extractor")]), name


def test_adda_without_its_sources_classifier_is_one_line(workspace: Workspace, hw2: Hw2) -> None:
    path = "stages/train_classifier/blended/model.safetensors"
    workspace.damage(path, lambda _: None)
    refused(hw2("train_adda", PAIR), path, "its stage has not run")


def test_another_start_is_another_training(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(hw2, monkeypatch, "train_adda", PAIR)
    workspace.change("classifier.steps", 9)
    assert hw2("train_classifier", "blended").status == 0
    assert "goes on from" not in hw2("train_adda", PAIR).err
