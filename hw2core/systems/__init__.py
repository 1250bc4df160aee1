"""One file per system: its networks, its objective, its sampler or predictor."""
