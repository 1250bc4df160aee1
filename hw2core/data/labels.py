"""Label tables: a csv with one row per image. Every cell is checked."""

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw2core.data.problems import FileError, Problems
from hw2core.data.trees import Tree
from hw2core.engine.images import UNKNOWN

IMAGE, LABEL = "image_name", "label"
DIGITS = {str(digit): digit for digit in range(10)}
BINARY = {"0": 0, "0.0": 0, "-1": 0, "-1.0": 0, "1": 1, "1.0": 1}
BROKEN = None  # replaces the cells of a row of the wrong length

Cells = list[str | None]


@dataclass(frozen=True)
class Table:
    """The content of a csv, without blanks around the cells."""

    place: str
    lines: list[int]
    images: list[str]
    columns: dict[str, Cells]
    """All columns except the image names."""

    def row(self, index: int) -> str:
        """The location of a row, for error messages."""
        return f"{self.place}, line {self.lines[index]}"


def read_table(tree: Tree, file: str, problems: Problems) -> Table | None:
    """Read a table; None if it cannot be read at all. A row of the wrong length keeps its image."""
    lines = read_lines(tree, file, problems)
    if lines is None:
        return None
    place = f"{tree.name}/{file}"
    header = lines[0][1] if lines else []
    repeated = [column for column in header if column and header.count(column) > 1]
    if not lines:
        problems.add(place, "is empty", f"write the columns {IMAGE} and {LABEL}")
    elif repeated:
        problems.add(place, f"has two columns {repeated[0]}", "keep one of them")
    elif IMAGE not in header:
        problems.add(place, f"has no column {IMAGE}, only {', '.join(header)}", "name the columns in line 1")
    elif not lines[1:]:
        problems.add(place, "has no rows below its header", "write one per image")
    else:
        return make_table(place, header, lines[1:], problems)
    return None


def read_lines(tree: Tree, file: str, problems: Problems) -> list[tuple[int, list[str]]] | None:
    """The line number and the cells of each line that is not blank."""
    place = f"{tree.name}/{file}"
    try:
        text = io.StringIO(tree.read(file).decode("utf-8-sig"), newline="")
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except FileError as error:
        problems.found.append(error)
    except UnicodeDecodeError as error:
        problems.add(place, f"is not UTF-8 text (at byte {error.start})", "save it as UTF-8")
    except csv.Error as error:
        problems.add(place, f"is not a valid csv ({error})", "fix it or write it again")
    else:
        return [line for line in lines if any(line[1])]
    return None


def make_table(
    place: str, header: list[str], lines: list[tuple[int, list[str]]], problems: Problems
) -> Table:
    image = header.index(IMAGE)
    columns: dict[str, Cells] = {name: [] for name in header if name not in (IMAGE, "")}
    table = Table(place, [], [], columns)
    for number, cells in lines:
        complete = len(cells) == len(header)
        if not complete:
            what = f"has {len(cells)} cells, not {len(header)}"
            problems.add(f"{place}, line {number}", what, "write one per column")
        if len(cells) <= image or not cells[image]:
            problems.add(f"{place}, line {number}", "has no image name", "write it or remove the line")
            continue
        table.lines.append(number)
        table.images.append(cells[image])
        for at, name in enumerate(header):
            if name in columns:
                columns[name].append(cells[at] if complete else BROKEN)
    return table


def read_digits(table: Table, problems: Problems) -> NDArray[np.uint8]:
    """The labels (n,) of a table of digits. Invalid labels are problems and become 0."""
    if LABEL not in table.columns:
        problems.add(
            table.place, f"has no column {LABEL}, only {', '.join([IMAGE, *table.columns])}", "add it"
        )
        return np.zeros(len(table.images), dtype=np.uint8)
    labels = table.columns[LABEL]
    for index, label in enumerate(labels):
        if label is not BROKEN and label not in DIGITS:
            problems.add(table.row(index), f"has the label {label or 'blank'}", "write a digit from 0 to 9")
    return np.array([DIGITS.get(label or "", 0) for label in labels], dtype=np.uint8)


def read_attributes(tables: list[Table], problems: Problems) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """The names of the attributes, and the values (n, attributes) of each table: 0, 1 or UNKNOWN.

    An attribute is a column that contains only 1, 0 and blanks or, as in CelebA's own table, only 1, -1 and blanks.
    Other columns, such as names and ages, are ignored. The tables must agree on which columns are attributes.
    """
    columns = dict.fromkeys(name for table in tables for name in table.columns)
    names = [name for name in columns if is_attribute(name, tables, problems)]
    arrays = [np.full((len(table.images), len(names)), UNKNOWN, dtype=np.uint8) for table in tables]
    for table, array in zip(tables, arrays, strict=True):
        for at, name in enumerate(names):
            array[:, at] = [
                BINARY.get(cell or "", UNKNOWN) for cell in table.columns.get(name, [])
            ] or UNKNOWN
    return names, arrays


def is_attribute(name: str, tables: list[Table], problems: Problems) -> bool:
    """Whether a column is an attribute in some table; then it must be one in every table."""
    values = [set(table.columns.get(name, [])) - {"", BROKEN} for table in tables]
    binary = [bool(cells) and cells <= BINARY.keys() for cells in values]
    if not any(binary):
        return False
    first = tables[binary.index(True)]
    for table, cells in zip(tables, values, strict=True):
        if name not in table.columns:
            problems.add(table.place, f"has no column {name}, unlike {first.place}", "add it")
        for odd in sorted(str(value) for value in cells - BINARY.keys())[:1]:
            place = table.row(table.columns[name].index(odd))
            problems.add(
                place, f"has {odd} in the column {name}, which is 0 or 1 in {first.place}", "write 0 or 1"
            )
    every = set.union(*values)
    if every & {"0", "0.0"} and every & {"-1", "-1.0"}:
        problems.add(
            first.place,
            f"has both 0 and -1 in the column {name}",
            "write 1 for yes, 0 for no, nothing for unknown",
        )
    return True
