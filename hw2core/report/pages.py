"""The report as Markdown, from templates."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from hw2core.report.names import arrow, full_title
from hw2core.settings.registry import title
from hw2core.settings.yaml import write_yaml

TEMPLATES = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
DASH = "\u2013"
"""What a table shows for a metric that was not measured."""


def markdown(context: Mapping[str, Any], notes: Mapping[str, str], template: str = "report.md.j2") -> str:
    """A page of Markdown; `notes` stand in place of the figures that could not be drawn. An empty note leaves a figure out."""
    environment = jinja2.Environment(
        loader=TEMPLATES,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # this is Markdown; the page escapes all HTML in it
    )
    filters = (
        arrow,
        title,
        full_title,
        number,
        metric,
        signed,
        bold_if,
        count,
        over_seeds,
        plain,
        note,
        fenced,
    )
    environment.filters |= {filter.__name__: filter for filter in filters}
    text = environment.get_template(template).render(context)
    text = re.sub(
        r" *!\[([^\]]*)\]\(figures/([^)]+)\.png\)",
        lambda found: in_its_place(found[1], notes[found[2]]) if found[2] in notes else found[0],
        text,
    )
    return re.sub(r"\n\s*\n+", "\n\n", text)


def in_its_place(caption: str, text: str) -> str:
    return f"\n\n*{caption}: {note(text)}.*\n\n" if text else ""


# --- numbers --------------------------------------------------------------------------------------------------


def number(value: float | None, digits: int) -> str:
    """A number for a table; a dash if there is none."""
    return DASH if value is None or math.isnan(value) else f"{value:z.{digits}f}"


def metric(row: Mapping[str, Any], column: str, digits: int = 1) -> str:
    """A metric of a table's row, with its standard deviation if there are several seeds."""
    mean, std = number(row[column], digits), number(row[f"{column} std"], digits)
    return mean if std == DASH else f"{mean}\u00a0\u00b1\u00a0{std}"


def signed(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{value:+z.1f}"


def bold_if(text: str, is_bold: bool) -> str:
    return f"**{text}**" if is_bold else text


def count(value: float | None) -> str:
    return DASH if value is None or math.isnan(value) else f"{value:,.0f}"


# --- text -----------------------------------------------------------------------------------------------------


def over_seeds(seeds: Sequence[int]) -> str:
    """What the metrics of these seeds are."""
    names = ", ".join(map(str, seeds))
    many = f"mean ± standard deviation over {len(seeds)} seeds ({names})"
    return many if len(seeds) > 1 else f"one seed ({names})"


def plain(text: object) -> str:
    """A text on one line in which no character means anything to Markdown, not even in a table."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*|<>\[\]])|(?<!\w)_|_(?!\w)", lambda found: f"\\{found[0]}", line)


def note(text: str) -> str:
    """A message of this package, in which backticks mark commands."""
    return plain(text).replace("\\`", "`")


def fenced(text: str, language: str = "") -> str:
    """A text as a code block, whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def as_yaml(params: dict[str, Any]) -> str:
    text = io.StringIO()
    write_yaml(params, text)
    return text.getvalue().rstrip()
