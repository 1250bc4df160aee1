"""Tables of published runs, made from their metrics, and the documents that quote them.

A document quotes a table between two marks, and `hw2 publish` writes what is between them:

    <!-- published NAME TABLE -->
    <!-- end published -->
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.report import pages, references, results, runs
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.sections.background import environment
from hw2core.settings import Params, load_params
from hw2core.settings.registry import title

DOCUMENTS = ("README.md", "docs/results.md")
BLOCK = re.compile(
    r"(<!-- published ([\w-]+) ([\w-]+) -->\n)((?:(?!<!-- published ).)*?)(<!-- end published -->)", re.DOTALL
)
LOOSE = re.compile(r"\d+[.,]\d+ ?(?:%|percent)")
"""What a result looks like that stands in the text, where nothing compares it with the metrics."""

Lines = list[str]


# --- documents ------------------------------------------------------------------------------------------------


def quote(layout: Layout, document: str) -> tuple[str, str]:
    """The text of a document as it is, and with the tables that the published metrics give."""
    path = layout.root / document
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text, BLOCK.sub(
        lambda found: f"{found[1]}{quoted(layout, path, found[2], found[3])}{found[5]}", text
    )


def quoted(layout: Layout, document: Path, name: str, kind: str) -> str:
    """A table, and where its metrics are."""
    home = layout.published(name)
    if not (home / "params.yaml").is_file():
        raise UserError(f"{document}: there is no published run {name} in {layout.published('')}")
    if kind not in TABLES:
        raise UserError(f"{document}: there is no table {kind} of a published run, but {', '.join(TABLES)}")
    params, published = load_params(home / "params.yaml"), Layout(home)
    devices = "; ".join(environment(params, published)["devices"])
    link = os.path.relpath(home, document.parent)
    lines = [*TABLES[kind](params, published), "", f"Run [{name}]({link}), on {devices}."]
    return "\n".join(["", *lines, "", ""])


def problems(layout: Layout) -> Iterator[str]:
    """The lines of the documents that are not what the published metrics say."""
    for document in DOCUMENTS:
        text, right = quote(layout, document)
        lines, expected = text.splitlines(), right.splitlines()
        for number, (line, wanted) in enumerate(zip(lines, expected, strict=False), 1):
            if line != wanted:
                yield f"{document}:{number}: {line!r} is not {wanted!r}"
                break  # the lines below may only have moved
        else:
            if len(lines) != len(expected):
                yield f"{document}: has {len(lines)} lines, not {len(expected)}"
        for loose in LOOSE.finditer(BLOCK.sub("", text)):
            yield f"{document}: {loose[0]!r} stands in the text, not in a table of a published run"


# --- tables ---------------------------------------------------------------------------------------------------


def adaptation(params: Params, published: Layout) -> Lines:
    """The accuracies of the bounds and the methods on each pair."""
    columns = [SOURCE_ONLY, *runs.adapters(params), TARGET_ONLY]
    return [
        f"Accuracy on the target's test set in percent, at the last step: {pages.over_seeds(params.seeds)}.",
        "",
        *heading(["pair", *map(title, columns), "test images"]),
        *(
            line(
                [
                    arrow(row["pair"]),
                    *(pages.metric(row, column) for column in columns),
                    pages.count(row["test images"]),
                ]
            )
            for row in results.records(results.adaptation_table(params, published, "last"))
            if row["pair"] in params.pairs
        ),
    ]


def beside_adaptation(params: Params, published: Layout) -> Lines:
    """The best of our methods on each pair, beside published results on it."""
    methods = runs.adapters(params)
    lines = []
    for row in results.records(results.adaptation_table(params, published, "last")):
        if row["pair"] not in params.pairs:
            continue
        best = max(methods, key=lambda name: row[name] if row[name] is not None else -1.0)
        known = references.BEST.get(row["pair"])
        baseline = references.BASELINES.get(row["pair"], ())
        lines.append(
            line(
                [
                    arrow(row["pair"]),
                    f"{pages.metric(row, best)} ({title(best)})",
                    f"{known[0]:g} ({known[1]})" if known else pages.DASH,
                    ", ".join(f"{value:g}" for value in baseline) or pages.DASH,
                ]
            )
        )
    return [*heading(["pair", "best here", "best reported", "course's baseline"]), *lines]


def faces(params: Params, published: Layout) -> Lines:
    """Generated faces between real training images and noise."""
    columns = {
        "face_detection_rate": ("face detection rate, %", 1),
        "ratio": ("relative to real test images, %", 1),
        "fd_faces": ("FD (face features)", 2),
        "kd_faces": ("KD (face features)", 4),
        "precision_faces": ("precision", 2),
        "recall_faces": ("recall", 2),
    }
    seeds = params.generation.seeds.gans if params.gans else params.generation.seeds.autoencoders
    table = results.faces_table(params, published)
    return generated(f"Faces of systems trained on {params.data.faces}", seeds, table, columns)


def digits(params: Params, published: Layout) -> Lines:
    """Generated digits of given labels."""
    columns = {
        "digit_accuracy": ("digit accuracy, %", 1),
        "fd_digits": ("FD (digit features)", 2),
        "precision_digits": ("precision", 2),
        "recall_digits": ("recall", 2),
    }
    seeds, table = params.generation.seeds.conditional, results.digits_table(params, published)
    return generated(f"Digits of systems trained on {params.data.digits}", seeds, table, columns)


def generated(what: str, seeds: list[int], table: pd.DataFrame, columns: dict[str, tuple[str, int]]) -> Lines:
    """A row for each system, with these metrics: how each is printed, and its decimal places."""
    return [
        f"{what}: {pages.over_seeds(seeds)}.",
        "",
        *heading(["", *(text for text, _ in columns.values()), "steps", "parameters"]),
        *(
            line(
                [
                    title(row["system"]),
                    *(pages.metric(row, name, places) for name, (_, places) in columns.items()),
                    *(pages.count(row[name]) for name in ("steps", "parameters")),
                ]
            )
            for row in results.records(table)
        ),
    ]


def heading(cells: Sequence[str]) -> Lines:
    return [line(cells), f"|:---|{'---:|' * (len(cells) - 1)}"]


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES = {
    "adaptation": adaptation,
    "adaptation-beside-others": beside_adaptation,
    "faces": faces,
    "digits": digits,
}
