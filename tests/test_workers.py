"""Work spread over processes: results in order, tasks made only as they can be taken, errors as they were."""

from collections.abc import Iterator

import pytest

from hw2core.workers import AHEAD, map_in_order, usable_cores


def test_results_come_in_order_and_tasks_are_not_made_long_before() -> None:
    made = 0

    def tasks() -> Iterator[int]:
        nonlocal made
        for number in range(-50, 0):
            made += 1
            yield number

    results = []
    for result in map_in_order(abs, tasks()):
        results.append(result)
        assert made <= len(results) + AHEAD * usable_cores()
    assert results == list(range(50, 0, -1))


def test_an_error_comes_back_as_it_was() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_order(int, ["1", "one", "2"]))
