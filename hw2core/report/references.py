"""Published results to compare with: accuracies on the target's test set in percent, and metrics of generated images.

R19 to R22b are five course reports on this assignment; the baselines are the course's own. Their data sets are the course's.
Results on other data sets, such as the embedded ones, are never compared with them.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.settings.registry import title


@dataclass(frozen=True)
class Reference:
    """One report's accuracies on one pair."""

    report: str
    pair: str
    source_only: float
    target_only: float
    methods: dict[str, float] = field(default_factory=dict)


REPORTS = (
    Reference("R21", "mnistm-usps", 64.72, 97.56, {"dann": 86.8, "dsn": 84.75}),
    Reference("R22a", "mnistm-usps", 50.645, 98.658, {"dann": 86.425}),
    Reference("R22b", "mnistm-usps", 87.43, 97.83, {"dann": 93.68}),
    Reference("R19", "svhn-mnistm", 45.23, 96.32, {"dann": 45.38, "adda": 59.55}),
    Reference("R21", "svhn-mnistm", 51.34, 97.62, {"dann": 62.0, "dsn": 51.8}),
    Reference("R21", "usps-svhn", 20.4, 91.47, {"dann": 28.45, "dsn": 34.36}),
    Reference("R19", "mnistm-svhn", 38.91, 88.42, {"dann": 44.84, "adda": 45.81}),
    Reference("R20", "mnistm-svhn", 19.99, 91.49, {"dann": 48.2, "adda": 15.938}),
    Reference("R22a", "mnistm-svhn", 19.159, 96.038, {"dann": 64.506}),
    Reference("R22b", "mnistm-svhn", 33.66, 90.46, {"dann": 48.74}),
    Reference("R20", "usps-mnistm", 13.67, 91.28, {"dann": 28.73, "adda": 10.07}),
    Reference("R20", "svhn-usps", 40.51, 96.91, {"dann": 51.67, "adda": 13.154}),
)


@dataclass(frozen=True)
class FaceReference:
    """One report's metrics of 1000 generated faces: FID against the course's test faces, inception score, and face
    detection rate in percent; or an autoencoder's mean squared error on test faces."""

    report: str
    system: str
    fid: str = ""
    inception_score: str = ""
    face_detection_rate: str = ""
    reconstruction_mse: str = ""
    ours: str = ""  # the same system here


FACES = (
    FaceReference("R20", "VAE", reconstruction_mse="0.093 (ten images)", ours="vae"),
    FaceReference("R21", "GAN", "27.9", "2.13", ours="stylegan2"),
    FaceReference("R22a", "DCGAN", "38.68", "", "91.4", ours="dcgan5"),
    FaceReference("R22a", "SNGAN", "25.66", "", "92.2", ours="sngan"),
    FaceReference("R22b", "DCGAN", "about 28", "", "about 91", ours="dcgan5"),
    FaceReference("R22b", "SNGAN+WGAN-GP", "about 24", "", "about 91", ours="sngan_gp"),
    FaceReference("best known", "any", "23.0", "2.137", "92.2"),
    FaceReference("course baseline (2021)", "any", "35, then 30", "2.00, then 2.15", ""),
    FaceReference("course baseline (2022)", "any", "30, then 27", "", "85, then 90"),
)
"""The course has a simple and a strong baseline."""

DIGITS = (
    {"from": "course baseline (2021)", "acgan": "70, then 80", "ddpm": ""},
    {"from": "course baseline (2022)", "acgan": "", "ddpm": "80, then 88"},
    {"from": "course baseline (2023)", "acgan": "", "ddpm": "90, then 95"},
    {"from": "best known", "acgan": "99.8", "ddpm": "99.9"},
)
"""Accuracy of the course's classifier on 1000 generated MNIST-M digits, in percent."""

BEST: dict[str, tuple[float, str]] = {
    "mnistm-svhn": (64.5, "DANN"),
    "mnistm-usps": (93.7, "DANN"),
    "svhn-mnistm": (71.7, "DSN"),
    "svhn-usps": (85.1, "SYMNet"),
    "usps-mnistm": (68, "DSN"),
    "usps-svhn": (37.3, "a method that is not named"),
}
"""The best result known of any method, and the method."""

BASELINES: dict[str, tuple[float, ...]] = {
    "mnistm-svhn": (40,),
    "mnistm-usps": (72, 76),
    "svhn-mnistm": (40, 42),
    "usps-mnistm": (40,),
    "usps-svhn": (28,),
}
"""The course's baselines; of two years where they differ."""


@dataclass(frozen=True)
class Scale:
    """Published values of one metric of generated images: the course's simple and strong baseline, the best of the
    reports R19 to R22b, and the best known."""

    metric: str
    column: str
    better: Literal["up", "down"]
    digits: int
    simple: float
    strong: float
    reports: str
    best: float


FACE_SCALES = (
    Scale("FID", "fid", "down", 1, 30, 27, "about 24 (R22b)", 22.97),
    Scale("inception score", "is", "up", 2, 2.00, 2.15, "2.13 (R21)", 2.137),
    Scale("face detection rate, %", "face_detection_rate", "up", 1, 85, 90, "92.2 (R22a)", 92.2),
)
DIGIT_SCALES = {
    "acgan": Scale("ACGAN, digit accuracy, %", "digit_accuracy", "up", 1, 70, 80, "", 99.8),
    "ddpm": Scale("DDPM, digit accuracy, %", "digit_accuracy", "up", 1, 90, 95, "", 99.9),
}


def beside(table: pd.DataFrame) -> list[dict[str, Any]]:
    """For each of our pairs that others measured too: their accuracies, the best known, and the course's baseline."""
    return [
        {
            "pair": row["pair"],
            "ours": row,
            "reports": [reference for reference in REPORTS if reference.pair == row["pair"]],
            "best": "{:g} ({})".format(*BEST[row["pair"]]),
            "baseline": ", ".join(f"{value:g}" for value in BASELINES.get(row["pair"], ())),
        }
        for row in table.to_dict("records")
        if row["pair"] in BEST
    ]


@dataclass(frozen=True)
class Comparison:
    """One value of a report, and our table's row and column with the same metric. `row` is None if it was not measured
    here."""

    metric: str
    theirs: str
    row: dict[Any, Any] | None
    column: str
    digits: int = 1


def comparisons(report: str, pairs: pd.DataFrame, faces: pd.DataFrame) -> list[Comparison]:
    """Every value that a report prints beside ours. The caller leaves out rows that were measured on other images."""
    return compare_faces(report, faces) + compare_pairs(report, pairs)


def compare_faces(report: str, faces: pd.DataFrame) -> list[Comparison]:
    rows = {row["system"]: row for row in faces.to_dict("records")}
    return [
        Comparison(f"{reference.system}, {name}", theirs, rows.get(reference.ours), column, digits)
        for reference in FACES
        if reference.report == report
        for name, theirs, column, digits in (
            ("FID", reference.fid, "fid", 1),
            ("inception score", reference.inception_score, "is", 2),
            ("face detection rate", reference.face_detection_rate, "face_detection_rate", 1),
            ("reconstruction MSE", reference.reconstruction_mse, "reconstruction_mse", 4),
        )
        if theirs
    ]


def compare_pairs(report: str, pairs: pd.DataFrame) -> list[Comparison]:
    rows = {row["pair"]: row for row in pairs.to_dict("records")}
    found = []
    for reference in REPORTS:
        if reference.report != report:
            continue
        accuracies = {
            SOURCE_ONLY: reference.source_only,
            **reference.methods,
            TARGET_ONLY: reference.target_only,
        }
        for column, theirs in accuracies.items():
            row = rows.get(reference.pair)
            metric = f"{arrow(reference.pair)}, {title(column)}"
            found.append(Comparison(metric, f"{theirs:g}", row if row and column in row else None, column))
    return found
