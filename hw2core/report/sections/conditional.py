"""Section "Conditional generation": images of a given label, by ACGAN and DDPM."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hw2core.layout import Layout
from hw2core.report import observations, references, results, runs
from hw2core.report.figures import charts, grids
from hw2core.report.names import full_title
from hw2core.report.outputs import MissingError, Output, Outputs, about_data, if_there
from hw2core.report.sections import Figures, Section
from hw2core.report.sections.faces import progress
from hw2core.settings import Params
from hw2core.settings.registry import title

PER_DIGIT = 10
"""Images of each digit in the grid of samples."""

PROGRESS_COLUMNS = {"digits": 10, "faces": 8}
PAIRS = 10  # of faces
INTERPOLATION_COLUMNS = 8
ACGAN_FACE_METRICS = ("attribute_accuracy", "attribute_accuracy_of_real", "face_detection_rate", "fd_faces")
COURSE_DIGITS = "mnistm"
"""The data set of the results to compare with."""


def conditional_section(params: Params, layout: Layout) -> Section | None:
    """None if no conditional generator runs."""
    systems = runs.conditional(params)
    if not systems:
        return None
    figures = health_figures(params, layout)
    for name, (stage, item) in systems.items():
        figures |= progress_figure(params, layout, name)
        if item == "digits":
            figures |= digit_figures(
                Outputs(layout, f"evaluate_{stage}", item, params.generation.seeds.conditional), stage
            )
    digits = [stage for stage, item in systems.values() if item == "digits"]
    context: dict[str, Any] = {
        "digits": None,
        "faces": None,
        "sweep": None,
        "systems": digits,
        "sampling": params.ddpm,
        "seeds": params.generation.seeds.conditional,
        "health": [name for name in ("acgan", "ddpm") if name in figures],
    }
    tables = {}
    if digits:
        tables["digits"] = results.digits_table(params, layout)
        context["digits"] = digits_context(params, layout, digits) | {
            "rows": results.records(tables["digits"])
        }
    if "ddpm" in systems:
        figures |= ddpm_figures(params, layout)
        context["sweep"] = sweep_context(params, layout)
    if "acgan/faces" in systems:
        context["faces"] = faces(params, layout)
        figures |= face_figures(params, layout)
    return Section(
        context, tables, figures, frozenset(name for name in figures if name.endswith("_neighbors"))
    )


def digits_context(params: Params, layout: Layout, systems: list[str]) -> dict[str, Any]:
    """What was generated and how it is evaluated: the same for all systems."""
    needed = ("classifier", "images", "nearest_train_rmse_of_real_test_images", "extractor")
    seeds = params.generation.seeds.conditional
    evaluations = [Outputs(layout, f"evaluate_{system}", "digits", seeds) for system in systems]
    found = [metrics for each in evaluations if (metrics := if_there(each.combined, *needed))]
    metrics = found[0] if found else {}
    extractors = metrics.get("extractor", [])
    return {
        "about": about_data(layout, params.data.digits),
        "classifier": metrics.get("classifier"),
        "extractors": [used["extractor"] for used in extractors],
        "images": metrics.get("images"),
        **results.cells("real_rmse", metrics.get("nearest_train_rmse_of_real_test_images")),
        "others": others(params, systems),
    }


def others(params: Params, systems: list[str]) -> list[dict[str, str]]:
    """Published results of the systems that run."""
    if params.data.digits != COURSE_DIGITS:
        return []
    return [row for row in references.DIGITS if any(row[name] for name in systems)]


def digit_figures(evaluation: Outputs, stage: str) -> Figures:
    """Samples, and the nearest training image of the first sample of each digit."""
    first = evaluation.first
    return {
        f"{stage}_digits_samples": lambda: grids.grid(first.tiles("samples.png", 10, PER_DIGIT)),
        f"{stage}_digits_neighbors": lambda: neighbors(first),
    }


def neighbors(evaluation: Output) -> Figure:
    distances = evaluation.metrics("nearest_train_rmse_first")["nearest_train_rmse_first"]
    return grids.pairs(evaluation.tiles("neighbors.png", 2, len(distances)), distances)


def progress_figure(params: Params, layout: Layout, name: str) -> Figures:
    stage, item = runs.conditional(params)[name]
    training = Outputs(layout, f"train_{stage}", item, params.generation.seeds.conditional).first
    return {f"{stage}_{item}_progress": lambda: progress(training, PROGRESS_COLUMNS[item])}


def ddpm_figures(params: Params, layout: Layout) -> Figures:
    """The reverse process, and the sampling settings that are compared."""
    evaluation = Outputs(layout, "evaluate_ddpm", "digits", params.generation.seeds.conditional).first
    sweep = runs.sweep(layout)

    def reverse() -> Figure:
        timesteps = evaluation.metrics("reverse_timesteps")["reverse_timesteps"]
        return grids.reverse_process(evaluation.tiles("reverse.png", 1, len(timesteps)), timesteps)

    def named(name: str, columns: int, names: list[str]) -> Figure:
        return grids.named_rows(sweep.tiles(f"{name}.png", len(names), columns), names)

    def etas() -> list[str]:
        return [f"η = {eta:g}" for eta in sweep.metrics("etas")["etas"]]

    def paths() -> list[str]:
        names: list[str] = sweep.metrics("interpolations")["interpolations"]
        return names

    scales = [f"guidance {scale:g}" for scale in params.sweep.guidance_scale]
    return {
        "ddpm_reverse": reverse,
        "ddpm_sweep": lambda: charts.sweep(swept(sweep), chosen_sampling(params)),
        "ddpm_guidance": lambda: named("guidance", 10, scales),
        "ddpm_eta": lambda: named("eta", 10, etas()),
        "ddpm_interpolation": lambda: named("interpolation", INTERPOLATION_COLUMNS, paths()),
    }


def sweep_context(params: Params, layout: Layout) -> dict[str, Any]:
    metrics = if_there(runs.sweep(layout).metrics, "images") or {"images": None}
    table = if_there(swept, runs.sweep(layout))
    found = [] if table is None else observations.of_sweep(table, chosen_sampling(params))
    return {"images": metrics["images"], "observations": found}


def swept(sweep: Output) -> pd.DataFrame:
    return sweep.table("sweep.csv", "sampler", "sampling_steps", "guidance_scale", "nfe", "digit_accuracy")


def chosen_sampling(params: Params) -> dict[str, Any]:
    return {
        "sampler": params.ddpm.sampler,
        "sampling_steps": min(params.ddpm.sampling_steps, params.ddpm.timesteps),
        "guidance_scale": params.ddpm.guidance_scale,
    }


def faces(params: Params, layout: Layout) -> dict[str, Any]:
    """The metrics of ACGAN's faces with and without an attribute."""
    evaluation = Outputs(layout, "evaluate_acgan", "faces", params.generation.seeds.conditional)
    needed = ("attribute", "attribute_accuracy", "attribute_accuracy_of_real", "images")
    metrics = if_there(evaluation.combined, *needed) or {}
    return {
        "about": about_data(layout, params.data.faces),
        "attribute": metrics.get("attribute") or params.acgan.faces.attribute,
        "images": metrics.get("images"),
        **results.metric_cells(metrics, ACGAN_FACE_METRICS),
    }


def face_figures(params: Params, layout: Layout) -> Figures:
    first = Outputs(layout, "evaluate_acgan", "faces", params.generation.seeds.conditional).first
    return {
        "acgan_faces_samples": lambda: grids.grid(first.tiles("samples.png", 2, PAIRS)),
        "acgan_faces_neighbors": lambda: neighbors(first),
    }


def health_figures(params: Params, layout: Layout) -> Figures:
    systems = runs.conditional(params)
    acgan = [name for name in systems if name != "ddpm"]
    figures: Figures = {}
    if acgan:
        figures["acgan"] = lambda: charts.health(histories(params, layout, acgan), charts.ACGAN_PANELS)
    if "ddpm" in systems:
        figures["ddpm"] = lambda: charts.health(histories(params, layout, ["ddpm"]), charts.DDPM_PANELS)
    return figures


def histories(params: Params, layout: Layout, names: list[str]) -> dict[str, pd.DataFrame]:
    """The histories of the systems that are trained, by title."""
    places = runs.conditional(params)
    seeds = params.generation.seeds.conditional
    trainings = {name: Outputs(layout, f"train_{places[name][0]}", places[name][1], seeds) for name in names}
    found = {full_title(name): if_there(training.history) for name, training in trainings.items()}
    if all(history is None for history in found.values()):
        raise MissingError(f"{title(names[0])} is not trained yet: `hw2 repro` trains it")
    return {name: history for name, history in found.items() if history is not None}
