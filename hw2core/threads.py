"""The number of threads of the numerical libraries, as environment variables that they read when they are imported."""

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def thread_variables(threads: int) -> dict[str, str]:
    """Without them, each library takes every core."""
    return dict.fromkeys(VARIABLES, str(threads))
