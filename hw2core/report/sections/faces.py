"""Section "Faces": GANs and autoencoders, trained on faces without labels."""

from functools import partial
from typing import Any

import pandas as pd

from hw2core.engine.images import read_about
from hw2core.layout import Layout
from hw2core.report import references, results, runs
from hw2core.report.figures import charts, grids, maps
from hw2core.report.outputs import Outputs
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
    real = runs.real_faces(layout)
    metrics = real.metrics("test_images.detector", "training_images.extractor")
    figures: Figures = {
        "real_samples": partial(grids.grid, real.tiles("samples.png", ROWS, COLUMNS), "real test images")
    }
    for kind, name in runs.face_generators(params):
        figures |= system_figures(params, layout, kind, name)
    autoencoders = []
    for name in params.autoencoders:
        context, more = autoencoder(params, layout, name)
        autoencoders.append(context)
        figures |= more
    figures |= health_figures(params, layout)
    fid = bool(table["fid"].notna().any())
    seeds, rows = runs.seeds_by_kind(params), results.records(table)
    return Section(
        {
            "about": read_about(layout.ready(params.data.faces)),
            "rows": rows,
            "best": results.best_systems(rows),
            "seeds": {kind: seeds[kind] for kind in ("GANs", "autoencoders") if kind in seeds},
            "images": generated_images(params, layout),
            "real": metrics["test_images"],
            "extractors": [used["extractor"] for used in metrics["training_images"]["extractor"]],
            "fid": fid,
            "no_fid": "" if fid else metrics["training_images"].get("fid"),
            "systems": [*params.gans, *params.autoencoders],
            "gans": params.gans,
            "autoencoders": autoencoders,
            "others": others(params),
        },
        {"faces": table},
        figures,
    )


def generated_images(params: Params, layout: Layout) -> int:
    """How many images of each system were evaluated."""
    kind, name = runs.face_generators(params)[0]
    evaluation = Outputs(layout, f"evaluate_{kind}", name, generator_seeds(params, name))
    return int(evaluation.first.metrics("images")["images"])


def system_figures(params: Params, layout: Layout, kind: str, name: str) -> Figures:
    """Samples and progress of the first seed."""
    seed = generator_seeds(params, name)[0]
    training = Outputs(layout, f"train_{kind}", name, [seed]).first
    evaluation = Outputs(layout, f"evaluate_{kind}", name, [seed]).first
    steps = training.metrics("progress_steps")["progress_steps"]
    return {
        f"{name}_samples": partial(grids.grid, evaluation.tiles("samples.png", ROWS, COLUMNS), title(name)),
        f"{name}_progress": partial(
            grids.progress, training.tiles("progress.png", len(steps), COLUMNS), steps
        ),
    }


def autoencoder(params: Params, layout: Layout, name: str) -> tuple[dict[str, Any], Figures]:
    """Reconstructions, interpolations and the map of the latent space."""
    evaluation = Outputs(layout, "evaluate_autoencoder", name, params.generation.seeds.autoencoders)
    needed = ("reconstruction_mse", "reconstruction_mse_first", "reconstructed_images", "mapped_images")
    combined, first = evaluation.combined(*needed), evaluation.first.metrics(*needed)
    errors = first["reconstruction_mse_first"]
    latents = evaluation.first.table("latents.csv", "x", "y")
    attributes = [str(column) for column in latents.columns if column not in ("x", "y")]
    context = {
        "name": name,
        **results.cells("mse", combined["reconstruction_mse"]),
        "images": first["reconstructed_images"],
        "mapped": first["mapped_images"],
        "attributes": attributes,
    }
    pictures = evaluation.first
    return context, {
        f"{name}_reconstructions": partial(
            grids.pairs, pictures.tiles("reconstructions.png", 2, len(errors)), errors
        ),
        f"{name}_interpolation": partial(
            grids.grid,
            pictures.tiles("interpolation.png", ROWS, COLUMNS),
            f"first and last column: test images; between them: {title(name)}",
        ),
        f"{name}_latents": partial(maps.by_attribute, latents, attributes),
    }


def health_figures(params: Params, layout: Layout) -> Figures:
    def histories(kind: str, names: list[str]) -> dict[str, pd.DataFrame]:
        return {
            title(name): Outputs(layout, f"train_{kind}", name, generator_seeds(params, name)).history()
            for name in names
        }

    figures: Figures = {}
    if params.gans:
        figures["gans"] = partial(charts.health, histories("gan", params.gans), charts.GAN_PANELS)
    if params.autoencoders:
        found = histories("autoencoder", params.autoencoders)
        figures["autoencoders"] = partial(charts.health, found, charts.AUTOENCODER_PANELS)
    return figures


def others(params: Params) -> list[references.FaceReference]:
    """Published results on the same faces; those of reconstructions only if there is an autoencoder."""
    if params.data.faces != COURSE_FACES:
        return []
    return [face for face in references.FACES if params.autoencoders or not face.reconstruction_mse]
