"""Experiments with the real DVC: `-S`, the queue, `exp apply`, and profiles, on the repository's own params.yaml.

The pipeline is one stage in a scratch clone with its own copy of the package. The stage loads params.yaml as every stage
does, and writes the values that it got.
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

from hw2core.layout import Layout
from hw2core.pipeline import experiments
from hw2core.pipeline.experiments import report_lost, successes

PROBE = """
import json
import os
from pathlib import Path

import hw2core
from hw2core.layout import Layout
from hw2core.settings import load_params

params = load_params(Path("params.yaml"))
values = {"lr": params.dann.lr, "backbone": params.backbone, "seeds": params.seeds, "pairs": sorted(params.pairs)}
Path("values.json").write_text(json.dumps(values | {"train": params.data.embedded.train}))
runs = Layout(Path.cwd()).runs
runs.mkdir(exist_ok=True)
(runs / "where.json").write_text(json.dumps({"package": hw2core.__file__, "here": os.getcwd()}))
"""

PIPELINE = """
stages:
  probe:
    cmd: python -m hw2core.probe
    deps: [hw2core/probe.py]
    params: [seeds, data, pairs, dann, backbone]
    metrics:
      - values.json: {cache: false}
"""


@dataclass
class Scratch:
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of commands in the clone, with this environment's python first in PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTHON"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"}

    def run(self, *command: str) -> Outcome:
        """Run a command in the clone."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def must(self, *command: str) -> str:
        """Run a command that must succeed, and return its stdout."""
        outcome = self.run(*command)
        assert outcome.status == 0, outcome.out + outcome.err
        return outcome.out

    def reset(self) -> None:
        """Restore what is committed."""
        self.must("git", "checkout", "--quiet", ".")

    def values(self) -> dict[str, Any]:
        """The values that the stage got."""
        values: dict[str, Any] = json.loads((self.root / "values.json").read_text())
        return values

    @property
    def params(self) -> bytes:
        return (self.root / "params.yaml").read_bytes()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    root = tmp_path_factory.mktemp("experiments") / "clone"
    ignored = shutil.ignore_patterns("__pycache__", "data", "systems", "report")
    shutil.copytree(ROOT / "hw2core", root / "hw2core", ignore=ignored)
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
    shared.reset()
    return shared


def test_a_profile_numbers_lists_and_nested_keys_reach_the_stage_as_overrides(scratch: Scratch) -> None:
    """DVC writes 3e-05 for 3e-5, which YAML 1.1 reads as a string."""
    before = scratch.params
    overrides = "$(python -m hw2core profile R19 --as-overrides) -S dann.lr=3e-5 -S 'seeds=[3,4]'"
    scratch.must("sh", "-c", f"dvc exp run {overrides} -S data.embedded.train=150")
    assert b"3e-05" in scratch.params
    assert scratch.values() == {
        "lr": 3e-5,
        "backbone": "R19",
        "seeds": [3, 4],
        "pairs": ["mnistm-svhn", "svhn-mnistm"],
        "train": 150,
    }
    scratch.reset()
    assert scratch.params == before


@pytest.mark.parametrize("key", ["dann.lrr", "dann.lr.more"])
def test_an_unknown_key_is_rejected_before_a_stage_runs(scratch: Scratch, key: str) -> None:
    outcome = scratch.run("dvc", "exp", "run", "-S", f"{key}=3e-4")
    assert outcome.status != 0
    assert key in outcome.err
    assert "Running stage" not in outcome.out
    assert scratch.must("git", "status", "--porcelain") == ""


def test_after_a_profile_and_its_reset_git_and_dvc_see_no_change(scratch: Scratch) -> None:
    before = scratch.params
    scratch.must("python", "-m", "hw2core", "profile", "smoke")
    assert scratch.params != before
    scratch.must("python", "-m", "hw2core", "profile", "--reset")
    assert scratch.must("git", "status", "--porcelain") == ""
    assert "up to date" in scratch.must("dvc", "status")


class Workers:
    """Two workers of DVC's queue. They end when the queue is empty, but now and then a worker misses the signal: so no
    test waits for their end, and those that remain are killed at the end."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch

    def finish(self, count: int) -> dict[str, str]:
        """Start them and wait until `count` experiments are finished. Return the task of each experiment."""
        before = len(self.results())
        subprocess.run(
            ("dvc", "queue", "start", "--jobs", "2"),
            cwd=self.scratch.root,
            env=self.scratch.environment,
            stdout=subprocess.DEVNULL,  # the workers inherit it: to read a pipe to its end is to wait for their end
            stderr=subprocess.DEVNULL,
            check=True,
        )
        deadline = time.monotonic() + 240
        while len(done := successes(status := self.scratch.must("dvc", "queue", "status"))) < count:
            assert time.monotonic() < deadline, status
            assert "Failed" not in status
            self.wait_for_results(before + count)
        return done

    def wait_for_results(self, count: int) -> None:
        """Wait until `count` experiments have a result, or a few seconds: `dvc queue status` is slow."""
        deadline = time.monotonic() + 10
        while len(self.results()) < count and time.monotonic() < deadline:
            time.sleep(0.05)

    def results(self) -> dict[str, str]:
        """The git reference of each experiment by its name: refs/exps/../../NAME."""
        references = self.scratch.must("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
        return {name.rpartition("/")[2]: name for name in references if name.count("/") == 4}

    def values_of(self, name: str) -> dict[str, Any]:
        """The values that the stage of an experiment got."""
        values: dict[str, Any] = json.loads(
            self.scratch.must("git", "show", f"{self.results()[name]}:values.json")
        )
        return values

    def end(self) -> None:
        for file in (self.scratch.root / ".dvc" / "tmp" / "exps" / "celery").glob("*.pid"):
            with contextlib.suppress(psutil.Error):
                worker = psutil.Process(int(file.read_text()))
                if "queue-worker" in worker.cmdline():
                    worker.kill()


@pytest.fixture
def workers(scratch: Scratch) -> Iterator[Workers]:
    workers = Workers(scratch)
    yield workers
    workers.end()


def test_a_sweep_runs_on_two_workers_and_one_of_its_experiments_is_applied(
    scratch: Scratch, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scratch.params
    rates = {"3e-4": 3e-4, "2e-3": 2e-3}
    scratch.must("dvc", "exp", "run", "--queue", "-S", f"dann.lr=choice({','.join(rates)})")
    tasks = workers.finish(len(rates))

    names = {workers.values_of(name)["lr"]: name for name in tasks}
    assert set(names) == set(rates.values())
    assert report_lost(Layout(scratch.root)) == 0
    assert capsys.readouterr().out == "All 2 finished experiments of the queue have their result.\n"

    # A queued experiment runs in a copy of the code, and keeps its state in the runs folder of the workspace.
    where = json.loads((scratch.root / "runs" / "where.json").read_text())
    assert where["here"] != str(scratch.root)
    assert Path(where["package"]).is_relative_to(where["here"])
    assert scratch.params == before

    scratch.must("dvc", "exp", "apply", names[3e-4])
    assert scratch.values()["lr"] == 3e-4
    assert "up to date" in scratch.must("dvc", "status")


STATUS = """\
Task     Name        Created       Status
7be6c08  valid-tirl  08:35 AM      Success
13bed82  funky-sorb  Nov 20, 2026  Success
a1ca3ce  gummy-eggs  08:35 AM      Failed
b2ca3ce  Success     08:35 AM      Running

Worker status: 1 active, 0 idle
"""


def test_successes_are_read_from_the_table_of_the_queue() -> None:
    assert successes(STATUS) == {"valid-tirl": "7be6c08", "funky-sorb": "13bed82"}
    assert successes("No experiment tasks in the queue.\n") == {}


def test_a_finished_experiment_that_dvc_does_not_list_is_reported_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"queue": STATUS, "exp": "valid-tirl\nother-name\n"}
    monkeypatch.setattr(experiments, "dvc", lambda layout, *arguments: answers[arguments[0]])
    assert report_lost(Layout(tmp_path)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("funky-sorb (task 13bed82): finished, but DVC has no result of it")
    assert len(lines) == 2


GATE = "rules: [{metrics: evaluate/*, key: accuracy, better: up, absolute: 1, relative: 0}]\n"


def test_the_comment_on_a_change_has_the_gate_and_every_metric_and_the_exit_status_of_the_gate(
    scratch: Scratch, tmp_path: Path
) -> None:
    scratch.must("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone")
    (clone.root / "gate.yaml").write_text(GATE)
    item = "evaluate/dann-handwritten-blended"
    metrics = [clone.root / "stages" / item / f"seed{seed}" / "metrics.json" for seed in (0, 1)]
    for path in metrics:
        path.parent.mkdir(parents=True)
        path.write_text('{"accuracy": 90.0}')
    (clone.root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "comment", clone.root / ".ci")
    clone.must("git", "add", "--all")
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    clone.must("git", *identity, "commit", "--quiet", "--message", "results")

    metrics[0].unlink()
    assert clone.run(".ci/comment", "HEAD", "out").status == 2
    comment = (clone.root / "out" / "comment.md").read_text()
    assert f"hw2: stages/{item}/seed0/metrics.json: not there" in comment
    assert "None." in comment  # no other metric changed

    for path in metrics:
        path.write_text('{"accuracy": 50.0}')
    (clone.root / "values.json").write_text('{"lr": 5}')
    assert clone.run(".ci/comment", "HEAD", "out").status == 1
    comment = (clone.root / "out" / "comment.md").read_text()
    assert comment.startswith("### Gate\n")
    assert f"| `{item} accuracy` | 90 ± 0 | 50 ± 0 | -40 | -1 | **WORSE** |" in comment
    assert "| values.json | lr " in " ".join(comment.split())
