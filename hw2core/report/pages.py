"""The report's two pages: Markdown from a template, and the same as one HTML file that needs no other."""

import base64
import io
import math
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from hw2core.params import write_yaml
from hw2core.report.results import arrow, title

TEMPLATES = Path(__file__).parent / "templates"


def markdown(context: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; the HTML page escapes whatever HTML stands in it
    )
    environment.filters |= {
        "arrow": arrow,
        "title": title,
        "figure": figure,
        "share": share,
        "number": number,
        "count": count,
    }
    return environment.get_template("report.md.j2").render(context)


def html(text: str, title: str, folder: Path) -> str:
    """The Markdown `text`, whose pictures lie below `folder`, as a self-contained page."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        for child in token.children or []:
            if child.type == "image":
                picture = base64.b64encode((folder / str(child.attrs["src"])).resolve().read_bytes()).decode()
                child.attrs["src"] = f"data:image/png;base64,{picture}"
    body = parser.renderer.render(tokens, parser.options, {})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, autoescape=True
    )
    page = environment.get_template("page.html.j2")
    return page.render(title=title, body=Markup(body))


def number(value: float | None, digits: int) -> str:
    """A figure for a table; a dash where there is none."""
    return "\u2013" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def figure(row: dict[str, Any], column: str, digits: int = 1) -> str:
    """A table row's mean with its standard deviation, where there are several seeds."""
    mean, deviation = number(row[column], digits), number(row[f"{column} std"], digits)
    return mean if deviation == number(None, 1) else f"{mean}\u00a0\u00b1\u00a0{deviation}"


def count(value: float | None) -> str:
    return number(value, 0) if value is None or math.isnan(value) else f"{value:,.0f}"


def share(row: dict[str, Any], column: str) -> str:
    value = number(row[column], 0)
    return value if value == number(None, 0) else f"{value} %"


def as_yaml(params: dict[str, Any]) -> str:
    text = io.StringIO()
    write_yaml(params, text)
    return text.getvalue().rstrip()
