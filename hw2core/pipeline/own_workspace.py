"""Workers that do not see the workspace of the run: each has a copy of it, and files pass through the DVC remote.

The copy gets the code as it is when the run starts, uncommitted changes included. Before a stage it fetches what the
stage reads, and after it, it sends what the stage wrote, together with the stage's entry of dvc.lock.
"""

import hashlib
import io
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from distributed import Worker

from hw2core.errors import UserError
from hw2core.pipeline.fork_server import Answer
from hw2core.pipeline.repository import Repository
from hw2core.pipeline.transfer import Hashes
from hw2core.pipeline.worker import Task, Workspace

PROGRESS_TOPIC = "hw2core progress"
LOG_BYTES = 1 << 20
"""The most that is sent of a stage's log, from its end."""
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pillow",
    "dvc",
    "distributed",
)


class RemoteAnswer(Answer):
    """What the run needs of a stage beside its status."""

    log: bytes
    outputs: Hashes
    entry: str


class OwnWorkspace(Workspace):
    """A copy of the workspace of the run on the worker's own disk. It disappears with the worker."""

    def __init__(self, code: bytes, dvc_config: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        super().__init__(Path("hw2core"), environment, gpus={})  # a worker's GPUs are its own
        self.code, self.dvc_config, self.versions = code, dict(dvc_config), versions()

    def setup(self, worker: Worker) -> None:
        super().setup(worker)
        self.problem = difference(self.versions, versions())
        self.folder = Path(worker.local_directory) / self.folder
        self.environment["DVC_ROOT"] = str(self.folder)  # not that of an experiment on another machine
        shutil.rmtree(self.folder, ignore_errors=True)
        unpack(self.code, self.folder)
        self.seen: dict[str, str] = {}
        """The last progress of each stage."""

    def run(self, task: Task) -> RemoteAnswer:
        if self.problem:
            raise UserError(f"the worker {self.worker.address} has {self.problem}")
        if not hasattr(self, "repository"):
            self.repository = Repository(self.folder, self.dvc_config)
        self.repository.receive(task.inputs)
        log = self.folder / task.log
        log.unlink(missing_ok=True)
        ended = super().run(task)
        end_of_log = log.read_bytes()[-LOG_BYTES:] if log.exists() else b""
        if ended["status"] != 0:
            return {**ended, "log": end_of_log, "outputs": {}, "entry": ""}
        self.repository.record(task.name)
        outputs = self.repository.send(self.repository.outputs(task.name))
        self.repository.send_run_cache()
        return {**ended, "log": end_of_log, "outputs": outputs, "entry": self.repository.entries[task.name]}

    def tick(self, task: Task) -> None:
        progress = self.folder / task.progress
        text = progress.read_text(encoding="utf-8") if progress.exists() else ""
        if text and text != self.seen.get(task.name):
            self.seen[task.name] = text
            self.worker.log_event(PROGRESS_TOPIC, {"stage": task.name, "progress": text})


def pack(root: Path, outputs: Iterable[str]) -> bytes:
    """An archive of the workspace: the files that git tracks or would track, without those that stages write."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True
    )
    if listing.returncode:
        raise UserError(f"{root}: git does not list its files: {listing.stderr.decode().strip()}")
    written = set(outputs)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in sorted(filter(None, listing.stdout.decode().split("\0"))):
            path = root / name
            above = {name, *map(str, Path(name).parents)}
            if not above & written and (path.is_file() or path.is_symlink()):
                archive.add(path, name)
    return buffer.getvalue()


def unpack(code: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(code)) as archive:
        archive.extractall(folder, filter="tar")


def versions() -> dict[str, str]:
    """What must be the same on all machines: results depend on the libraries, and workers on the code of this folder."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return {**found, "hw2core/pipeline": hashlib.sha256(code).hexdigest()[:8]}


def difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """The libraries of other versions, in words."""
    return ", ".join(
        f"{name} {found.get(name)} instead of {wanted}"
        for name, wanted in expected.items()
        if found.get(name) != wanted
    )
