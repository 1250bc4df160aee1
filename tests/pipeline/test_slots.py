"""Slots for parallel stages, and their GPUs."""

from pathlib import Path

import pytest

from hw2core.errors import UserError
from hw2core.pipeline import slots
from hw2core.pipeline.slots import assign_gpus, count_slots, visible_gpus


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "", "1.5"])
def test_jobs_is_auto_or_a_positive_number(jobs: str) -> None:
    with pytest.raises(UserError, match=r"^--jobs: must be auto or a number of stages from 1 to 9999, not '"):
        count_slots(jobs, threads=1, gpus=[])


def test_auto_is_one_slot_per_gpu_or_as_many_as_the_cores_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 9)
    assert count_slots("auto", threads=2, gpus=[]) == 4
    assert count_slots("auto", threads=16, gpus=[]) == 1
    assert count_slots("auto", threads=2, gpus=["0", "1", "2"]) == 3
    assert count_slots("7", threads=2, gpus=["0"]) == 7


def test_gpus_are_divided_among_the_slots() -> None:
    assert assign_gpus(["0", "1"], 2) == [["0"], ["1"]]
    assert assign_gpus(["0", "1", "2"], 2) == [["0", "2"], ["1"]]
    assert assign_gpus(["0", "1"], 3) == [["0"], ["1"], ["0"]]
    assert assign_gpus([], 2) == [[], []]


def test_visible_gpus_are_those_of_the_variable_or_of_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-1f")
    assert visible_gpus() == ["2", "GPU-1f"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: H200 (UUID: x)'\necho '  MIG 1g: y'\necho 'GPU 1: H200 (UUID: z)'\n"
    )
    tool.chmod(0o755)
    assert visible_gpus() == ["0", "1"]
