"""The public datasets: the images made from their files, and the course's split."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import official
import pytest
from conftest import small_raw

from hw2core.data import public
from hw2core.data.frames import frame_all, resize_digit
from hw2core.engine.images import ImageData, Split
from hw2core.settings.models import Public

FILES = official.every_file()


def settings(**changes: Any) -> Public:
    return Public.model_validate({**small_raw()["data"]["public"], **changes})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    official.publish(monkeypatch, FILES)
    return official.write(FILES, tmp_path / "raw")


def made(folder: Path, dataset: str, **changes: Any) -> ImageData:
    return public.make(dataset, folder, settings(**changes))


@pytest.mark.parametrize("dataset", ["mnist", "usps", "svhn"])
def test_images_are_framed_and_labels_kept(folder: Path, dataset: str) -> None:
    raw = {"mnist": official.mnist_splits, "usps": official.usps_splits, "svhn": official.svhn_splits}[
        dataset
    ]()
    data = made(folder, dataset)
    assert data.attributes is None
    for name in ("train", "test"):
        assert (data.splits[name].images == frame_all(raw[name].images, resize_digit)).all()
        assert (data.splits[name].labels == raw[name].labels).all()


def test_svhn_extra_joins_the_training_set(folder: Path) -> None:
    train = made(folder, "svhn", svhn_extra=True).splits["train"]
    assert len(train) == 50
    assert (train.images[20:] == frame_all(official.svhn_splits()["extra"].images, resize_digit)).all()
    assert "extra_32x32.mat" not in [file.name for file in public.files("svhn", settings())]
    assert "extra_32x32.mat" in [file.name for file in public.files("svhn", settings(svhn_extra=True))]


def test_mnistm_is_cropped_or_resized(folder: Path) -> None:
    cropped, resized = (made(folder, "mnistm", mnistm_frame=how) for how in ("crop", "resize"))
    assert cropped.splits["train"].images.shape == resized.splits["train"].images.shape == (19, 28, 28, 3)
    assert (cropped.splits["train"].images != resized.splits["train"].images).any()
    assert cropped.about != resized.about
    assert cropped.checksums == resized.checksums


def test_mnistm_states_whether_it_equals_the_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(folder, "mnistm")
    assert "not bit for bit" in data.about
    monkeypatch.setattr(public.mnistm, "ARCHIVE_MD5", data.checksums)
    assert "rebuilt bit for bit" in made(folder, "mnistm").about


def test_course_variant_of_mnistm_has_every_digit(folder: Path) -> None:
    splits = made(folder, "mnistm", mnistm="course").splits
    assert {name: len(split) for name, split in splits.items()} == official.COUNTS


def test_celeba_uses_its_partition_and_attributes(folder: Path) -> None:
    data = made(folder, "celeba")
    assert data.attributes == ["Male", "Smiling"]
    assert data.splits["train"].images.shape == (8, 64, 64, 3)
    assert data.splits["test"].images.shape == (3, 64, 64, 3)
    assert data.splits["test"].labels.tolist() == [[1, 1], [0, 1], [1, 1]]  # photos 10 to 12


def test_celeba_is_limited_to_the_requested_counts(folder: Path) -> None:
    whole, part = made(folder, "celeba"), made(folder, "celeba", celeba_train=5, celeba_test=1)
    for name, count in (("train", 5), ("test", 1)):
        assert (part.splits[name].images == whole.splits[name].images[:count]).all()
        assert len(part.splits[name]) == count


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ((7291, 2007), (5950, 1488)),
        ((60000, 10000), (44800, 11200)),
        ((73257, 26032), (63544, 15887)),
    ],
    ids=["usps", "mnistm", "svhn"],
)
def test_split_of_2022_has_the_counts_of_the_course(
    published: tuple[int, int], expected: tuple[int, int]
) -> None:
    splits = {
        name: Split(np.arange(first, first + count).reshape(-1, 1, 1, 1), np.zeros(count, np.uint8))
        for name, first, count in (("train", 0, published[0]), ("test", published[0], published[1]))
    }
    new = public.split_of_2022(splits, "usps", 0)
    assert tuple(len(split) for split in new.values()) == expected
    train, test = (set(split.images.ravel().tolist()) for split in new.values())
    assert len(train) + len(test) == sum(expected)
    assert not train & test
    assert max(train) >= published[0], "train also contains images of the published test set"


def test_split_of_2022_keeps_labels_and_depends_on_the_seed(folder: Path) -> None:
    label_by_image = {
        image.tobytes(): label
        for split in made(folder, "usps").splits.values()
        for image, label in zip(split.images, split.labels, strict=True)
    }
    once, again, other = (made(folder, "usps", split="course2022", seed=seed).splits for seed in (0, 0, 1))
    for name, count in (("train", 19), ("test", 5)):
        assert len(once[name]) == count
        assert [label_by_image[image.tobytes()] for image in once[name].images] == once[name].labels.tolist()
        assert (once[name].images == again[name].images).all()
    assert (once["train"].images != other["train"].images).any()


def test_broken_file_is_named(folder: Path) -> None:
    (folder / "usps.t.bz2").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"^usps\.t\.bz2: not a complete bzip2 file"):
        made(folder, "usps")


def test_every_file_has_distinct_valid_checksums() -> None:
    remotes = [*public.MNIST, *public.USPS, *public.SVHN, public.SVHN_EXTRA, public.BSDS500, *public.CELEBA]
    checksums = [c for remote in remotes for c in (remote.checksum, remote.contents_checksum) if c]
    assert len(set(checksums)) == len(checksums)
    lengths = {"sha256": 64, "md5": 32}
    for checksum in checksums:
        kind, _, digest = checksum.partition(":")
        assert len(bytes.fromhex(digest)) * 2 == lengths[kind]
    for remote in remotes:
        assert remote.checksum or remote.contents_checksum
        assert remote.addresses
        assert bool(remote.contents) == bool(remote.contents_checksum)


@pytest.mark.parametrize(("name", "dataset"), [("usps.bz2", "usps"), ("t10k-images-idx3-ubyte.gz", "mnist")])
def test_checksum_of_contents_ignores_compression(tmp_path: Path, name: str, dataset: str) -> None:
    (remote,) = (file for file in public.files(dataset, settings()) if file.name == name)
    assert remote.contents is not None
    whole, repacked = tmp_path / "whole", tmp_path / "repacked"
    whole.write_bytes(FILES[name])
    repacked.write_bytes(official.packed_anew(name, FILES[name]))
    assert whole.read_bytes() != repacked.read_bytes()
    assert remote.contents(whole) == remote.contents(repacked)


def test_checksum_of_photos_ignores_archive_and_order(folder: Path, tmp_path: Path) -> None:
    anew = tmp_path / "anew.tgz"
    anew.write_bytes(
        official.tar({f"photos/{n}": official.photo(i) for i, n in reversed([*enumerate(official.PHOTOS)])})
    )
    assert public.photos_contents(anew) == public.photos_contents(folder / "BSR_bsds500.tgz")
    altered = tmp_path / "altered.tgz"
    altered.write_bytes(official.tar({f"photos/{n}": official.photo(7) for n in official.PHOTOS}))
    assert public.photos_contents(altered) != public.photos_contents(anew)
    assert hashlib.sha256(b"").hexdigest() not in public.photos_contents(anew)
