"""Stage report: reports/, built from every metrics.json, history and picture that the params' stages left."""

import os
import platform
from importlib.metadata import version
from typing import Any

import pandas as pd

from hw2core.data.store import open_split, read_about
from hw2core.errors import UserError
from hw2core.files import new_folder, write_whole
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, Params
from hw2core.report import figures, pages, references, results
from hw2core.stages.predictors import Predictor, build_adapter, build_classifier

LIBRARIES = ("torch", "numpy", "scikit-learn", "pandas", "pillow", "matplotlib")


def report(params: Params, layout: Layout) -> None:
    # All that is read is read first, so that what is missing leaves the old report whole.
    titles = {method: results.title(method) for method in ADAPTERS}
    last, chosen = (results.adaptation_table(params, layout, which) for which in ("last", "chosen"))
    histories = results.read_histories(params, layout)
    tests = {str(domain): open_split(layout.ready(domain), "test") for domain in params.data.domains}
    selection = results.selection_table(params, layout)
    faces = results.faces_table(params, layout)
    generators = results.read_generator_histories(params, layout)
    drawn = results.digits_table(layout)
    text = pages.markdown(
        context(params, layout, last, chosen, selection)
        | {"faces": faces_context(params, layout, faces), "drawn": drawn_context(params, layout, drawn)}
        | {"reference": params.report.reference, "compared": compared(params, last, faces)}
    )
    with new_folder(layout.reports / "tables") as folder:
        for name, table in (
            ("accuracy_last", last),
            ("accuracy_chosen", chosen),
            ("selection", selection),
            ("faces", faces),
            ("digits", drawn),
        ):
            write_whole(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g").encode())
    with new_folder(layout.reports / "figures") as folder:
        figures.save(figures.samples(tests), folder / "samples.png")
        figures.save(figures.bars(last, titles), folder / "accuracy.png")
        figures.save(figures.curves(histories, last, titles), folder / "curves.png")
        gans = {results.title(name): generators[name] for name in params.gan.methods}
        if gans:
            figures.save(figures.health(gans, figures.PANELS), folder / "gans.png")
        figures.save(figures.health({"VAE": generators["vae"]}, figures.VAE_PANELS), folder / "vae.png")
        acgans = {f"ACGAN, {item}": generators[f"acgan/{item}"] for item in ("digits", "faces")}
        figures.save(figures.health(acgans, figures.ACGAN_PANELS), folder / "acgan.png")
        figures.save(figures.health({"DDPM": generators["ddpm"]}, figures.DDPM_PANELS), folder / "ddpm.png")
    page = pages.html(text, text.partition("\n")[0].removeprefix("# "), layout.reports)
    write_whole(layout.reports / "report.md", text.encode())
    write_whole(layout.reports / "report.html", page.encode())


def context(
    params: Params, layout: Layout, last: pd.DataFrame, chosen: pd.DataFrame, selection: pd.DataFrame
) -> dict[str, Any]:
    """What the template says, gathered from the stages."""
    abouts = [read_about(layout.ready(domain)) for domain in params.data.domains]
    evaluations = {
        (method, pair): results.read_metrics(
            layout, "evaluate", f"{method}-{pair}", "per_digit", "device", "training"
        )
        for method in ADAPTERS
        for pair in params.pairs
    }
    bounds = [
        results.read_metrics(layout, "evaluate_classifier", domain, "training")
        for domain in params.data.domains
    ]
    trainings = [metrics["training"] for metrics in (*bounds, *evaluations.values())]
    digits = sorted({digit for about in abouts for digit in about["classes"]})
    return {
        "methods": ADAPTERS,
        "pairs": list(params.pairs),
        "embedded": [
            about["name"]
            for about in (*abouts, read_about(layout.ready(params.data.faces)))
            if about["source"] == "embedded"
        ],
        "seeds": params.seeds,
        "last": last.to_dict("records"),
        "chosen": chosen.to_dict("records"),
        "selection": selection.to_dict("records"),
        "others": references.beside(last),
        "unrun": len(last) > len(params.pairs),
        "sentences": results.verdicts(last, ADAPTERS),
        "classifier_criterion": trainings[0]["chosen_by"],
        "adapter_criterion": trainings[-1]["chosen_by"],
        "maps": [
            {
                "title": f"{results.title(method)}, {results.arrow(pair)}",
                **{
                    name: picture(layout, "tsne", f"{method}-{pair}", f"{name}.png")
                    for name in ("by_digit", "by_domain")
                },
            }
            for method, pair in evaluations
        ],
        "domains": [
            {
                "name": about["name"],
                "source": about["source"],
                "made": about["made"],
                **{split: about["counts"][split]["images"] for split in ("train", "test")},
            }
            for about in abouts
        ],
        "holdout": f"{100 * params.data.holdout:g}",
        "jittered": params.data.jitter,
        "digits": digits,
        "per_digit": [
            {
                "run": f"{results.title(method)}, {results.arrow(pair)}",
                "figures": [pages.number(metrics["per_digit"].get(str(d)), 0) for d in digits],
            }
            for (method, pair), metrics in evaluations.items()
        ],
        "networks": [
            describe("classifier", build_classifier(params)),
            *(describe(results.title(method), build_adapter(params, method)) for method in ADAPTERS),
        ],
        "devices": sorted({metrics["device"] for metrics in [*trainings, *evaluations.values()]}),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "params": pages.as_yaml(params.model_dump()),
    }


def compared(params: Params, pairs: pd.DataFrame, faces: pd.DataFrame) -> list[references.Figure]:
    """The figures of the report that this one begins with; of faces, ours only where they are the course's."""
    if not params.report.reference:
        return []
    return references.figures_of(
        params.report.reference, pairs, faces if params.data.faces == "celeba" else faces[:0]
    )


def faces_context(params: Params, layout: Layout, table: pd.DataFrame) -> dict[str, Any]:
    """What the template says of the faces."""
    about = read_about(layout.ready(params.data.faces))
    judged = results.read_metrics(
        layout, "evaluate_vae", "faces", "by", "reconstruction_mse", "mapped_images", "seeds", "device"
    )
    real = results.read_metrics(layout, "evaluate_real", "faces", "test_images")
    pictures = [("real_test_images", "evaluate_real", "faces", "")]
    for name in (*params.gan.methods, "vae"):
        stage, item = ("gan", name) if name != "vae" else ("vae", "faces")
        pictures.append((name, f"evaluate_{stage}", item, f"train_{stage}"))
    return {
        "about": about,
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "seeds": judged["seeds"],
        "images": params.generation.images,
        "by": judged["by"],
        "fid": any(
            isinstance(row["fid"], float) and row["fid"] == row["fid"] for row in table.to_dict("records")
        ),
        "mse": judged["reconstruction_mse"],
        "real": real["test_images"],
        "pictures": [
            {
                "title": results.title(name).replace("_", " "),
                "samples": picture(layout, stage, item, "samples.png"),
                "progress": picture(layout, training, item, "progress.png") if training else None,
            }
            for name, stage, item, training in pictures
        ],
        "mapped": judged["mapped_images"],
        **{
            name: picture(layout, "evaluate_vae", "faces", f"{name}.png")
            for name in ("reconstructions", "latents", "interpolation")
        },
        "others": references.FACES if params.data.faces == "celeba" else [],
        "gans": bool(params.gan.methods),
    }


def drawn_context(params: Params, layout: Layout, table: pd.DataFrame) -> dict[str, Any]:
    """What the template says of what is drawn by labels."""
    digits = {
        system: results.read_metrics(layout, f"evaluate_{system}", "digits", "judge", "images", "seeds")
        for system in ("acgan", "ddpm")
    }
    faces = results.read_metrics(layout, "evaluate_acgan", "faces", "attribute", "attribute_read", "images")
    sweep = results.read_metrics(layout, "sweep_ddpm", "digits", "ways", "images", "seed")
    return {
        "about": read_about(layout.ready(params.data.digits)),
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "judged": digits["ddpm"],
        "real_distance": digits["ddpm"]["nearest_training_image_of_real_test_images"],
        "faces": faces,
        "sweep": sweep,
        "how": params.ddpm,
        "pictures": {
            "acgan": picture(layout, "evaluate_acgan", "digits", "samples.png"),
            "ddpm": picture(layout, "evaluate_ddpm", "digits", "samples.png"),
            "acgan_neighbours": picture(layout, "evaluate_acgan", "digits", "neighbours.png"),
            "ddpm_neighbours": picture(layout, "evaluate_ddpm", "digits", "neighbours.png"),
            "reverse": picture(layout, "evaluate_ddpm", "digits", "reverse.png"),
            "acgan_progress": picture(layout, "train_acgan", "digits", "progress.png"),
            "ddpm_progress": picture(layout, "train_ddpm", "digits", "progress.png"),
            "pairs": picture(layout, "evaluate_acgan", "faces", "pairs.png"),
            "faces_progress": picture(layout, "train_acgan", "faces", "progress.png"),
            **{
                name: picture(layout, "sweep_ddpm", "digits", f"{name}.png")
                for name in ("sweep", "guidance", "eta", "interpolation")
            },
        },
        "others": references.DIGITS if params.data.digits == "mnistm" else [],
    }


def picture(layout: Layout, stage: str, item: str, name: str) -> str:
    """A stage's picture, by its path from reports/ on."""
    path = layout.stage(stage, item) / name
    if not path.is_file():
        raise UserError(f"{path}: not there; run its stage again: dvc repro -f {stage}@{item}")
    return os.path.relpath(path, layout.reports)


def describe(name: str, system: Predictor) -> dict[str, str]:
    """A network as torch prints it, and its size."""
    count = sum(weight.numel() for weight in system.networks.parameters())
    return {"name": name, "parameters": f"{count:,}", "text": str(system.networks)}
