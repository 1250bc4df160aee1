"""The public file formats: valid files are read exactly, anything else is an error of one line."""

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import official
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2core.data.formats import (
    read_attributes,
    read_idx,
    read_partition,
    read_photos,
    read_svhn,
    read_usps,
)

FILES = official.every_file()
READERS: dict[str, Callable[[Path], object]] = {
    "train-images-idx3-ubyte.gz": read_idx,
    "usps.bz2": read_usps,
    "test_32x32.mat": read_svhn,
    "BSR_bsds500.tgz": lambda path: read_photos(path, list(official.PHOTOS)),
    "list_attr_celeba.txt": read_attributes,
    "list_eval_partition.txt": read_partition,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_idx_round_trip(path: Path) -> None:
    path.write_bytes(FILES["train-images-idx3-ubyte.gz"])
    assert (read_idx(path) == official.mnist_splits()["train"].images).all()
    path.write_bytes(FILES["t10k-labels-idx1-ubyte.gz"])
    assert (read_idx(path) == official.mnist_splits()["test"].labels).all()


def test_usps_round_trip(path: Path) -> None:
    path.write_bytes(FILES["usps.t.bz2"])
    images, labels = read_usps(path)
    assert (images == official.usps_splits()["test"].images).all()
    assert (labels == official.usps_splits()["test"].labels).all()


def test_usps_values_are_rounded_down_exactly(path: Path) -> None:
    """Pixels are floor(255 (value + 1) / 2) of values in thousandths; plain floats get some of them wrong."""
    thousandths = np.arange(-1000, 1001)
    padded = np.resize(thousandths, (8, 256))
    lines = ["1 " + " ".join(f"{i}:{v / 1000:g}" for i, v in enumerate(row, 1)) for row in padded]
    path.write_bytes(bz2.compress("\n".join(lines).encode()))
    images, _ = read_usps(path)
    assert (images.reshape(8, 256) == (padded + 1000) * 255 // 2000).all()


def test_missing_libsvm_value_is_zero(path: Path) -> None:
    path.write_bytes(bz2.compress(b"3 1:-1 256:1"))
    images, labels = read_usps(path)
    assert labels.tolist() == [2]
    assert images.ravel()[[0, 1, 255]].tolist() == [0, 127, 255]


@pytest.mark.parametrize(
    "line", ["0 1:0", "11 1:0", "1.5 1:0", "1 0:0", "1 257:0", "1 1", "1 1:2", "1 1:nan", "x 1:0"]
)
def test_invalid_usps_line_is_refused(path: Path, line: str) -> None:
    path.write_bytes(bz2.compress(line.encode()))
    with pytest.raises(ValueError, match=r"\w"):
        read_usps(path)


def test_svhn_round_trip(path: Path) -> None:
    path.write_bytes(FILES["train_32x32.mat"])
    images, labels = read_svhn(path)
    assert (images == official.svhn_splits()["train"].images).all()
    assert (labels == official.svhn_splits()["train"].labels).all()


def save_mat(path: Path, arrays: dict[str, object]) -> None:
    from scipy.io import savemat

    savemat(path, arrays, appendmat=False)


def test_mat_file_with_other_keys_is_refused_with_their_names(path: Path) -> None:
    save_mat(path, {"images": np.zeros(3), "y": np.ones(3)})
    with pytest.raises(ValueError, match=r"^has no X, only: images, y$"):
        read_svhn(path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((32, 32, 3, 2), np.uint8), [1, 2, 3], "for 3 labels"),
        (np.zeros((32, 32, 2), np.uint8), [1, 2], r"of shape \(32, 32, 2\)"),
        (np.zeros((32, 32, 3, 2)), [1, 2], "float64"),
        (np.zeros((32, 32, 3, 2), np.uint8), [0, 2], "outside 1 to 10"),
    ],
)
def test_mat_file_with_wrong_arrays_is_refused(
    path: Path, images: object, labels: object, message: str
) -> None:
    save_mat(path, {"X": images, "y": np.array(labels)[:, None]})
    with pytest.raises(ValueError, match=message):
        read_svhn(path)


def test_photos_come_in_the_requested_order(path: Path) -> None:
    path.write_bytes(FILES["BSR_bsds500.tgz"])
    assert read_photos(path, ["200.jpg", "100.jpg"]) == [official.photo(1), official.photo(0)]
    with pytest.raises(ValueError, match=r"is missing 1 of 2 photos, such as 300\.jpg"):
        read_photos(path, ["100.jpg", "300.jpg"])


def test_celeba_tables(path: Path) -> None:
    path.write_bytes(FILES["list_eval_partition.txt"])
    assert list(read_partition(path).values()) == [0] * 8 + [1] + [2] * 3
    path.write_bytes(FILES["list_attr_celeba.txt"])
    names, values = read_attributes(path)
    assert names == ["Male", "Smiling"]
    assert values["000001.jpg"].tolist() == [0, 1]
    assert values["000002.jpg"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("shape", "body"), [((2, 3), 5), ((2, 3), 7), ((2,), 0)], ids=["too short", "too long", "no body"]
)
def test_idx_file_of_the_wrong_length_is_refused(path: Path, shape: tuple[int, ...], body: int) -> None:
    path.write_bytes(
        gzip.compress(official.idx(np.zeros(shape, np.uint8))[: 4 + 4 * len(shape)] + bytes(body))
    )
    with pytest.raises(ValueError, match="for an array of shape"):
        read_idx(path)


def test_idx_file_of_another_type_is_refused(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\0\0\x0d\x01" + bytes(8)))
    with pytest.raises(ValueError, match="not an idx file of unsigned bytes"):
        read_idx(path)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>quota exceeded</html>", bytes(100)])
def test_other_content_is_refused(path: Path, name: str, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"\w") as refused:
        READERS[name](path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_damaged_file_is_refused_or_read(path: Path, name: str, data: st.DataObject) -> None:
    """A truncated file, or one with a changed byte, is read or raises ValueError."""
    content = bytearray(FILES[name])
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        READERS[name](path)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
