"""The report's last sections: data, networks, and how to reproduce it."""

import platform
from functools import partial
from importlib.metadata import version
from typing import Any

from hw2core.engine.images import open_split, read_about
from hw2core.layout import Layout
from hw2core.report import runs
from hw2core.report.figures import grids
from hw2core.report.names import full_title
from hw2core.report.outputs import Output
from hw2core.report.sections import Section
from hw2core.settings import Params
from hw2core.settings.runs import evaluated_runs, trained_runs

LIBRARIES = ("torch", "numpy", "scikit-learn", "pandas", "pillow", "matplotlib")


def data_section(params: Params, layout: Layout) -> Section | None:
    """None without domains: the data set of the faces is described with the faces."""
    if not params.data.domains:
        return None
    abouts = [read_about(layout.ready(domain)) for domain in params.data.domains]
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
    return Section(context, figures={"samples": partial(grids.domain_samples, tests)})


def embedded(params: Params, layout: Layout) -> list[str]:
    """The data sets that the package makes itself."""
    used = [*params.data.domains, *([params.data.faces] if runs.uses_faces(params) else [])]
    abouts = [read_about(layout.ready(dataset)) for dataset in used]
    return [about["name"] for about in abouts if about["source"] == "embedded"]


def networks(params: Params, layout: Layout) -> list[dict[str, Any]]:
    """The layers and the number of parameters of every system, from its first training."""
    firsts: dict[str, Output] = {}
    for run in trained_runs(params):
        firsts.setdefault(runs.system_of(run), runs.output_of(run, layout))
    return [
        {
            "title": full_title(system),
            "parameters": sum(first.metrics("parameters")["parameters"].values()),
            "text": first.text("networks.txt"),
        }
        for system, first in firsts.items()
    ]


def environment(params: Params, layout: Layout) -> dict[str, Any]:
    """Devices, seeds and versions."""
    outputs = [runs.output_of(run, layout) for run in (*trained_runs(params), *evaluated_runs(params))]
    devices = {output.metrics("device")["device"] for output in outputs}
    return {
        "devices": sorted(devices),
        "seeds": runs.seeds_by_kind(params),
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }
