"""The parallel map: results in order, lazy tasks, and errors of the worker processes."""

import os
from collections.abc import Iterator

import pytest

from hw2core.errors import UserError
from hw2core.workers import AHEAD, map_in_order, usable_cores


def test_results_are_in_order_and_tasks_are_generated_lazily() -> None:
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


def test_exception_of_a_task_is_raised_unchanged() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_order(int, ["1", "one", "2"]))


def test_killed_worker_is_reported_on_one_line() -> None:
    with pytest.raises(UserError, match=r"^a worker process was killed, perhaps because memory ran out; .+$"):
        list(map_in_order(os._exit, [1]))
