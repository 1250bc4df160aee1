"""Stage report: reports/, from what the stages measured."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from hw2core.files import new_folder, write_whole
from hw2core.layout import Layout
from hw2core.report import html, latex, pages, references, runs
from hw2core.report.figures.style import FigureFiles, figure_files
from hw2core.report.outputs import MissingError
from hw2core.report.sections import Figures, Section, background, chart_data, glance
from hw2core.report.sections.adaptation import adaptation_section
from hw2core.report.sections.conditional import conditional_section
from hw2core.report.sections.faces import COURSE_FACES, faces_section
from hw2core.report.summary import summaries
from hw2core.report.views import Views
from hw2core.settings import Params
from hw2core.settings.registry import title

SECTIONS = {
    "faces": faces_section,
    "conditional": conditional_section,
    "adaptation": adaptation_section,
    "data": background.data_section,
}

NO_REAL_IMAGES = "Figures that show images of the datasets are left out of this published report."


@dataclass(frozen=True)
class Report:
    text: str
    page: str
    tables: dict[str, pd.DataFrame]
    figures: dict[str, FigureFiles]
    summaries: dict[str, dict[str, Any]]


def report(params: Params, layout: Layout) -> None:
    write_report(params, layout, frozenset())


def write_report(params: Params, layout: Layout, outdated: frozenset[str]) -> None:
    """Write tables, figures and pages. What has not run yet leaves a note in its place, and so do `outdated` outputs.

    Everything is read before anything is written, so that a malformed file leaves the old report as it is.
    """
    built = build(params, replace(layout, outdated=outdated))
    with new_folder(layout.reports / "tables") as folder:
        for name, table in built.tables.items():
            content = table.to_csv(index=False, float_format="%.6g")
            write_whole(folder / f"{name}.csv", content.encode())
    with new_folder(layout.reports / "summary") as folder:
        for name, metrics in built.summaries.items():
            write_whole(folder / f"{name}.json", f"{json.dumps(metrics)}\n".encode())
    write_pages(built, layout.reports)


def write_pages(built: Report, folder: Path) -> None:
    with new_folder(folder / "figures") as figures:
        for name, files in built.figures.items():
            write_whole(figures / f"{name}.png", files.png)
    write_whole(folder / "report.md", built.text.encode())
    write_whole(folder / "report.html", built.page.encode())


def build(params: Params, layout: Layout, public: bool = False) -> Report:
    """Read the outputs of the stages. A `public` report is small, without interactive charts, and shows no image of a dataset."""
    whole, (params, skipped) = params, runs.without_skipped(params, layout)
    sections: dict[str, Section | None] = {}
    missing: dict[str, str] = {}
    for name, build in SECTIONS.items():
        sections[name], missing[name] = or_missing(partial(build, params, layout))
    tables: dict[str, pd.DataFrame] = {}
    figures: Figures = {}
    for section in filter(None, sections.values()):
        tables |= section.tables
        figures |= section.figures
    real = {name for section in filter(None, sections.values()) for name in section.real}
    left_out = real if public else set()
    pictures, notes = draw({name: figure for name, figure in figures.items() if name not in left_out})
    notes |= dict.fromkeys(left_out, "")
    views = Views() if public else chart_data.all_views(params, layout)
    printed = whole.model_dump(mode="json")
    more = {
        "missing_sections": missing,
        "skipped": [*skipped, *([NO_REAL_IMAGES] if left_out else [])],
        "params": pages.as_yaml(without_paths(printed) if public else printed),
    }
    text = pages.markdown(context(params, layout, sections) | more, notes)
    embedded = {f"figures/{name}.png": files.webp for name, files in pictures.items()}
    page = html.page(text, heading(sections), embedded, views.charts, views.datasets)
    return Report(text, page, tables, pictures, summaries(params, sections))


def without_paths(params: Any) -> Any:
    """The params without the paths and addresses of a machine."""
    data = params["data"]
    data["mirror"] = data["course"]["path"] = None
    data["folder"]["paths"] = dict.fromkeys(data["folder"]["paths"], "")
    return params


def write_latex(_: Params, layout: Layout) -> None:
    """Write the tables of the report as LaTeX."""
    text = (layout.reports / "report.md").read_text(encoding="utf-8")
    write_whole(layout.reports / "tables.tex", latex.tables(text).encode())


def or_missing(build: Callable[[], Section | None]) -> tuple[Section | None, str]:
    """A section, or what it cannot do without."""
    try:
        return build(), ""
    except MissingError as missing:
        return None, str(missing)


def draw(figures: Figures) -> tuple[dict[str, FigureFiles], dict[str, str]]:
    """The figures, and for each one that shows what has not run yet, what that is."""
    files, notes = {}, {}
    for name, figure in figures.items():
        try:
            files[name] = figure_files(figure())
        except MissingError as missing:
            notes[name] = str(missing)
    return files, notes


def context(params: Params, layout: Layout, sections: dict[str, Section | None]) -> dict[str, Any]:
    """What the templates print."""
    environment = background.environment(params, layout)
    return {
        "heading": heading(sections),
        "summary": summary(params, sections),
        "parts": {
            "generators of faces": [*params.gans, *params.autoencoders],
            "conditional generators": [
                name for name in ("acgan", "ddpm") if getattr(params.conditional, name)
            ],
            "adapters": params.adapters if params.pairs else [],
        },
        "glance": {
            "faces": glance.faces_card(params, sections["faces"]),
            "conditional": glance.conditional_card(params, sections["conditional"]),
            "adaptation": glance.adaptation_card(params, sections["adaptation"]),
        },
        "reference": params.report.reference,
        "comparisons": comparisons(params, sections),
        "embedded": background.embedded(params, layout),
        "networks": background.networks(params, layout),
        "environment": environment,
        "commands": background.commands(params),
        **{name: section.context if section else None for name, section in sections.items()},
    }


def heading(sections: dict[str, Section | None]) -> str:
    parts = {
        "faces": "generated faces",
        "conditional": "conditional generation",
        "adaptation": "domain adaptation",
    }
    shown = [text for name, text in parts.items() if sections[name]]
    return listed(shown).capitalize() or "Report"


def summary(params: Params, sections: dict[str, Section | None]) -> str:
    """A sentence for each part of the report."""
    sentences = []
    if sections["faces"]:
        names = listed([title(name) for name in (*params.gans, *params.autoencoders)])
        sentences.append(f"Generators of faces: {names}.")
    if sections["conditional"]:
        systems = {"acgan": params.conditional.acgan, "ddpm": params.conditional.ddpm}
        names = listed([title(name) for name, items in systems.items() if items])
        sentences.append(f"Conditional generators: {names}.")
    if adaptation := sections["adaptation"]:
        names = listed([title(name) for name in adaptation.context["methods"]])
        methods = f", and domain adaptation by {names}" if names else ""
        sentences.append(f"Classifiers of {len(params.data.domains)} digit domains{methods}.")
    return " ".join(sentences)


def comparisons(params: Params, sections: dict[str, Section | None]) -> list[references.Comparison]:
    """The values of the report that this one is compared with; faces count only if they are the course's."""
    if not params.report.reference:
        return []
    adaptation, faces = sections["adaptation"], sections["faces"]
    pairs = adaptation.tables["accuracy_last"] if adaptation else pd.DataFrame()
    same_faces = faces is not None and params.data.faces == COURSE_FACES
    return references.comparisons(
        params.report.reference, pairs, faces.tables["faces"] if faces and same_faces else pd.DataFrame()
    )


def listed(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
