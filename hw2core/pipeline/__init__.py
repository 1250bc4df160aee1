"""Running the pipeline and its experiments with DVC."""
