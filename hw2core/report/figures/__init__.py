"""Figures of the report, by kind: grids of images, charts, maps of points. The same data gives the same bytes."""
