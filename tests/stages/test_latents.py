"""The map of a VAE's codes, and the ways between them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from conftest import Workspace
from PIL import Image

from hw2core.data.batches import ImageSet, resident
from hw2core.data.store import UNKNOWN, Split
from hw2core.engine.journal import read_json
from hw2core.params import Params
from hw2core.stages.latents import attributes, code_map, ways


def grey_faces(device: Any, count: int, labels: Any) -> ImageSet:
    """Faces 0, 1, 2, ... of one grey each."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    return resident(Split(images, np.asarray(labels, dtype=np.uint8)), device)


GREY: Any = SimpleNamespace(
    encode=lambda images: images.mean((1, 2, 3))[:, None],
    sample=lambda codes: codes[:, :, None, None].expand(-1, 3, 64, 64),
)
"""A VAE whose code is the image's grey."""


def test_a_way_leads_evenly_from_one_face_to_another(device: Any) -> None:
    strips = ways(GREY, grey_faces(device, 20, np.zeros((20, 1))), rows=2, columns=5)
    assert strips.shape == (10, 64, 64, 3)
    assert strips[:, 0, 0, 0].tolist() == [0, 0, 1, 2, 2, 1, 1, 2, 3, 3]


def test_the_ends_of_a_way_are_the_faces_themselves(device: Any) -> None:
    black: Any = SimpleNamespace(encode=GREY.encode, sample=lambda codes: GREY.sample(codes * 0 - 1))
    strips = ways(black, grey_faces(device, 20, np.zeros((20, 1))), rows=2, columns=4)
    assert strips[:, 0, 0, 0].tolist() == [0, 0, 0, 2, 1, 0, 0, 3]


def test_few_faces_are_ends_again(device: Any) -> None:
    strips = ways(GREY, grey_faces(device, 3, np.zeros((3, 1))), rows=4, columns=8)
    assert strips[::8, 0, 0, 0].tolist() == [0, 1, 2, 0]
    assert strips[7::8, 0, 0, 0].tolist() == [1, 2, 0, 1]


def test_attributes_that_divide_no_faces_are_not_shown() -> None:
    labels = np.array([[0, 1, UNKNOWN, UNKNOWN], [1, 1, UNKNOWN, 1], [1, 1, UNKNOWN, 0]])
    shown = attributes(labels, ["glasses", "always", "unknown", "partly"])
    assert {name: values.tolist() for name, values in shown.items()} == {
        "glasses": [0, 1, 1],
        "partly": [UNKNOWN, 1, 0],
    }


def test_of_many_attributes_those_are_shown_that_divide_the_faces_most_evenly() -> None:
    labels = (np.arange(40)[:, None] < np.arange(1, 21)).astype(
        np.int64
    )  # the first has one face, the last 20
    names = [f"a{count}" for count in range(1, 21)]
    assert list(attributes(labels, names)) == [f"a{count}" for count in range(13, 21)]


def test_faces_that_nothing_is_known_of_are_one_map_without_colours(device: Any, params: Params) -> None:
    picture, count = code_map(GREY, grey_faces(device, 50, np.arange(50) % 10), [], params.tsne)
    (panel,) = picture.axes
    (points,) = panel.collections
    assert len(points.get_offsets()) == count == 2 * params.tsne.images


def test_the_evaluation_leaves_both_pictures_and_says_how_many_faces_are_mapped(workspace: Workspace) -> None:
    folder = workspace.layout.stage("evaluate_vae", "faces")
    assert read_json(folder / "metrics.json")["mapped_images"] == 40
    for name, height in (("latents.png", 200), ("interpolation.png", 400)):
        with Image.open(folder / name) as picture:
            assert picture.width == 936
            assert picture.height > height


def test_codes_are_those_of_the_first_faces(device: Any, params: Params) -> None:
    seen = []

    def encode(images: torch.Tensor) -> torch.Tensor:
        seen.append(((images[:, 0, 0, 0] + 1) * 127.5).round())
        return GREY.encode(images)

    watched: Any = SimpleNamespace(encode=encode)
    code_map(watched, grey_faces(device, 60, np.arange(60)[:, None] % 2), ["odd"], params.tsne)
    assert torch.cat(seen).tolist() == list(range(40))
