"""`hw2 results`: the report's main tables in the terminal, and their differences from another revision or experiment.

Both sides are read from reports/tables/, which the stage report writes.
"""

import csv
import io

from hw2core.errors import UserError
from hw2core.evaluation.seeds import Value, differ
from hw2core.gate.tables import aligned
from hw2core.layout import Layout
from hw2core.revisions import file_of, find_commit
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

BOUNDS = ("source only", "target only")

Cells = dict[str, Value]
Table = dict[str, Cells]
"""For each row, by its first cell, the metrics that were measured."""


def print_results(layout: Layout, against: str) -> None:
    tables = read_tables({name: read_here(layout, name) for name in TABLES})
    if not any(tables.values()):
        raise UserError("reports/tables: no results yet; `hw2 repro` measures and writes them")
    base = read_base(layout, against) if against else {}
    for name, heading in TABLES.items():
        if rows := tables[name]:
            print(f"{heading}: here, and the difference from {against}" if base else heading)
            print(*aligned(table_lines(rows, base.get(name))), "", sep="\n")
    if base:
        print("=: the same; *: more than two pooled standard deviations apart (docs/evaluation.md)")


def read_base(layout: Layout, against: str) -> dict[str, Table]:
    commit = find_commit(layout, against)
    tables = read_tables({name: file_of(layout, commit, f"reports/tables/{name}.csv") for name in TABLES})
    if not any(tables.values()):
        raise UserError(f"{against} has no reports/tables to compare with")
    return tables


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
            if (
                row[column]
                and f"{column} std" in row
                and not column.endswith("gap closed")
                and not column.isdecimal()
            ):
                std = float(row[f"{column} std"]) if row[f"{column} std"] else None
                found[key][column] = Value(float(row[column]), std, n)
    return found


def table_lines(rows: Table, base: Table | None) -> list[list[str]]:
    """A heading and a line for each row. Columns without any metric are left out, and pairs that no method was trained on."""
    measured = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    columns = [c for c in measured if c in COLUMNS] or measured  # accuracies: every bound and method
    methods = set(columns) - {*COLUMNS, *BOUNDS}
    lines = [["", *(COLUMNS.get(column) or title(column) for column in columns)]]
    for name, cells in rows.items():
        if methods and not methods & set(cells):
            continue
        before = None if base is None else base.get(name, {})
        lines.append([title(name), *(cell(column, cells, before) for column in columns)])
    return lines


def cell(column: str, cells: Cells, before: Cells | None) -> str:
    """A metric and, if there is something to compare with, its difference."""
    here = cells.get(column)
    if here is None:
        return "-"
    if before is None:
        return str(here)
    if (base := before.get(column)) is None:
        return f"{here} (new)"
    if here == base:
        return f"{here} (=)"
    return f"{here} ({here.mean - base.mean:+.3g}{'*' if differ(here, base) else ''})"
