"""Section "Results at a glance": a card for each problem of the assignment, with published results beside ours."""

from collections.abc import Sequence
from typing import Any, Literal

from hw2core.report import pages, references, results
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.sections import Section
from hw2core.report.sections.conditional import COURSE_DIGITS
from hw2core.report.sections.faces import COURSE_FACES
from hw2core.settings import Params
from hw2core.settings.registry import title

Better = Literal["up", "down"]
OWN_FACE_METRICS = (
    ("face detection rate, %", "face_detection_rate", 1),
    ("FD (face features)", "fd_faces", 2),
)
"""What a card of faces shows if they are not the course's."""


def faces_card(params: Params, section: Section | None) -> dict[str, Any] | None:
    """The best system by each metric; beside published values if the faces are the course's."""
    if section is None:
        return None
    rows = [row for row in section.context["rows"] if row["n"]]
    compared = params.data.faces == COURSE_FACES
    scales = references.FACE_SCALES if compared else ()
    return {
        "compared": compared,
        "lines": [scale_line(rows, scale) for scale in scales]
        or [
            {"metric": metric} | best_row(rows, column, results.FACE_METRICS[column], digits)
            for metric, column, digits in OWN_FACE_METRICS
        ],
    }


def conditional_card(params: Params, section: Section | None) -> dict[str, Any] | None:
    if section is None:
        return None
    rows = section.context["digits"]["rows"] if section.context["digits"] else []
    compared = params.data.digits == COURSE_DIGITS
    lines = []
    for row in rows:
        scale = references.DIGIT_SCALES[row["system"].partition("/")[0]]
        line = scale_line([row], scale) if compared else best_row([row], scale.column, scale.better, 1)
        lines.append(line | {"metric": scale.metric, "system": ""})
    if faces := section.context["faces"]:
        ours = pages.metric(faces, "attribute_accuracy")
        lines.append(
            {
                "metric": f"ACGAN, {pages.plain(faces['attribute'])}: attribute accuracy, %",
                "ours": ours,
                "system": "",
            }
        )
    return {"compared": compared and bool(rows), "lines": lines}


def adaptation_card(params: Params, section: Section | None) -> dict[str, Any] | None:
    """For each pair the best method, between the bounds."""
    if section is None or not section.context["methods"]:
        return None
    lines = []
    for row in section.context["last"]:
        if row["pair"] not in params.pairs:
            continue
        best = best_row(
            [
                row | {"system": method} | {"value": row[method], "value std": row[f"{method} std"]}
                for method in section.context["methods"]
            ],
            "value",
            "up",
            1,
        )
        pair = row["pair"]
        known = references.BEST.get(pair)
        reports = [
            (max(each.methods.values()), each.report)
            for each in references.REPORTS
            if each.pair == pair and each.methods
        ]
        baselines = references.BASELINES.get(pair, ())
        lines.append(
            best
            | {
                "pair": arrow(pair),
                "source": pages.metric(row, SOURCE_ONLY),
                "target": pages.metric(row, TARGET_ONLY),
                "baseline": ", ".join(f"{value:g}" for value in baselines),
                "reports": "{:g} ({})".format(*max(reports)) if reports else "",
                "best": "{:g} ({})".format(*known) if known else "",
                "verdict": verdict(best["mean"], [*map(float, baselines[-1:])], known and known[0], "up"),
            }
        )
    return {"compared": any(line["best"] for line in lines), "lines": lines}


def best_row(rows: Sequence[results.Row], column: str, better: Better, digits: int) -> dict[str, Any]:
    """The best measured value of a column, and its system."""
    measured = [row for row in rows if row[column] is not None]
    if not measured:
        return {"ours": pages.DASH, "system": "", "mean": None}
    pick = max if better == "up" else min
    row = pick(measured, key=lambda row: row[column])
    return {"ours": pages.metric(row, column, digits), "system": title(row["system"]), "mean": row[column]}


def scale_line(rows: Sequence[results.Row], scale: references.Scale) -> dict[str, Any]:
    best = best_row(rows, scale.column, scale.better, scale.digits)
    return best | {
        "metric": scale.metric,
        "baseline": f"{scale.simple:g}, then {scale.strong:g}",
        "reports": scale.reports,
        "best": f"{scale.best:g}",
        "verdict": verdict(best["mean"], [scale.simple, scale.strong], scale.best, scale.better),
    }


def verdict(ours: float | None, baselines: Sequence[float], best: float | None, better: Better) -> str:
    """Where a result stands among the published ones, in words. `baselines` are in rising order of difficulty."""
    if ours is None or (not baselines and best is None):
        return ""

    def reaches(value: float) -> bool:
        return ours >= value if better == "up" else ours <= value

    if best is not None and reaches(best):
        return "\u25b2 reaches the best known"
    if not baselines:
        return "\u25bc below the best known"
    reached = sum(map(reaches, baselines))
    if reached == len(baselines):
        return "\u25b2 passes the baseline" if len(baselines) == 1 else "\u25b2 passes the strong baseline"
    return (
        "\u25c6 between the baselines"
        if reached
        else "\u25bc misses the baseline" + ("s" if len(baselines) > 1 else "")
    )
