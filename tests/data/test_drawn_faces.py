"""The drawn faces: the same bytes on every machine, attributes that can be seen, and faces to a detector too."""

import hashlib

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray

from hw2core.data import drawn_faces
from hw2core.data.drawing import Luck
from hw2core.data.portrait import Attributes, Portrait
from hw2core.data.store import Split
from hw2core.params import Embedded

SETTINGS = Embedded(seed=0, train=100, test=100, faces_train=200, faces_test=100)

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def made() -> dict[str, Split]:
    return drawn_faces.make(SETTINGS)


def draw(index: int, **changed: bool) -> Image:
    """A face of a split of its own, with some of its attributes changed."""
    luck = Luck(0, "tests", index)
    return Portrait(luck, drawn_faces.choose_attributes(luck)._replace(**changed)).draw()


def differences(attribute: str, count: int = 24) -> NDArray[np.float64]:
    """For each of some faces how much every pixel changes with an attribute alone, (faces, 64, 64)."""
    pairs = [
        [draw(index, **{attribute: seen}).astype(float) for seen in (False, True)] for index in range(count)
    ]
    return np.array([abs(without - with_it).mean(axis=-1) for without, with_it in pairs])


def test_the_faces_are_the_very_bytes_that_were_drawn_when_this_was_written(made: dict[str, Split]) -> None:
    """Every step of the drawing is rounded alike on every machine, so that the pictures can be pinned."""
    digest = hashlib.sha256(made["train"].images[:20].tobytes()).hexdigest()
    assert digest == "72173a83270c530671f6482707987b0b76012c4a88ef734870e4fb88da723ad8"


def test_images_and_labels_are_as_many_and_of_the_kind_that_was_asked(made: dict[str, Split]) -> None:
    for name, count in (("train", 200), ("test", 100)):
        assert (made[name].images.shape, made[name].images.dtype) == ((count, 64, 64, 3), np.uint8)
        assert (made[name].labels.shape, made[name].labels.dtype) == ((count, 4), np.uint8)


def test_a_face_depends_on_seed_split_and_index_alone(made: dict[str, Split]) -> None:
    fewer = drawn_faces.draw_split(0, "train", 101)
    assert (fewer.images == made["train"].images[:101]).all()
    assert (fewer.labels == made["train"].labels[:101]).all()
    alone = drawn_faces.draw_chunk(0, "test", range(70, 71))
    assert (alone.images[0] == made["test"].images[70]).all()
    other = drawn_faces.draw_chunk(1, "test", range(70, 71))
    assert (other.images[0] != alone.images[0]).any()


def test_many_faces_drawn_by_several_processes_are_the_same(
    made: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_faces, "FEW", 0)
    assert (drawn_faces.draw_split(0, "test", 100).images == made["test"].images).all()


def test_no_face_is_drawn_twice(made: dict[str, Split]) -> None:
    images = np.concatenate([split.images for split in made.values()])
    assert len({image.tobytes() for image in images}) == len(images)


def test_every_attribute_is_of_a_quarter_to_three_quarters_of_the_faces() -> None:
    labels = np.array([drawn_faces.choose_attributes(Luck(0, "train", index)) for index in range(4000)])
    assert ((labels.mean(axis=0) > 0.25) & (labels.mean(axis=0) < 0.75)).all()
    assert abs(np.corrcoef(labels.T) - np.eye(4)).max() < 0.05


def test_the_labels_are_the_attributes_that_were_drawn(made: dict[str, Split]) -> None:
    for index in (0, 1, 2):
        luck = Luck(0, "train", index)
        looks = Attributes(*(bool(label) for label in made["train"].labels[index]))
        assert (Portrait(luck, looks).draw() == made["train"].images[index]).all()


def test_glasses_change_pixels_around_the_eyes_only() -> None:
    changed = differences("glasses") > 20
    assert (changed.sum(axis=(1, 2)) > 40).all()
    assert not changed[:, :16].any()
    assert not changed[:, 46:].any()


def test_a_smile_changes_the_mouth_and_leaves_hair_and_background() -> None:
    changed = differences("smiling")
    assert (changed[:, 38:56, 16:48].max(axis=(1, 2)) > 15).all()
    assert changed[:, :16].max() == 0


def test_dark_hair_is_darker() -> None:
    """Its mean brightness where hair is: what changes with the colour of the hair."""
    for index in range(24):
        light, dark = (draw(index, dark_hair=seen, male=False).mean(axis=-1) for seen in (False, True))
        hair = abs(light - dark) > 15
        assert hair[:24].sum() > 100
        assert dark[hair].mean() < 75
        assert light[hair].mean() > 1.6 * dark[hair].mean()


def test_men_and_women_differ_over_the_whole_head() -> None:
    assert (differences("male").mean(axis=(1, 2)) > 3).all()


def test_a_detector_finds_exactly_one_face_in_nearly_all(made: dict[str, Split]) -> None:
    detect = dlib.get_frontal_face_detector()
    found = [len(detect(image, 1)) for image in made["train"].images]
    assert found.count(1) / len(found) >= 0.9
