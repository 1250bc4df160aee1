"""Image generation and domain adaptation, one reproducible pipeline."""

__version__ = "0.1.0"
