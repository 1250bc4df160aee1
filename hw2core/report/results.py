"""The results, read from what the stages left, as tables. Nothing is computed here that a stage measured."""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd

from hw2core.engine.journal import read_json
from hw2core.errors import UserError
from hw2core.files import sha256_of
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, FAMILIES, Params

TITLES = {
    "adamatch": "AdaMatch",
    "dcgan4": "DCGAN 4x4",
    "dcgan5": "DCGAN 5x5",
    "sngan_gp": "SNGAN-GP",
    "stylegan2": "StyleGAN2",
}


def title(column: str) -> str:
    """A method's or bound's name as it is printed: AdaMatch for adamatch, DANN for dann."""
    if column not in (*ADAPTERS, *FAMILIES, "vae", "ddpm", "acgan"):
        return column
    return TITLES.get(column, column.upper())


def arrow(pair: str) -> str:
    """A pair as it is printed."""
    return pair.replace("-", " \u2192 ")


def read_metrics(layout: Layout, stage: str, item: str, *needed: str) -> dict[str, Any]:
    """The metrics that a stage wrote, which must have the keys `needed`."""
    path = layout.stage(stage, item) / "metrics.json"
    metrics = read_json(path)
    for key in needed:
        if not isinstance(metrics, dict) or key not in metrics:
            raise UserError(f"{path}: has no {key}; run its stage again: dvc repro -f {stage}@{item}")
    return dict(metrics)


def read_history(path: Path, sha256: str) -> pd.DataFrame:
    """A training's history, which must be that of the training that was judged."""
    try:
        if sha256_of(path) != sha256:
            raise UserError(f"{path}: not the history of the training that was judged; run make repro")
        history = pd.read_csv(path)
        return history.astype({"seed": int, "step": int, "test_accuracy": float})
    except FileNotFoundError:
        raise UserError(f"{path}: not there; its stage has not run") from None
    except (ValueError, KeyError):
        raise UserError(f"{path}: not readable as a training's history; run its stage again") from None


def read_generator_histories(params: Params, layout: Layout) -> dict[str, pd.DataFrame]:
    """Each generator's training history, which must be that of the training that was judged. A labelled one goes by
    its stage and item: acgan/digits."""
    histories = {}
    places = {name: ("gan", name) for name in params.gan.methods} | {"vae": ("vae", "faces")}
    for name, (stage, item) in (places | CONDITIONAL).items():
        training = read_metrics(layout, f"evaluate_{stage}", item, "training")["training"]
        path = layout.stage(f"train_{stage}", item) / "history.csv"
        if sha256_of(path) != training["history"]:
            raise UserError(f"{path}: not the history of the training that was judged; run make repro")
        histories[name] = pd.read_csv(path)
    return histories


def faces_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for each face generator between the ends of the scale, real training images and noise: what the judges
    found, mean and standard deviation over the seeds."""
    real = read_metrics(layout, "evaluate_real", "faces", "test_images", "training_images", "noise")
    share = real["test_images"]["faces_found"]
    rows = [anchor("real training images", real["training_images"], share)]
    for name in (*params.gan.methods, "vae"):
        stage, item = ("evaluate_gan", name) if name != "vae" else ("evaluate_vae", "faces")
        metrics = read_metrics(layout, stage, item, "faces_found", "by", "training")
        row: dict[str, Any] = {"system": name}
        for figure in FACE_FIGURES:
            measured = metrics[figure] if isinstance(metrics.get(figure), dict) else {}
            row |= {figure: measured.get("mean"), f"{figure} std": measured.get("std")}
        row["ratio"] = 100 * row["faces_found"] / share if share else None
        row["parameters"] = sum(metrics["training"]["parameters"].values())
        row["steps"] = metrics["training"]["steps"]
        row["collapsed"] = len(metrics["training"]["collapsed_seeds"])
        rows.append(row)
    rows.append(anchor("noise", real["noise"], share))
    columns = [c for figure in FACE_FIGURES for c in (figure, f"{figure} std")]
    return pd.DataFrame(rows).astype(dict.fromkeys([*columns, "ratio", "parameters", "steps"], float))


CONDITIONAL = {
    "acgan/digits": ("acgan", "digits"),
    "ddpm": ("ddpm", "digits"),
    "acgan/faces": ("acgan", "faces"),
}
"""Where what draws by labels was trained and judged."""


def digits_table(layout: Layout) -> pd.DataFrame:
    """A row for each system that draws digits: what the judges found, mean and standard deviation over the seeds."""
    rows = []
    for stage in ("acgan", "ddpm"):
        metrics = read_metrics(layout, f"evaluate_{stage}", "digits", "digits_read", "per_digit", "training")
        row: dict[str, Any] = {"system": stage}
        for figure in DIGIT_FIGURES:
            row |= {figure: metrics[figure]["mean"], f"{figure} std": metrics[figure]["std"]}
        row |= {digit: found["mean"] for digit, found in metrics["per_digit"].items()}
        row["parameters"] = sum(metrics["training"]["parameters"].values())
        row["steps"] = metrics["training"]["steps"]
        rows.append(row)
    return pd.DataFrame(rows).astype(
        dict.fromkeys([*(f"{figure} std" for figure in DIGIT_FIGURES), "parameters", "steps"], float)
    )


DIGIT_FIGURES = (
    "digits_read",
    "fid_digits",
    "kid_digits",
    "precision_digits",
    "recall_digits",
    "nearest_training_image",
)

FACE_FIGURES = (
    "faces_found",
    "fid",
    "is",
    "fid_faces_offline",
    "kid_faces_offline",
    "precision_faces_offline",
    "recall_faces_offline",
    "reconstruction_mse",
)


def anchor(name: str, judged: dict[str, Any], share: float) -> dict[str, Any]:
    """A row of what was not generated."""
    found = {**judged, "faces_found": judged["faces"]["faces_found"]}
    row: dict[str, Any] = {"system": name}
    for figure in FACE_FIGURES:
        value = found.get(figure)
        row[figure] = (
            value["mean"] if isinstance(value, dict) else value if isinstance(value, float) else None
        )
        row[f"{figure} std"] = None
    return row | {"ratio": 100 * row["faces_found"] / share if share else None}


def read_histories(params: Params, layout: Layout) -> dict[str, dict[str, pd.DataFrame]]:
    """Each pair's training histories, by method."""
    return {
        pair: {
            method: read_history(
                layout.stage(f"train_{method}", pair) / "history.csv",
                read_metrics(layout, "evaluate", f"{method}-{pair}", "training")["training"]["history"],
            )
            for method in ADAPTERS
        }
        for pair in params.pairs
    }


def adaptation_table(params: Params, layout: Layout, which: str = "last") -> pd.DataFrame:
    """A row for every ordered pair of domains: accuracy on the target's test set in per cent, mean and standard
    deviation over the seeds, at the last or the chosen step. Methods have figures for the params' pairs only."""
    bounds = {
        domain: read_metrics(layout, "evaluate_classifier", domain, "on")["on"]
        for domain in params.data.domains
    }
    rows = []
    for source, target in permutations(params.data.domains, 2):
        pair = f"{source}-{target}"
        row: dict[str, Any] = {"pair": pair}
        figures = {"source only": bounds[source][target], "target only": bounds[target][target]}
        for method in ADAPTERS:
            if pair in params.pairs:
                figures[method] = read_metrics(layout, "evaluate", f"{method}-{pair}", "accuracy")
        for column in ("source only", *ADAPTERS, "target only"):
            accuracy = figures[column]["accuracy"][which] if column in figures else {}
            row |= {column: accuracy.get("mean"), f"{column} std": accuracy.get("std")}
        row["n"] = bounds[source][target]["accuracy"][which]["n"]
        row["test images"] = bounds[source][target]["test_images"]
        rows.append(row)
    table = pd.DataFrame(rows).astype(
        {c: float for m in ("source only", *ADAPTERS, "target only") for c in (m, f"{m} std")}
    )
    for method in ADAPTERS:
        gap = table["target only"] - table["source only"]
        table[f"{method} gap closed"] = (100 * (table[method] - table["source only"]) / gap).where(gap > 0)
    # The pairs that were run come first, in the params' order.
    order = [*params.pairs, *(pair for pair in table["pair"] if pair not in params.pairs)]
    return table.set_index("pair").loc[order].reset_index()


def selection_table(params: Params, layout: Layout) -> pd.DataFrame:
    """A row for every method on every pair: accuracy at the last step and at the steps that each criterion would
    choose, as the training noted it; `oracle` has looked at the target's labels."""
    rows = []
    for pair in params.pairs:
        for method in ADAPTERS:
            training = read_metrics(layout, "evaluate", f"{method}-{pair}", "training")["training"]
            row: dict[str, Any] = {"pair": pair, "method": method}
            for which in ("last", "chosen", "density", "oracle"):
                accuracy = training["accuracy"][which]
                row |= {which: accuracy["mean"], f"{which} std": accuracy["std"]}
            rows.append(row)
    columns = [
        column for which in ("last", "chosen", "density", "oracle") for column in (which, f"{which} std")
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(columns, float))


def verdicts(table: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """A sentence for each pair on the method that does best, and on those that do not lie between their bounds."""
    sentences = []
    for _, row in table.dropna(subset=list(methods)).iterrows():
        low, high = row["source only"], row["target only"]
        best = max(methods, key=lambda method: row[method])
        said = [f"{arrow(row['pair'])}:"]
        if low < row[best] <= high:
            said.append(
                f"{title(best)} does best; it gains {row[best] - low:.1f} points on source only and closes "
                f"{row[f'{best} gap closed']:.0f} % of the gap."
            )
        for method in methods:
            if row[method] <= low:
                said.append(
                    f"**{title(method)} does not help:** it stays {low - row[method]:.1f} points below source only."
                )
            elif row[method] > high:
                said.append(
                    f"**{title(method)} lies above target only**, by {row[method] - high:.1f} points."
                )
        sentences.append(" ".join(said))
    return sentences
