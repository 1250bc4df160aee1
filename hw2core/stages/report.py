"""Stage report: reports/, from what the stages measured."""

from pathlib import Path
from typing import Any

import pandas as pd

from hw2core.files import new_folder, write_whole
from hw2core.layout import Layout
from hw2core.report import pages, references, runs
from hw2core.report.figures.style import save_small
from hw2core.report.sections import Figures, Section, background
from hw2core.report.sections.adaptation import adaptation_section
from hw2core.report.sections.conditional import conditional_section
from hw2core.report.sections.faces import COURSE_FACES, faces_section
from hw2core.settings import Params
from hw2core.settings.registry import title


def report(params: Params, layout: Layout) -> None:
    """Write tables, figures and pages.

    Everything is read before anything is written, so that a missing file leaves the old report as it is.
    """
    whole, (params, skipped) = params, runs.without_skipped(params, layout)
    sections = {
        "faces": faces_section(params, layout),
        "conditional": conditional_section(params, layout),
        "adaptation": adaptation_section(params, layout),
        "data": background.data_section(params, layout),
    }
    printed = pages.as_yaml(whole.model_dump(mode="json"))
    text = pages.markdown(context(params, layout, sections, skipped) | {"params": printed})
    tables: dict[str, pd.DataFrame] = {}
    figures: Figures = {}
    for section in filter(None, sections.values()):
        tables |= section.tables
        figures |= section.figures
    with new_folder(layout.reports / "tables") as folder:
        for name, table in tables.items():
            content = table.to_csv(index=False, float_format="%.6g")
            write_whole(folder / f"{name}.csv", content.encode())
    with new_folder(layout.reports / "figures") as folder:
        draw(figures, folder)
    page = pages.html(text, heading(sections), layout.reports)
    write_whole(layout.reports / "report.md", text.encode())
    write_whole(layout.reports / "report.html", page.encode())


def draw(figures: Figures, folder: Path) -> None:
    for name, figure in figures.items():
        save_small(figure(), folder / f"{name}.png")


def context(
    params: Params, layout: Layout, sections: dict[str, Section | None], skipped: list[str]
) -> dict[str, Any]:
    """What the templates print, but the params as they are."""
    return {
        "skipped": skipped,
        "heading": heading(sections),
        "summary": summary(params, sections),
        "reference": params.report.reference,
        "comparisons": comparisons(params, sections),
        "embedded": background.embedded(params, layout),
        "networks": background.networks(params, layout),
        "environment": background.environment(params, layout),
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
