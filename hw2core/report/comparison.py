"""Two versions of the results side by side: their tables, and what differs by more than the seeds explain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hw2core.evaluation.seeds import differ
from hw2core.layout import Layout
from hw2core.report import pages, results, runs
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.outputs import Outputs
from hw2core.report.sections import Figures
from hw2core.report.sections.conditional import digit_figures
from hw2core.report.sections.faces import system_figures
from hw2core.settings import Params
from hw2core.settings.profiles import differences
from hw2core.settings.registry import title

FACE_DIGITS = dict.fromkeys(results.FACE_METRICS, 2) | {
    "face_detection_rate": 1,
    "fid": 1,
    "reconstruction_mse": 4,
}
DIGIT_DIGITS = dict.fromkeys(results.DIGIT_METRICS, 2) | {"digit_accuracy": 1, "nearest_train_rmse": 3}


@dataclass(frozen=True)
class Side:
    """One version: its name, its params, and a folder with its stages/."""

    name: str
    params: Params
    layout: Layout


def compared(sides: Sequence[Side]) -> dict[str, list[dict[str, str]]]:
    """The tables by their headings: a line for each metric that both have."""
    tables = {
        "Faces": [(faces(side), "system", FACE_DIGITS) for side in sides],
        "Conditional generation": [(digits(side), "system", DIGIT_DIGITS) for side in sides],
        "Domain adaptation": [(adaptation(side), "pair", accuracies(side)) for side in sides],
    }
    return {heading: [*lines(*both)] for heading, both in tables.items()}


def faces(side: Side) -> pd.DataFrame:
    table = results.faces_table(side.params, side.layout)
    return table[table["n"].notna()]


def digits(side: Side) -> pd.DataFrame:
    return results.digits_table(side.params, side.layout)


def adaptation(side: Side) -> pd.DataFrame:
    return results.adaptation_table(side.params, side.layout, "last")


def accuracies(side: Side) -> dict[str, int]:
    return dict.fromkeys([SOURCE_ONLY, *runs.adapters(side.params), TARGET_ONLY], 1)


Part = tuple[pd.DataFrame, str, dict[str, int]]


def lines(first: Part, second: Part) -> Iterator[dict[str, str]]:
    """Both values of each row and column, their difference, and whether it is more than the seeds explain."""
    (table, key, columns), (other, _, known) = first, second
    ours, theirs = ({row[key]: row for row in results.records(each)} for each in (table, other))
    for name in (name for name in ours if name in theirs):
        for column, decimals in columns.items():
            if column not in known:
                continue
            a, b = results.value_of(ours[name], column), results.value_of(theirs[name], column)
            if a is None or b is None:
                continue
            yield {
                "row": arrow(name) if key == "pair" else title(name),
                "metric": title(column),
                "first": pages.metric(ours[name], column, decimals),
                "second": pages.metric(theirs[name], column, decimals),
                "difference": f"{b.mean - a.mean:+z.{decimals}f}",
                "verdict": verdict(a.mean == b.mean, a.std is None or b.std is None, differ(a, b)),
            }


def verdict(same: bool, one_seed: bool, beyond: bool) -> str:
    if same:
        return "equal"
    if one_seed:
        return "one seed: not tested"
    return "**more than the seeds explain**" if beyond else "within the seeds"


def changed_params(sides: Sequence[Side]) -> list[dict[str, Any]]:
    first, second = (side.params.model_dump(mode="json") for side in sides)
    return [
        {"key": ".".join(key), "first": old, "second": new} for key, old, new in differences(first, second)
    ]


def samples(side: Side) -> Figures:
    """The sample images of the generators."""
    params, layout = side.params, side.layout
    figures: Figures = {}
    for kind, name in runs.face_generators(params):
        figures |= system_figures(params, layout, kind, name)
    for stage, item in runs.conditional(params).values():
        if item == "digits":
            seeds = params.generation.seeds.conditional
            figures |= digit_figures(Outputs(layout, f"evaluate_{stage}", item, seeds), stage)
    return {name: figure for name, figure in figures.items() if name.endswith("_samples")}
