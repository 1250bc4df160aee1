"""A user's own folder: four layouts, a stable choice of test images, and one report of all problems."""

import shutil
from pathlib import Path

import pytest
from conftest import complaint
from drawn import (
    ATTRIBUTES,
    Files,
    answers_of,
    digit_of,
    digit_table,
    face_table,
    numbered,
    write_folder,
    write_zip,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hw2core.data.folder import choose_by_name, common_folder, list_splits
from hw2core.data.listings import Listing
from hw2core.data.trees import open_tree

TRAIN, TEST = numbered(0, 12), numbered(12, 17)
FRACTION = 0.3


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def blank_images(folder: str, names: list[str]) -> Files:
    """Empty files: listing reads only names."""
    return {folder + name: b"" for name in names}


def listed(files: Files, fraction: float = FRACTION) -> dict[str, Listing]:
    shutil.rmtree("set", ignore_errors=True)
    return list_splits(open_tree(write_folder(Path("set"), files)), fraction)


def complaints(files: Files, fraction: float = FRACTION) -> list[str]:
    return (complaint(lambda: listed(files, fraction)) or "").splitlines()


def files_of(splits: dict[str, Listing]) -> dict[str, list[str]]:
    return {name: listing.files for name, listing in splits.items()}


def all_files(splits: dict[str, Listing]) -> list[str]:
    return sorted(file for listing in splits.values() for file in listing.files)


def is_given_split(splits: dict[str, Listing]) -> bool:
    names = {split: [file[-9:] for file in files] for split, files in files_of(splits).items()}
    return names == {"train": TRAIN, "test": TEST}


def has_digits(splits: dict[str, Listing]) -> bool:
    return all(
        listing.attributes is None
        and listing.labels.tolist() == [digit_of(file[-9:]) for file in listing.files]
        for listing in splits.values()
    )


def has_attributes(splits: dict[str, Listing]) -> bool:
    return all(
        listing.attributes == ATTRIBUTES
        and listing.labels.tolist() == [answers_of(file[-9:]) for file in listing.files]
        for listing in splits.values()
    )


def has_bare_faces(splits: dict[str, Listing]) -> bool:
    return all(
        listing.attributes == [] and listing.labels.shape == (len(listing.files), 0)
        for listing in splits.values()
    )


@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("home", ["", "faces/", "a/b/"])
def test_split_folders_with_and_without_tables(second: str, home: str) -> None:
    files = blank_images(f"{home}train/", TRAIN) | blank_images(f"{home}{second}/", TEST)
    bare = listed(files)
    assert is_given_split(bare)
    assert has_bare_faces(bare)
    labeled = listed(
        files | {f"{home}train.csv": digit_table(TRAIN), f"{home}{second}.csv": digit_table(TEST)}
    )
    assert is_given_split(labeled)
    assert has_digits(labeled)
    known = listed(files | {f"{home}train.csv": face_table(TRAIN), f"{home}{second}.csv": face_table(TEST)})
    assert is_given_split(known)
    assert has_attributes(known)


@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("folder", ["data/", "", "some/where/"])
def test_two_tables_split_images_anywhere(second: str, folder: str) -> None:
    files = blank_images(folder, TRAIN + TEST)
    splits = listed(files | {"train.csv": digit_table(TRAIN), f"{second}.csv": digit_table(TEST)})
    assert is_given_split(splits)
    assert has_digits(splits)


def test_archive_with_another_top_folder_gives_the_same_splits() -> None:
    files = blank_images("mine/pictures/", TRAIN + TEST) | {"mine/labels.csv": digit_table(TRAIN + TEST)}
    splits = list_splits(open_tree(write_zip(Path("set.zip"), files)), FRACTION)
    inside = {name.removeprefix("mine/"): content for name, content in files.items()}
    assert has_digits(splits)
    assert files_of(listed(inside)) == {
        name: [file.removeprefix("mine/") for file in listing.files] for name, listing in splits.items()
    }


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("labels.csv", "pictures/a/"),
        ("labels.csv", "./pictures/a/"),
        ("pictures/labels.csv", "a/"),
        ("pictures/labels.csv", "pictures/a/"),
        ("tables/labels.csv", ""),
        ("labels.csv", "/somewhere/else/"),
    ],
)
def test_tables_name_images_by_path_or_base_name(table: str, named: str) -> None:
    names = TRAIN + TEST
    rows = "".join(f"{named}{name},{digit_of(name)}\n" for name in names)
    splits = listed(blank_images("pictures/a/", names) | {table: f"image_name,label\n{rows}".encode()})
    assert has_digits(splits)
    assert all_files(splits) == [f"pictures/a/{name}" for name in names]


def test_ambiguous_base_name_is_reported() -> None:
    files = {"a/1.png": b"", "b/1.png": b"", "2.png": b""}
    rows = b"image_name,label\n2.png,3\na/1.png,1\nb/1.png,2\n"
    splits = listed(files | {"labels.csv": rows}, 0.5)
    assert {f: int(n) for s in splits.values() for f, n in zip(s.files, s.labels, strict=True)} == {
        "2.png": 3,
        "a/1.png": 1,
        "b/1.png": 2,
    }
    assert complaints(files | {"labels.csv": rows.replace(b"b/1", b"1")})[0] == (
        "set/labels.csv, line 4: names 1.png, which is ambiguous (a/1.png or b/1.png); write its path"
    )


@pytest.mark.parametrize("second", ["test", "val"])
def test_split_column_splits_the_images(second: str) -> None:
    rows = [f"{name},{digit_of(name)},{'train' if name in TRAIN else second}" for name in TEST + TRAIN]
    table = "\n".join(["image_name, label, split", *rows]).encode()
    splits = listed(blank_images("", TRAIN + TEST) | {"labels.csv": table})
    assert is_given_split(splits)
    assert has_digits(splits)


def test_folders_split_the_images_of_one_table() -> None:
    files = blank_images("train/", TRAIN) | blank_images("test/", TEST)
    splits = listed(files | {"faces.csv": face_table(TRAIN + TEST)})
    assert is_given_split(splits)
    assert has_attributes(splits)


def test_images_without_tables_are_unlabeled_faces() -> None:
    splits = listed(
        blank_images("a/", TRAIN) | blank_images("b/", TEST) | {"readme.txt": b"", "a/list.json": b""}
    )
    assert has_bare_faces(splits)
    assert all_files(splits) == [f"a/{name}" for name in TRAIN] + [f"b/{name}" for name in TEST]


NAMES = st.lists(
    st.builds("{}{}.png".format, st.sampled_from(["", "a/", "b/", "a/b/"]), st.integers(0, 10**6)),
    min_size=1,
    max_size=20,
    unique=True,
)


@settings(max_examples=25)
@given(some=NAMES, others=NAMES, fraction=st.floats(0.05, 0.95))
def test_choice_of_a_test_image_depends_on_no_other_image(
    some: list[str], others: list[str], fraction: float
) -> None:
    chosen = choose_by_name(some, fraction)
    assert choose_by_name([*others, *reversed(some)], fraction) & set(some) == chosen
    assert chosen <= choose_by_name(some, fraction + 0.04)


def test_chosen_fraction_is_as_requested_and_pinned() -> None:
    names = numbered(0, 10_000)
    assert len(choose_by_name(names, 0.2)) == pytest.approx(2000, abs=120)
    chosen = {"00109.png", "00116.png", "00123.png", "00127.png"}
    assert choose_by_name(numbered(100, 130), 0.2) == chosen


@settings(max_examples=25)
@given(folder=st.sampled_from(["", "a/", "a/b/", "ab/"]), names=NAMES)
def test_common_folder_is_the_deepest(folder: str, names: list[str]) -> None:
    files = [folder + name for name in names]
    common = common_folder(files)
    assert all(file.startswith(common) for file in files)
    assert common == "" or common.endswith("/")
    assert len({file[len(common) :].partition("/")[0] for file in files}) > 1 or len(names) == 1


PICTURES = blank_images("", TRAIN)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"readme.txt": b""}, "set: contains no png, jpeg or bmp image; give a folder or archive of images"),
        (
            PICTURES | {"a.csv": b"", "b.csv": b"", "c.csv": b""},
            "set: has 3 tables, such as a.csv and b.csv; keep one, or train.csv and test.csv in set/",
        ),
        (
            {f"{name}/1.png": b"" for name in ("train", "test", "val")},
            "set: has train/, test/, val/, but only two splits are read; merge val into one of the others",
        ),
        (
            PICTURES | dict.fromkeys(("train.csv", "test.csv", "val.csv"), b""),
            "set: has train.csv, test.csv, val.csv, but only two splits are read; merge val into one of the others",
        ),
        (
            {"only.png": b""},
            "set: none of its 1 images is in the test set; add images, or assign them in the column split of a table",
        ),
        (
            {"1.png": b"", "labels.csv": b"image_name,label,split\n1.png,1,test\n"},
            "set: none of its 1 images is in the train set; add images, or assign them in the column split of a table",
        ),
        (
            PICTURES | {"a.webp": b""},
            "set/a.webp: is not a png, jpeg or bmp image; convert it or remove it",
        ),
        (PICTURES | {"labels.csv": b""}, "set/labels.csv: is empty; write the columns image_name and label"),
        (
            {"train/1.png": b"", "test/2.png": b"", "train.csv": digit_table(["1.png"])},
            "set/test.csv: is missing; add the table with the labels of these images",
        ),
        (
            {"train/1.png": b"", "test/2.png": b"", "test/2.txt": b""},
            "set/test/2.txt: does not have the name of a png, jpeg or bmp image; convert it or remove it",
        ),
        (
            {"train/1.png": b"", "test/2.png": b"", "3.png": b""},
            "set/3.png: is outside the folders of images, train/ and test/; move it there or remove it",
        ),
        (
            {"train/1.png": b"", "test/2.png": b"", "3.png": b"", "all.csv": digit_table(["1.png", "2.png", "3.png"])},
            "set/3.png: is outside the folders of images, train/ and test/; move it there or remove it",
        ),
    ],
)  # fmt: skip
def test_problem_is_reported_on_one_line(files: Files, line: str) -> None:
    assert complaints(files) == [line]


def test_all_problems_of_a_table_are_reported() -> None:
    rows = [
        "image_name,label,split",
        "00000.png,1,train",
        "00001.png,1,val",
        "00002.png,1,test",
        "00003.png,1,dev",
        "00004.png,1,",
        "00005.png,1",
        "00006.png,x,train",
        "00000.png,1,train",
        "77777.png,1,test",
    ]
    files = blank_images("pictures/", numbered(0, 8)) | {"labels.csv": "\n".join(rows).encode()}
    assert complaints(files) == [
        "set/labels.csv, line 7: has 2 cells, not 3; write one per column",
        "set/labels.csv, line 9: names 00000.png, and so does set/labels.csv, line 2; remove one of the rows",
        "set/labels.csv, line 10: names 77777.png, which is missing; add the image or remove the row",
        "set/pictures/00007.png: has no row in labels.csv; add one or remove the image",
        "set/labels.csv, line 8: has the label x; write a digit from 0 to 9",
        "set/labels.csv: has both test and val in its column split; use only one of the two words",
        "set/labels.csv, line 5: has the split dev; write train or test",
        "set/labels.csv, line 6: has the split blank; write train or test",
    ]
