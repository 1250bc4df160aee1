"""The folders of the course: the layout of each year is recognized, and one report names all problems."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
    png,
    write_folder,
)

from hw2core.data.course import list_splits
from hw2core.data.listings import Listing
from hw2core.data.trees import open_tree

TRAIN, TEST = numbered(0, 12), numbered(12, 17)
DOMAINS = ("mnistm", "svhn", "usps")


def images(folder: str, names: list[str], mode: str = "RGB") -> Files:
    return {f"{folder}/{name}": png(name, mode) for name in names}


def folders_and_tables(home: str, blank: str, mode: str = "RGB") -> Files:
    header, comma = f"image_name,{blank}label", f",{blank}"
    return {
        **images(f"{home}/train", TRAIN, mode),
        **images(f"{home}/test", TEST, mode),
        f"{home}/train.csv": digit_table(TRAIN, header, comma),
        f"{home}/test.csv": digit_table(TEST, header, comma),
    }


def pool(home: str, blank: str, mode: str = "RGB") -> Files:
    header, comma = f"image_name,{blank}label", f",{blank}"
    return {
        **images(f"{home}/data", TRAIN + TEST, mode),
        f"{home}/train.csv": digit_table(TRAIN[::-1], header, comma),
        f"{home}/val.csv": digit_table(TEST, header, comma),
    }


def year_2020(blank: str = "") -> Files:
    tables = {"face/train.csv": face_table(TRAIN), "face/test.csv": face_table(TEST)}
    files = year_2021(blank) | {f"hw2_data/{name}": content for name, content in tables.items()}
    return {name.replace("hw2_data", "hw3_data"): content for name, content in files.items()}


def year_2021(blank: str = "") -> Files:
    files = images("hw2_data/face/train", TRAIN) | images("hw2_data/face/test", TEST)
    for domain in DOMAINS:
        files |= folders_and_tables(f"hw2_data/digits/{domain}", blank, "L" if domain == "usps" else "RGB")
    return files


def year_2022(blank: str = "") -> Files:
    files = images("hw2_data/face/train", TRAIN) | images("hw2_data/face/val", TEST)
    for domain in DOMAINS:
        files |= pool(f"hw2_data/digits/{domain}", blank, "L" if domain == "usps" else "RGB")
        files[f"hw2_data/digits/{domain}/test.csv"] = digit_table(["99999.png"])  # no such image
    return files


YEARS: dict[str, Callable[[str], Files]] = {"2020": year_2020, "2021": year_2021, "2022": year_2022}


def as_top_folder(place: Path, files: Files) -> Path:
    """The path of hw2_data or hw3_data itself."""
    write_folder(place, files)
    return place / next(iter(files)).partition("/")[0]


PLACES: dict[str, Callable[[Path, Files], Path]] = {
    "parent folder": write_folder,
    "top folder": as_top_folder,
    "nested": lambda place, files: write_folder(place / "a" / "b", files).parent,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names_of(listing: Listing) -> list[str]:
    return [file.rpartition("/")[2] for file in listing.files]


def listed(files: Files, dataset: str) -> dict[str, Listing]:
    shutil.rmtree("set", ignore_errors=True)
    return list_splits(open_tree(write_folder(Path("set"), files)), dataset)


def complaints(files: Files, dataset: str = "usps") -> list[str]:
    return (complaint(lambda: listed(files, dataset)) or "").splitlines()


@pytest.mark.parametrize(
    ("year", "place"),
    [("2020", "parent folder"), ("2021", "parent folder"), *(("2022", place) for place in PLACES)],
)
def test_every_layout_is_recognized_at_any_depth(year: str, place: str) -> None:
    tree = open_tree(PLACES[place](Path("set"), YEARS[year](" ")))
    for domain in DOMAINS:
        splits = list_splits(tree, domain)
        for split, names in (("train", TRAIN), ("test", TEST)):
            assert names_of(splits[split]) == names
            assert splits[split].labels.tolist() == [digit_of(name) for name in names]
            assert splits[split].labels.dtype == np.uint8
            assert splits[split].attributes is None
    faces = list_splits(tree, "celeba")
    for split, names in (("train", TRAIN), ("test", TEST)):
        assert names_of(faces[split]) == names
        known = year == "2020"
        assert faces[split].attributes == (ATTRIBUTES if known else [])
        assert faces[split].labels.tolist() == [answers_of(name) if known else [] for name in names]
        assert faces[split].labels.shape == (len(names), 3 if known else 0)


@pytest.mark.parametrize(
    ("dataset", "wanted"),
    [
        ("usps", "has no digits/usps/ with train/ and test/ or data/ in it"),
        ("celeba", "has no face/ with train/ and test/ or train/ and val/ in it"),
    ],
)
@pytest.mark.parametrize(
    "files",
    [
        {"readme.txt": b""},
        {"digits/usps/train/0.png": b"", "digits/mnistm/data/0.png": b"", "face/train/0.png": b""},
        {"usps/train/0.png": b"", "usps/test/0.png": b"", "interface/train/0.png": b"", "interface/val/0.png": b""},
    ],
)  # fmt: skip
def test_unknown_layout_is_reported_with_the_expected_ones(files: Files, dataset: str, wanted: str) -> None:
    assert complaints(files, dataset) == [
        f"set: {wanted}; give the course's hw2_data or hw3_data, or the folder or archive that holds it"
    ]


def test_folders_of_two_years_are_ambiguous() -> None:
    assert complaints(year_2020() | year_2022()) == [
        "set: has both hw2_data/digits/usps/ and hw3_data/digits/usps/; give a folder that holds only one of them"
    ]


def small_2021() -> Files:
    return folders_and_tables("digits/usps", "")


def small_2022() -> Files:
    return pool("digits/usps", "")


def test_all_problems_of_split_folders_are_reported() -> None:
    files = small_2021()
    del files["digits/usps/train/00003.png"]
    files["digits/usps/train/extra.png"] = b""
    files["digits/usps/train/notes.txt"] = b""
    files["digits/usps/other/00000.png"] = b""
    files["digits/usps/train.csv"] += b"00004.png,1\n00005.png,11\n"
    files["digits/usps/test.csv"] = files["digits/usps/test.csv"].replace(
        f"00013.png,{digit_of('00013.png')}".encode(), b"00013.png,10"
    )
    usps = "set/digits/usps"
    assert complaints(files) == [
        f"{usps}/other/00000.png: is outside the folders of images, digits/usps/train/ and digits/usps/test/; move it there or remove it",
        f"{usps}/train/notes.txt: does not have the name of a png, jpeg or bmp image; convert it or remove it",
        f"{usps}/train.csv, line 5: names 00003.png, which is missing; add the image or remove the row",
        f"{usps}/train.csv, line 14: names 00004.png, and so does {usps}/train.csv, line 6; remove one of the rows",
        f"{usps}/train.csv, line 15: names 00005.png, and so does {usps}/train.csv, line 7; remove one of the rows",
        f"{usps}/train/extra.png: has no row in train.csv; add one or remove the image",
        f"{usps}/train.csv, line 15: has the label 11; write a digit from 0 to 9",
        f"{usps}/test.csv, line 3: has the label 10; write a digit from 0 to 9",
    ]


def test_all_problems_of_a_pool_are_reported() -> None:
    files = small_2022()
    files["digits/usps/val.csv"] += b"00001.png,1\n77777.png,1\n"
    files["digits/usps/data/88888.png"] = b""
    files["digits/usps/train/00000.png"] = b""
    usps = "set/digits/usps"
    assert complaints(files) == [
        f"{usps}/train/00000.png: is outside the folders of images, digits/usps/data/; move it there or remove it",
        f"{usps}/val.csv, line 7: names 00001.png, and so does {usps}/train.csv, line 12; remove one of the rows",
        f"{usps}/val.csv, line 8: names 77777.png, which is missing; add the image or remove the row",
        f"{usps}/data/88888.png: has no row in train.csv or val.csv; add one or remove the image",
    ]


@pytest.mark.parametrize(("layout", "table"), [(small_2021, "test.csv"), (small_2022, "val.csv")])
def test_missing_or_unreadable_table_is_the_only_problem(layout: Callable[[], Files], table: str) -> None:
    files, name = layout(), f"digits/usps/{table}"
    files[name] = b"\xff\xfe"
    assert complaints(files) == [f"set/{name}: is not UTF-8 text (at byte 0); save it as UTF-8"]
    del files[name]
    assert complaints(files) == [f"set/{name}: is missing; add the table with the labels of these images"]


def test_digits_without_tables_are_refused() -> None:
    files = {name: content for name, content in small_2021().items() if name.endswith(".png")}
    assert complaints(files) == [
        "set/digits/usps/train.csv: is missing",
        "set/digits/usps/test.csv: is missing",
        "add the table with the labels of these images",
    ]


def test_faces_have_both_tables_or_none() -> None:
    files = images("face/train", TRAIN) | images("face/test", TEST) | {"face/train.csv": face_table(TRAIN)}
    assert complaints(files, "celeba") == [
        "set/face/test.csv: is missing; add the table with the labels of these images"
    ]


def test_faces_with_a_label_column_are_refused() -> None:
    files = images("face/train", TRAIN) | images("face/test", TEST)
    files |= {"face/train.csv": digit_table(TRAIN), "face/test.csv": digit_table(TEST)}
    lines = complaints(files, "celeba")
    assert lines[0] == "set/face/train.csv: has a column label, which is for digits"


def test_images_of_a_hand_in_table_need_no_label() -> None:
    """test.csv of 2022 in the form of a hand-in: the images to predict are among the others."""
    files = small_2022()
    files |= images("digits/usps/data", numbered(50, 53))
    assert "set/digits/usps/data/00050.png: has no row" in complaints(files)[0]
    files["digits/usps/test.csv"] = digit_table([*numbered(50, 53), TRAIN[0]])
    splits = listed(files, "usps")
    assert [names_of(splits[split]) for split in ("train", "test")] == [TRAIN, TEST]


def test_unsafe_file_names_are_refused() -> None:
    files = images("face/train", TRAIN) | images("face/test", [" a.png", "b\\c.png", "d.png"])
    assert complaints(files, "celeba") == [
        "set/face/test/ a.png: has a name with leading or trailing blanks, a backslash or invalid characters",
        "set/face/test/b\\c.png: has a name with leading or trailing blanks, a backslash or invalid characters",
        "rename it",
    ]
