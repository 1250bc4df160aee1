"""What a Dask worker does with a stage: it passes the command to a fork server and waits."""

import asyncio
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Worker, WorkerPlugin, get_worker

from hw2core.pipeline.fork_server import GRACE, Answer, Request
from hw2core.pipeline.transfer import Hashes
from hw2core.progress import VARIABLE

MODULE = "hw2core.pipeline.fork_server"
NAME = "hw2core"
"""Of the plugin."""
TICK = 2.0  # seconds between two checks of a running stage


@dataclass(frozen=True)
class Task:
    """A stage as a worker runs it. Paths are absolute, or relative to the worker's workspace."""

    name: str
    command: str
    log: str
    progress: str
    """The file into which it writes how far it is."""
    outputs: tuple[str, ...]
    """Removed before the command runs."""
    inputs: Hashes = field(default_factory=dict)
    """What it reads that other stages wrote, if the worker has to fetch it."""


class ForkServer:
    """A running fork server, in a process group of its own, which Ctrl-C does not reach."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def alive(self) -> bool:
        return self.process.poll() is None

    def run(self, request: Request, tick: Callable[[], None]) -> Answer:
        """Run a stage, and call `tick` now and then until it ends."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(request)}\n")
        self.process.stdin.flush()
        while not select.select([self.process.stdout], [], [], TICK)[0]:
            tick()
        line = self.process.stdout.readline()
        if not line:  # it was ended or killed, and its stage with it
            self.process.wait()
            self.close_output()
            return {"status": -9, "seconds": 0.0, "cpu_seconds": 0.0, "memory": 0}
        answer: Answer = json.loads(line)
        return answer

    def end(self) -> None:
        """Have it end, and its stage, which may write a checkpoint first."""
        assert self.process.stdin
        self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close_output(self) -> None:
        assert self.process.stdout
        self.process.stdout.close()


class Workspace(WorkerPlugin):
    """The folder in which a worker runs the stages of one run: that of the run itself, if the worker sees it."""

    name = NAME

    def __init__(self, folder: Path, environment: Mapping[str, str], gpus: Mapping[str, str]) -> None:
        """`gpus` has for each worker of this machine, by name, the value of CUDA_VISIBLE_DEVICES."""
        self.folder, self.environment, self.gpus = folder, dict(environment), gpus

    def setup(self, worker: Worker) -> None:
        self.worker = worker
        # A worker with several threads runs as many stages at a time, each in a fork server of its own.
        self.servers: list[ForkServer] = []
        self.idle: list[ForkServer] = []
        self.ended = False
        self.lock = threading.Lock()

    async def teardown(self, worker: Worker) -> None:
        """End the stages that run, all at once, and let no other start."""
        with self.lock:
            self.ended = True
        for server in self.servers:
            server.end()
        latest = time.monotonic() + GRACE + 1
        while any(server.alive() for server in self.servers) and time.monotonic() < latest:
            await asyncio.sleep(0.05)  # workers of this machine share one event loop
        for server in self.servers:
            server.kill()
        for server in self.idle:  # of the others, the thread that waits for the answer closes it
            server.close_output()

    def run(self, task: Task) -> Answer:
        log, progress = self.folder / task.log, self.folder / task.progress
        for folder in (log.parent, progress.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            for path in (self.folder / output for output in task.outputs):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(
                    missing_ok=True
                )
        except OSError as error:  # the folder may not be written, for example
            log.write_text(f"hw2: {error.filename}: {error.strerror}\n", encoding="utf-8")
            return {"status": 2, "seconds": 0.0, "cpu_seconds": 0.0, "memory": 0}
        server = self.server()
        request: Request = {
            "command": task.command,
            "folder": str(self.folder),
            "log": str(log),
            "environment": {**server.environment, VARIABLE: str(progress)},
        }
        answer = server.run(request, lambda: self.tick(task))
        with self.lock:
            self.idle.append(server)
        return answer

    def tick(self, task: Task) -> None:
        """A stage still runs."""

    def server(self) -> ForkServer:
        with self.lock:
            if self.ended:
                raise RuntimeError("the run has ended")
            while self.idle:
                if (server := self.idle.pop()).alive():
                    return server
            self.servers.append(server := self.start_server())
        return server

    def start_server(self) -> ForkServer:
        environment = {**os.environ, **self.environment}
        if (gpus := self.gpus.get(str(self.worker.name))) is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpus
        # Commands call `python`: it must be the one of this environment.
        environment["PATH"] = os.pathsep.join(
            [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        )
        return ForkServer(self.folder, environment)


def run(task: Task) -> Answer:
    """Run a stage on this worker."""
    workspace = get_worker().plugins[NAME]
    assert isinstance(workspace, Workspace)
    return workspace.run(task)
