"""Snapshots: they contain the user's files unchanged, are read back exactly, and are written atomically."""

import zipfile
from pathlib import Path

import pytest
from drawn import Files, digit_table, face_table, numbered, png, write_folder, write_tar

from hw2core.data import course, folder
from hw2core.data.listings import Listing
from hw2core.data.snapshot import open_snapshot, take
from hw2core.data.trees import Tree, open_tree

TRAIN, TEST = numbered(0, 12), numbered(12, 17)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own(files: Files) -> tuple[Tree, dict[str, Listing]]:
    tree = open_tree(write_folder(Path("set"), files))
    return tree, folder.list_splits(tree, 0.3)


def images(where: str, names: list[str]) -> Files:
    return {where + name: png(name) for name in names}


def digits_of_2022() -> tuple[Tree, dict[str, Listing]]:
    tables = {"train.csv": digit_table(TRAIN), "val.csv": digit_table(TEST)}
    files = images("data/", TRAIN + TEST) | tables
    tree = open_tree(
        write_tar(Path("set.tar.gz"), {f"digits/usps/{name}": content for name, content in files.items()})
    )
    return tree, course.list_splits(tree, "usps")


CASES = {
    "digits of the course": digits_of_2022,
    "faces with attributes": lambda: own(
        images("train/", TRAIN)
        | images("test/", TEST)
        | {"train.csv": face_table(TRAIN), "test.csv": face_table(TEST)}
    ),
    "faces": lambda: own(images("", TRAIN)),
    "the same names in several folders": lambda: own(images("a/b/", TRAIN) | images("a/c/d/", TRAIN)),
    "attributes with blanks": lambda: own(
        images("x/", TRAIN[:4])
        | {"all.csv": b'image_name,split,"Old, or so"\n00000.png,train,1\n00001.png,test,\n00002.png,train,-1\n00003.png,test,\n'}
    ),
    "odd names": lambda: own(images("x/", ['ü "1",.png', "a:b.png", "c\nd.png"]) | images("x/y z/", ["1.jpg.png"])),
    "one image each": lambda: own(images("train/deep/", ["1.png"]) | images("test/", ["2.png"])),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case: str) -> None:
    tree, listings = CASES[case]()
    take(tree, listings, Path("raw/set"))
    copy, copied = open_snapshot(Path("raw/set"))
    assert copy.name == "raw/set/images.zip"
    assert list(copied) == list(listings)
    for name, listing in listings.items():
        assert [copy.read(file) for file in copied[name].files] == [tree.read(file) for file in listing.files]
        assert copied[name].attributes == listing.attributes
        assert copied[name].labels.shape == listing.labels.shape
        assert (copied[name].labels == listing.labels).all()


def test_snapshot_is_a_plain_folder_layout() -> None:
    take(*digits_of_2022(), Path("raw"))
    with zipfile.ZipFile("raw/images.zip") as archive:
        names = [f"train/{name}" for name in TRAIN] + [f"test/{name}" for name in TEST]
        assert sorted(archive.namelist()) == sorted([*names, "train.csv", "test.csv"])
        assert archive.read("train.csv") == digit_table(TRAIN)
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_equal_images_give_equal_bytes() -> None:
    take(*digits_of_2022(), Path("first"))
    tables = {"train.csv": digit_table(TRAIN[::-1]), "test.csv": digit_table(TEST)}
    take(*own(images("train/", TRAIN) | images("test/", TEST) | tables), Path("second"))
    assert Path("first/images.zip").read_bytes() == Path("second/images.zip").read_bytes()


def test_failed_snapshot_keeps_the_old_one() -> None:
    tree, listings = CASES["faces"]()
    take(tree, listings, Path("raw"))
    before = Path("raw/images.zip").read_bytes()
    Path("set", listings["test"].files[-1]).unlink()
    with pytest.raises(Exception, match=r"set/.*: cannot be read"):
        take(tree, listings, Path("raw"))
    assert [path.name for path in Path("raw").iterdir()] == ["images.zip"]
    assert Path("raw/images.zip").read_bytes() == before
