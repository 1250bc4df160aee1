"""The child processes of a run: one process group that ends with the run, and one run per workspace."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

GRACE = 5  # seconds that a terminated stage has to end before it is killed


class Interrupted(BaseException):
    """Ctrl-C, or another signal that ends the run."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def signals_raise() -> Iterator[None]:
    """Raise Interrupted on Ctrl-C, SIGTERM and SIGHUP, so that all three end the run in the same orderly way."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Children:
    """The DVC commands of a run and the stages that they start: one process group, ended by one signal.

    No stage outlives the run, even if SIGKILL ends this process: the next run would otherwise train the same stage a
    second time. A small shell leads the group. It reads from a pipe that only this process holds open, so that it
    notices the end of this process, whatever the cause, and ends the group.

    Only one run works in a workspace. The lock on `lock_path` is also the standard input of the whole group, so that it
    is held until the last process of a stage has ended.
    """

    WATCH = f'trap "" TERM; read go && exit; kill -TERM 0; sleep {GRACE}; kill -KILL 0'

    def __init__(self, lock_path: Path, threads: int) -> None:
        self.lock_path = lock_path
        self.processes: list[subprocess.Popen[str]] = []
        self.environment = os.environ | {
            # Stages call `python`: it must be the one of this environment.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "SHELL": "/bin/sh",  # DVC runs commands in the user's own shell, whichever that is
            "PYTHONUNBUFFERED": "1",  # so that a log can be followed while its stage runs
            "DVC_NO_ANALYTICS": "1",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
        }

    def __enter__(self) -> Self:
        """Take the lock, and start the shell that watches this process.

        The lock file holds a line while a run works. If it is still there, `left_unfinished` is set: that run was killed.
        """
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = self.lock_path.open("a+")
        if not try_lock(self.lock):
            print(
                "Waiting for another `hw2 repro` in this workspace, or its last stages, to end.", flush=True
            )
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.lock.seek(0)
        self.left_unfinished = self.lock.read() != ""
        self.lock.write("this run is not over, or was killed\n")
        self.lock.flush()
        silent = subprocess.DEVNULL
        self.watch = subprocess.Popen(
            ["/bin/sh", "-c", self.WATCH],
            stdin=subprocess.PIPE,
            stdout=silent,
            stderr=silent,
            text=True,
            process_group=0,
        )
        return self

    def dvc(
        self,
        *arguments: str,
        cwd: Path,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        gpus: list[str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start a DVC command of this environment, on these GPUs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=cwd,
            env=self.environment | ({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}),
            stdin=self.lock,
            stdout=stdout,
            stderr=stderr,
            text=True,
            process_group=self.watch.pid,
        )
        self.processes.append(process)
        return process

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        ends = [process.poll() for process in self.processes]
        if all(end is not None and end >= 0 for end in ends):
            self.lock.truncate(
                0
            )  # no DVC command was or will be killed: none can leave a partly written file
        if kind is None:
            self.watch.communicate("go\n")
            self.lock.close()
        else:
            self.stop()
        for process in (*self.processes, self.watch):
            process.communicate()

    def stop(self) -> None:
        """Terminate what still runs, and kill it after GRACE seconds."""
        os.killpg(self.watch.pid, signal.SIGTERM)
        self.lock.close()
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            with self.lock_path.open() as lock:
                if try_lock(lock):  # no process has it as standard input any more
                    break
            time.sleep(0.05)
        os.killpg(self.watch.pid, signal.SIGKILL)


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
