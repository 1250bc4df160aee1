"""`hw2 predict` writes a row for every image; `hw2 score` counts every label."""

import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import Hw2, Workspace, refused
from PIL import Image
from safetensors.torch import load_file, save

from hw2core.engine.images import open_split
from hw2core.engine.journal import read_json


@pytest.fixture
def images(workspace: Workspace, tmp_path: Path) -> Path:
    """The test images of `handwritten`, as the course's png files with one channel, and their labels."""
    test = open_split(workspace.layout.ready("handwritten"), "test")
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(test.images):
        Image.fromarray(np.array(image[..., 0])).save(folder / f"{i:05d}.png")
    rows = "".join(f"{i:05d}.png,{label}\n" for i, label in enumerate(test.labels))
    (tmp_path / "labels.csv").write_text("image_name,label\n" + rows)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("run", ["dann/blended-handwritten", "classifier/handwritten"])
def test_predictions_are_those_of_the_evaluation(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path, run: str
) -> None:
    out = tmp_path / "out.csv"
    assert hw2("predict", "--run", run, str(images), str(out)).status == 0
    predicted = [int(row["label"]) for row in rows(out)]
    assert [row["image_name"] for row in rows(out)] == [f"{i:05d}.png" for i in range(len(predicted))]
    if run.startswith("dann"):
        seen = rows(workspace.layout.stage("evaluate", "dann-blended-handwritten", 0) / "predictions.csv")
        assert predicted == [int(row["predicted"]) for row in seen]


def test_soft_adds_probabilities_that_agree_with_the_label(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    command = ("predict", "--soft", "--run", "dann/blended-handwritten", str(images), str(out))
    assert hw2(*command).status == 0
    for row in rows(out):
        probabilities = [float(row[f"p{digit}"]) for digit in range(10)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert probabilities[int(row["label"])] == max(probabilities)


def test_rows_are_sorted_by_name_with_folders_where_names_repeat(
    workspace: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    for name in ("b/1.png", "a/1.png", "10.png", "9.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(tmp_path / "in" / name)
    out = tmp_path / "out.csv"
    assert hw2("predict", "--run", "classifier/printed", str(tmp_path / "in"), str(out)).status == 0
    assert [row["image_name"] for row in rows(out)] == ["10.png", "9.png", "a/1.png", "b/1.png"]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("dann", ["unknown pair"]),
        ("dann/x-y", ["unknown pair x-y"]),
        ("classifier/svhn", ["unknown domain svhn"]),
        ("cnn/blended-handwritten", ["--run", "METHOD/PAIR"]),
    ],
)
def test_an_unknown_run_is_refused(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path, run: str, words: list[str]
) -> None:
    refused(hw2("predict", "--run", run, str(images), str(tmp_path / "out.csv")), *words)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("seed9.last", "models/train_classifier/printed/seed9.safetensors: not there"),
        ("seed0.best", "--weights: must be seed<number>.last or seed<number>.chosen, not 'seed0.best'"),
        ("last", "--weights: must be"),
        ("seed.last", "--weights: must be"),
    ],
)
def test_unknown_weights_are_refused(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path, weights: str, said: str
) -> None:
    command = ("predict", "--run", "classifier/printed", "--weights", weights, str(images))
    refused(hw2(*command, str(tmp_path / "out.csv")), said)
    assert not (tmp_path / "out.csv").exists()


def test_weights_name_a_seed_and_a_step(workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path) -> None:
    """The chosen step of this seed 1 is the last of another pair."""
    layout = workspace.layout
    target, other = (
        load_file(layout.model("train_dann", pair, 0))
        for pair in ("blended-handwritten", "handwritten-printed")
    )
    mixed = {
        name: other[name.replace("chosen", "last")] if name.startswith("chosen") else target[name]
        for name in target
    }
    layout.model("train_dann", "blended-handwritten", 1).write_bytes(save(mixed))
    predicted = []
    for weights in ("seed0.last", "seed1.last", "seed1.chosen"):
        out = tmp_path / f"{weights}.csv"
        command = (
            "predict",
            "--run",
            "dann/blended-handwritten",
            "--weights",
            weights,
            str(images),
            str(out),
        )
        assert (
            hw2(*command).out
            == f"{out}: 100 images by dann/blended-handwritten, {weights.replace('.', ', ').replace('seed', 'seed ')} step\n"
        )
        predicted.append(out.read_text())
    assert predicted[0] == predicted[1] != predicted[2]


def test_a_folder_without_images_or_with_a_broken_one_is_refused(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out.csv"
    refused(hw2("predict", "--run", "classifier/printed", str(tmp_path / "empty"), str(out)), "empty")
    (images / "00003.png").write_bytes(b"")
    refused(hw2("predict", "--run", "classifier/printed", str(images), str(out)), "00003.png")
    assert not out.exists()


def table(path: Path, labels: dict[str, object]) -> str:
    path.write_text("image_name,label\n" + "".join(f"{name},{label}\n" for name, label in labels.items()))
    return str(path)


def test_the_score_counts_every_label(hw2: Hw2, tmp_path: Path) -> None:
    truth = table(tmp_path / "truth.csv", {"a": 1, "b": 2, "c": 3, "d": 4})
    guess = table(tmp_path / "guess.csv", {"b": 2, "a": 1, "c": 0, "x": 5, "y": 5})
    outcome = hw2("score", guess, truth)
    assert outcome.status == 0
    assert "accuracy 50.00 %: 2 of 4 images right" in outcome.out
    assert "1 without a prediction" in outcome.out
    assert "2 predictions of images that have no label" in outcome.out


def test_predictions_score_the_accuracy_of_the_evaluation(
    workspace: Workspace, hw2: Hw2, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    assert hw2("predict", "--run", "classifier/handwritten", str(images), str(out)).status == 0
    metrics = read_json(workspace.layout.stage("evaluate_classifier", "handwritten", 0) / "metrics.json")
    correct = int(metrics["on"]["handwritten"]["accuracy"]["last"])
    said = hw2("score", str(out), str(tmp_path / "labels.csv")).out
    assert f"accuracy {correct}.00 %: {correct} of 100 images right" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["is empty"]),
        ("image_name,label\na,1\na,2\n", ["line 3", "names a a second time"]),
        ("image_name,label\na,11\n", ["line 2", "11"]),
        ("name,label\na,1\n", ["no column image_name"]),
    ],
)
def test_a_table_with_problems_is_refused(hw2: Hw2, tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "guess.csv").write_text(content)
    truth = table(tmp_path / "truth.csv", {"a": 1})
    refused(hw2("score", str(tmp_path / "guess.csv"), truth), "guess.csv", *words)
    refused(hw2("score", str(tmp_path / "nowhere.csv"), truth), "nowhere.csv", "no such file")
