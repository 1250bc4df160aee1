"""Classifiers and adapters: what their trainings read, what they never see, and what they report."""

import csv
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Hw2, Workspace, refused

from hw2core.engine import images
from hw2core.engine.augmentation import color_jitter
from hw2core.engine.batches import ImageSet, Shuffle, resident
from hw2core.engine.device import Device
from hw2core.engine.images import ImageData, Split, open_split
from hw2core.engine.journal import read_json, read_model
from hw2core.engine.loop import Trained
from hw2core.engine.resume import Checkpoint
from hw2core.settings import Params, load_params
from hw2core.settings.registry import ADAPTERS
from hw2core.stages import job
from hw2core.stages.job import Job
from hw2core.stages.train_predictors import (
    labeled_batches,
    summarize,
    train_adapter,
    train_classifier,
    training_images,
)

PAIR = "blended-handwritten"
SOURCE, TARGET = PAIR.split("-")

CLASSIFIER, ADAPTER = ("train_classifier", TARGET, "0"), ("train_adapter", "dann", PAIR, "0")
"""The command of a classifier, and of an adapter: what differs between adapters is in hw2core/systems/."""
each_kind = pytest.mark.parametrize("command", [CLASSIFIER, ADAPTER], ids=["classifier", "adapter"])

RUNS = [
    *(("train_classifier", domain) for domain in (TARGET, SOURCE, "printed")),
    *((f"train_{method}", pair) for method in ADAPTERS for pair in (PAIR, "handwritten-printed")),
]
each_run = pytest.mark.parametrize(("stage", "item"), RUNS)


def place(command: tuple[str, ...]) -> tuple[str, str, int]:
    """Stage, item and seed of what a command trains."""
    stage, *names, seed = command
    return (
        (f"train_{names[0]}", names[1], int(seed))
        if stage == "train_adapter"
        else (stage, names[0], int(seed))
    )


def labeled_domain(command: tuple[str, ...]) -> str:
    return place(command)[1].partition("-")[0]


def outputs(workspace: Workspace, command: tuple[str, ...]) -> dict[str, bytes]:
    """Every file of a training."""
    stage, item, seed = place(command)
    files = [workspace.layout.model(stage, item, seed), *workspace.layout.stage(stage, item, seed).iterdir()]
    return {path.name: path.read_bytes() for path in files}


def weights(workspace: Workspace, command: tuple[str, ...], which: str = "last") -> dict[str, torch.Tensor]:
    return read_model(workspace.layout.model(*place(command)), which)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def history(workspace: Workspace, stage: str, item: str) -> list[dict[str, float]]:
    with (workspace.layout.stage(stage, item, 0) / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def change_images(workspace: Workspace, domain: str, split: str, change: Callable[[Split], Split]) -> None:
    """Write a ready dataset with changed images or labels."""
    folder = workspace.layout.ready(domain)
    splits = {}
    for name in images.SPLITS:
        old = open_split(folder, name)
        kept = Split(np.array(old.images), np.array(old.labels))
        splits[name] = change(kept) if name == split else kept
    images.write(folder, ImageData(splits, "changed"), {"name": domain})


def other_labels(split: Split) -> Split:
    return Split(split.images, (split.labels + 3) % 10)


def all_sevens(split: Split) -> Split:
    return Split(split.images, np.full_like(split.labels, 7))


def other_images(split: Split) -> Split:
    return Split(255 - split.images, split.labels)


def other_last_tenth(split: Split) -> Split:
    changed = split.images.copy()
    changed[-10:] = 255 - changed[-10:]
    return Split(changed, split.labels)


# --- what a training sees ------------------------------------------------------------------------------------


@each_kind
def test_the_same_command_leaves_the_same_bytes(
    workspace: Workspace, hw2: Hw2, command: tuple[str, ...]
) -> None:
    before = workspace.tree()
    assert hw2(*command).status == 0
    assert workspace.tree() == before


def test_no_label_of_the_targets_training_set_changes_any_output(workspace: Workspace, hw2: Hw2) -> None:
    before = outputs(workspace, ADAPTER)
    change_images(workspace, TARGET, "train", other_labels)
    assert hw2(*ADAPTER).status == 0
    assert outputs(workspace, ADAPTER) == before


@each_kind
def test_no_test_label_changes_a_weight_or_the_chosen_step(
    workspace: Workspace, hw2: Hw2, command: tuple[str, ...]
) -> None:
    before = outputs(workspace, command)
    change_images(workspace, TARGET, "test", all_sevens)
    assert hw2(*command).status == 0
    after = outputs(workspace, command)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"history.csv", "metrics.json"}  # for test_accuracy alone:
    stage, item, _ = place(command)
    metrics = read_json(workspace.layout.stage(*place(command)) / "metrics.json")
    assert metrics["accuracy"]["last"] == history(workspace, stage, item)[-1]["test_accuracy"]


@each_kind
def test_validation_images_do_not_change_the_last_weights(
    workspace: Workspace, hw2: Hw2, command: tuple[str, ...]
) -> None:
    before = weights(workspace, command)
    change_images(workspace, labeled_domain(command), "train", other_last_tenth)
    assert hw2(*command).status == 0
    assert same(weights(workspace, command), before)


@each_kind
def test_training_labels_change_the_weights(workspace: Workspace, hw2: Hw2, command: tuple[str, ...]) -> None:
    """The tests above could not fail if such changes never reached the weights."""
    before = weights(workspace, command)
    change_images(workspace, labeled_domain(command), "train", other_labels)
    assert hw2(*command).status == 0
    assert not same(weights(workspace, command), before)


def test_target_images_change_an_adapters_weights(workspace: Workspace, hw2: Hw2) -> None:
    before = weights(workspace, ADAPTER)
    change_images(workspace, TARGET, "train", other_images)
    assert hw2(*ADAPTER).status == 0
    assert not same(weights(workspace, ADAPTER), before)


def test_the_last_tenth_of_the_labeled_images_is_the_validation_set(
    finished: Workspace, params: Params, device: Device
) -> None:
    train, val = training_images(params, finished.layout, SOURCE, device)
    whole = resident(open_split(finished.layout.ready(SOURCE), "train"), device)
    assert (len(train), len(val)) == (90, 10)
    assert torch.equal(torch.cat([train.images, val.images]), whole.images)
    assert torch.equal(torch.cat([train.labels, val.labels]), whole.labels)


def test_only_labeled_images_of_the_domains_to_jitter_get_colors(params: Params, device: Device) -> None:
    assert params.data.color_jitter == [TARGET]
    pixels = torch.randint(256, (10, 4, 4, 1), generator=torch.Generator().manual_seed(0)).byte()
    some = ImageSet(pixels.expand(-1, -1, -1, 3), torch.arange(10), device)
    plain = Shuffle(some, 4, "seed 0", "order")
    kept = labeled_batches(params, SOURCE, some, 4, ("seed 0", "order"))
    colored = labeled_batches(params, TARGET, some, 4, ("seed 0", "order"))
    for k in (0, 7, 0):
        assert torch.equal(kept(k)[0], plain.at(k)[0])
        assert torch.equal(colored(k)[1], plain.at(k)[1])
        assert not torch.equal(colored(k)[0], plain.at(k)[0])
        assert torch.equal(colored(k)[0], color_jitter(plain.at(k)[0], "seed 0", "order", "jitter", k))


def test_target_images_are_not_jittered_and_source_images_are(workspace: Workspace, hw2: Hw2) -> None:
    before = weights(workspace, ADAPTER)
    for domains, unchanged in (([], True), ([SOURCE], False)):
        workspace.change("data.color_jitter", domains)
        assert hw2(*ADAPTER).status == 0
        assert same(weights(workspace, ADAPTER), before) == unchanged


def test_a_seed_is_an_item_of_its_own(workspace: Workspace, hw2: Hw2) -> None:
    """It writes only its own files, and needs of other trainings only those that it starts from."""
    workspace.change("seeds", [0, 1])
    before = workspace.tree()
    assert hw2("train_adapter", "dann", PAIR, "1").status == 0
    after = workspace.tree()
    new = {path for path, content in after.items() if content is not None and path not in before}
    assert new == {
        f"models/train_dann/{PAIR}/seed1.safetensors",
        *(
            f"stages/train_dann/{PAIR}/seed1/{name}"
            for name in ("history.csv", "metrics.json", "networks.csv")
        ),
    }
    assert all(after[path] == content for path, content in before.items())
    assert not same(weights(workspace, ADAPTER), weights(workspace, (*ADAPTER[:3], "1")))


# --- ADDA starts from the source's classifier -----------------------------------------------------------------


def test_adda_starts_from_the_sources_classifier_of_its_seed(workspace: Workspace, hw2: Hw2) -> None:
    workspace.change("seeds", [0, 1])
    assert hw2("train_classifier", SOURCE, "1").status == 0
    assert hw2("train_adapter", "adda", PAIR, "1").status == 0
    for seed in (0, 1):
        start = read_model(workspace.layout.model("train_classifier", SOURCE, seed), "last")
        adapted = read_model(workspace.layout.model("train_adda", PAIR, seed), "last")
        for name, weight in start.items():
            assert torch.equal(weight, adapted[name.replace("extractor", "source_extractor")]), name


def test_without_the_sources_classifier_only_adda_is_refused(workspace: Workspace, hw2: Hw2) -> None:
    path = f"models/train_classifier/{SOURCE}/seed0.safetensors"
    workspace.damage(path, lambda _: None)
    refused(hw2("train_adapter", "adda", PAIR, "0"), path)
    assert hw2(*ADAPTER).status == 0


# --- what a training reports ---------------------------------------------------------------------------------


@each_run
def test_metrics_report_the_last_and_the_chosen_step_with_their_conditions(
    finished: Workspace, params: Params, stage: str, item: str
) -> None:
    metrics = read_json(finished.layout.stage(stage, item, 0) / "metrics.json")
    rows = history(finished, stage, item)
    assert [row["step"] for row in rows] == [3, 6, 7]
    by_step = {row["step"]: row["test_accuracy"] for row in rows}
    criterion = "val_log_likelihood" if stage == "train_classifier" else "infomax"
    assert metrics["chosen_step"] == max(rows, key=lambda row: row[criterion])["step"]
    assert metrics["accuracy"]["last"] == by_step[7]
    assert metrics["accuracy"]["chosen"] == by_step[metrics["chosen_step"]]
    adapters = {"snd", "oracle"} if "-" in item else set()
    assert metrics["accuracy"].keys() == {"last", "chosen"} | adapters
    validation = "log-likelihood of 10 validation images"
    unlabeled = "infomax over 100 unlabeled target training images"
    assert metrics["selected_by"] == (validation if stage == "train_classifier" else unlabeled)
    assert (metrics["steps"], metrics["seed"], metrics["test_images"]) == (7, 0, 100)
    assert metrics["device"].startswith("cpu (avx2) with 1 thread, fp32")


def test_each_criterion_reports_the_accuracy_where_it_is_highest_first() -> None:
    rows = [
        {"step": 3, "infomax": 1.0, "snd": 9.0, "test_accuracy": 50.0},
        {"step": 6, "infomax": 2.0, "snd": 9.0, "test_accuracy": 70.0},
        {"step": 7, "infomax": 0.5, "snd": 8.0, "test_accuracy": 60.0},
    ]
    trained = Trained(last={}, chosen={}, chosen_step=6, history=rows)
    criteria = {"chosen": "infomax", "snd": "snd", "oracle": "test_accuracy"}
    found = summarize(trained, "infomax", 100, **criteria)
    assert found["accuracy"] == {"last": 60.0, "chosen": 70.0, "snd": 50.0, "oracle": 70.0}


# --- resuming ------------------------------------------------------------------------------------------------


def test_an_interrupted_adapter_resumes_and_leaves_the_same_bytes(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADDA has a start, two optimizers and frozen networks."""
    before = workspace.tree()
    save = Checkpoint.save

    def save_and_end(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    command = ("train_adapter", "adda", PAIR, "0")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_end)
        assert hw2(*command).status == 130
    assert "resumes at step 4 of 7" in hw2(*command).err
    assert {path: content for path, content in workspace.tree().items() if content is not None} == {
        path: content for path, content in before.items() if content is not None
    }


@pytest.fixture
def checkpoints(
    workspace: Workspace, device: Device, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, str]]:
    """Where the target's classifier and two adapters would keep their checkpoints now."""
    found: list[Job[Any]] = []
    monkeypatch.setattr(job, "run", lambda the_job, *_: found.append(the_job))

    def folders() -> dict[str, str]:
        params = load_params(workspace.layout.params)
        found.clear()
        train_classifier(params, workspace.layout, TARGET, 0)
        for method in ("dann", "adda"):
            train_adapter(params, workspace.layout, method, PAIR, 0)
        return {
            one.stage.removeprefix("train_"): str(
                job.checkpoint_folder(one, params.engine, workspace.layout, device)
            )
            for one in found
        }

    return folders


def test_a_checkpoint_is_resumed_only_with_the_same_params_images_and_start(
    workspace: Workspace, checkpoints: Callable[[], dict[str, str]]
) -> None:
    every = {"classifier", "dann", "adda"}
    start = f"models/train_classifier/{SOURCE}/seed0.safetensors"
    other = (workspace.root / f"models/train_classifier/{TARGET}/seed0.safetensors").read_bytes()
    changes: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: None, set()),
        (lambda: workspace.change("engine.checkpoint_every", 2), set()),
        (lambda: workspace.change("engine.evaluate_every", 2), every),
        (lambda: workspace.change("backbone", "LeNet"), every),
        (lambda: workspace.change("data.val_fraction", 0.2), every),
        (lambda: workspace.change("dann.lambda_max", 0.9), {"dann"}),
        (lambda: workspace.change("classifier.lr", 0.5), {"classifier"}),
        (lambda: workspace.change("data.color_jitter", []), {"classifier"}),
        (lambda: workspace.change("data.color_jitter", [SOURCE]), {"dann", "adda"}),
        (lambda: change_images(workspace, TARGET, "train", other_labels), every),
        (lambda: change_images(workspace, SOURCE, "test", other_labels), {"dann", "adda"}),
        (lambda: workspace.damage(start, lambda _: other), {"adda"}),
    ]
    before = checkpoints()
    assert before.keys() == every
    for number, (change, affected) in enumerate(changes):
        change()
        after = checkpoints()
        assert {name for name in every if after[name] != before[name]} == affected, number
        before = after
