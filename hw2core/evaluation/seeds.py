"""The metrics of several seeds as one: mean, standard deviation and number of every measured value."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

Spread = dict[str, float | int | list[float] | None]


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation (of a sample: n - 1), number, and the values themselves."""
    return {
        "mean": math.fsum(values) / len(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "n": len(values),
        "values": list(values),
    }


def combine(seeds: Sequence[Any]) -> Any:
    """Combine what each seed's metrics.json says.

    A number, or a mean of several measurements, becomes its `spread` over the seeds; what is equal for all stays as it
    is; what is neither becomes the list of all.
    """
    first = seeds[0]
    if all(isinstance(value, float) for value in seeds):
        return spread(seeds)
    if all(isinstance(value, dict) for value in seeds):
        if all("mean" in value for value in seeds):
            return spread([value["mean"] for value in seeds])
        return {key: combine([value[key] for value in seeds if key in value]) for key in first}
    return first if all(value == first for value in seeds) else list(seeds)
