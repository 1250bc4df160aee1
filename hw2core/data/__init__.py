"""Datasets: where the images come from, and how they become the arrays in data/ready."""
