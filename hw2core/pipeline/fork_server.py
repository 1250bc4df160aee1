"""A process that imports the numerical libraries once, and forks itself for each stage that needs them.

    python -m hw2core.pipeline.fork_server

Importing torch takes seconds, as long as many stages. It runs one stage at a time. Requests and answers are lines
of JSON on its standard input and output. It imports a library of PRELOADED as soon as one stage has used it, never
hw2core itself: each stage imports the code as it is on the disk.

It ends when its input ends, that is with the process that started it, or by SIGTERM, and ends its stage first: by
SIGTERM, after which a training writes a checkpoint.
"""

import contextlib
import ctypes
import fcntl
import importlib
import json
import os
import resource
import runpy
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

PRELOADED = (
    *(
        "numpy",
        "torch",
        "pandas",
        "PIL.Image",
        "safetensors.torch",
        "pydantic",
        "ruamel.yaml",
        "typer",
        "tqdm",
    ),
    *("scipy.linalg", "sklearn.linear_model", "sklearn.manifold", "torchvision", "matplotlib.figure"),
    "jinja2",
)
GRACE = 5.0  # seconds
HW2 = ["python", "-m", "hw2core"]
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class Request(TypedDict):
    command: str
    """A stage's command, as in dvc.yaml."""
    folder: str
    log: str
    environment: dict[str, str]


class Answer(TypedDict):
    status: int
    """Exit status; -N if signal N ended the stage."""
    seconds: float
    cpu_seconds: float
    """Of the stage and the processes that it waited for."""
    memory: int
    """The largest resident set in bytes."""


def serve() -> int:
    """Fork for each request. In the fork, return the exit status of its stage."""
    answers = os.dup(1)
    os.dup2(2, 1)  # nothing else may write into the answers
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)  # the end of a fork wakes up `select`
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    wanted: set[str] = set()
    for line in sys.stdin:
        request: Request = json.loads(line)
        for name in PRELOADED:
            if name in wanted:
                importlib.import_module(name)
        imports, report = os.pipe()
        started = time.monotonic()
        # One that reaches the fork before it has its own handlers would be taken for one that reached the server.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if (child := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            for each in (answers, read_end, write_end, imports):
                os.close(each)
            return run_stage(request, report)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or done so itself
            os.setpgid(child, child)  # as the fork does, but before it can be asked to end
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(report)
        status, usage = wait_for(child, read_end)
        with os.fdopen(imports) as used:
            wanted |= set(used.read().split())
        answer: Answer = {
            "status": status,
            "seconds": time.monotonic() - started,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "memory": 1024 * usage.ru_maxrss,
        }
        os.write(answers, f"{json.dumps(answer)}\n".encode())
    return 0


def wait_for(child: int, wakeups: int) -> tuple[int, resource.struct_rusage]:
    """Wait for the end of a fork, and end it if the input ends first. Return its status and what it used."""
    while (ended := os.wait4(child, os.WNOHANG))[0] == 0:
        ready, _, _ = select.select([0, wakeups], [], [])
        received = os.read(wakeups, 4096) if wakeups in ready else b""
        # No second request comes before the answer to the first: the input can only end.
        if 0 in ready or signal.SIGTERM in received:
            stop(child, wakeups)
            sys.exit(1)
    end_group(child)  # what a stage has left running
    _, status, usage = ended
    return os.waitstatus_to_exitcode(status), usage


def stop(child: int, wakeups: int) -> None:
    """End a stage, and kill it if it has not ended within the time of grace."""
    end_group(child, signal.SIGTERM)
    end = time.monotonic() + GRACE
    while os.waitpid(child, os.WNOHANG)[0] == 0 and (left := end - time.monotonic()) > 0:
        if select.select([wakeups], [], [], left)[0]:
            os.read(wakeups, 4096)
    end_group(child)


def end_group(child: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, number)


def run_stage(request: Request, report: int) -> int:
    """Run a stage's command in this fork."""
    os.setpgid(0, 0)
    die_with_parent()
    Path(request["log"]).parent.mkdir(parents=True, exist_ok=True)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # A stage of a run that was killed can outlive it for a moment: wait for its end.
    fcntl.flock(log, fcntl.LOCK_EX)
    os.ftruncate(log, 0)
    for stream, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(file, stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    words = plain_words(request["command"])
    if words[: len(HW2)] != HW2:
        os.close(report)
        os.execve("/bin/sh", ["/bin/sh", "-c", request["command"]], os.environ)
    sys.argv = ["hw2", *words[len(HW2) :]]
    sys.path[0] = request["folder"]  # as `python -m` does
    try:
        runpy.run_module("hw2core", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int) or end.code is None:
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    finally:
        os.write(report, " ".join(name for name in PRELOADED if name in sys.modules).encode())
    return 0


def plain_words(command: str) -> list[str]:
    """The words of a command that no shell would change; none if it could."""
    return [] if set(command) & set("\n|&;<>()$`\\\"'*?[]#~=%{}!") else command.split()


def die_with_parent() -> None:
    """Be killed when the fork server dies, whatever the cause. Only Linux can do this; elsewhere its end by SIGKILL is not noticed."""
    with contextlib.suppress(AttributeError, OSError):
        prctl: Any = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(serve())
