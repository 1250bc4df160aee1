"""Datasets: where they come from, how they are made ready, how the networks read them."""
