"""The tables of the report. Every cell is a metric that a stage measured, or a mean or a ratio of such metrics."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pandas as pd

from hw2core.layout import Layout
from hw2core.report import runs
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.outputs import Outputs
from hw2core.settings import Params
from hw2core.settings.registry import title
from hw2core.settings.runs import generator_seeds

Row = dict[str, Any]

FACE_METRICS = (
    "face_detection_rate",
    "fid",
    "is",
    "fd_faces",
    "kd_faces",
    "precision_faces",
    "recall_faces",
    "reconstruction_mse",
)
DIGIT_METRICS = (
    "digit_accuracy",
    "fd_digits",
    "kd_digits",
    "precision_digits",
    "recall_digits",
    "nearest_train_rmse",
)
CRITERIA = {"last": "last", "infomax": "chosen", "snd": "snd", "oracle": "oracle"}
"""Columns of the selection table, and what the trainings' metrics call them."""


# --- domain adaptation ----------------------------------------------------------------------------------------


def adaptation_table(params: Params, layout: Layout, which: str) -> pd.DataFrame:
    """A row for every ordered pair of domains: accuracy on the target's test set in percent, at the step `which`,
    last or chosen. The params' pairs come first; only they have accuracies of the methods."""
    domains, methods = params.data.domains, runs.adapters(params)
    needed = [f"on.{domain}.{key}" for domain in domains for key in (f"accuracy.{which}", "test_images")]
    bounds = {
        domain: Outputs(layout, "evaluate_classifier", domain, params.seeds).combined(*needed)["on"]
        for domain in domains
    }
    rows = []
    for source, target in permutations(domains, 2):
        pair = f"{source}-{target}"
        row: Row = {"pair": pair} | cells(SOURCE_ONLY, bounds[source][target]["accuracy"][which])
        for method in methods:
            accuracy = None
            if pair in params.pairs:
                evaluation = Outputs(layout, "evaluate", f"{method}-{pair}", params.seeds)
                accuracy = evaluation.combined(f"accuracy.{which}")["accuracy"][which]
            row |= cells(method, accuracy)
        row |= cells(TARGET_ONLY, bounds[target][target]["accuracy"][which])
        rows.append(row | {"n": len(params.seeds), "test images": bounds[source][target]["test_images"]})
    columns = [SOURCE_ONLY, *methods, TARGET_ONLY]
    counts = ["n", "test images"]
    table = as_table(rows, ["pair"], columns, counts).astype(dict.fromkeys(counts, int))
    gap = table[TARGET_ONLY] - table[SOURCE_ONLY]
    for method in methods:
        table[f"{method} gap closed"] = (100 * (table[method] - table[SOURCE_ONLY]) / gap).where(gap > 0)
    trained = table["pair"].isin(list(params.pairs))
    order = [*params.pairs, *table["pair"][~trained]]
    return table.set_index("pair").loc[order].reset_index()


def selection_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for every pair and method: accuracy at the last step and at the step that each criterion chooses. The
    oracle uses the target's test labels."""
    rows = []
    for pair in params.pairs:
        for method in runs.adapters(params):
            training = Outputs(layout, f"train_{method}", pair, params.seeds)
            needed = [f"accuracy.{key}" for key in CRITERIA.values()]
            accuracy = training.combined(*needed)["accuracy"]
            row: Row = {"pair": pair, "method": method}
            for column, key in CRITERIA.items():
                row |= cells(column, accuracy[key])
            rows.append(row)
    return as_table(rows, ["pair", "method"], list(CRITERIA), [])


def conclusions(table: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """A sentence for each pair on the best method, and on those outside the bounds."""
    return [conclusion(row, methods) for row in table.dropna(subset=list(methods)).to_dict("records")]


def conclusion(row: Mapping[Any, Any], methods: Sequence[str]) -> str:
    low, high = row[SOURCE_ONLY], row[TARGET_ONLY]
    best = max(methods, key=lambda method: row[method])
    parts = [f"{arrow(row['pair'])}:"]
    if low < row[best] <= high:
        parts.append(
            f"{title(best)} is best, {row[best] - low:.1f} points above source only; it closes "
            f"{row[f'{best} gap closed']:.0f} % of the gap."
        )
    for method in methods:
        if row[method] <= low:
            parts.append(
                f"**{title(method)} does not help:** it is {low - row[method]:.1f} points below source only."
            )
        elif row[method] > high:
            parts.append(f"**{title(method)} is above target only**, by {row[method] - high:.1f} points.")
    return " ".join(parts)


# --- generated faces ------------------------------------------------------------------------------------------


def faces_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for each face generator, between two anchors: real training images and noise."""
    real = runs.real_faces(layout).metrics(
        "test_images.face_detection_rate",
        "training_images.faces.face_detection_rate",
        "noise.faces.face_detection_rate",
    )
    rows = [anchor("real training images", real["training_images"])]
    for kind, name in runs.face_generators(params):
        seeds = generator_seeds(params, name)
        metrics = Outputs(layout, f"evaluate_{kind}", name, seeds).combined("face_detection_rate")
        trainings = Outputs(layout, f"train_{kind}", name, seeds).each("parameters", "steps")
        rows.append(
            {
                "system": name,
                **metric_cells(metrics, FACE_METRICS),
                "n": len(seeds),
                "parameters": sum(trainings[0]["parameters"].values()),
                "steps": trainings[0]["steps"],
                "collapsed": sum(bool(training.get("collapsed")) for training in trainings),
            }
        )
    rows.append(anchor("noise", real["noise"]))
    table = as_table(rows, ["system"], FACE_METRICS, ["n", "parameters", "steps", "collapsed"])
    rate = real["test_images"]["face_detection_rate"]
    ratio = 100 * table["face_detection_rate"] / rate if rate else float("nan")
    return table.assign(ratio=ratio)


def anchor(name: str, metrics: Row) -> Row:
    """A row of images that no system generated."""
    rate = metrics["faces"]["face_detection_rate"]
    return {"system": name} | metric_cells({**metrics, "face_detection_rate": rate}, FACE_METRICS)


# --- generated digits -----------------------------------------------------------------------------------------


def digits_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for each system that generates digits of a given label, with the accuracy of every digit."""
    rows = []
    for name, (stage, item) in runs.conditional(params).items():
        if item != "digits":
            continue
        seeds = params.generation.seeds.conditional
        metrics = Outputs(layout, f"evaluate_{stage}", item, seeds).combined("digit_accuracy", "per_digit")
        training = Outputs(layout, f"train_{stage}", item, seeds).first.metrics("parameters", "steps")
        row: Row = {"system": name} | metric_cells(metrics, DIGIT_METRICS)
        row |= {digit: mean_and_std(accuracy)[0] for digit, accuracy in metrics["per_digit"].items()}
        rows.append(row | {"parameters": sum(training["parameters"].values()), "steps": training["steps"]})
    digits = [str(digit) for digit in range(10)]
    return as_table(rows, ["system"], DIGIT_METRICS, [*digits, "parameters", "steps"])


# --- cells ----------------------------------------------------------------------------------------------------


def mean_and_std(value: Any) -> tuple[float | None, float | None]:
    """A metric, and its standard deviation over seeds if it has one; None for what was not measured."""
    if isinstance(value, dict):
        return value.get("mean"), value.get("std") if "n" in value else None
    return (float(value) if isinstance(value, int | float) else None), None


def cells(column: str, value: Any) -> Row:
    mean, std = mean_and_std(value)
    return {column: mean, f"{column} std": std}


def metric_cells(metrics: Row, names: Sequence[str]) -> Row:
    return {key: value for name in names for key, value in cells(name, metrics.get(name)).items()}


def as_table(
    rows: list[Row], keys: Sequence[str], columns: Sequence[str], more: Sequence[str]
) -> pd.DataFrame:
    """A table of numbers that has its columns even without rows; `columns` have a standard deviation."""
    numbers = [*(name for column in columns for name in (column, f"{column} std")), *more]
    return pd.DataFrame(rows, columns=[*keys, *numbers]).astype(dict.fromkeys(numbers, float))


def records(table: pd.DataFrame) -> list[Row]:
    """The rows of a table as dicts, with None for what was not measured."""
    return [
        {str(column): None if pd.isna(value) else value for column, value in row.items()}
        for row in table.to_dict("records")
    ]
