"""Section "Domain adaptation": the bounds and the adapters on every pair of domains."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hw2core.layout import Layout
from hw2core.report import observations, references, results, runs
from hw2core.report.figures import charts, maps
from hw2core.report.names import SOURCE_ONLY, arrow
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
        "conclusions": [
            *results.conclusions(rows, methods),
            *observations.of_accuracies([row for row in rows if row["pair"] in params.pairs], methods),
        ],
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
        "silhouettes": (rows := silhouettes(params, layout)),
        "observations": {
            "features": observations.of_silhouettes(rows),
            "confusion": observations.of_confusions(confusions(params, layout)),
        },
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
    """Learning curves; for each pair the maps of the features, source only beside every method, and confusion matrices."""
    figures: Figures = {
        "curves": lambda: charts.learning_curves(histories(params, layout), table, runs.adapters(params))
    }
    for pair in params.pairs:
        for kind, draw in (("digit", maps.by_digit), ("domain", maps.by_domain)):
            figures[f"features_{pair}_by_{kind}"] = partial(draw_maps, params, layout, pair, draw)
        figures[f"confusion_{pair}"] = partial(draw_confusions, params, layout, pair)
    return figures


def networks(params: Params) -> dict[str, str]:
    """The networks whose features are mapped, with their titles."""
    return {"classifier": SOURCE_ONLY} | {name: title(name) for name in runs.adapters(params)}


def draw_maps(
    params: Params, layout: Layout, pair: str, draw: Callable[[Mapping[str, pd.DataFrame]], Figure]
) -> Figure:
    columns = ("domain", "digit", "predicted", "x", "y")
    read = {
        shown: if_there(Output(layout, "tsne", f"{name}-{pair}").table, "coordinates.csv", *columns)
        for name, shown in networks(params).items()
    }
    found = {shown: points for shown, points in read.items() if points is not None}
    if not found:
        raise MissingError(f"no features of {pair} are mapped yet: run stage tsne with `hw2 repro`")
    return draw(found)


def confusions(params: Params, layout: Layout) -> dict[tuple[str, str], pd.DataFrame]:
    """The confusion table of every pair and method that is evaluated."""
    keys = [(pair, name) for pair in params.pairs for name in runs.adapters(params)]
    read = {
        (pair, name): if_there(
            results.confusion_table, Outputs(layout, "evaluate", f"{name}-{pair}", params.seeds)
        )
        for pair, name in keys
    }
    return {key: tables[0] for key, tables in read.items() if tables}


def draw_confusions(params: Params, layout: Layout, pair: str) -> Figure:
    found = {title(name): table for (of, name), table in confusions(params, layout).items() if of == pair}
    if not found:
        raise MissingError(f"no method is evaluated on {pair} yet: run stage evaluate with `hw2 repro`")
    return charts.confusions(found)


def silhouettes(params: Params, layout: Layout) -> list[results.Row]:
    """For every pair and network, how well domains and digits are separated in its features."""
    rows = []
    for pair in params.pairs:
        for name, shown in networks(params).items():
            metrics = if_there(Output(layout, "tsne", f"{name}-{pair}").metrics, "silhouette") or {}
            rows.append(
                {"pair": pair, "network": shown}
                | {key: metrics.get(key) for key in ("perplexity", "initialization", "points")}
                | metrics.get("silhouette", {"domain": None, "digit": None})
            )
    return rows


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
