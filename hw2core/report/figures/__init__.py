"""Figures of the report, by kind: grids of images, charts, maps of points. The same data gives the same bytes."""

from hw2core.report.figures.grids import contact_sheet as contact_sheet
from hw2core.report.figures.style import save as save
