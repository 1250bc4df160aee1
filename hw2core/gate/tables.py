"""Comparisons of metrics as a table for the terminal, as Markdown and as JSON."""

import json
from html import escape

from hw2core.gate.rules import ORDER, Comparison, Verdict

LABELS: dict[Verdict, str] = {
    "missing": "missing",
    "worse": "worse than allowed",
    "not comparable": "not comparable",
    "new": "new",
    "ok": "ok",
}


def summary(comparisons: list[Comparison], base: str, commit: str) -> str:
    count = {verdict: sum(c.verdict == verdict for c in comparisons) for verdict in ORDER}
    parts = [f"{count[verdict]} {LABELS[verdict]}" for verdict in ORDER if count[verdict]]
    return f"{len(comparisons)} metrics compared with {base} ({commit[:7]}): {', '.join(parts)}."


def cells(comparison: Comparison) -> list[str]:
    change = "" if comparison.change is None else f"{comparison.change:+.3g}"
    sign = "-" if comparison.better == "up" else "+"
    allowed = "" if comparison.allowed is None else f"{sign}{comparison.allowed:.3g}"
    base, here = (str(value) if value else "-" for value in (comparison.base, comparison.here))
    verdict = comparison.verdict.upper() if comparison.verdict in ("worse", "missing") else comparison.verdict
    return [f"{comparison.item} {comparison.key}", base, here, change, allowed, verdict]


def as_table(comparisons: list[Comparison], base: str, commit: str) -> str:
    """Return aligned columns for a terminal."""
    rows = [["metric", base, "here", "change", "allowed"], *(cells(one)[:-1] for one in comparisons)]
    verdicts = ["verdict", *(cells(one)[-1] for one in comparisons)]
    lines = [f"{line}  {verdict}" for line, verdict in zip(aligned(rows), verdicts, strict=True)]
    return "\n".join([*lines, "", summary(comparisons, base, commit), ""])


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines of columns: the first one aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [name.ljust(widths[0]), *(c.rjust(width) for c, width in zip(others, widths[1:], strict=True))]
        )
        for name, *others in rows
    ]


def as_markdown(comparisons: list[Comparison], base: str, commit: str) -> str:
    """Return a comment: a table of what changed, and the number of unchanged metrics."""
    changed = [comparison for comparison in comparisons if comparison.base != comparison.here]
    lines = ["### Gate", "", summary(comparisons, inline(base), commit)]
    if changed:
        lines += [
            "",
            f"| metric | {inline(base)} | here | change | allowed | verdict |",
            "|:---|---:|---:|---:|---:|:---|",
        ]
    for comparison in changed:
        name, *numbers, verdict = cells(comparison)
        verdict = f"**{verdict}**" if verdict.isupper() else verdict
        lines.append(f"| `{code(name)}` | {' | '.join(numbers)} | {verdict} |")
    if unchanged := len(comparisons) - len(changed):
        lines += ["", f"The other {unchanged} are unchanged." if changed else "All are unchanged."]
    return "\n".join([*lines, ""])


def inline(text: str) -> str:
    """A text as it is in a cell of a table: no HTML, no other cell."""
    return escape(text, quote=False).replace("|", r"\|")


def code(text: str) -> str:
    """The same between backticks."""
    return text.replace("`", "").replace("|", r"\|")


def as_json(comparisons: list[Comparison], base: str, commit: str) -> str:
    """Return everything, for scripts."""
    verdicts = {comparison.verdict for comparison in comparisons}
    status = "missing" if "missing" in verdicts else "worse" if "worse" in verdicts else "ok"
    metrics = [
        {
            "metrics": comparison.item,
            "key": comparison.key,
            "better": comparison.better,
            "base": vars(comparison.base) if comparison.base else None,
            "here": vars(comparison.here) if comparison.here else None,
            "change": comparison.change,
            "allowed": comparison.allowed,
            "verdict": comparison.verdict,
        }
        for comparison in comparisons
    ]
    return json.dumps({"base": base, "commit": commit, "status": status, "metrics": metrics}, indent=2) + "\n"
