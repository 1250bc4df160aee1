"""`hw2 judge` evaluates any folder of images, and refuses what it cannot evaluate."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Hw2, Workspace, refused
from PIL import Image

from hw2core.engine.images import open_split
from hw2core.engine.journal import read_json
from hw2core.evaluation.digits import lenet


def save(folder: Path, images: np.ndarray, labels: np.ndarray | None = None) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        name = f"{i:03d}.png" if labels is None else f"{labels[i]}_{i:03d}.png"
        Image.fromarray(np.array(image)).save(folder / name)
    return folder


@pytest.fixture
def digits(workspace: Workspace, tmp_path: Path) -> Path:
    test = open_split(workspace.layout.ready("blended"), "test")
    return save(tmp_path / "digits", test.images, test.labels)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    return save(
        tmp_path / "noise", np.random.default_rng(0).integers(0, 256, (30, 28, 28, 3), dtype=np.uint8)
    )


def test_digits_are_read_by_the_classifier_of_their_domain(
    workspace: Workspace, hw2: Hw2, digits: Path
) -> None:
    outcome = hw2("judge", "digits", str(digits), "--domain", "blended", "--json")
    assert outcome.status == 0
    found = json.loads(outcome.out)
    metrics = read_json(workspace.layout.stage("evaluate_classifier", "blended", 0) / "metrics.json")
    assert found["digit_accuracy"] == metrics["on"]["blended"]["accuracy"]["last"]
    assert found["images"] == np.array(found["confusion"]).sum() == 100
    assert found["classifier"] == "classifier of blended, seed 0"


def test_digits_are_read_by_a_checkpoint_of_the_course(
    workspace: Workspace, hw2: Hw2, digits: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save({"state_dict": lenet().state_dict()}, tmp_path / "Classifier.pth")
    workspace.change("evaluation.digits.checkpoint", str(tmp_path / "Classifier.pth"))
    outcome = hw2("judge", "digits", str(digits))
    assert outcome.status == 0
    assert "the course's LeNet (Classifier.pth)" in outcome.out


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("face.png", 28, "face.png: does not say its digit"),
        ("11_001.png", 28, "11_001.png: does not say its digit"),
        ("7_001.png", 32, "is 32x32, expected 28x28"),
    ],
)
def test_a_digit_without_its_name_or_size_is_refused(
    workspace: Workspace, hw2: Hw2, digits: Path, name: str, size: int, said: str
) -> None:
    Image.new("RGB", (size, size)).save(digits / name)
    refused(hw2("judge", "digits", str(digits), "--domain", "blended"), said)


def test_a_set_has_no_distance_from_itself_and_noise_a_large_one(
    workspace: Workspace, hw2: Hw2, digits: Path, noise: Path
) -> None:
    def fid(fake: Path) -> dict[str, float]:
        outcome = hw2("judge", "fid", str(fake), str(digits), "--digits", "blended", "--json")
        assert outcome.status == 0
        found: dict[str, float] = json.loads(outcome.out)
        return found

    itself, far = fid(digits), fid(noise)
    assert 0 <= itself["fd_digits"] < 1e-6 < 1 < far["fd_digits"]
    assert (itself["precision_digits"], itself["recall_digits"]) == (1, 1)
    assert (far["n_fake"], far["n_real"]) == (30, 100)
    assert "fid" not in far


def test_without_json_each_metric_is_a_line(
    workspace: Workspace, hw2: Hw2, digits: Path, noise: Path
) -> None:
    outcome = hw2("judge", "fid", str(noise), str(digits), "--digits", "blended")
    assert outcome.status == 0
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert float(lines["fd_digits"]) > 0
    assert lines["kd_digits"].endswith("over subsets of 30")
    assert lines["extractor"] == "classifier of blended (R19, seed 0)"


def test_faces_are_compared_by_the_face_features(workspace: Workspace, hw2: Hw2, tmp_path: Path) -> None:
    test = open_split(workspace.layout.ready("drawn_faces"), "test")
    real, fake = save(tmp_path / "real", test.images[:50]), save(tmp_path / "fake", test.images[50:])
    outcome = hw2("judge", "fid", str(fake), str(real), "--faces", "--json")
    assert outcome.status == 0
    found = json.loads(outcome.out)
    assert found["fd_faces"] > 0
    assert found["extractor"] == "face_features of drawn_faces"
    refused(hw2("judge", "fid", str(fake), str(real), "--faces", "--digits", "blended"), "name one of them")


def test_faces_are_detected_in_most_drawn_faces(workspace: Workspace, hw2: Hw2, tmp_path: Path) -> None:
    test = open_split(workspace.layout.ready("drawn_faces"), "test")
    outcome = hw2("judge", "faces", str(save(tmp_path / "faces", test.images)), "--json")
    found = json.loads(outcome.out)
    assert found["exactly_one"] + found["none"] + found["several"] == found["images"] == 100
    assert found["face_detection_rate"] == found["exactly_one"] >= 85


def test_without_inception_weights_and_network_the_missing_file_is_named(
    workspace: Workspace, hw2: Hw2, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    workspace.change("data.mirror", str(mirror))
    monkeypatch.setattr("hw2core.stages.inception.ADDRESS", "http://127.0.0.1:9/")
    monkeypatch.setattr("hw2core.data.fetch.PAUSES", ())
    outcome = hw2("judge", "fid", str(digits), str(digits))
    assert outcome.status == 2
    assert "pt_inception-2015-12-05-6726825d.pth" in outcome.err
    assert all(line.startswith("hw2: ") for line in outcome.problems if "downloading" not in line)


@pytest.mark.parametrize("command", ["fid", "faces", "digits"])
def test_an_empty_or_missing_folder_is_refused(
    workspace: Workspace, hw2: Hw2, digits: Path, tmp_path: Path, command: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    more = [str(digits)] if command == "fid" else []
    refused(hw2("judge", command, str(empty), *more), "empty: has no png, jpeg or bmp image")
    refused(hw2("judge", command, str(tmp_path / "none"), *more), "none: does not exist")


def test_images_of_another_size_and_damaged_ones_are_named(
    workspace: Workspace, hw2: Hw2, digits: Path, noise: Path
) -> None:
    Image.new("RGB", (20, 28)).save(noise / "zz.png")
    refused(
        hw2("judge", "fid", str(noise), str(digits), "--digits", "blended"),
        "zz.png",
        "is 20x28, expected 28x28",
    )
    (noise / "zz.png").write_bytes(b"not a picture")
    refused(hw2("judge", "fid", str(noise), str(digits), "--digits", "blended"), "zz.png", "is not a png")


def test_an_unknown_domain_is_refused(workspace: Workspace, hw2: Hw2, digits: Path) -> None:
    refused(hw2("judge", "fid", str(digits), str(digits), "--digits", "faces"), "unknown domain faces")


def test_a_file_that_cannot_be_read_counts_as_one_without_a_face(
    workspace: Workspace, hw2: Hw2, noise: Path
) -> None:
    (noise / "broken.png").write_bytes(b"not a picture")
    outcome = hw2("judge", "faces", str(noise), "--json")
    assert outcome.status == 0
    found = json.loads(outcome.out)
    assert (found["images"], found["unreadable"], found["exactly_one"], found["none"]) == (31, 1, 0, 30)
    assert found["face_detection_rate"] == 0


def test_an_archive_is_evaluated_like_a_folder(workspace: Workspace, hw2: Hw2, noise: Path) -> None:
    archive = shutil.make_archive(str(noise), "zip", noise)
    outcomes = [hw2("judge", "faces", str(place), "--json").out for place in (noise, archive)]
    assert outcomes[0] == outcomes[1]
