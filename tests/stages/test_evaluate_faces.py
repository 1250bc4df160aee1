"""Evaluations of generated faces: by the face detector, by the features at hand, and by an attribute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Hw2, Workspace, refused

from hw2core.engine.batches import ImageSet
from hw2core.engine.device import Device
from hw2core.engine.images import open_split
from hw2core.engine.journal import read_json
from hw2core.engine.tiles import read_tiles
from hw2core.evaluation.extractors import Extractor
from hw2core.files import sha256_of
from hw2core.settings import Params
from hw2core.stages import evaluate_faces, generators
from hw2core.stages.evaluate_faces import AttributeClassifier, compare_with_real
from hw2core.stages.faces_extractor import face_extractor

NOT_MEASURED = "not measured: evaluation.faces.inception names no weights"
DISTANCES = {"fd_faces", "kd_faces", "precision_faces", "recall_faces"}


def metrics_of(workspace: Workspace, stage: str, item: str, seed: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = read_json(workspace.layout.stage(stage, item, seed) / "metrics.json")
    return found


@pytest.mark.parametrize("gan", ["dcgan4", "sngan"])
def test_a_gan_is_evaluated_on_as_many_images_as_params_name(finished: Workspace, gan: str) -> None:
    metrics = metrics_of(finished, "evaluate_gan", gan)
    assert metrics.keys() == {
        "face_detection_rate",
        "faces",
        "fid",
        "extractor",
        "images",
        "seed",
        "device",
        *DISTANCES,
    }
    assert metrics["fid"].startswith(NOT_MEASURED)
    assert metrics["kd_faces"].keys() == {"mean", "std", "subset"}
    assert (metrics["images"], metrics["faces"]["images"], metrics["seed"]) == (40, 40, 0)
    weights = finished.layout.model("train_face_features", "faces", 0)
    assert metrics["extractor"] == [
        {
            "n_fake": 40,
            "n_real": 100,
            "extractor": "face_features of drawn_faces",
            "extractor_sha256": sha256_of(weights),
            "resize": "none",
        }
    ]


def test_samples_are_the_first_of_the_evaluated_images(
    finished: Workspace, params: Params, device: Device
) -> None:
    """They depend on stage, item and seed, not on how many there are."""
    system = generators.load(params, finished.layout, device, "sngan", 0)
    images = generators.sample(system, 32, "train_gan", "sngan", "seed 0", "samples")
    tiles = read_tiles(finished.layout.stage("evaluate_gan", "sngan", 0) / "samples.png", 4, 8)
    error = np.abs(tiles.reshape(images.shape).astype(int) - images).mean()
    assert error < 4  # of 255: a picture of 256 colors


def test_real_faces_and_noise_are_the_ends_of_the_scale(finished: Workspace) -> None:
    metrics = metrics_of(finished, "evaluate_real", "faces", None)
    assert metrics.keys() == {"test_images", "training_images", "noise", "device"}
    assert metrics["test_images"]["images"] == 100
    assert metrics["test_images"]["face_detection_rate"] >= 85
    assert metrics["training_images"]["face_detection_rate"] >= 85
    assert metrics["noise"]["faces"]["face_detection_rate"] == 0
    assert 0 <= metrics["training_images"]["fd_faces"] < metrics["noise"]["fd_faces"]
    (extractor,) = metrics["training_images"]["extractor"]
    assert (extractor["n_fake"], extractor["n_real"]) == (40, 100)
    tiles = read_tiles(finished.layout.stage("evaluate_real", "faces") / "samples.png", 4, 8)
    test = open_split(finished.layout.ready("drawn_faces"), "test").images[:32]
    assert np.abs(tiles.reshape(test.shape).astype(int) - test).mean() < 4


def test_missing_inception_weights_leave_fid_unmeasured_and_damaged_ones_are_refused(
    workspace: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    workspace.change("evaluation.faces.inception", str(tmp_path / "none.pth"))
    assert hw2("evaluate_gan", "dcgan4", "0").status == 0
    assert metrics_of(workspace, "evaluate_gan", "dcgan4")["fid"].startswith("not measured")
    (tmp_path / "none.pth").write_bytes(b"nonsense")
    refused(hw2("evaluate_gan", "dcgan4", "0"), "none.pth: damaged")


def test_fid_is_measured_beside_the_other_distances(
    finished: Workspace, params: Params, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the Inception weights that params name; here the face features stand in for that network."""
    monkeypatch.chdir(finished.root)
    weights = tmp_path / "inception.pth"
    weights.touch()
    faces = face_extractor(params, finished.layout)

    def inception(path: Path) -> Extractor:
        assert path == weights
        return Extractor(
            "Inception",
            "",
            "7" * 64,
            "none",
            None,
            faces.network,
            lambda x: (faces.features(x)[0], x.mean((2, 3))),
        )

    monkeypatch.setattr(evaluate_faces, "inception", inception)
    monkeypatch.setattr("hw2core.layout.Layout.features", tmp_path / "features")
    evaluation = params.evaluation.model_copy(
        update={"faces": params.evaluation.faces.model_copy(update={"inception": str(weights)})}
    )
    with_fid = params.model_copy(update={"evaluation": evaluation})
    test = np.array(open_split(finished.layout.ready("drawn_faces"), "test").images)
    found = compare_with_real(with_fid, finished.layout, device, test[:40])
    assert found.keys() == {
        *("face_detection_rate", "faces", "extractor", "fid", "kid", "is", "precision", "recall"),
        *DISTANCES,
    }
    assert found["fid"] == pytest.approx(found["fd_faces"])
    assert [one["extractor"] for one in found["extractor"]] == ["face_features of drawn_faces", "Inception"]


# --- ACGAN ---------------------------------------------------------------------------------------------------


def test_acgans_faces_are_evaluated_by_their_attribute_too(finished: Workspace) -> None:
    metrics = metrics_of(finished, "evaluate_acgan", "faces")
    assert metrics["attribute"] == "dark_hair"
    assert (metrics["images"], metrics["seed"]) == (40, 0)
    for key, images in (("attribute_accuracy", 40), ("attribute_accuracy_of_real", 100)):
        correct = images * metrics[key] / 100
        assert correct == pytest.approx(round(correct), abs=1e-3)  # whole images
        assert 0 < correct < images
    assert metrics.keys() >= {"face_detection_rate", "fid", *DISTANCES}
    assert metrics["nearest_train_rmse_first"] == pytest.approx([metrics["nearest_train_rmse"]] * 10, rel=0.5)


def test_acgans_samples_are_pairs_without_and_with_the_attribute(
    finished: Workspace, params: Params, device: Device
) -> None:
    """Both of one noise."""
    system = generators.load(params, finished.layout, device, "acgan/faces", 0)
    names = ("train_acgan", "faces", "seed 0", "samples", "pairs")
    expected = np.stack(
        [generators.sample_labels(system, torch.full((10,), label), None, *names) for label in (0, 1)]
    )
    tiles = read_tiles(finished.layout.stage("evaluate_acgan", "faces", 0) / "samples.png", 2, 10)
    assert np.abs(tiles.astype(int) - expected).mean() < 4
    neighbors = read_tiles(finished.layout.stage("evaluate_acgan", "faces", 0) / "neighbors.png", 2, 10)
    train = open_split(finished.layout.ready("drawn_faces"), "train").images
    for neighbor in neighbors[1]:
        assert np.abs(train.astype(int) - neighbor).mean((1, 2, 3)).min() < 4


def test_a_visible_attribute_is_classified(
    finished: Workspace, params: Params, device: Device, tmp_path: Path
) -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    noise = torch.randint(0, 100, (60, 64, 64, 3), generator=rng)
    images = (noise + 150 * labels[:, None, None, None]).byte()
    extractor = face_extractor(params, finished.layout)
    train = ImageSet(images[:40], labels[:40], device)
    attribute = AttributeClassifier(extractor, device, tmp_path / "features", train)
    assert attribute.accuracy(images[40:].numpy(), labels[40:], "bright and dark") == 100
    assert attribute.accuracy(images[40:].numpy(), 1 - labels[40:], "bright and dark") == 0
