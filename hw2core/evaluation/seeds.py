"""The metrics of several seeds as one: mean, standard deviation and number of every measured value. And the one test by
which the report and the gate say that two metrics differ: two pooled standard deviations."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Spread = dict[str, float | int | list[float] | None]

DEVIATIONS = 2
"""Pooled standard deviations by which two means must differ at least."""

ROUNDING = 1e-9
"""Relative error of a mean: 54.1 - 53.1 is slightly more than 1 in floating point."""


@dataclass(frozen=True)
class Value:
    """A metric: one measurement, or the mean of `n` seeds with their standard deviation."""

    mean: float
    std: float | None = None
    n: int | None = None
    """None if it is no mean over seeds."""

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if self.std is None else f" ± {self.std:.2g}")


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
        if all(isinstance(value.get("mean"), int | float) for value in seeds):
            return spread([value["mean"] for value in seeds])
        return {key: combine([value[key] for value in seeds if key in value]) for key in first}
    return first if all(value == first for value in seeds) else list(seeds)


def pooled_std(a: Value, b: Value) -> float | None:
    """The standard deviation within two groups of seeds: their variances, weighted by the degrees of freedom n - 1.

    For equal numbers of seeds it is sqrt((s_a² + s_b²) / 2). None if a group has a single seed, which says nothing about
    its spread.
    """
    if a.std is None or b.std is None or a.n is None or b.n is None or min(a.n, b.n) < 2:
        return None
    freedom_a, freedom_b = a.n - 1, b.n - 1
    return math.sqrt((freedom_a * a.std**2 + freedom_b * b.std**2) / (freedom_a + freedom_b))


def differ(a: Value, b: Value) -> bool:
    """Whether A differs from B over seeds: their means are more than two pooled standard deviations apart.

    With a single seed on either side nothing is said to differ. Without any spread, every difference counts.

    Of normally distributed metrics of equal systems, 18 % differ by this test with two seeds on each side, 7 % with three
    and 1 % with five. It is not paired, even where both sides have the same seeds on the same pair of domains: with two
    seeds the differences have one degree of freedom, and a paired test at 5 % needs nine of their standard deviations.
    """
    std = pooled_std(a, b)
    slack = ROUNDING * max(abs(a.mean), abs(b.mean))
    return std is not None and abs(a.mean - b.mean) > DEVIATIONS * std + slack


def best(values: Mapping[str, Value], better: Literal["up", "down"]) -> str | None:
    """The name of the best value; None if it does not differ from every other one, or is alone."""
    pick = max if better == "up" else min
    first = pick(values, key=lambda name: values[name].mean, default=None)
    if first is None or len(values) < 2:
        return None
    others = (value for name, value in values.items() if name != first)
    return first if all(differ(values[first], other) for other in others) else None
