"""Section "Faces": GANs and autoencoders, trained on faces without labels."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hw2core.layout import Layout
from hw2core.report import observations, references, results, runs
from hw2core.report.figures import charts, grids, maps
from hw2core.report.outputs import MissingError, Output, Outputs, about_data, if_there
from hw2core.report.sections import Figures, Section
from hw2core.settings import Params
from hw2core.settings.registry import title
from hw2core.settings.runs import generator_seeds

ROWS, COLUMNS = 4, 8
"""Of the grids of samples; progress strips have the same columns."""

COURSE_FACES = "celeba"
"""The data set of the reports to compare with."""


def faces_section(params: Params, layout: Layout) -> Section | None:
    """None if nothing generates faces."""
    if not runs.face_generators(params):
        return None
    table = results.faces_table(params, layout)
    real = if_there(
        lambda: runs.real_faces(layout).metrics("test_images.detector", "training_images.extractor")
    )
    figures: Figures = {
        "real_samples": lambda: grids.grid(runs.real_faces(layout).tiles("samples.png", ROWS, COLUMNS))
    }
    for kind, name in runs.face_generators(params):
        figures |= system_figures(params, layout, kind, name)
    for name in params.autoencoders:
        figures |= autoencoder_figures(params, layout, name)
    figures |= health_figures(params, layout)
    fid = bool(table["fid"].notna().any())
    seeds, rows = runs.seeds_by_kind(params), results.records(table)
    return Section(
        {
            "about": about_data(layout, params.data.faces),
            "rows": rows,
            "best": results.best_systems(rows),
            "seeds": {kind: seeds[kind] for kind in ("GANs", "autoencoders") if kind in seeds},
            "images": generated_images(params, layout),
            "real": real and real["test_images"],
            "extractors": [used["extractor"] for used in real["training_images"]["extractor"]]
            if real
            else [],
            "fid": fid,
            "no_fid": real["training_images"].get("fid") if real and not fid else "",
            "systems": [*params.gans, *params.autoencoders],
            "gans": params.gans,
            "autoencoders": [autoencoder(params, layout, name) for name in params.autoencoders],
            "others": others(params),
            "observations": observations.of_gans(trainings(params, layout)),
        },
        {"faces": table},
        figures,
        frozenset({"real_samples", *with_real_faces(params)}),
    )


def with_real_faces(params: Params) -> list[str]:
    """The figures of autoencoders that show test images beside what is made of them."""
    return [
        f"{name}_{shown}" for name in params.autoencoders for shown in ("reconstructions", "interpolation")
    ]


def trainings(params: Params, layout: Layout) -> dict[str, list[dict[str, Any]]]:
    """The metrics of every GAN that is trained, for each seed."""
    read = {
        name: if_there(Outputs(layout, "train_gan", name, params.generation.seeds.gans).each)
        for name in params.gans
    }
    return {name: metrics for name, metrics in read.items() if metrics}


def generated_images(params: Params, layout: Layout) -> int | None:
    """How many images of each system were evaluated; None if none was."""
    for kind, name in runs.face_generators(params):
        evaluation = Outputs(layout, f"evaluate_{kind}", name, generator_seeds(params, name)).first
        if metrics := if_there(evaluation.metrics, "images"):
            return int(metrics["images"])
    return None


def system_figures(params: Params, layout: Layout, kind: str, name: str) -> Figures:
    """Samples and progress of the first seed."""
    seed = generator_seeds(params, name)[0]
    training = Outputs(layout, f"train_{kind}", name, [seed]).first
    evaluation = Outputs(layout, f"evaluate_{kind}", name, [seed]).first
    return {
        f"{name}_samples": lambda: grids.grid(evaluation.tiles("samples.png", ROWS, COLUMNS)),
        f"{name}_progress": lambda: progress(training, COLUMNS),
    }


def progress(training: Output, columns: int) -> Figure:
    """Images of the same noise at several steps of a training."""
    steps = training.metrics("progress_steps")["progress_steps"]
    return grids.progress(training.tiles("progress.png", len(steps), columns), steps)


def autoencoder(params: Params, layout: Layout, name: str) -> dict[str, Any]:
    """How well images are reconstructed, and which attributes the map of the codes shows."""
    evaluation = Outputs(layout, "evaluate_autoencoder", name, params.generation.seeds.autoencoders)
    needed = ("reconstruction_mse", "reconstructed_images", "mapped_images")
    metrics = if_there(evaluation.combined, *needed) or {}
    latents = if_there(evaluation.first.table, "latents.csv", "x", "y")
    return {
        "name": name,
        **results.cells("mse", metrics.get("reconstruction_mse")),
        "images": metrics.get("reconstructed_images"),
        "mapped": metrics.get("mapped_images"),
        "attributes": [] if latents is None else attributes_of(latents),
    }


def attributes_of(latents: pd.DataFrame) -> list[str]:
    return [str(column) for column in latents.columns if column not in ("x", "y")]


def autoencoder_figures(params: Params, layout: Layout, name: str) -> Figures:
    """Reconstructions, interpolations and the map of the codes, of the first seed."""
    first = Outputs(layout, "evaluate_autoencoder", name, params.generation.seeds.autoencoders).first

    def reconstructions() -> Figure:
        errors = first.metrics("reconstruction_mse_first")["reconstruction_mse_first"]
        return grids.pairs(first.tiles("reconstructions.png", 2, len(errors)), errors)

    def latents() -> Figure:
        table = first.table("latents.csv", "x", "y")
        return maps.by_attribute(table, attributes_of(table))

    return {
        f"{name}_reconstructions": reconstructions,
        f"{name}_interpolation": lambda: grids.grid(first.tiles("interpolation.png", ROWS, COLUMNS)),
        f"{name}_latents": latents,
    }


def health_figures(params: Params, layout: Layout) -> Figures:
    figures: Figures = {}
    if params.gans:
        figures["gans"] = lambda: charts.health(
            histories(params, layout, "gan", params.gans), charts.GAN_PANELS
        )
    if params.autoencoders:
        figures["autoencoders"] = lambda: charts.health(
            histories(params, layout, "autoencoder", params.autoencoders), charts.AUTOENCODER_PANELS
        )
    return figures


def histories(params: Params, layout: Layout, kind: str, names: list[str]) -> dict[str, pd.DataFrame]:
    """The histories of the systems that are trained, by title."""
    trainings = {
        name: Outputs(layout, f"train_{kind}", name, generator_seeds(params, name)) for name in names
    }
    found = {title(name): if_there(training.history) for name, training in trainings.items()}
    if all(history is None for history in found.values()):
        raise MissingError(f"no {kind} is trained yet: `hw2 repro` trains them")
    return {name: history for name, history in found.items() if history is not None}


def others(params: Params) -> list[references.FaceReference]:
    """Published results on the same faces; those of reconstructions only if there is an autoencoder."""
    if params.data.faces != COURSE_FACES:
        return []
    return [face for face in references.FACES if params.autoencoders or not face.reconstruction_mse]
