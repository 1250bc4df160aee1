"""Image generation and domain adaptation, one reproducible pipeline."""

__version__ = "0.2.0"
