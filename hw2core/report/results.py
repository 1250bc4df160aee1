"""The results, read from what the stages left, as tables. Nothing is computed here that a stage measured."""

from itertools import permutations
from typing import Any

import pandas as pd

from hw2core.engine.journal import read_json
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, Params


def read_metrics(layout: Layout, stage: str, item: str) -> dict[str, Any]:
    metrics: dict[str, Any] = read_json(layout.stage(stage, item) / "metrics.json")
    return metrics


def read_histories(params: Params, layout: Layout) -> dict[str, dict[str, pd.DataFrame]]:
    """Each pair's training histories, by method."""
    return {
        pair: {
            method: pd.read_csv(layout.stage(f"train_{method}", pair) / "history.csv") for method in ADAPTERS
        }
        for pair in params.pairs
    }


def adaptation_table(params: Params, layout: Layout, which: str = "last") -> pd.DataFrame:
    """A row for every ordered pair of domains: accuracy on the target's test set in per cent, mean and standard
    deviation over the seeds, at the last or the chosen step. Methods have figures for the params' pairs only."""
    bounds = {
        domain: read_metrics(layout, "evaluate_classifier", domain)["on"] for domain in params.data.domains
    }
    rows = []
    for source, target in permutations(params.data.domains, 2):
        pair = f"{source}-{target}"
        row: dict[str, Any] = {"pair": pair}
        figures = {"source only": bounds[source][target], "target only": bounds[target][target]}
        for method in ADAPTERS:
            if pair in params.pairs:
                figures[method] = read_metrics(layout, "evaluate", f"{method}-{pair}")
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


def verdicts(table: pd.DataFrame, method: str) -> list[str]:
    """A sentence for each pair on whether the method lies between its bounds, where it should."""
    sentences = []
    for _, row in table.dropna(subset=[method]).iterrows():
        name = row["pair"].replace("-", " \u2192 ")
        low, mean, high = row["source only"], row[method], row["target only"]
        if low < mean < high:
            sentences.append(
                f"{name}: {method} gains {mean - low:.1f} points on source only and closes "
                f"{row[f'{method} gap closed']:.0f} % of the gap."
            )
        elif mean <= low:
            sentences.append(
                f"**{name}: {method} does not help.** It stays {low - mean:.1f} points below source only."
            )
        else:
            sentences.append(f"**{name}: {method} lies above target only**, by {mean - high:.1f} points.")
    return sentences
