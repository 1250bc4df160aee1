"""The report's last sections: data, networks, and how to reproduce it."""

import platform
from functools import partial
from importlib.metadata import version
from typing import Any

from hw2core.engine.images import open_split
from hw2core.layout import Layout
from hw2core.report import runs
from hw2core.report.figures import grids
from hw2core.report.names import full_title
from hw2core.report.outputs import Output, about_data, if_there
from hw2core.report.sections import Section
from hw2core.settings import Params
from hw2core.settings.runs import evaluated_runs, trained_runs

LAYER = ("network", "layer", "module", "output", "parameters")
LIBRARIES = ("torch", "numpy", "scikit-learn", "pandas", "pillow", "matplotlib")


def data_section(params: Params, layout: Layout) -> Section | None:
    """None without domains: the data set of the faces is described with the faces."""
    if not params.data.domains:
        return None
    abouts = [about_data(layout, domain) for domain in params.data.domains]
    tests = {domain: open_split(layout.ready(domain), "test") for domain in params.data.domains}
    context = {
        "domains": [
            {key: about[key] for key in ("name", "source", "made")}
            | {split: about["counts"][split]["images"] for split in ("train", "test")}
            for about in abouts
        ],
        "val_percent": f"{100 * params.data.val_fraction:g}",
        "color_jitter": params.data.color_jitter,
    }
    return Section(
        context, figures={"samples": partial(grids.domain_samples, tests)}, real=frozenset({"samples"})
    )


def embedded(params: Params, layout: Layout) -> list[str]:
    """The data sets that the package makes itself."""
    used = [*params.data.domains, *([params.data.faces] if runs.uses_faces(params) else [])]
    abouts = [if_there(about_data, layout, dataset) for dataset in used]
    return [about["name"] for about in abouts if about and about["source"] == "embedded"]


def networks(params: Params, layout: Layout) -> list[dict[str, Any]]:
    """The networks of every system, and their layers, from its first training."""
    firsts: dict[str, Output] = {}
    for run in trained_runs(params):
        firsts.setdefault(runs.system_of(run), runs.output_of(run, layout))
    return [
        {"title": full_title(system), "layers": if_there(layers_of, first)}
        for system, first in firsts.items()
    ]


def layers_of(output: Output) -> dict[str, Any]:
    """The layers of each network."""
    table = output.table("networks.csv", *LAYER).fillna({"output": "–"})
    return {str(name): of.to_dict("records") for name, of in table.groupby("network", sort=False)}


def missing_outputs(params: Params, layout: Layout) -> list[str]:
    """The trainings and evaluations that have no metrics yet, as a person would name them."""
    outputs = [runs.output_of(run, layout) for run in (*trained_runs(params), *evaluated_runs(params))]
    return [str(output) for output in outputs if if_there(output.metrics) is None]


def environment(params: Params, layout: Layout) -> dict[str, Any]:
    """Devices, seeds and versions."""
    outputs = [runs.output_of(run, layout) for run in (*trained_runs(params), *evaluated_runs(params))]
    measured = [if_there(output.metrics, "device") for output in outputs]
    return {
        "runs": len(outputs),
        "missing": missing_outputs(params, layout),
        "devices": sorted({metrics["device"] for metrics in measured if metrics}),
        "seeds": runs.seeds_by_kind(params),
        "versions": {"hw2core": version("hw2core"), "Python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
    }


def commands(params: Params) -> list[tuple[str, str]]:
    """For each table the command that measures it."""
    face_stages: dict[str, Any] = {
        "evaluate_real": True,
        "evaluate_gan": params.gans,
        "evaluate_autoencoder": params.autoencoders,
    }
    evaluations: dict[str, dict[str, Any]] = {
        "faces": face_stages if runs.face_generators(params) else {},
        "conditional generation": {
            "evaluate_acgan": params.conditional.acgan,
            "evaluate_ddpm": params.conditional.ddpm,
        },
        "sampling settings of the DDPM": {"sweep_ddpm": params.conditional.ddpm},
        "bounds of domain adaptation": {"evaluate_classifier": len(params.data.domains) > 1},
        "accuracies of the adapters": {"evaluate": runs.adapters(params)},
        "features of the adapters": dict.fromkeys(("tsne_classifier", "tsne"), runs.adapters(params)),
    }
    stages = {
        table: [name for name, runs_here in of.items() if runs_here] for table, of in evaluations.items()
    }
    lines = [(table, f"hw2 repro {' '.join(names)}") for table, names in stages.items() if names]
    return [*lines, ("all of them", "hw2 repro")]
