"""Experiments with the real DVC: `-S`, the queue, `exp apply`, and profiles, on the repository's own params.yaml.

The pipeline is one stage in a scratch clone with its own copy of the package: it reads params.yaml as every stage does
and writes down what it read.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import ROOT, Outcome

from hw2core.pipeline.experiments import successes

PROBE = """
import json
import os
from pathlib import Path

import hw2core
from hw2core.layout import Layout
from hw2core.settings import load_params

params = load_params(Path("params.yaml"))
read = {"lr": params.dann.lr, "arch": params.dann.arch, "seeds": params.seeds, "pairs": sorted(params.pairs)}
Path("read.json").write_text(json.dumps(read | {"train": params.data.embedded.train}))
runs = Layout(Path.cwd()).runs
runs.mkdir(exist_ok=True)
(runs / "where.json").write_text(json.dumps({"package": hw2core.__file__, "here": os.getcwd()}))
"""

PIPELINE = """
stages:
  probe:
    cmd: python -m hw2core.probe
    deps: [hw2core/probe.py]
    params: [seeds, data, pairs, dann]
    metrics:
      - read.json: {cache: false}
"""


@dataclass
class Scratch:
    root: Path

    def run(self, *command: str) -> Outcome:
        """A command in the clone, with this environment's python first in the path."""
        tools = Path(sys.executable).parent
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTHON"))
        } | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def must(self, *command: str) -> str:
        outcome = self.run(*command)
        assert outcome.status == 0, outcome.out + outcome.err
        return outcome.out

    def back(self) -> None:
        """To what is committed."""
        self.must("git", "checkout", "--quiet", ".")

    def read(self) -> dict[str, Any]:
        """What the stage read."""
        read: dict[str, Any] = json.loads((self.root / "read.json").read_text())
        return read

    @property
    def params(self) -> bytes:
        return (self.root / "params.yaml").read_bytes()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    root = tmp_path_factory.mktemp("experiments") / "clone"
    (root / "hw2core").mkdir(parents=True)
    for path in (ROOT / "hw2core").glob("*.py"):
        shutil.copyfile(path, root / "hw2core" / path.name)
    (root / "hw2core" / "probe.py").write_text(PROBE)
    shutil.copytree(ROOT / "profiles", root / "profiles")
    for name in ("params.yaml", ".gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "dvc.yaml").write_text(PIPELINE)
    scratch = Scratch(root)
    scratch.must("git", "init", "--quiet", "--initial-branch", "main")
    for key, value in (("user.name", "Tester"), ("user.email", "tester@example.org")):
        scratch.must("git", "config", key, value)
    scratch.must("dvc", "init", "--quiet")
    shutil.copyfile(ROOT / ".dvc" / "config", root / ".dvc" / "config")
    scratch.must("dvc", "repro", "--quiet")
    scratch.must("git", "add", "--all")
    scratch.must("git", "commit", "--quiet", "--message", "the default")
    return scratch


@pytest.fixture
def scratch(shared: Scratch) -> Scratch:
    """The clone as it was committed."""
    shared.back()
    return shared


def test_numbers_lists_and_nested_keys_reach_the_stage_as_they_are_meant(scratch: Scratch) -> None:
    """DVC writes 3e-05 for 3e-5, which plain YAML 1.1 reads as a word."""
    changes = ["dann.lr=3e-5", "seeds=[3,4]", "data.embedded.train=150"]
    scratch.must("dvc", "exp", "run", *(word for change in changes for word in ("-S", change)))
    assert b"3e-05" in scratch.params
    read = scratch.read()
    assert (read["lr"], read["seeds"], read["train"]) == (3e-5, [3, 4], 150)


@pytest.mark.parametrize("key", ["dann.lrr", "nosuch", "dann.lr.more"])
def test_an_unknown_key_is_refused_before_anything_runs(scratch: Scratch, key: str) -> None:
    outcome = scratch.run("dvc", "exp", "run", "-S", f"{key}=3e-4")
    assert outcome.status != 0
    assert key in outcome.err
    assert "Running stage" not in outcome.out
    assert scratch.must("git", "status", "--porcelain") == ""


def test_a_profile_passed_through_a_shell_is_run_and_params_come_back(scratch: Scratch) -> None:
    before = scratch.params
    scratch.must("sh", "-c", "dvc exp run $(python -m hw2core profile R19 --as-overrides)")
    read = scratch.read()
    assert (read["lr"], read["arch"], read["seeds"]) == (2e-4, "R19", [0])
    assert read["pairs"] == ["mnistm-svhn", "svhn-mnistm"]
    scratch.back()
    assert scratch.params == before


def test_a_profile_and_back_leaves_nothing_to_do_for_git_and_dvc(scratch: Scratch) -> None:
    scratch.must("python", "-m", "hw2core", "profile", "smoke")
    assert "changed" in scratch.must("dvc", "status")
    scratch.must("python", "-m", "hw2core", "profile", "--reset")
    assert scratch.must("git", "status", "--porcelain") == ""
    assert "up to date" in scratch.must("dvc", "status")


def test_a_temporary_run_has_its_own_copy_of_the_code_and_the_real_runs_folder(scratch: Scratch) -> None:
    before = scratch.params
    scratch.must("dvc", "exp", "run", "--temp", "-S", "dann.lr=7e-4")
    where = json.loads((scratch.root / "runs" / "where.json").read_text())
    assert where["here"] != str(scratch.root)
    assert Path(where["package"]).is_relative_to(where["here"])
    assert scratch.params == before


class Workers:
    """Two workers of DVC's queue. They end by themselves when it is empty, but one in some misses its call to end:
    so nothing here waits for them, and what is left of them is ended at the end."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch

    def finish(self, count: int) -> dict[str, str]:
        """Start them and wait until `count` experiments are done: of each its task."""
        self.scratch.must("dvc", "queue", "start", "--jobs", "2")
        deadline = time.monotonic() + 240
        while len(done := successes(status := self.scratch.must("dvc", "queue", "status"))) < count:
            assert time.monotonic() < deadline, status
            assert "Failed" not in status
        return done

    def end(self) -> None:
        for file in (self.scratch.root / ".dvc" / "tmp" / "exps" / "celery").glob("*.pid"):
            with contextlib.suppress(psutil.Error):
                worker = psutil.Process(int(file.read_text()))
                if "queue-worker" in worker.cmdline():
                    worker.kill()


@pytest.fixture
def at_work(scratch: Scratch) -> Iterator[Workers]:
    workers = Workers(scratch)
    yield workers
    workers.end()


def test_a_sweep_of_two_workers_comes_to_its_end_and_one_of_it_is_applied(
    scratch: Scratch, at_work: Workers
) -> None:
    rates = {"1e-4": 1e-4, "3e-4": 3e-4, "2e-3": 2e-3}
    scratch.must("dvc", "exp", "run", "--queue", "-S", f"dann.lr=choice({','.join(rates)})")
    tasks = at_work.finish(3)

    found = json.loads(scratch.must("dvc", "exp", "show", "--json"))
    measured = {
        experiment["revs"][0]["data"]["metrics"]["read.json"]["data"]["lr"]: experiment["name"]
        for baseline in found
        for experiment in baseline["experiments"] or []
        if experiment["name"] in tasks
    }
    assert set(measured) == set(rates.values())
    outcome = scratch.run("python", "-m", "hw2core", "lost")
    assert (outcome.status, outcome.out) == (
        0,
        "All 3 finished experiments of the queue have their result.\n",
    )

    scratch.must("dvc", "exp", "apply", measured[3e-4])
    assert scratch.read()["lr"] == 3e-4
    assert "up to date" in scratch.must("dvc", "status")
    scratch.back()

    gone = measured[2e-3]
    references = scratch.must("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    for reference in (name for name in references if name.endswith(f"/{gone}")):
        scratch.must("git", "update-ref", "-d", reference)
    outcome = scratch.run("python", "-m", "hw2core", "lost")
    assert outcome.status == 1
    assert outcome.out.startswith(f"{gone} (task {tasks[gone]}): finished, but DVC has no result of it")
    assert len(outcome.out.splitlines()) == 2


GATE = "rules: [{metrics: evaluate/*, key: accuracy, better: up, absolute: 1, relative: 0}]\n"


def test_the_comment_on_a_change_has_the_gate_and_every_metric_and_ends_as_the_gate(
    scratch: Scratch, tmp_path: Path
) -> None:
    scratch.must("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone")
    (clone.root / "gate.yaml").write_text(GATE)
    metrics = clone.root / "stages" / "evaluate" / "dann-a-b" / "metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text('{"accuracy": 90}')
    (clone.root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "comment", clone.root / ".ci")
    clone.must("git", "add", "--all")
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    clone.must("git", *identity, "commit", "--quiet", "--message", "results")

    assert clone.run(".ci/comment", "HEAD", "out").status == 0
    assert "None." in (clone.root / "out" / "comment.md").read_text()

    metrics.write_text('{"accuracy": 50}')
    (clone.root / "read.json").write_text('{"lr": 5}')
    assert clone.run(".ci/comment", "HEAD", "out").status == 1
    comment = (clone.root / "out" / "comment.md").read_text()
    assert comment.startswith("### Gate\n")
    assert "| `evaluate/dann-a-b accuracy` | 90 | 50 | -40 | -1 | **WORSE** |" in comment
    assert "| read.json | lr " in " ".join(comment.split())

    metrics.unlink()
    assert clone.run(".ci/comment", "HEAD", "out").status == 2
    assert (
        "hw2: stages/evaluate/dann-a-b/metrics.json: has no accuracy"
        in (clone.root / "out" / "comment.md").read_text()
    )


STATUS = """\
Task     Name        Created       Status
7be6c08  valid-tirl  08:35 AM      Success
13bed82  funky-sorb  Nov 20, 2026  Success
a1ca3ce  gummy-eggs  08:35 AM      Failed
b2ca3ce  Success     08:35 AM      Running

Worker status: 1 active, 0 idle
"""


def test_successes_are_read_from_the_queues_table() -> None:
    assert successes(STATUS) == {"valid-tirl": "7be6c08", "funky-sorb": "13bed82"}
    assert successes("No experiment tasks in the queue.\n") == {}
