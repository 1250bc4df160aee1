"""A worker of the run: its fork servers end with the run."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hw2core.pipeline.worker import Task, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path, environment={}, gpus={})
    worker: Any = SimpleNamespace(name="0")
    found.setup(worker)
    return found


def task(tmp_path: Path, command: str) -> Task:
    return Task("some", command, str(tmp_path / "log"), str(tmp_path / "progress"), outputs=())


def test_no_stage_starts_after_the_end_of_the_run(workspace: Workspace, tmp_path: Path) -> None:
    """Such a stage would have a fork server that nothing ends."""
    answer = workspace.run(task(tmp_path, f"{sys.executable} --version"))
    assert answer["status"] == 0
    (server,) = workspace.servers
    asyncio.run(workspace.teardown(workspace.worker))
    assert not server.alive()
    with pytest.raises(RuntimeError, match="the run has ended"):
        workspace.run(task(tmp_path, "true"))
    assert workspace.servers == [server]
