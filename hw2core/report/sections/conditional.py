"""Section "Conditional generation": images of a given label, by ACGAN and DDPM."""

from functools import partial
from typing import Any

from hw2core.engine.images import read_about
from hw2core.layout import Layout
from hw2core.report import references, results, runs
from hw2core.report.figures import charts, grids
from hw2core.report.names import full_title
from hw2core.report.outputs import Output, Outputs
from hw2core.report.sections import Figures, Section
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
        context["sweep"] = runs.sweep(layout).metrics("images")
    if "acgan/faces" in systems:
        context["faces"], more = faces(params, layout)
        figures |= more
    return Section(context, tables, figures)


def digits_context(params: Params, layout: Layout, systems: list[str]) -> dict[str, Any]:
    """What was generated and how it is evaluated: the same for all systems."""
    evaluation = Outputs(layout, f"evaluate_{systems[0]}", "digits", params.generation.seeds.conditional)
    metrics = evaluation.combined(
        "classifier", "images", "nearest_train_rmse_of_real_test_images", "extractor"
    )
    return {
        "about": read_about(layout.ready(params.data.digits)),
        "classifier": metrics["classifier"],
        "extractors": [used["extractor"] for used in evaluation.first.metrics()["extractor"]],
        "images": metrics["images"],
        **results.cells("real_rmse", metrics["nearest_train_rmse_of_real_test_images"]),
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
    distances = first.metrics("nearest_train_rmse_first")["nearest_train_rmse_first"]
    samples = first.tiles("samples.png", 10, PER_DIGIT)
    return {
        f"{stage}_digits_samples": partial(grids.grid, samples, f"{title(stage)}, a row for each digit"),
        f"{stage}_digits_neighbors": partial(
            grids.pairs, first.tiles("neighbors.png", 2, len(distances)), distances
        ),
    }


def progress_figure(params: Params, layout: Layout, name: str) -> Figures:
    stage, item = runs.conditional(params)[name]
    training = Outputs(layout, f"train_{stage}", item, params.generation.seeds.conditional).first
    steps = training.metrics("progress_steps")["progress_steps"]
    tiles = training.tiles("progress.png", len(steps), PROGRESS_COLUMNS[item])
    return {f"{stage}_{item}_progress": partial(grids.progress, tiles, steps)}


def ddpm_figures(params: Params, layout: Layout) -> Figures:
    """The reverse process, and the sampling settings that are compared."""
    evaluation = Outputs(layout, "evaluate_ddpm", "digits", params.generation.seeds.conditional).first
    timesteps = evaluation.metrics("reverse_timesteps")["reverse_timesteps"]
    return {
        "ddpm_reverse": partial(
            grids.reverse_process, evaluation.tiles("reverse.png", 1, len(timesteps)), timesteps
        ),
        **sweep_figures(params, runs.sweep(layout)),
    }


def sweep_figures(params: Params, sweep: Output) -> Figures:
    metrics = sweep.metrics("etas", "interpolations")
    columns = ("sampler", "sampling_steps", "guidance_scale", "nfe", "digit_accuracy")
    rows = {
        "guidance": [f"guidance {scale:g}" for scale in params.sweep.guidance_scale],
        "eta": [f"η = {eta:g}" for eta in metrics["etas"]],
        "interpolation": metrics["interpolations"],
    }
    widths = {"guidance": 10, "eta": 10, "interpolation": INTERPOLATION_COLUMNS}
    chosen = {
        "sampler": params.ddpm.sampler,
        "sampling_steps": min(params.ddpm.sampling_steps, params.ddpm.timesteps),
        "guidance_scale": params.ddpm.guidance_scale,
    }
    return {
        "ddpm_sweep": partial(charts.sweep, sweep.table("sweep.csv", *columns), chosen),
        **{
            f"ddpm_{name}": partial(
                grids.named_rows, sweep.tiles(f"{name}.png", len(names), widths[name]), names
            )
            for name, names in rows.items()
        },
    }


def faces(params: Params, layout: Layout) -> tuple[dict[str, Any], Figures]:
    """ACGAN's faces with and without an attribute."""
    evaluation = Outputs(layout, "evaluate_acgan", "faces", params.generation.seeds.conditional)
    metrics = evaluation.combined("attribute", "attribute_accuracy", "attribute_accuracy_of_real", "images")
    context = {
        "about": read_about(layout.ready(params.data.faces)),
        "attribute": metrics["attribute"],
        "images": metrics["images"],
        **results.metric_cells(metrics, ACGAN_FACE_METRICS),
    }
    heading = f"the same latent vectors without (above) and with (below) {metrics['attribute']}"
    first = evaluation.first
    distances = first.metrics("nearest_train_rmse_first")["nearest_train_rmse_first"]
    return context, {
        "acgan_faces_samples": partial(grids.grid, first.tiles("samples.png", 2, PAIRS), heading),
        "acgan_faces_neighbors": partial(
            grids.pairs, first.tiles("neighbors.png", 2, len(distances)), distances
        ),
    }


def health_figures(params: Params, layout: Layout) -> Figures:
    histories = {
        name: Outputs(layout, f"train_{stage}", item, params.generation.seeds.conditional).history()
        for name, (stage, item) in runs.conditional(params).items()
    }
    acgan = {full_title(name): history for name, history in histories.items() if name != "ddpm"}
    figures: Figures = {"acgan": partial(charts.health, acgan, charts.ACGAN_PANELS)} if acgan else {}
    if "ddpm" in histories:
        figures["ddpm"] = partial(charts.health, {title("ddpm"): histories["ddpm"]}, charts.DDPM_PANELS)
    return figures
