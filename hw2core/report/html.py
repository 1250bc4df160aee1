"""The report's Markdown as one self-contained page: contents, tables that scroll, figures that enlarge, views.

A paragraph of the Markdown that consists of one mark becomes a part of the page; git hosts hide or show it likewise:

    <!-- begin NAME -->, <!-- end NAME -->          a block of that class
    <details><summary>TEXT</summary>, </details>    a block that opens
    <!-- view NAME -->                              an interactive view, above the static figure that follows it
"""

import base64
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from PIL import Image

TEMPLATES = jinja2.FileSystemLoader(Path(__file__).parent / "templates")

BLOCK = re.compile(r"<!-- (begin|end) ([\w -]+) -->")
VIEW = re.compile(r"<!-- view ([\w-]+) -->")
DETAILS = re.compile(r"<details><summary>([^<]*)</summary>|</details>")

Pictures = Mapping[str, bytes]
"""WebP, by the address that the Markdown gives it."""

CONTROLS = 110  # pixels of a chart's axes, legend and inputs


@dataclass(frozen=True)
class Heading:
    """An entry of the contents."""

    level: int
    id: str
    text: str


def page(
    text: str, title: str, pictures: Pictures, views: Mapping[str, Any], datasets: Mapping[str, Any]
) -> str:
    """The Markdown `text`, whose `pictures` go by their addresses, as a page. `views` are Vega-Lite charts, which share `datasets`."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = [*with_marks(parser.parse(text), pictures, views)]
    headings = number_headings(tokens)
    environment = jinja2.Environment(loader=TEMPLATES, undefined=jinja2.StrictUndefined, autoescape=True)
    return environment.get_template("page.html.j2").render(
        title=title,
        body=Markup(parser.renderer.render([*with_tables(tokens)], parser.options, {})),
        headings=headings,
        datasets=as_script(datasets),
        library=library() if views else "",
    )


@cache
def library() -> Markup:
    """Vega-Lite and what draws it, as a script. Made once for several pages: it takes seconds."""
    return Markup(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def with_marks(tokens: list[Token], pictures: Pictures, views: Mapping[str, Any]) -> Iterator[Token]:
    """The tokens, in which paragraphs of marks and of pictures are blocks of HTML."""
    rest = iter(tokens)
    for token in rest:
        if token.type != "paragraph_open" or token.hidden:
            yield token
            continue
        inline, close = next(rest), next(rest)
        block = as_block(inline, pictures, views)
        if block is None:
            yield from (token, inline, close)
        else:
            yield html_token(block)


def as_block(inline: Token, pictures: Pictures, views: Mapping[str, Any]) -> str | None:
    """The HTML of a paragraph that is a mark, or consists of pictures; None of any other."""
    text = inline.content
    if found := BLOCK.fullmatch(text):
        return f'<div class="{found[2]}">' if found[1] == "begin" else "</div>"
    if found := DETAILS.fullmatch(text):
        return f"<details><summary>{escape(found[1])}</summary>" if found[1] else "</details>"
    if found := VIEW.fullmatch(text):
        return view(found[1], views[found[1]]) if found[1] in views else ""
    parts = [child for child in inline.children or [] if child.type != "softbreak" and child.content.strip()]
    if parts and all(child.type == "image" for child in parts):
        return '<div class="figures">' + "".join(figure(child, pictures) for child in parts) + "</div>"
    return None


def figure(image: Token, pictures: Pictures) -> str:
    """A picture with its caption; a click enlarges it."""
    content, alt = pictures[str(image.attrs["src"])], escape(image.content)
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
    source = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure><button type="button" class="enlarge"><img src="{source}" alt="{alt}" width="{width}" '
        f'height="{height}"></button><figcaption>{alt}</figcaption></figure>'
    )


def view(name: str, chart: Mapping[str, Any]) -> str:
    """An interactive chart. The script shows it in place of the figure that follows it."""
    label = escape(str(chart["description"]))
    return (
        f'<div class="view" id="view-{name}" role="group" aria-label="{label}">'
        f'<div class="chart" style="min-height: {chart["height"] + CONTROLS}px"></div>'
        f'<script type="application/json">{as_script(chart)}</script></div>'
    )


def as_script(value: Any) -> Markup:
    """JSON that can stand in a script element."""
    return Markup(
        json.dumps(value, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    )


def number_headings(tokens: list[Token]) -> list[Heading]:
    """Give every heading an address, and return those of the contents."""
    found: list[Heading] = []
    known: set[str] = set()
    for token, inline in pairwise(tokens):
        if token.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or [])
        slug = re.sub(r"\W+", "-", text.lower()).strip("-")
        name = next(name for n in range(len(tokens)) if (name := f"{slug}-{n}" if n else slug) not in known)
        known.add(name)
        token.attrs["id"] = name
        if token.tag in ("h2", "h3"):
            found.append(Heading(int(token.tag[1]), name, text))
    return found


def with_tables(tokens: list[Token]) -> Iterator[Token]:
    """The tokens, in which tables scroll by keyboard, named by the heading above, and first cells are headers of rows."""
    heading, in_body, first, number = "", False, False, 0
    for token, after in zip(tokens, [*tokens[1:], Token("end", "", 0)], strict=True):
        if token.type == "heading_open":
            heading = "".join(child.content for child in after.children or [])
        elif token.type == "table_open":
            number += 1
            label = escape(f"{heading}, table {number}")
            yield html_token(f'<div class="table" role="region" aria-label="{label}" tabindex="0">')
        elif token.type in ("tbody_open", "tbody_close"):
            in_body = token.type == "tbody_open"
        elif token.type == "tr_open":
            first = in_body
        elif token.type == "th_open":
            token.attrs["scope"] = "col"
        elif first and token.type == "td_open":
            token.tag, token.attrs["scope"] = "th", "row"
        elif first and token.type == "td_close":
            token.tag, first = "th", False
        yield token
        if token.type == "table_close":
            yield html_token("</div>")


def html_token(content: str) -> Token:
    return Token("html_block", "", 0, content=content)
