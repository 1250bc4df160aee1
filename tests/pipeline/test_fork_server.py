"""The fork server: stages as forks of one process, which end with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import hw2core.pipeline.fork_server
from hw2core.pipeline.fork_server import GRACE, plain_words


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    process = start(tmp_path)
    yield process
    end(process)


def start(folder: Path) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "hw2core.pipeline.fork_server"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def end(process: Any) -> None:
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def ask(server: Any, folder: Path, command: str, **environment: str) -> None:
    request = {
        "command": command,
        "folder": str(folder),
        "log": str(folder / "logs" / "x.log"),
        "environment": dict(os.environ) | environment,
    }
    server.stdin.write(f"{json.dumps(request)}\n")
    server.stdin.flush()


def answer(server: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.stdout.readline())
    return found


def wait_for(path: Path) -> int:
    """The number in a file, once it is there."""
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python -m hw2core train_gan dcgan4 0", ["python", "-m", "hw2core", "train_gan", "dcgan4", "0"]),
        *((f"python -m hw2core {text}", []) for text in ("a; b", "$X", "a > b", "a*", "'a'", "a && b", "~")),
    ],
)
def test_a_command_that_a_shell_would_change_has_no_plain_words(command: str, words: list[str]) -> None:
    assert plain_words(command) == words


def test_statuses_and_logs_are_those_of_the_commands(server: Any, tmp_path: Path) -> None:
    for command, status, logged in (
        ("python -m hw2core --version", 0, "hw2core "),
        ("python -m hw2core no_such_command", 2, "No such command"),
        ("echo $COLOR; exit 3", 3, "blue"),
        ("kill -KILL $$", -9, ""),
    ):
        ask(server, tmp_path, command, COLOR="blue")
        found = answer(server)
        assert found["status"] == status
        assert found["memory"] > 2**20
        assert logged in (tmp_path / "logs" / "x.log").read_text()


def test_a_library_is_imported_once_and_the_code_by_each_stage(tmp_path: Path) -> None:
    """In a folder with a package hw2core of its own, of which the fork server has only what it needs itself."""
    package = tmp_path / "hw2core"
    (package / "pipeline").mkdir(parents=True)
    for name in ("__init__.py", "pipeline/__init__.py"):
        (package / name).touch()
    (package / "pipeline" / "fork_server.py").write_text(
        Path(hw2core.pipeline.fork_server.__file__).read_text()
    )
    process = start(tmp_path)
    for number in (1, 2):
        code = f"import sys\nprint({number}, 'tqdm' in sys.modules)\nimport tqdm\n"
        (package / "__main__.py").write_text(code)
        ask(process, tmp_path, "python -m hw2core")
        assert answer(process)["status"] == 0
        # The first stage imports the library, the second one finds it.
        assert (tmp_path / "logs" / "x.log").read_text() == f"{number} {number == 2}\n"
    end(process)


def test_a_stage_ends_when_the_input_of_the_server_ends(server: Any, tmp_path: Path) -> None:
    ask(server, tmp_path, "echo $$ > pid; sleep 600")
    stage = wait_for(tmp_path / "pid")
    server.stdin.close()
    wait_until_gone(stage)
    assert server.wait(30) == 1


def test_a_stage_that_has_just_been_forked_ends_without_the_time_of_grace(
    server: Any, tmp_path: Path
) -> None:
    ask(server, tmp_path, "true")
    assert answer(server)["status"] == 0  # it has started
    ask(server, tmp_path, "sleep 600")
    server.stdin.close()
    server.wait(GRACE - 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_stage_ends_when_the_server_is_killed(server: Any, tmp_path: Path) -> None:
    ask(server, tmp_path, "echo $$ > pid; exec sleep 600")
    stage = wait_for(tmp_path / "pid")
    server.send_signal(signal.SIGKILL)
    wait_until_gone(stage)


def test_what_a_stage_leaves_running_ends_with_it(server: Any, tmp_path: Path) -> None:
    ask(server, tmp_path, "sleep 600 & echo $! > pid")
    assert answer(server)["status"] == 0
    wait_until_gone(wait_for(tmp_path / "pid"))


@pytest.mark.parametrize("by", ["the end of its input", "SIGTERM"])
def test_a_stage_is_asked_to_end_before_it_is_killed(server: Any, tmp_path: Path, by: str) -> None:
    ask(server, tmp_path, "trap 'echo 1 > asked; exit' TERM; echo $$ > pid; while :; do sleep 0.02; done")
    stage = wait_for(tmp_path / "pid")
    server.stdin.close() if by == "the end of its input" else server.terminate()
    wait_until_gone(stage)
    assert wait_for(tmp_path / "asked") == 1
    assert server.wait(30) == 1
