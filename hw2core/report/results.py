"""The tables of the report. Every cell is a metric that a stage measured, or a mean, a difference or a ratio of such metrics."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any, Literal

import pandas as pd

from hw2core.evaluation.seeds import Value, best, differ, spread
from hw2core.layout import Layout
from hw2core.report import runs
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.outputs import Outputs, if_there
from hw2core.settings import Params
from hw2core.settings.registry import title
from hw2core.settings.runs import generator_seeds

Row = dict[str, Any]

FACE_METRICS: dict[str, Literal["up", "down"]] = {
    "face_detection_rate": "up",
    "fid": "down",
    "is": "up",
    "fd_faces": "down",
    "kd_faces": "down",
    "precision_faces": "up",
    "recall_faces": "up",
    "reconstruction_mse": "down",
}
"""With the direction in which each is better."""
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
    last or chosen. The params' pairs come first; only they have accuracies of the methods, and the fraction of the gap
    between the bounds that a method closes: in percent, of each seed, where every seed has a gap."""
    domains, methods = params.data.domains, runs.adapters(params)
    needed = [f"on.{domain}.{key}" for domain in domains for key in (f"accuracy.{which}", "test_images")]
    bounds = {}
    for domain in domains:
        evaluation = Outputs(layout, "evaluate_classifier", domain, params.seeds)
        bounds[domain] = (if_there(evaluation.combined, *needed) or {}).get("on", {})
    rows = []
    for source, target in permutations(domains, 2):
        pair = f"{source}-{target}"
        on = [bounds[domain].get(target, {}) for domain in (source, target)]
        low, high = (found.get("accuracy", {}).get(which) for found in on)
        row: Row = {"pair": pair} | cells(SOURCE_ONLY, low)
        for method in methods:
            accuracy = adapted_accuracy(params, layout, method, pair, which)
            closed = gap_closed(low, accuracy, high)
            row |= cells(method, accuracy) | cells(f"{method} gap closed", closed)
        row |= cells(TARGET_ONLY, high)
        counts = [found["test_images"] for found in on if found]
        rows.append(row | {"n": len(params.seeds), "test images": next(iter(counts), None)})
    columns = [SOURCE_ONLY, *methods, TARGET_ONLY, *(f"{method} gap closed" for method in methods)]
    table = as_table(rows, ["pair"], columns, ["n", "test images"])
    trained = table["pair"].isin(list(params.pairs))
    order = [*params.pairs, *table["pair"][~trained]]
    return table.set_index("pair").loc[order].reset_index()


def adapted_accuracy(params: Params, layout: Layout, method: str, pair: str, which: str) -> Row | None:
    """None if the method is not trained on this pair yet. A training measures the accuracy that its evaluation measures again."""
    if pair not in params.pairs:
        return None
    needed = f"accuracy.{which}"
    metrics = if_there(Outputs(layout, "evaluate", f"{method}-{pair}", params.seeds).combined, needed)
    metrics = metrics or if_there(Outputs(layout, f"train_{method}", pair, params.seeds).combined, needed)
    return metrics and metrics["accuracy"][which]


def gap_closed(low: Row | None, accuracy: Row | None, high: Row | None) -> Row | None:
    """100 (accuracy - low) / (high - low) of each seed, combined; None if the bounds of a seed have no gap."""
    if not (low and accuracy and high):
        return None
    gaps = [upper - lower for lower, upper in zip(low["values"], high["values"], strict=True)]
    if min(gaps) <= 0:
        return None
    gains = [reached - lower for lower, reached in zip(low["values"], accuracy["values"], strict=True)]
    return spread([100 * gain / gap for gain, gap in zip(gains, gaps, strict=True)])


def selection_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for every pair and method: accuracy at the last step and at the step that each criterion chooses. The
    oracle uses the target's test labels."""
    rows = []
    for pair in params.pairs:
        for method in runs.adapters(params):
            training = Outputs(layout, f"train_{method}", pair, params.seeds)
            needed = [f"accuracy.{key}" for key in CRITERIA.values()]
            metrics = if_there(training.combined, *needed)
            row: Row = {"pair": pair, "method": method}
            for column, key in CRITERIA.items():
                row |= cells(column, metrics and metrics["accuracy"][key])
            rows.append(row | {"n": len(params.seeds)})
    return as_table(rows, ["pair", "method"], list(CRITERIA), ["n"])


def best_method(row: Row, methods: Sequence[str]) -> str | None:
    """The method of the highest accuracy, if it differs from every other one."""
    return best({method: value for method in methods if (value := value_of(row, method))}, "up")


def separated(row: Row, methods: Sequence[str], bound: str = SOURCE_ONLY) -> list[str]:
    """The methods whose accuracy differs from a bound."""
    values = {name: value_of(row, name) for name in (*methods, bound)}
    limit = values[bound]
    return [name for name in methods if limit and (value := values[name]) and differ(value, limit)]


def conclusions(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    """A sentence for each pair on the best method, and on those outside the bounds, if the seeds tell them apart."""
    return [sentence for row in rows if (sentence := conclusion(row, methods))]


def conclusion(row: Row, methods: Sequence[str]) -> str:
    winner, parts = best_method(row, methods), []
    gains = {method: row[method] - row[SOURCE_ONLY] for method in separated(row, methods)}
    if winner and gains.get(winner, 0) > 0:
        parts.append(f"{title(winner)} is best, {gains[winner]:.1f} points above source only.")
    for method, gain in gains.items():
        if gain < 0:
            parts.append(f"**{title(method)} does not help:** it is {-gain:.1f} points below source only.")
    for method in separated(row, methods, TARGET_ONLY):
        if (excess := row[method] - row[TARGET_ONLY]) > 0:
            parts.append(f"**{title(method)} is above target only**, by {excess:.1f} points.")
    return f"{arrow(row['pair'])}: {' '.join(parts)}" if parts else ""


# --- generated faces ------------------------------------------------------------------------------------------


def faces_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for each face generator, between two anchors: real training images and noise."""
    needed = (
        "test_images.face_detection_rate",
        "training_images.faces.face_detection_rate",
        "noise.faces.face_detection_rate",
    )
    real = if_there(runs.real_faces(layout).metrics, *needed) or {}
    rows = [anchor("real training images", real.get("training_images"))]
    for kind, name in runs.face_generators(params):
        seeds = generator_seeds(params, name)
        evaluation = Outputs(layout, f"evaluate_{kind}", name, seeds)
        metrics = if_there(evaluation.combined, "face_detection_rate") or {}
        row = {"system": name, "n": len(seeds)} | metric_cells(metrics, [*FACE_METRICS])
        rows.append(row | size_cells(Outputs(layout, f"train_{kind}", name, seeds)))
    rows.append(anchor("noise", real.get("noise")))
    table = as_table(rows, ["system"], [*FACE_METRICS], ["n", "parameters", "steps", "collapsed"])
    rate = real.get("test_images", {}).get("face_detection_rate")
    for spread_of in ("", " std"):
        found = table[f"face_detection_rate{spread_of}"]
        table[f"ratio{spread_of}"] = 100 * found / rate if rate else float("nan")
    return table


def best_systems(rows: Sequence[Row]) -> dict[str, str | None]:
    """For each metric of faces the best generator, if it differs from every other one."""
    found = {}
    for metric, better in FACE_METRICS.items():
        values = {row["system"]: value for row in rows if row["n"] and (value := value_of(row, metric))}
        found[metric] = best(values, better)
    return found


def anchor(name: str, metrics: Row | None) -> Row:
    """A row of images that no system generated."""
    rate = metrics and metrics["faces"]["face_detection_rate"]
    return {"system": name} | metric_cells({**(metrics or {}), "face_detection_rate": rate}, [*FACE_METRICS])


def size_cells(training: Outputs) -> Row:
    """Parameters and steps of a generator, and how many of its seeds collapsed; nothing if it is not trained yet."""
    trainings = if_there(training.each, "parameters", "steps")
    if not trainings:
        return {}
    return {
        "parameters": sum(trainings[0]["parameters"].values()),
        "steps": trainings[0]["steps"],
        "collapsed": sum(bool(metrics.get("collapsed")) for metrics in trainings),
    }


# --- generated digits -----------------------------------------------------------------------------------------


def digits_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for each system that generates digits of a given label, with the accuracy of every digit."""
    rows, digits = [], [str(digit) for digit in range(10)]
    for name, (stage, item) in runs.conditional(params).items():
        if item != "digits":
            continue
        seeds = params.generation.seeds.conditional
        evaluation = Outputs(layout, f"evaluate_{stage}", item, seeds)
        metrics = if_there(evaluation.combined, "digit_accuracy", "per_digit") or {"per_digit": {}}
        row: Row = {"system": name, "n": len(seeds)} | metric_cells(metrics, DIGIT_METRICS)
        row |= metric_cells(metrics["per_digit"], digits)
        rows.append(row | size_cells(Outputs(layout, f"train_{stage}", item, seeds)))
    return as_table(rows, ["system"], [*DIGIT_METRICS, *digits], ["n", "parameters", "steps"])


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


def value_of(row: Row, column: str) -> Value | None:
    """A metric of a table's row with its standard deviation; None if it was not measured."""
    mean, std = row[column], row[f"{column} std"]
    return None if mean is None else Value(mean, std, int(row["n"]))


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


# --- confusion ------------------------------------------------------------------------------------------------


def confusion_table(evaluation: Outputs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row for each pair of a label and a prediction that occurs, with the number of test images over all seeds and the
    rate of the label's in percent; and the first seed's predictions."""
    predictions = [
        evaluation.of(seed).table("predictions.csv", "image", "label", "predicted")
        for seed in evaluation.seeds
    ]
    counts = pd.concat(predictions).groupby(["label", "predicted"]).size().reset_index(name="count")
    counts["rate"] = 100 * counts["count"] / counts.groupby("label")["count"].transform("sum")
    return counts.rename(columns={"label": "digit"}), predictions[0]
