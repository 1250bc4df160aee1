"""Metrics of trained systems and of the images that they generate."""
