"""`hw2 repro --cluster FILE.yaml`."""

import subprocess
import sys
from pathlib import Path

import pytest
from toys import ENGINE, stage, workspace

from hw2core.errors import UserError
from hw2core.pipeline.scheduler import reproduce


def cluster_file(folder: Path, text: str) -> str:
    path = folder / "cluster.yaml"
    path.write_text(text)
    return str(path)


PROGRAM = """
import sys
from pathlib import Path
from hw2core.layout import Layout
from hw2core.pipeline import deploy
from hw2core.pipeline.scheduler import reproduce
from hw2core.settings.models import Engine

deploy.CLASSES["slurm"] = ("dask_jobqueue.local", "LocalCluster")
reproduce(Layout(Path.cwd()), Engine.model_validate_json(sys.argv[1]), "1", sys.argv[2])
"""


def test_jobs_of_a_batch_system_run_the_stages(tmp_path: Path) -> None:
    """By dask-jobqueue's own stand-in for a batch system, whose jobs are processes of this machine.

    In a process of its own: the stand-in leaves objects to the garbage collector, which warns of them.
    """
    layout = workspace(tmp_path / "toy", stage("a") + stage("b", deps="a"))
    web = "{dashboard_address: '127.0.0.1:0'}"
    options = f"{{cores: 1, memory: 1GB, local_directory: {tmp_path}, scheduler_options: {web}}}"
    path = cluster_file(tmp_path, f"kind: slurm\nworkers: 1\noptions: {options}\n")
    run = [sys.executable, "-c", PROGRAM, ENGINE.model_dump_json(), path]
    printed = subprocess.run(run, cwd=layout.root, check=True, capture_output=True, text=True).stdout
    assert f"Waiting for the first worker of {path}." in printed
    assert "All 2 stages are up to date: 2 ran" in printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- slurm\n", "must have the keys kind, workers and options"),
        ("kind: cobalt\noptions: {}\n", "kind: must be slurm, pbs"),
        ("kind: ssh\nworkers: 0\noptions: {}\n", "workers: must be greater than 0, not 0"),
        ("kind: slurm\nworkers: 1\noptions: {}\nqueue: gpu\n", "queue: unknown key; known here: kind"),
        ("kind: ssh\noptions: {hosts: []}\n", "SSHCluster did not start: "),
        ("kind: kubernetes\noptions: {}\n", "needs the package dask-kubernetes: pip install dask-kubernetes"),
    ],
)  # fmt: skip
def test_a_file_that_deploys_nothing_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    layout = workspace(tmp_path / "toy", stage("a"))
    with pytest.raises(UserError, match=message) as problem:
        reproduce(layout, ENGINE, "1", cluster_file(tmp_path, text))
    assert len(str(problem.value).splitlines()) == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    layout = workspace(tmp_path / "toy", stage("a"))
    with pytest.raises(UserError, match=r"cluster\.yaml: no such file"):
        reproduce(layout, ENGINE, "1", str(tmp_path / "cluster.yaml"))
