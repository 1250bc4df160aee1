"""What the page's interactive charts show: points with their images, curves, confusion matrices, the reverse process."""

import numpy as np
import pandas as pd

from hw2core.engine.images import Split, open_split
from hw2core.layout import Layout
from hw2core.report import results, runs, views
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY
from hw2core.report.outputs import MissingError, Output, Outputs, about_data, if_there
from hw2core.report.sections.adaptation import histories
from hw2core.report.views import Views
from hw2core.settings import Params
from hw2core.settings.registry import title

POINTS = 300
"""Points of a domain on an interactive map at most: the static figure shows all."""
ALL_POINTS = 20_000
"""Points on all maps at most, for a page that opens fast: with 12 pairs and 4 methods it has 7.6 MB."""

CELL_IMAGES = (6, 1)
"""Images of a cell of a confusion matrix, for few and for many matrices."""
MANY_MATRICES = 16


def all_views(params: Params, layout: Layout) -> Views:
    """The charts of all stages that have run."""
    found = Views()
    for part in (adaptation_views, reverse_view):
        found.add(part(params, layout))
    return found


def adaptation_views(params: Params, layout: Layout) -> Views:
    found = Views()
    methods = runs.adapters(params)
    try:
        tests = {domain: test_images(layout, domain) for domain in domains_of(params)} if methods else {}
    except MissingError:
        return found
    for name, pair in params.pairs.items() if methods else ():
        found.add(feature_view(params, layout, name))
        found.add(confusion_view(params, layout, name, tests[pair.target]))
    if methods:
        found.add(curve_view(params, layout))
    if found.charts:
        shown = range(points_of_a_domain(params))
        images = {f"{name}/{i}": test.images[i] for name, test in tests.items() for i in shown[: len(test)]}
        found.add(Views({}, {views.IMAGES: views.image_rows(images)}))
    return found


def domains_of(params: Params) -> set[str]:
    return {domain for pair in params.pairs.values() for domain in (pair.source, pair.target)}


def test_images(layout: Layout, domain: str) -> Split:
    about_data(layout, domain)
    return open_split(layout.ready(domain), "test")


# --- maps of features -----------------------------------------------------------------------------------------


def points_of_a_domain(params: Params) -> int:
    maps = len(params.pairs) * (1 + len(runs.adapters(params)))
    return min(POINTS, ALL_POINTS // (2 * maps))


def feature_view(params: Params, layout: Layout, name: str) -> Views:
    pair, most = params.pairs[name], points_of_a_domain(params)
    columns = ("domain", "digit", "predicted", "x", "y")
    tables = []
    for network in ("classifier", *runs.adapters(params)):
        table = if_there(Output(layout, "tsne", f"{network}-{name}").table, "coordinates.csv", *columns)
        if table is not None:
            index = table.groupby("domain", sort=False).cumcount()
            key = table["domain"] + "/" + index.astype(str)
            tables.append(table.assign(network=network, key=key)[index < most])
    if not tables:
        return Views()
    points = pd.concat(tables)[["network", "domain", "key", "digit", "predicted", "x", "y"]]
    points[["x", "y"]] = points[["x", "y"]].round(2)
    dataset = f"features-{name}"
    networks = list(points["network"].unique())
    digits = sorted(points["digit"].unique().tolist())
    chart = views.features(name, dataset, networks, [pair.source, pair.target], digits)
    return Views({dataset: chart}, {dataset: views.as_csv(points)})


# --- confusion matrices ---------------------------------------------------------------------------------------


def confusion_view(params: Params, layout: Layout, pair: str, test: Split) -> Views:
    """Counts are of all seeds; images are of the first."""
    methods = runs.adapters(params)
    most = CELL_IMAGES[len(params.pairs) * len(methods) > MANY_MATRICES]
    cells, strips = [], {}
    for method in methods:
        evaluation = Outputs(layout, "evaluate", f"{method}-{pair}", params.seeds)
        found = if_there(results.confusion_table, evaluation)
        if found is None:
            continue
        table, first = found
        key = f"{pair}/{method}/" + table["digit"].astype(str) + "/" + table["predicted"].astype(str)
        cells.append(table.assign(network=method, key=key))
        for (digit, predicted), images in first.groupby(["label", "predicted"])["image"]:
            chosen = test.images[images.to_numpy()[:most]]
            strips[f"{pair}/{method}/{digit}/{predicted}"] = np.concatenate(list(chosen), axis=1)
    if not cells:
        return Views()
    dataset = f"confusion-{pair}"
    table = pd.concat(cells)[["network", "key", "digit", "predicted", "count", "rate"]]
    shown = [str(name) for name in table["network"].unique()]
    digits = sorted({*table["digit"].tolist(), *table["predicted"].tolist()})
    chart = views.confusion(pair, dataset, shown, digits)
    return Views({dataset: chart}, {dataset: views.as_csv(table), views.IMAGES: views.image_rows(strips)})


# --- learning curves ------------------------------------------------------------------------------------------


def curve_view(params: Params, layout: Layout) -> Views:
    found = if_there(histories, params, layout)
    if found is None:
        return Views()
    lines = [
        history.groupby("step")["test_accuracy"]
        .agg(mean="mean", low="min", high="max")
        .reset_index()
        .assign(pair=pair, name=name, method=title(name))
        for pair, by_method in found.items()
        for name, history in by_method.items()
    ]
    table = results.adaptation_table(params, layout, "last").set_index("pair")
    bounds = [
        {"pair": pair, "bound": bound, "accuracy": table.loc[pair, bound]}
        for pair in found
        for bound in (SOURCE_ONLY, TARGET_ONLY)
        if table[bound].notna()[pair]
    ]
    methods = [
        name for name in runs.adapters(params) if any(name in by_method for by_method in found.values())
    ]
    chart = views.curves("curves", "bounds", list(found), methods)
    limits = pd.DataFrame(bounds, columns=["pair", "bound", "accuracy"])
    return Views(
        {"curves": chart}, {"curves": views.as_csv(pd.concat(lines)), "bounds": views.as_csv(limits)}
    )


# --- the reverse process --------------------------------------------------------------------------------------


def reverse_view(params: Params, layout: Layout) -> Views:
    if not params.conditional.ddpm:
        return Views()
    evaluation = Outputs(layout, "evaluate_ddpm", "digits", params.generation.seeds.conditional).first
    metrics = if_there(evaluation.metrics, "reverse_timesteps")
    if metrics is None:
        return Views()
    timesteps = metrics["reverse_timesteps"]
    tiles = if_there(evaluation.tiles, "reverse.png", 1, len(timesteps))
    if tiles is None:
        return Views()
    states = [
        {"state": state, "t": t, "image": views.thumbnail(tiles[0, state])}
        for state, t in enumerate(timesteps)
    ]
    return Views({"reverse": views.reverse_process("reverse", len(states))}, {"reverse": states})
