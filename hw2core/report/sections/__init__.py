"""The sections of the report: what each of them says, with its tables and figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

Figures = dict[str, Callable[[], Figure | Image.Image]]
"""Figures by their files' names. They read what they show, and draw it, when they are called."""


@dataclass(frozen=True)
class Section:
    """A part of the report. `context` is what its template prints; tables and figures go by their files' names. `real`
    are the figures that show images of the datasets."""

    context: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    real: frozenset[str] = frozenset()
