"""Evaluation of an autoencoder: reconstructions, interpolations, and the map of its codes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Workspace

from hw2core.engine.batches import ImageSet, resident
from hw2core.engine.device import Device
from hw2core.engine.images import UNKNOWN, Split, open_split
from hw2core.engine.journal import read_json
from hw2core.engine.tiles import read_tiles
from hw2core.settings import Params
from hw2core.stages import generators
from hw2core.stages.evaluate_autoencoder import (
    informative_attributes,
    interpolate,
    project_codes,
    reconstruct,
)


def gray_faces(device: Device, count: int, labels: Any) -> ImageSet:
    """Faces of one gray each: 0, 1, 2, ..."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    return resident(Split(images, np.asarray(labels, dtype=np.uint8)), device)


GRAY: Any = SimpleNamespace(
    encode=lambda images: images.mean((1, 2, 3))[:, None],
    sample=lambda codes: codes[:, :, None, None].expand(-1, 3, 64, 64),
)
"""An autoencoder whose code is the image's gray."""


# --- reconstruction ------------------------------------------------------------------------------------------


def test_the_reconstruction_error_is_the_mean_squared_error_of_all_test_images(device: Device) -> None:
    """Of pixels from 0 to 1. More images than are reconstructed at once."""
    faces = gray_faces(device, 150, np.zeros(150))
    brighter: Any = SimpleNamespace(reconstruct=lambda images: images + 0.1)
    images, errors = reconstruct(brighter, faces)
    assert images.shape == (150, 64, 64, 3)
    assert (images[:, 0, 0, 0] == np.arange(150) + 13).all()  # 0.1 of a range of 2 is 12.75 of 255
    assert errors.shape == (150,)
    assert errors.tolist() == pytest.approx([0.05**2] * 150, rel=1e-3)


def test_an_autoencoders_metrics_and_pictures(finished: Workspace, params: Params, device: Device) -> None:
    folder = finished.layout.stage("evaluate_autoencoder", "vae", 0)
    metrics = read_json(folder / "metrics.json")
    assert len(metrics["reconstruction_mse_first"]) == 10
    assert (metrics["reconstructed_images"], metrics["mapped_images"], metrics["images"]) == (100, 40, 40)
    assert metrics.keys() >= {
        "face_detection_rate",
        "fd_faces",
        "kd_faces",
        "fid",
        "extractor",
        "seed",
        "device",
    }
    test = resident(open_split(finished.layout.ready("drawn_faces"), "test"), device)
    system = generators.load(params, finished.layout, device, "vae", 0)
    images, errors = reconstruct(system, test)
    assert metrics["reconstruction_mse"] == pytest.approx(errors.mean().item(), rel=1e-4)
    assert metrics["reconstruction_mse_first"] == pytest.approx(errors[:10].tolist(), rel=1e-4)
    originals, reconstructed = read_tiles(folder / "reconstructions.png", 2, 10).astype(int)
    assert np.abs(originals - test.images[:10].numpy()).mean() < 4
    assert np.abs(reconstructed - images[:10]).mean() < 4
    assert read_tiles(folder / "interpolation.png", 4, 8).shape[2:] == (64, 64, 3)
    assert read_tiles(folder / "samples.png", 4, 8).shape[2:] == (64, 64, 3)
    codes = pd.read_csv(folder / "latents.csv")
    assert list(codes) == ["x", "y", "smiling", "male", "glasses", "dark_hair"]
    assert len(codes) == 40
    labels = open_split(finished.layout.ready("drawn_faces"), "test").labels[:40]
    assert (codes.to_numpy()[:, 2:] == labels).all()


# --- interpolation -------------------------------------------------------------------------------------------


def test_an_interpolation_is_even_between_two_codes(device: Device) -> None:
    strips = interpolate(GRAY, gray_faces(device, 200, np.zeros((200, 1)))).reshape(4, 8, 64, 64, 3)
    assert strips[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert strips[:, -1, 0, 0, 0].tolist() == [4, 5, 6, 7]
    assert strips[0, 1:-1, 0, 0, 0].tolist() == [0, 1, 2, 2, 3, 4]


def test_the_ends_of_an_interpolation_are_the_faces_and_not_their_reconstructions(device: Device) -> None:
    black: Any = SimpleNamespace(encode=GRAY.encode, sample=lambda codes: GRAY.sample(codes * 0 - 1))
    strips = interpolate(black, gray_faces(device, 20, np.zeros((20, 1)))).reshape(4, 8, 64, 64, 3)
    assert strips[1, :, 0, 0, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 5]


def test_few_faces_are_ends_more_than_once(device: Device) -> None:
    strips = interpolate(GRAY, gray_faces(device, 3, np.zeros((3, 1)))).reshape(4, 8, 64, 64, 3)
    assert strips[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 0]
    assert strips[:, -1, 0, 0, 0].tolist() == [1, 2, 0, 1]


# --- codes ---------------------------------------------------------------------------------------------------


def test_attributes_that_divide_no_faces_are_left_out() -> None:
    labels = np.array([[0, 1, UNKNOWN, UNKNOWN], [1, 1, UNKNOWN, 1], [1, 1, UNKNOWN, 0]])
    shown = informative_attributes(labels, ["glasses", "always", "unknown", "partly"])
    assert {name: values.tolist() for name, values in shown.items()} == {
        "glasses": [0, 1, 1],
        "partly": [UNKNOWN, 1, 0],
    }


def test_of_many_attributes_the_most_even_are_shown() -> None:
    labels = (np.arange(40)[:, None] < np.arange(1, 21)).astype(
        np.int64
    )  # the first has one face, the last 20
    names = [f"a{count}" for count in range(1, 21)]
    assert list(informative_attributes(labels, names)) == [f"a{count}" for count in range(13, 21)]


def test_faces_without_attributes_have_codes_only(device: Device, params: Params) -> None:
    table = project_codes(GRAY, gray_faces(device, 50, np.arange(50) % 10), [], params.tsne)
    assert list(table) == ["x", "y"]
    assert len(table) == 2 * params.tsne.images_per_domain == 40


def test_the_mapped_codes_are_those_of_the_first_faces(device: Device, params: Params) -> None:
    seen = []

    def encode(images: torch.Tensor) -> torch.Tensor:
        seen.append(((images[:, 0, 0, 0] + 1) * 127.5).round())
        found: torch.Tensor = GRAY.encode(images)
        return found

    watched: Any = SimpleNamespace(encode=encode)
    project_codes(watched, gray_faces(device, 60, np.arange(60)[:, None] % 2), ["odd"], params.tsne)
    assert torch.cat(seen).tolist() == list(range(40))
