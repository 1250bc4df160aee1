"""The drawn faces: equal bytes on every machine, attributes that are visible, and faces that a detector finds."""

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray

from hw2core.data import drawn_faces
from hw2core.data.drawing import HashRng
from hw2core.data.head import Attributes
from hw2core.data.portrait import draw_portrait
from hw2core.engine.images import Split
from hw2core.settings.models import Embedded

SETTINGS = Embedded(seed=0, train=100, test=100, faces_train=100, faces_test=100)
COUNTS = {"train": 40, "test": 10}
FACES = 8  # faces per attribute test

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def made() -> dict[str, Split]:
    sizes = {f"faces_{name}": count for name, count in COUNTS.items()}
    return drawn_faces.make(SETTINGS.model_copy(update=sizes))


@lru_cache
def draw_with(index: int, attributes: Attributes) -> Image:
    return draw_portrait(HashRng(0, "tests", index), attributes)


def draw(index: int, **changes: bool) -> Image:
    """A face of a split that only the tests use, with some attributes changed."""
    return draw_with(index, drawn_faces.choose_attributes(HashRng(0, "tests", index))._replace(**changes))


def differences(attribute: str) -> NDArray[np.float64]:
    """The absolute change of each pixel when one attribute changes, (faces, 64, 64)."""
    pairs = [
        [draw(index, **{attribute: value}).astype(float) for value in (False, True)] for index in range(FACES)
    ]
    return np.array([abs(without - with_it).mean(axis=-1) for without, with_it in pairs])


def test_faces_equal_the_pinned_bytes(made: dict[str, Split]) -> None:
    """Every operation rounds alike on every machine, so the pixels can be pinned."""
    digest = hashlib.sha256(made["train"].images[:20].tobytes()).hexdigest()
    assert digest == "7ad1a992b16446412ec425508728ace2e04dd21969c6475c14c009a7daa6b74e"


def test_arrays_have_the_requested_sizes(made: dict[str, Split]) -> None:
    for name, count in COUNTS.items():
        assert (made[name].images.shape, made[name].images.dtype) == ((count, 64, 64, 3), np.uint8)
        assert (made[name].labels.shape, made[name].labels.dtype) == ((count, 4), np.uint8)


def test_a_face_depends_only_on_seed_split_and_index(
    made: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_faces, "CHUNK", 4)
    fewer = drawn_faces.draw_split(0, "train", 9)
    assert (fewer.images == made["train"].images[:9]).all()
    assert (fewer.labels == made["train"].labels[:9]).all()
    other = drawn_faces.draw_chunk(1, "train", range(1))
    assert (other.images[0] != fewer.images[0]).any()


def test_worker_processes_draw_the_same_faces(
    made: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions and tasks pass through pickle, as on their way to another process."""

    def map_through_pickle(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return (pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(task))) for task in tasks)

    monkeypatch.setattr(drawn_faces, "map_in_order", map_through_pickle)
    monkeypatch.setattr(drawn_faces, "SERIAL", 0)
    monkeypatch.setattr(drawn_faces, "CHUNK", 4)
    assert (drawn_faces.draw_split(0, "test", 10).images == made["test"].images).all()


def test_all_faces_differ(made: dict[str, Split]) -> None:
    images = np.concatenate([split.images for split in made.values()])
    assert len({image.tobytes() for image in images}) == len(images)


def test_attributes_are_balanced_and_uncorrelated() -> None:
    labels = np.array([drawn_faces.choose_attributes(HashRng(0, "train", index)) for index in range(4000)])
    assert ((labels.mean(axis=0) > 0.25) & (labels.mean(axis=0) < 0.75)).all()
    assert abs(np.corrcoef(labels.T) - np.eye(4)).max() < 0.05


def test_labels_are_the_attributes_of_the_drawing(made: dict[str, Split]) -> None:
    for index in (0, 1, 2):
        attributes = Attributes(*(bool(label) for label in made["train"].labels[index]))
        image = draw_portrait(HashRng(0, "train", index), attributes)
        assert (image == made["train"].images[index]).all()


def test_glasses_change_only_the_region_of_the_eyes() -> None:
    changed = differences("glasses") > 20
    assert (changed.sum(axis=(1, 2)) > 40).all()
    assert not changed[:, :16].any()
    assert not changed[:, 46:].any()


def test_a_smile_changes_the_mouth_and_not_the_hair() -> None:
    changed = differences("smiling")
    assert (changed[:, 38:56, 16:48].max(axis=(1, 2)) > 15).all()
    assert changed[:, :16].max() == 0


def test_dark_hair_is_darker() -> None:
    """Compares the mean brightness of hair: the pixels that change with the attribute."""
    for index in range(FACES):
        light, dark = (draw(index, dark_hair=value, male=False).mean(axis=-1) for value in (False, True))
        hair = abs(light - dark) > 15
        assert hair[:24].sum() > 100
        assert dark[hair].mean() < 75
        assert light[hair].mean() > 1.6 * dark[hair].mean()


def test_male_changes_the_whole_head() -> None:
    assert (differences("male").mean(axis=(1, 2)) > 3).all()


def test_a_detector_finds_exactly_one_face_in_nearly_all_images(made: dict[str, Split]) -> None:
    detect = dlib.get_frontal_face_detector()
    found = [len(detect(image, 1)) for image in made["train"].images]
    assert found.count(1) / len(found) >= 0.9
