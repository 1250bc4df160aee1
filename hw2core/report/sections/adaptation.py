"""Section "Domain adaptation": the bounds and the adapters on every pair of domains."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hw2core.layout import Layout
from hw2core.report import references, results, runs
from hw2core.report.figures import charts, maps
from hw2core.report.names import arrow
from hw2core.report.outputs import MissingError, Output, Outputs, about_data, if_there
from hw2core.report.sections import Figures, Section
from hw2core.settings import Params
from hw2core.settings.registry import title


def adaptation_section(params: Params, layout: Layout) -> Section | None:
    """None if there are no two domains."""
    if len(params.data.domains) < 2:
        return None
    methods = runs.adapters(params)
    last, chosen = (results.adaptation_table(params, layout, which) for which in ("last", "chosen"))
    tables = {"accuracy_last": last, "accuracy_chosen": chosen}
    shown = last[last["pair"].isin(list(params.pairs))] if methods else last
    rows = compared(last, methods)
    context = {
        "methods": methods,
        "pairs": list(params.pairs),
        "seeds": params.seeds,
        "last": rows,
        "chosen": compared(chosen, methods),
        "others": references.beside(last),
        "not_trained": bool(methods) and len(last) > len(params.pairs),
        "conclusions": results.conclusions(rows, methods),
        "classifier_criteria": criteria(layout, "train_classifier", params.data.domains, params.seeds),
    }
    figures: Figures = {"accuracy": partial(charts.bars, shown, methods)}
    if methods:
        tables["selection"] = results.selection_table(params, layout)
        context |= adapter_context(params, layout, tables["selection"])
        figures |= adapter_figures(params, layout, last)
    return Section(context, tables, figures)


def compared(table: pd.DataFrame, methods: list[str]) -> list[results.Row]:
    """The rows of a table with the best method, and the methods that differ from source only, as far as seeds tell."""
    return [
        row | {"best": results.best_method(row, methods), "separated": results.separated(row, methods)}
        for row in results.records(table)
    ]


def criteria(layout: Layout, stage: str, items: list[str], seeds: list[int]) -> list[str]:
    """What the chosen steps of these trainings are chosen by."""
    trainings = [Outputs(layout, stage, item, seeds).first for item in items]
    found = [if_there(training.metrics, "selected_by") for training in trainings]
    return list(dict.fromkeys(metrics["selected_by"] for metrics in found if metrics))


def adapter_context(params: Params, layout: Layout, table: pd.DataFrame) -> dict[str, Any]:
    methods, pairs = runs.adapters(params), list(params.pairs)
    by_adapter = [criteria(layout, f"train_{method}", pairs, params.seeds) for method in methods]
    digits = sorted(
        {digit for domain in params.data.domains for digit in about_data(layout, domain)["classes"]}
    )
    trained = [(method, pair) for method in methods for pair in pairs]
    return {
        "selection": results.records(table),
        "adapter_criteria": list(dict.fromkeys(found for each in by_adapter for found in each)),
        "maps": [
            {"title": f"{title(method)}, {arrow(pair)}", "name": f"{method}-{pair}"}
            for method, pair in trained
        ],
        "digits": list(map(str, digits)),
        "per_digit": [
            {
                "title": f"{title(method)}, {arrow(pair)}",
                "accuracies": digit_accuracies(params, layout, method, pair, digits),
            }
            for method, pair in trained
        ],
    }


def digit_accuracies(
    params: Params, layout: Layout, method: str, pair: str, digits: list[int]
) -> results.Row:
    evaluation = Outputs(layout, "evaluate", f"{method}-{pair}", params.seeds)
    metrics = if_there(evaluation.combined, "per_digit")
    return results.metric_cells(metrics["per_digit"] if metrics else {}, list(map(str, digits)))


def adapter_figures(params: Params, layout: Layout, table: pd.DataFrame) -> Figures:
    """Learning curves, and two maps of the features of every method on every pair."""
    figures: Figures = {
        "curves": lambda: charts.learning_curves(histories(params, layout), table, runs.adapters(params))
    }
    for name in (f"{method}-{pair}" for pair in params.pairs for method in runs.adapters(params)):
        for kind, draw in (("digit", maps.by_digit), ("domain", maps.by_domain)):
            figures[f"tsne_{name}_by_{kind}"] = partial(map_of, Output(layout, "tsne", name), draw)
    return figures


def histories(params: Params, layout: Layout) -> charts.Histories:
    """The history of every method that is trained, for each pair."""
    found: charts.Histories = {}
    for pair in params.pairs:
        trainings = {
            method: Outputs(layout, f"train_{method}", pair, params.seeds) for method in runs.adapters(params)
        }
        read = {name: if_there(training.history, "test_accuracy") for name, training in trainings.items()}
        found[pair] = {name: history for name, history in read.items() if history is not None}
    if not any(found.values()):
        raise MissingError("no adapter is trained yet: `hw2 repro` trains them")
    return found


def map_of(output: Output, draw: Callable[[pd.DataFrame], Figure]) -> Figure:
    return draw(output.table("coordinates.csv", "domain", "digit", "x", "y"))
