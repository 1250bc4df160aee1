"""How long stages take, by their last run on this machine."""

from collections.abc import Mapping
from graphlib import TopologicalSorter


def longest_paths(
    todo: list[str], upstream: Mapping[str, set[str]], seconds: Mapping[str, float]
) -> dict[str, float]:
    """For each stage the time from its start to the end of the longest path through it.

    A stage that has not run yet is taken to last as long as the median of the others.
    """
    usual = sorted(seconds.values())[len(seconds) // 2] if seconds else 1.0
    inside = set(todo)
    order = TopologicalSorter({name: upstream[name] & inside for name in todo}).static_order()
    left = dict.fromkeys(todo, 0.0)
    for name in reversed(list(order)):
        left[name] += seconds.get(name, usual)
        for source in upstream[name] & inside:
            left[source] = max(left[source], left[name])
    return left


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
