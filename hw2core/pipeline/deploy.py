"""`hw2 repro --cluster FILE.yaml`: a Dask cluster that starts for this run and ends with it."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from distributed import Client
from pydantic import PositiveInt, ValidationError

from hw2core.errors import UserError
from hw2core.settings.base import Section
from hw2core.settings.validation import describe_all
from hw2core.settings.yaml import read_yaml

Kind = Literal["slurm", "pbs", "sge", "lsf", "htcondor", "oar", "ssh", "kubernetes"]
CLASSES: dict[Kind, tuple[str, str]] = {
    "slurm": ("dask_jobqueue", "SLURMCluster"),
    "pbs": ("dask_jobqueue", "PBSCluster"),
    "sge": ("dask_jobqueue", "SGECluster"),
    "lsf": ("dask_jobqueue", "LSFCluster"),
    "htcondor": ("dask_jobqueue", "HTCondorCluster"),
    "oar": ("dask_jobqueue", "OARCluster"),
    "ssh": ("distributed", "SSHCluster"),
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster"),
}


class ClusterFile(Section):
    """What to deploy. `options` are those of Dask's class."""

    kind: Kind
    workers: PositiveInt | None = None
    """How many to start; None where `options` say it."""
    options: dict[str, Any]


@contextmanager
def deployed_client(path: Path) -> Iterator[Client]:
    """The cluster that a file describes, once it has a worker."""
    given = read_cluster_file(path)
    module, name = CLASSES[given.kind]
    try:
        cluster_class = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        package = module.partition(".")[0].replace("_", "-")
        raise UserError(
            f"--cluster {path}: kind {given.kind} needs the package {package}: pip install {package}"
        ) from None
    try:
        cluster = cluster_class(**given.options)
    except Exception as error:  # whatever a batch system raises
        raise UserError(f"--cluster {path}: {name} did not start: {' '.join(str(error).split())}") from None
    with cluster, Client(cluster) as client:
        if given.workers:
            cluster.scale(given.workers)
        if not client.nthreads():
            print(f"Waiting for the first worker of {path}.", flush=True)
            client.wait_for_workers(1)
        yield client


def read_cluster_file(path: Path) -> ClusterFile:
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: must have the keys kind, workers and options; see docs/scale.md")
    try:
        return ClusterFile.model_validate(raw)
    except ValidationError as error:
        problems = describe_all(error, ClusterFile)
        raise UserError("\n".join(f"{path}: {problem}" for problem in problems)) from None
