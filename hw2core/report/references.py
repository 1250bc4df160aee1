"""What others measured on the same pairs, to stand beside our own figures: accuracy on the target's test set, %.

R19 to R22b are five course reports on this assignment; the baselines are the course's own. Their MNIST-M, USPS and
SVHN are the course's. None of it is printed beside a figure of another domain, such as the embedded ones.
"""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hw2core.report.results import arrow, title


@dataclass(frozen=True)
class Reference:
    """One report's figures of one pair."""

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
    """One report's figures of 1000 generated faces: FID against the course's test faces, inception score, and per
    cent with exactly one face; or an autoencoder's mean squared error on test faces."""

    report: str
    system: str
    fid: str = ""
    inception_score: str = ""
    faces_found: str = ""
    error: str = ""
    ours: str = ""  # the system here that is theirs


FACES = (
    FaceReference("R20", "VAE", error="0.093 (ten images)", ours="vae"),
    FaceReference("R21", "GAN", "27.9", "2.13", ours="stylegan2"),
    FaceReference("R22a", "DCGAN", "38.68", "", "91.4", ours="dcgan5"),
    FaceReference("R22a", "SNGAN", "25.66", "", "92.2", ours="sngan"),
    FaceReference("R22b", "DCGAN", "about 28", "", "about 91", ours="dcgan5"),
    FaceReference("R22b", "SNGAN+WGAN-GP", "about 24", "", "about 91", ours="sngan_gp"),
    FaceReference("best known", "any", "23.0", "2.137", "92.2"),
    FaceReference("the course asks (2021)", "any", "35, then 30", "2.00, then 2.15", ""),
    FaceReference("the course asks (2022)", "any", "30, then 27", "", "85, then 90"),
)
"""The course's baselines are a simple and a strong one."""

DIGITS = (
    {"from": "the course asks (2021)", "acgan": "70, then 80", "ddpm": ""},
    {"from": "the course asks (2022)", "acgan": "", "ddpm": "80, then 88"},
    {"from": "the course asks (2023)", "acgan": "", "ddpm": "90, then 95"},
    {"from": "best known", "acgan": "99.8", "ddpm": "99.9"},
)
"""Per cent of 1000 generated MNIST-M digits that the course's classifier reads as meant."""

BEST = {
    "mnistm-svhn": "64.5 (DANN)",
    "mnistm-usps": "93.7 (DANN)",
    "svhn-mnistm": "71.7 (DSN)",
    "svhn-usps": "85.1 (SYMNet)",
    "usps-mnistm": "68 (DSN)",
    "usps-svhn": "37.3",
}
"""The best result of any method that was found anywhere."""

BASELINES = {
    "mnistm-svhn": "40",
    "mnistm-usps": "72 (2021), 76 (2022)",
    "svhn-mnistm": "40, 42",
    "usps-mnistm": "40",
    "usps-svhn": "28",
}
"""What the course asks for."""


def beside(table: pd.DataFrame) -> list[dict[str, Any]]:
    """For each of our pairs that others measured too: their figures, the best known and what the course asks for."""
    return [
        {
            "pair": row["pair"],
            "ours": row,
            "reports": [reference for reference in REPORTS if reference.pair == row["pair"]],
            "best": BEST[row["pair"]],
            "baseline": BASELINES.get(row["pair"]),
        }
        for row in table.to_dict("records")
        if row["pair"] in BEST
    ]


@dataclass(frozen=True)
class Figure:
    """One figure of a report, and where the same of ours stands, if there is one: a table's row, its column, and
    how many digits it is printed with."""

    what: str
    theirs: str
    row: dict[Any, Any] | None
    column: str
    digits: int = 1


def figures_of(report: str, pairs: pd.DataFrame, faces: pd.DataFrame) -> list[Figure]:
    """Every figure that the report prints, with ours from the tables of pairs and of face systems. What is not in
    them was not measured here; the caller leaves out what was measured on other images."""
    systems, adapted = (
        {row[of]: row for row in table.to_dict("records")}
        for of, table in (("system", faces), ("pair", pairs))
    )
    found = []
    for face in (face for face in FACES if face.report == report):
        row = systems.get(face.ours)
        found += [
            Figure(f"{face.system}, {name}", theirs, row, column, digits)
            for name, theirs, column, digits in (
                ("FID", face.fid, "fid", 1),
                ("inception score", face.inception_score, "is", 2),
                ("faces found", face.faces_found, "faces_found", 1),
                ("reconstruction error", face.error, "reconstruction_mse", 4),
            )
            if theirs
        ]
    for reference in (reference for reference in REPORTS if reference.report == report):
        row = adapted.get(reference.pair)
        accuracies = {
            "source only": reference.source_only,
            **reference.methods,
            "target only": reference.target_only,
        }
        found += [
            Figure(f"{arrow(reference.pair)}, {title(column)}", f"{theirs:g}", row, column)
            for column, theirs in accuracies.items()
        ]
    return found
