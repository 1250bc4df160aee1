"""reports/summary/: the headline metrics of each system, a small file each. They are what DVC calls the pipeline's metrics,
so that `dvc metrics show` and `dvc exp show` fit a screen; every other metric is in stages/."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY
from hw2core.report.results import Row
from hw2core.report.sections import Section
from hw2core.settings import Params

Summary = dict[str, float]
DECIMALS = 2


def summaries(params: Params, sections: Mapping[str, Section | None]) -> dict[str, Summary]:
    """For each system means over its pairs and seeds: accuracy on the target's test images, or of generated digits or
    attributes as a classifier reads them; face detection rate; FD by the features of the pipeline's own network."""
    found: dict[str, Summary] = {}
    if adaptation := sections["adaptation"]:
        found |= of_pairs(params, adaptation.tables["accuracy_last"], adaptation.context["methods"])
    if faces := sections["faces"]:
        generators = {*params.gans, *params.autoencoders}
        for row in faces.context["rows"]:
            if row["system"] in generators:
                found[row["system"]] = chosen(row, face_detection_rate="face_detection_rate", fd="fd_faces")
    if conditional := sections["conditional"]:
        digits, face = conditional.context["digits"], conditional.context["faces"]
        for row in digits["rows"] if digits else []:
            name = row["system"].replace("/", "_")
            found[name] = chosen(row, accuracy="digit_accuracy", fd="fd_digits")
        if face:
            metrics = {
                "accuracy": "attribute_accuracy",
                "face_detection_rate": "face_detection_rate",
                "fd": "fd_faces",
            }
            found["acgan_faces"] = chosen(face, **metrics)
    return {name: summary for name, summary in found.items() if summary}


def of_pairs(params: Params, table: pd.DataFrame, methods: list[str]) -> dict[str, Summary]:
    """The mean accuracy over the pairs of params, where every pair has one."""
    means = table[table["pair"].isin(list(params.pairs))][[SOURCE_ONLY, *methods, TARGET_ONLY]].mean(
        skipna=False
    )
    names = {SOURCE_ONLY: "source_only", TARGET_ONLY: "target_only"}
    return {
        names.get(str(name), str(name)): chosen({"mean": mean}, accuracy="mean")
        for name, mean in means.items()
    }


def chosen(row: Row, **columns: str) -> Summary:
    """Some metrics of a table's row under other names, if they were measured."""
    found: dict[str, Any] = {name: row.get(column) for name, column in columns.items()}
    return {name: round(float(value), DECIMALS) for name, value in found.items() if pd.notna(value)}
