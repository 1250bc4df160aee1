"""Label tables: every cell is read exactly or reported."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2core.data.labels import Table, read_attributes, read_digits, read_table
from hw2core.data.problems import Problems
from hw2core.data.trees import Folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()


def table(content: bytes | str, problems: Problems, name: str = "train.csv") -> Table | None:
    Path("set", name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(Folder("set", [name]), name, problems)


def valid(content: bytes | str, name: str = "train.csv") -> Table:
    problems = Problems()
    read = table(content, problems, name)
    assert not problems.found
    assert read is not None
    return read


def messages(problems: Problems) -> list[str]:
    return [str(problem) for problem in problems.found]


DIGITS = "image_name,label\n1.png,7\n2.png,0\n"


@pytest.mark.parametrize(
    "content",
    [
        DIGITS,
        DIGITS.replace(",", ", "),
        DIGITS.replace(",", " ,\t"),
        DIGITS.replace("\n", "\r\n"),
        DIGITS.replace("\n", "\r\n") + "\r\n \r\n",
        DIGITS + "\n,\n",
        DIGITS[:-1],
        "\ufeff" + DIGITS,
        'label,"image_name"\n7,"1.png"\n0,2.png\n',
        "image_name,age,label,\n1.png,33,7,\n2.png,,0,x\n",
    ],
)
def test_digits_in_every_dialect_of_csv(content: str) -> None:
    problems = Problems()
    read = valid(content)
    assert read.images == ["1.png", "2.png"]
    labels = read_digits(read, problems)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [7, 0]
    assert not problems.found


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty; write the columns image_name and label"),
        (b"\n \n", "is empty; write the columns image_name and label"),
        (b"image_name,label\n\n", "has no rows below its header; write one per image"),
        (b"name,label\n1.png,7\n", "has no column image_name, only name, label; name the columns in line 1"),
        (b"1.png,7\n2.png,0\n", "has no column image_name, only 1.png, 7; name the columns in line 1"),
        (b"image_name;label\n1.png;7\n", "has no column image_name, only image_name;label; name the columns in line 1"),
        (b"image_name,a,a\n1.png,7,7\n", "has two columns a; keep one of them"),
        (DIGITS.encode("utf-16"), "is not UTF-8 text (at byte 0); save it as UTF-8"),
        (b"image_name,label\n\xe9.png,7\n", "is not UTF-8 text (at byte 17); save it as UTF-8"),
        (b'image_name,label\n"1.png,7\n', "is not a valid csv (unexpected end of data); fix it or write it again"),
    ],
)  # fmt: skip
def test_invalid_table_is_reported_on_one_line(content: bytes, what: str) -> None:
    problems = Problems()
    assert table(content, problems) is None
    assert messages(problems) == [f"set/train.csv: {what}"]


def test_unreadable_file_is_reported() -> None:
    problems = Problems()
    assert read_table(Folder("set", ["train.csv"]), "train.csv", problems) is None
    assert messages(problems) == [
        "set/train.csv: cannot be read (No such file or directory); fix this or remove it"
    ]


def test_table_without_labels_is_reported() -> None:
    problems = Problems()
    read_digits(valid("image_name,Label\n1.png,7\n"), problems)
    assert messages(problems) == ["set/train.csv: has no column label, only image_name, Label; add it"]


def test_rows_of_the_wrong_length_are_reported_and_keep_their_images() -> None:
    problems = Problems()
    read = table("image_name,label\n1.png\n2.png,7\n\n3.png,7,8\n,5\n", problems)
    assert read is not None
    assert read.images == ["1.png", "2.png", "3.png"]
    assert read_digits(read, problems)[1] == 7
    assert messages(problems) == [
        "set/train.csv, line 2: has 1 cells, not 2; write one per column",
        "set/train.csv, line 5: has 3 cells, not 2; write one per column",
        "set/train.csv, line 6: has no image name; write it or remove the line",
    ]


@pytest.mark.parametrize("label", ["10", "-1", "7.0", "seven", "07", "+7", "7 8", "٧", "nan", ""])
def test_invalid_digit_is_reported(label: str) -> None:
    problems = Problems()
    read_digits(valid(f"image_name,label\n0.png,5\n1.png,{label}\n"), problems)
    assert messages(problems) == [
        f"set/train.csv, line 3: has the label {label or 'blank'}; write a digit from 0 to 9"
    ]


def attributes(*contents: str) -> tuple[list[str], list[list[list[int]]], list[str]]:
    problems = Problems()
    tables = [
        valid(content, name) for content, name in zip(contents, ("train.csv", "test.csv"), strict=False)
    ]
    names, arrays = read_attributes(tables, problems)
    assert all(array.dtype == np.uint8 for array in arrays)
    return names, [array.tolist() for array in arrays], messages(problems)


def test_attributes_are_binary_columns_with_unknown_blanks() -> None:
    names, (values,), problems = attributes(
        "image_name,who,Smiling,age,Male,Bangs,nothing\n1.png,Ann,1,30,0.0,-1,\n2.png,,,1,1.0,1,\n"
    )
    assert names == ["Smiling", "Male", "Bangs"]
    assert values == [[1, 0, 0], [255, 1, 1]]
    assert not problems


def test_table_of_names_has_no_attributes() -> None:
    names, (values,), problems = attributes("image_name,who\n1.png,Ann\n")
    assert (names, values, problems) == ([], [[]], [])


def test_attribute_can_be_unknown_in_a_whole_table() -> None:
    names, values, problems = attributes("image_name,Male\n1.png,1\n", "image_name,Male\n2.png,\n")
    assert (names, values, problems) == (["Male"], [[[1]], [[255]]], [])


def test_tables_must_agree_on_attributes() -> None:
    assert attributes("image_name,Male,Old\n1.png,1,0\n", "image_name,Male\n2.png,2\n")[2] == [
        "set/test.csv, line 2: has 2 in the column Male, which is 0 or 1 in set/train.csv; write 0 or 1",
        "set/test.csv: has no column Old, unlike set/train.csv; add it",
    ]


def test_zero_and_minus_one_are_not_mixed() -> None:
    (problem,) = attributes("image_name,Male\n1.png,1\n2.png,0\n", "image_name,Male\n3.png,-1\n")[2]
    assert (
        problem
        == "set/train.csv: has both 0 and -1 in the column Male; write 1 for yes, 0 for no, nothing for unknown"
    )


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
    lambda name: name == name.strip()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(rows=st.lists(st.tuples(NAMES, st.integers(0, 9)), min_size=1), bom=st.booleans())
def test_csv_round_trip(rows: list[tuple[str, int]], bom: bool) -> None:
    content = io.StringIO(newline="")
    csv.writer(content).writerows([("image_name", "label"), *rows])
    read = valid(content.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    assert read.images == [name for name, _ in rows]
    assert read_digits(read, Problems()).tolist() == [label for _, label in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.text(' ",\n\r;ab17').map(str.encode), header=st.booleans())
def test_any_content_is_read_or_reported(content: bytes, header: bool) -> None:
    problems = Problems()
    read = table((b"image_name,label\n" if header else b"") + content, problems)
    if read is None:
        assert problems.found
    else:
        labels = read_digits(read, problems)
        assert len(labels) == len(read.images) == len(read.lines)
