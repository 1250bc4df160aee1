"""The report's tables as LaTeX, for a paper or a hand-in: \\input the file; the preamble needs booktabs."""

from markdown_it import MarkdownIt
from markdown_it.token import Token

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u2192": r"$\to$",
    "\u00b1": r"$\pm$",
    "\u2212": r"$-$",
    "\u2013": "--",
    "\u00a0": "~",
    "\u03b7": r"$\eta$",
    "\u25b2": r"$\blacktriangle$",
    "\u25bc": r"$\blacktriangledown$",
    "\u25c6": r"$\blacklozenge$",
}
MARKS = {"strong_open": r"\textbf{", "em_open": r"\emph{", "strong_close": "}", "em_close": "}"}


def tables(text: str) -> str:
    """Every table of the Markdown `text`, with the heading above it as its caption."""
    heading, parts, rows, alignment = "", [], list[list[str]](), ""
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(text)
    for i, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = inline(tokens[i + 1])
        elif token.type == "table_open":
            rows, alignment = [], ""
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            if token.type == "th_open":
                alignment += "r" if "right" in str(token.attrs.get("style")) else "l"
            rows[-1].append(inline(tokens[i + 1]))
        elif token.type == "table_close":
            parts.append(table(heading, alignment, rows))
    return "\n".join(["% Needs \\usepackage{booktabs} and, for triangles, \\usepackage{amssymb}.", *parts])


def table(caption: str, alignment: str, rows: list[list[str]]) -> str:
    lines = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            *(r"\begin{table}", r"  \centering", f"  \\caption{{{caption}}}"),
            *(f"  \\begin{{tabular}}{{{alignment}}}", r"    \toprule", f"    {lines[0]}", r"    \midrule"),
            *(f"    {line}" for line in lines[1:]),
            *(r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""),
        ]
    )


def inline(token: Token) -> str:
    """The text of a cell, with bold and emphasis."""
    parts = []
    for child in token.children or []:
        if child.type == "code_inline":
            parts.append(rf"\texttt{{{escaped(child.content)}}}")
        else:
            parts.append(MARKS.get(child.type, escaped(child.content)))
    return "".join(parts)


def escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text)
