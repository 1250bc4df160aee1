"""The format of data/ready: an exact round trip through memory maps, and one line for every damaged file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import complaint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2core.engine.images import UNKNOWN, ImageData, Split, open_array, open_split, read_about, write
from hw2core.errors import UserError


def random_split(count: int) -> Split:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 5, 4, 3), dtype=np.uint8)
    return Split(images, rng.integers(0, 10, count).astype(np.uint8))


SPLITS = {"train": random_split(7), "test": random_split(3)}
DIGITS = ImageData(SPLITS, "noise")
FACTS = {"name": "set", "source": "tests"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data" / "set", DIGITS, FACTS)
    return tmp_path / "data" / "set"


@pytest.mark.parametrize("name", ["train", "test"])
def test_round_trip(folder: Path, name: str) -> None:
    split = open_split(folder, name)
    assert len(split) == len(SPLITS[name])
    assert (split.images == SPLITS[name].images).all()
    assert (split.labels == SPLITS[name].labels).all()


def test_arrays_are_read_only_memory_maps(folder: Path) -> None:
    split = open_split(folder, "train")
    for array in (split.images, split.labels):
        assert isinstance(array, np.memmap)
        assert array.dtype == np.uint8
        assert not array.flags.writeable


def test_about_json_has_counts_and_checksums(folder: Path) -> None:
    about = read_about(folder)
    assert (about["name"], about["source"], about["made"]) == ("set", "tests", "noise")
    assert "attributes" not in about
    for name, split in SPLITS.items():
        assert about["counts"][name]["images"] == len(split)
        assert about["counts"][name]["per_class"] == np.bincount(split.labels).tolist()
    assert set(about["sha256"]) == {path.name for path in folder.glob("*.npy")}
    for name, checksum in about["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum
    labels = np.concatenate([split.labels for split in SPLITS.values()])
    assert about["classes"] == sorted(set(labels.tolist()))


def test_equal_images_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", DIGITS, FACTS)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_missing_dataset_is_reported_with_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^data/digits: not made yet; `hw2 repro` makes it"):
        open_split(tmp_path / "data" / "digits", "train")


def test_arrays_of_another_length_are_refused(folder: Path) -> None:
    about = read_about(folder)
    about["counts"]["train"]["images"] = 8
    (folder / "about.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"^data/set: the train arrays do not hold the 8 images"):
        open_split(folder, "train")


@pytest.mark.parametrize("shape", [(7,), (7, 5), (7, 5, 4), (7, 5, 4, 1), (7, 5, 4, 3, 1)])
def test_images_of_another_shape_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    np.save(folder / "train_images.npy", np.zeros(shape, dtype=np.uint8))
    with pytest.raises(UserError, match="the train arrays do not hold the 7 images"):
        open_split(folder, "train")


def test_array_of_another_type_is_refused(folder: Path) -> None:
    np.save(folder / "train_images.npy", SPLITS["train"].images.astype(np.float32))
    with pytest.raises(UserError, match=r"^data/set/train_images\.npy: is float32, not uint8"):
        open_split(folder, "train")


def test_object_array_is_never_unpickled(folder: Path) -> None:
    np.save(folder / "train_images.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UserError, match=r"train_images\.npy: "):
        open_split(folder, "train")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    cut=st.integers(0, 500),
    at=st.integers(0, 127),
    byte=st.integers(0, 255),
)
def test_damaged_header_is_refused_or_read(folder: Path, cut: int, at: int, byte: int) -> None:
    """One byte of the header is changed, and the file may be truncated."""
    path = folder / "test_labels.npy"
    content = bytearray((folder / "train_images.npy").read_bytes())
    content[at] = byte
    path.unlink()
    path.write_bytes(content[: cut or None])
    message = complaint(lambda: open_array(path))
    if message is None:
        assert open_array(path).dtype == np.uint8
    else:
        assert message.startswith("data/set/test_labels.npy: ")
        assert "\n" not in message


def test_failed_write_keeps_the_old_dataset(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    broken = Split(SPLITS["train"].images, np.array([-1]))
    with pytest.raises(ValueError, match="negative"):
        write(folder, ImageData({"train": SPLITS["test"], "test": broken}, "broken"), {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("attributes", [["glasses", "smiling"], []])
def test_faces_have_attributes(tmp_path: Path, attributes: list[str]) -> None:
    labels = np.array([[0, 1], [1, 1], [UNKNOWN, 1]], dtype=np.uint8)[:, : len(attributes)]
    split = Split(random_split(3).images, labels)
    write(tmp_path / "faces", ImageData({"train": split, "test": split}, "faces", attributes), FACTS)
    assert (open_split(tmp_path / "faces", "test").labels == labels).all()
    about = read_about(tmp_path / "faces")
    assert about["attributes"] == attributes
    assert "classes" not in about
    counts = dict(zip(attributes, [1, 3], strict=False))
    assert about["counts"]["train"] == {"images": 3, "with": counts}


def test_attributes_and_names_must_match(tmp_path: Path) -> None:
    split = Split(random_split(3).images, np.zeros((3, 2), dtype=np.uint8))
    write(tmp_path / "faces", ImageData({"train": split, "test": split}, "faces", ["a", "b"]), FACTS)
    about = read_about(tmp_path / "faces")
    (tmp_path / "faces" / "about.json").write_text(json.dumps({**about, "attributes": ["a"]}))
    with pytest.raises(UserError, match="the train arrays do not hold the 3 images"):
        open_split(tmp_path / "faces", "train")


def test_checksums_of_the_source_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "set", ImageData(SPLITS, "noise", checksums={"train": "1234"}), FACTS)
    assert read_about(tmp_path / "set")["checksums"] == {"train": "1234"}
