"""What may run at a time."""

from typing import Any

import pytest

from hw2core.pipeline.capacity import Capacity


class Workers:
    """A client of a cluster with these workers."""

    def __init__(self, *workers: dict[str, Any]) -> None:
        usual = {"nthreads": 1, "resources": {}, "memory_limit": 0}
        self.workers = {f"w{number}": {**usual, **each} for number, each in enumerate(workers)}

    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": self.workers}


def test_a_stage_for_each_thread() -> None:
    capacity = Capacity(Workers({"nthreads": 2}, {}), set(), {})
    assert capacity.stages == 3
    assert capacity.fits("c", ["a", "b"])
    assert not capacity.fits("d", ["a", "b", "c"])
    assert capacity.requirements("c") == {}


def test_a_stage_waits_for_the_first_worker() -> None:
    assert Capacity(Workers(), set(), {}).fits("a", [])


@pytest.mark.parametrize(
    ("running", "fits"), [([], True), (["new"], True), (["small"], True), (["large"], False)]
)
def test_stages_that_did_not_fit_into_memory_together_wait(running: list[str], fits: bool) -> None:
    peaks = {"small": 2.0, "large": 7.0, "next": 9.0}
    assert Capacity(Workers({}, {}), set(), peaks, memory=11.0).fits("next", running) is fits
    assert Capacity(Workers({}, {}), set(), peaks).fits("next", running)


def test_stages_on_a_device_share_the_gpus_and_leave_other_workers_to_the_others() -> None:
    capacity = Capacity(Workers({"resources": {"GPU": 1.0}}, {}, {}), {"train", "evaluate"}, {})
    assert capacity.requirements("train") == {"resources": {"GPU": 1}}
    assert capacity.requirements("report") == {}
    assert capacity.fits("train", ["report"])
    assert not capacity.fits("evaluate", ["train"])
    assert capacity.fits("report", ["train"])


def test_without_gpus_device_stages_run_everywhere() -> None:
    capacity = Capacity(Workers({}, {}), {"train", "evaluate"}, {})
    assert capacity.fits("evaluate", ["train"])
    assert capacity.requirements("train") == {}


def test_a_large_stage_runs_on_a_large_worker_if_there_is_one() -> None:
    capacity = Capacity(Workers({"memory_limit": 4}, {"memory_limit": 8}), set(), {"large": 6.0, "huge": 9.0})
    assert capacity.requirements("large") == {"workers": ["w1"]}
    assert capacity.requirements("huge") == {}
    assert capacity.requirements("new") == {}
