"""`hw2 results`: the report's main tables in the terminal, and their differences from another revision or experiment.

Both sides are read from reports/tables/, which the stage report writes.
"""

import csv
import io
from dataclasses import dataclass

from hw2core.errors import UserError
from hw2core.evaluation.seeds import Value, differ
from hw2core.gate.metrics import find_commit, git_show
from hw2core.gate.tables import aligned
from hw2core.layout import Layout
from hw2core.settings.registry import title

TABLES = {
    "accuracy_last": "Accuracy on the target's test images, %",
    "faces": "Generated faces",
    "digits": "Generated digits",
}
COLUMNS = {
    "face_detection_rate": "detected, %",
    "fid": "FID",
    "is": "IS",
    "fd_faces": "FD",
    "precision_faces": "precision",
    "recall_faces": "recall",
    "reconstruction_mse": "reconstruction MSE",
    "digit_accuracy": "accuracy, %",
    "fd_digits": "FD",
    "precision_digits": "precision",
    "recall_digits": "recall",
}
"""Columns of faces and digits, with their headings. In the table of accuracies every bound and method is a column."""

Cells = dict[str, Value]
Table = dict[str, Cells]
"""For each row, by its first cell, the metrics that were measured."""


@dataclass(frozen=True)
class Side:
    name: str
    tables: dict[str, Table]


def print_results(layout: Layout, against: str) -> None:
    here = Side("here", read_tables({name: read_here(layout, name) for name in TABLES}))
    if not any(here.tables.values()):
        raise UserError("reports/tables: no results yet; `hw2 repro` measures and writes them")
    base = read_base(layout, against) if against else None
    for name, heading in TABLES.items():
        if rows := here.tables[name]:
            print(heading if base is None else f"{heading}: here, and the difference from {against}")
            lines = table_lines(rows, base.tables[name] if base else None)
            print(*aligned(lines), "", sep="\n")
    if base:
        print("=: the same; *: more than two pooled standard deviations apart (docs/evaluation.md)")


def read_base(layout: Layout, against: str) -> Side:
    commit = find_commit(layout, against)
    found = {name: git_show(layout, commit, f"reports/tables/{name}.csv") for name in TABLES}
    base = Side(against, read_tables(found))
    if not any(base.tables.values()):
        raise UserError(f"{against} has no reports/tables to compare with")
    return base


def read_here(layout: Layout, name: str) -> bytes:
    path = layout.reports / "tables" / f"{name}.csv"
    return path.read_bytes() if path.is_file() else b""


def read_tables(contents: dict[str, bytes]) -> dict[str, Table]:
    try:
        return {name: read_table(content.decode("utf-8")) for name, content in contents.items()}
    except (ValueError, KeyError, csv.Error):
        raise UserError(
            "reports/tables: not as the stage report writes them; `hw2 repro` writes them again"
        ) from None


def read_table(text: str) -> Table:
    found: Table = {}
    for row in csv.DictReader(io.StringIO(text)):
        key = row.get("pair") or row["system"]
        n = int(float(row["n"])) if row.get("n") else None
        found[key] = {}
        for column in row:
            if row[column] and f"{column} std" in row and not column.endswith("gap closed"):
                std = float(row[f"{column} std"]) if row[f"{column} std"] else None
                found[key][column] = Value(float(row[column]), std, n)
    return found


def table_lines(rows: Table, base: Table | None) -> list[list[str]]:
    """A heading and a line for each row; columns without any metric are left out, as are pairs without a method."""
    present = [
        column
        for column in dict.fromkeys(c for cells in rows.values() for c in cells)
        if not column.isdecimal()
    ]
    columns = [c for c in present if c in COLUMNS] or present
    is_pairs = not any(column in COLUMNS for column in present)
    shown = {
        key: cells
        for key, cells in rows.items()
        if not is_pairs or len(cells) == max(map(len, rows.values()))
    }
    heading = ["", *(COLUMNS.get(column) or title(column) for column in columns)]
    return [
        heading,
        *(
            [
                title(key),
                *(
                    cell(cells.get(column), (base or {}).get(key, {}).get(column), base is not None)
                    for column in columns
                ),
            ]
            for key, cells in shown.items()
        ),
    ]


def cell(here: Value | None, before: Value | None, compared: bool) -> str:
    if here is None:
        return "-"
    if not compared:
        return str(here)
    if before is None:
        return f"{here} (new)"
    if here == before:
        return f"{here} (=)"
    return f"{here} ({here.mean - before.mean:+.3g}{'*' if differ(here, before) else ''})"
