"""What a Dask worker does with a stage: it passes the command to its fork server and waits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distributed import Worker, get_worker

from hw2core.pipeline.fork_server import Answer, Request

MODULE = "hw2core.pipeline.fork_server"


@dataclass(frozen=True)
class Task:
    """A stage as a worker runs it."""

    command: str
    folder: Path
    log: Path
    outputs: tuple[str, ...]
    """Removed before the command runs."""
    environment: Mapping[str, str]
    """Of all stages: libraries are loaded with it."""
    own_environment: Mapping[str, str]
    """Of this stage alone."""
    gpus: Mapping[str, str]
    """For each worker of this machine, by name, the value of CUDA_VISIBLE_DEVICES."""


class ForkServer:
    """A running fork server, in a process group of its own, which Ctrl-C does not reach."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def serves(self, folder: Path, environment: dict[str, str]) -> bool:
        """Whether it is alive and has the environment in which libraries are loaded."""
        same = (self.folder, self.environment) == (folder, environment)
        return same and self.process.poll() is None

    def run(self, task: Task) -> Answer:
        assert self.process.stdin
        assert self.process.stdout
        request: Request = {
            "command": task.command,
            "folder": str(task.folder),
            "log": str(task.log),
            "environment": {**self.environment, **task.own_environment},
        }
        self.process.stdin.write(f"{json.dumps(request)}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:  # it was killed, and its stage with it
            self.close()
            return {"status": -9, "seconds": 0.0, "cpu_seconds": 0.0, "memory": 0}
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        """End it and its stage."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


FORK_SERVERS: dict[str, ForkServer] = {}
"""Of each worker in this process, by address."""


def run(task: Task) -> Answer:
    """Run a stage on this worker."""
    worker = get_worker()
    gpus = task.gpus.get(str(worker.name))
    environment = {**os.environ, **task.environment} | (
        {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
    )
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    )  # commands call `python`: it must be the one of this environment
    environment["DVC_ROOT"] = environment.get("DVC_ROOT", str(task.folder))
    server = FORK_SERVERS.get(worker.address)
    if server is None or not server.serves(task.folder, environment):
        if server:
            server.close()
        server = FORK_SERVERS[worker.address] = ForkServer(task.folder, environment)
    for path in map(Path, task.outputs):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    return server.run(task)


def end_stages(dask_worker: Worker) -> None:
    """End the stage that runs on this worker, and its fork server."""
    if server := FORK_SERVERS.pop(dask_worker.address, None):
        server.close()
