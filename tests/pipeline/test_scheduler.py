"""The scheduler: stages run in parallel and in order, stop together, and continue after a kill.

The pipelines are small ones in a temporary folder. Their stages create marker files next to the workspace and wait for
each other's, so that the tests prove what runs at the same time instead of timing it.
"""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import psutil
import pytest
from toys import ENGINE, stage, workspace

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.dvc_files import split_lock
from hw2core.pipeline.estimate import longest_paths
from hw2core.pipeline.execution import failure
from hw2core.pipeline.repository import Repository
from hw2core.pipeline.scheduler import fetch, reproduce

# The command of a stage that waits for a marker file; bounded, so that a failing test ends.
WAIT = "n=0; until test -e ../{mark}; do n=$((n+1)); test $n -lt 600 || exit 1; sleep 0.05; done"


@pytest.fixture(autouse=True)
def no_outer_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        # A zombie has ended; its parent has not collected it yet.
        dead: bool = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    return dead


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, list[str]]:
    """A workspace that was run from scratch, two stages at a time, and the lines that were printed.

    `right` waits until `left` runs, and `left` until the reader of `right` runs, so that the stages end in another order
    than that of dvc.yaml.
    """
    folder = tmp_path_factory.mktemp("finished")
    record = "echo $CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS >> ../devices"
    alone = "test -e ../alone || {{ {}; }}"  # a plain `dvc repro` has one stage at a time
    stages = (
        stage("left", record, "touch ../left", alone.format(WAIT.format(mark="of-right")))
        + stage("right", record, alone.format(WAIT.format(mark="left")))
        + stage("of-right", "touch ../of-right", deps="right")
        + stage("of-both", "cat out/left out/right > ../read", deps="left right")
    )
    layout = workspace(folder / "toy", stages)
    layout.reports.mkdir()
    (layout.reports / "report.html").touch()
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.delenv("DVC_ROOT", raising=False)
        patch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        reproduce(layout, ENGINE.model_copy(update={"device": "auto"}), "auto")
    return layout, printed.getvalue().splitlines()


def test_independent_stages_run_in_parallel_and_downstream_stages_after_them(
    finished: tuple[Layout, list[str]],
) -> None:
    layout, printed = finished
    marks = layout.root.parent
    assert (marks / "read").read_text() == "made by left\nmade by right\n"
    assert sorted((marks / "devices").read_text().splitlines()) == ["3 2", "5 2"]
    assert printed[0] == "4 of 4 stages to do, up to 2 at a time."
    assert {"[1/4] left      starts", "[2/4] right     starts", "[3/4] of-right  starts"} < set(printed)
    assert printed[-3].startswith("[4/4] of-both   done in ")
    assert printed[-2].startswith(
        "All 4 stages are up to date: 4 ran, 0 came from the cache, 0 had not changed;"
    )
    assert printed[-1] == f"The report: {layout.reports / 'report.html'}"


def test_dvc_lock_equals_that_of_a_plain_dvc_repro(
    finished: tuple[Layout, list[str]], tmp_path: Path
) -> None:
    layout, printed = finished
    [ends_first] = [line for line in printed if " done in " in line][:1]
    assert "right" in ends_first
    plain = workspace(tmp_path / "plain", (layout.root / "dvc.yaml").read_text().removeprefix("stages:\n"))
    (tmp_path / "alone").touch()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=plain.root, check=True)
    assert (layout.root / "dvc.lock").read_text() == (plain.root / "dvc.lock").read_text()


def test_a_second_run_runs_nothing_and_prints_so(
    finished: tuple[Layout, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    layout, _ = finished
    shutil.rmtree(layout.runs / "logs")
    reproduce(layout, ENGINE, "2")
    assert capsys.readouterr().out == "Nothing changed: all 4 stages are up to date.\n"
    assert not (layout.runs / "logs").exists()


def test_a_stage_that_a_remote_has_is_restored_and_does_not_run(
    finished: tuple[Layout, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a clone with the first stage of `finished` only."""
    layout, without_remote = finished
    assert not [line for line in without_remote if "remote" in line]
    first = (layout.root / "dvc.yaml").read_text().removeprefix("stages:\n").partition("  right:")[0]
    clone = workspace(tmp_path / "clone", first)
    shutil.copy(layout.root / "dvc.lock", clone.root)
    (tmp_path / "alone").touch()
    remote = f"[core]\n    remote = shared\n['remote \"shared\"']\n    url = {tmp_path / 'shared'}\n"
    for root in (layout.root, clone.root):
        (root / ".dvc" / "config.local").write_text(remote)

    (tmp_path / "shared").write_text("not a folder")
    fetch(Repository(clone.root), ["left"])
    assert "the missing stages run here" in capsys.readouterr().out
    (tmp_path / "shared").unlink()

    subprocess.run([sys.executable, "-m", "dvc", "push", "--quiet", "left"], cwd=layout.root, check=True)
    (layout.root / ".dvc" / "config.local").unlink()
    reproduce(clone, ENGINE, "1")
    printed = capsys.readouterr().out
    assert "Fetching finished stages from the remote shared." in printed
    assert "0 ran, 1 came from the cache" in printed
    assert (clone.root / "out" / "left").read_text() == "made by left\n"
    assert not (tmp_path / "left").exists()


def test_a_stage_whose_output_is_missing_is_stale(finished: tuple[Layout, list[str]]) -> None:
    layout, _ = finished
    output = layout.root / "out" / "right"
    output.rename(layout.root / "moved")
    repository = Repository(layout.root)
    stale = repository.stale()
    (layout.root / "moved").rename(output)
    assert list(repository.upstream) == ["left", "right", "of-right", "of-both"]
    assert repository.upstream["of-both"] == {"left", "right"}
    assert stale == ["right", "of-right", "of-both"]


def test_a_failed_stage_stops_the_others_and_passes_its_status_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(
        tmp_path / "toy",
        stage("slow", "echo $$ > ../slow.part", "mv ../slow.part ../slow", "sleep 600")
        + stage("bad", WAIT.format(mark="slow"), "echo 'hw2: this input is bad' >&2", "exit 2")
        + stage("later", "touch ../later", deps="bad")
        + stage("queued", "touch ../queued"),
    )
    with pytest.raises(UserError, match=r"^bad ended with status 2; its whole output: .*bad\.log$"):
        reproduce(layout, ENGINE, "2")
    shown = capsys.readouterr()
    assert "hw2: this input is bad" in shown.err.splitlines()
    assert "ERROR" not in shown.err
    assert "[1/4] bad     failed after" in shown.out  # on the longest path
    assert gone(int((tmp_path / "slow").read_text()))
    assert not (tmp_path / "later").exists()
    assert not (tmp_path / "queued").exists()


@pytest.mark.parametrize(
    ("log", "status", "how"),
    [
        ("boom\n", 1, "ended with status 1"),
        ("train\n", -9, "was killed by signal 9 (is there too little memory? --jobs 1 takes less)"),
        ("train\n", 143, "was killed by signal 15"),
        ("train\n", 255, "ended with status 255"),
    ],
)  # fmt: skip
def test_every_failure_but_bad_input_ends_with_status_1(
    log: str, status: int, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.log"
    path.write_text("early line\n" * 30 + log)
    end = failure("x", path, status)
    assert isinstance(end, SystemExit)
    assert end.code == 1
    error = capsys.readouterr().err
    assert error.endswith(f"{log}hw2: x {how}; its whole output: {path}\n")
    assert len(error.splitlines()) == 21


def test_a_run_after_a_failed_one_has_only_the_failed_stage_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(
        tmp_path / "toy", stage("good") + stage("bad", "test -e ../mended || exit 1", deps="good")
    )
    with pytest.raises(SystemExit):
        reproduce(layout, ENGINE, "1")
    (tmp_path / "mended").touch()
    capsys.readouterr()
    reproduce(layout, ENGINE, "1")
    assert capsys.readouterr().out.startswith("1 of 2 stages to do, ")


RUN = """
import sys
from pathlib import Path
from hw2core.layout import Layout
from hw2core.pipeline.scheduler import reproduce
from hw2core.settings.models import Engine
engine = Engine.model_validate_json(sys.argv[1])
reproduce(Layout(Path.cwd()), engine, sys.argv[2])
"""


def start_run(layout: Layout, jobs: int, before: str = "") -> "subprocess.Popen[str]":
    """Run the stages in another process, which does `before` first."""
    return subprocess.Popen(
        [sys.executable, "-c", before + RUN, ENGINE.model_dump_json(), str(jobs)],
        cwd=layout.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


Interrupt = Callable[[signal.Signals, str], tuple[Layout, int, str]]


@pytest.fixture
def interrupted(tmp_path: Path) -> Interrupt:
    """Run some stages and then `slow`, which waits for the marker file `go`, in another process. Send it a signal while
    `slow` runs. Return the workspace, the process's exit status and its stderr."""

    def interrupt(number: signal.Signals, stages: str) -> tuple[Layout, int, str]:
        layout = workspace(
            tmp_path / "toy",
            stages + stage("slow", "echo $$ > ../part", "mv ../part ../slow", WAIT.format(mark="go")),
        )
        run = start_run(layout, jobs=1)
        wait_until(lambda: (tmp_path / "slow").exists() or run.poll() is not None)
        run.send_signal(number)
        _, printed = run.communicate()
        return layout, run.returncode, printed

    return interrupt


def test_sigterm_stops_the_stages_and_prints_one_line(tmp_path: Path, interrupted: Interrupt) -> None:
    _, status, printed = interrupted(signal.SIGTERM, "")
    assert gone(int((tmp_path / "slow").read_text()))
    assert status == 143
    assert printed == "hw2: stopped; finished stages are kept, run it again to continue\n"


def test_on_a_terminal_nothing_but_the_display_is_drawn(tmp_path: Path) -> None:
    """DVC draws progress bars of its own while it hashes."""
    stages = stage("first") + stage("second", deps="first")
    layout = workspace(tmp_path / "toy", stages.replace("deps: []", "deps: [code]"))
    (layout.root / "code").mkdir()
    (layout.root / "code" / "file.py").touch()
    master, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (40, 118))
    command = [sys.executable, "-c", RUN, ENGINE.model_dump_json(), "1"]
    run = subprocess.Popen(command, cwd=layout.root, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(master, 65536):
            shown += piece
    os.close(master)
    assert run.wait() == 0
    assert b"2 of 2 stages" in shown
    assert b"hashes" not in shown


def test_a_signal_while_dvc_holds_a_lock_ends_the_run(tmp_path: Path) -> None:
    """An exception between the acquisition of a lock of DVC and its use would leave it locked, and the run would wait for
    itself when it releases the stage that runs already."""
    program = """
import os, signal
from dvc.lock import Lock
lock = Lock.lock
starts = []
def lock_and_signal(self):
    lock(self)
    if "rwlock" in self._lockfile:
        starts.append(self)
        if len(starts) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
Lock.lock = lock_and_signal
"""
    wait = WAIT.format(mark="never")
    run = start_run(workspace(tmp_path / "toy", stage("a", wait) + stage("b", wait)), jobs=2, before=program)
    _, printed = run.communicate(timeout=60)
    assert run.returncode == 143, printed
    assert printed == "hw2: stopped; finished stages are kept, run it again to continue\n"


def test_stages_are_asked_to_end_at_the_same_time(tmp_path: Path) -> None:
    """Each writes its mark and waits for that of the other."""
    wait = WAIT.format(mark="{other}.ending")
    trap = (
        "trap 'touch ../{name}.ending; "
        + wait
        + "; touch ../{name}.ended; exit 1' TERM; touch ../{name}.runs"
    )
    pairs = [("left", "right"), ("right", "left")]
    text = "".join(
        stage(name, trap.format(name=name, other=other), WAIT.format(mark="never")) for name, other in pairs
    )
    run = start_run(workspace(tmp_path / "toy", text), jobs=2)
    for name in ("left", "right"):
        wait_until((tmp_path / f"{name}.runs").exists)
    run.terminate()
    run.communicate(timeout=60)
    assert (tmp_path / "left.ended").exists()
    assert (tmp_path / "right.ended").exists()


def test_after_a_sigkill_no_stage_survives_and_the_next_run_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interrupted: Interrupt
) -> None:
    layout, status, _ = interrupted(signal.SIGKILL, stage("first", "echo run >> ../first"))
    assert status == -signal.SIGKILL
    orphan = int((tmp_path / "slow").read_text())
    wait_until(lambda: gone(orphan))

    # What a kill of DVC in the middle of a write can leave behind.
    dvc_lock = layout.root / "dvc.lock"
    dvc_lock.write_text(dvc_lock.read_text()[:-10])
    rwlock = layout.root / ".dvc" / "tmp" / "rwlock"
    rwlock.write_text(f'{{"write": {{"{layout.root}/out/slow": {{"pid": {os.getpid()}, "cmd": "dvc re')
    (tmp_path / "go").touch()

    reproduce(layout, ENGINE, "1")
    printed = capsys.readouterr().out
    assert "[1/2] first  restored from the cache" in printed
    assert "[2/2] slow   done in " in printed
    assert (tmp_path / "first").read_text() == "run\n"
    names = [entry.partition(":")[0] for entry in split_lock(dvc_lock.read_text())]
    assert names == ["  first", "  slow"]


def test_a_bad_dvc_yaml_is_one_line(tmp_path: Path) -> None:
    layout = workspace(tmp_path / "toy", "  a: [")
    with pytest.raises(UserError, match=r"^dvc: [^\n]*'dvc\.yaml'[^\n]* line \d+, column \d+$"):
        reproduce(layout, ENGINE, "1")


def test_a_killed_stage_starts_again_and_the_third_kill_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill = "echo try >> ../{name}; test $(wc -l < ../{name}) -ge {tries} || kill -KILL $$"
    layout = workspace(
        tmp_path / "toy",
        stage("unlucky", kill.format(name="unlucky", tries=3))
        + stage("doomed", kill.format(name="doomed", tries=9), deps="unlucky"),
    )
    with pytest.raises(SystemExit) as end:
        reproduce(layout, ENGINE, "1")
    shown = capsys.readouterr()
    assert end.value.code == 1
    assert shown.out.count("unlucky  was killed by signal 9 and starts again") == 2
    assert "unlucky  done in" in shown.out
    assert (tmp_path / "doomed").read_text() == "try\n" * 3
    assert "hw2: doomed was killed by signal 9 (is there too little memory?" in shown.err


def test_a_running_cluster_gives_the_same_dvc_lock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import LocalCluster

    stages = stage("a") + stage("b") + stage("c", deps="a b")
    here, there = (workspace(tmp_path / name, stages) for name in ("here", "there"))
    reproduce(here, ENGINE, "1")
    with LocalCluster(
        n_workers=3, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        reproduce(there, ENGINE, "auto", cluster.scheduler_address)
    assert "3 of 3 stages to do, up to 3 at a time." in capsys.readouterr().out
    assert (there.root / "dvc.lock").read_text() == (here.root / "dvc.lock").read_text()


def test_an_address_without_a_scheduler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hw2core.pipeline import cluster

    monkeypatch.setattr(cluster, "CONNECTION_TIMEOUT", 1)
    layout = workspace(tmp_path / "toy", stage("a"))
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(UserError, match=f"^--cluster {address}: no Dask scheduler answers there"):
            reproduce(layout, ENGINE, "1", address)


def test_a_dvc_lock_of_another_form_is_not_overwritten(tmp_path: Path) -> None:
    layout = workspace(tmp_path / "toy", stage("a"))
    reproduce(layout, ENGINE, "1")
    dvc_lock = layout.root / "dvc.lock"
    text = "# mine\n" + dvc_lock.read_text()
    dvc_lock.write_text(text)
    (layout.root / "params.yaml").write_text("number: 2\n")
    with pytest.raises(UserError, match=r"dvc\.lock: not as DVC writes it"):
        reproduce(layout, ENGINE, "1")
    assert dvc_lock.read_text() == text


def test_the_stage_on_the_longest_path_comes_first() -> None:
    upstream: dict[str, set[str]] = {
        "short": set(),
        "long": set(),
        "next": {"long"},
        "last": {"next", "short"},
    }
    seconds = {"short": 2.0, "long": 1.0, "next": 5.0}
    # `last` has not run yet: its time is taken to be the median.
    paths = {"short": 4.0, "long": 8.0, "next": 7.0, "last": 2.0}
    assert longest_paths(list(upstream), upstream, seconds) == paths
    assert longest_paths(["last", "next"], upstream, seconds) == {"next": 7.0, "last": 2.0}


def test_targets_run_with_what_they_need_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(
        tmp_path / "toy", stage("a") + stage("b", deps="a") + stage("c") + stage("d", deps="b c")
    )
    reproduce(layout, ENGINE, "1", targets=["b"])
    assert "All 2 stages are up to date: 2 ran" in capsys.readouterr().out
    assert Repository(layout.root).stale() == ["c", "d"]
    reproduce(layout, ENGINE, "1", targets=["b"])
    assert capsys.readouterr().out == "Nothing changed: all 2 stages are up to date.\n"


def test_a_run_that_keeps_going_finishes_what_does_not_depend_on_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(
        tmp_path / "toy",
        stage("bad", "exit 2")
        + stage("later", deps="bad")
        + stage("last", deps="later good")
        + stage("good")
        + stage("worse", "exit 1"),
    )
    with pytest.raises(UserError, match=r"^bad ended with status 2"):
        reproduce(layout, ENGINE, "1", keep_going=True)
    shown = capsys.readouterr()
    assert "keeps 2 stages that depend on it from running" in shown.out
    assert "hw2: worse ended with status 1" in shown.err
    assert Repository(layout.root).stale() == ["bad", "later", "last", "worse"]


def test_skipped_stages_do_not_make_others_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = workspace(
        tmp_path / "toy", stage("a") + stage("skipped-0", deps="a") + stage("all", deps="a skipped-0")
    )
    (layout.root / "out" / "skipped-0").write_text("of an earlier run")
    told: list[list[str]] = []

    def check(_: Repository, todo: list[str]) -> dict[str, str]:
        told.append(todo)
        return {"skipped": "there is nothing to read"}

    reproduce(layout, ENGINE, "1", check=check)
    assert told == [["a", "skipped-0", "all"]]
    assert "Skipped: skipped-0: there is nothing to read.\n" in capsys.readouterr().out
    assert (layout.root / "out" / "skipped-0").read_text() == "of an earlier run"
    reproduce(layout, ENGINE, "1", check=check)
    assert "Nothing changed: all 2 stages are up to date.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "outs", ["outs: [metrics.json: {cache: false}, ", "metrics: [metrics.json: {cache: false}]\n    outs: ["]
)
def test_a_stage_runs_for_new_params_and_is_restored_for_earlier_ones(
    outs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its files in git. For new params it must not get what dvc.lock has of the old ones."""
    layout = workspace(tmp_path / "toy", stage("a", "cp params.yaml metrics.json").replace("outs: [", outs))
    for number, ran in ((1, 1), (2, 1), (1, 0)):
        (layout.root / "params.yaml").write_text(f"number: {number}\n")
        reproduce(layout, ENGINE, "1")
        assert f": {ran} ran, {1 - ran} came from the cache" in capsys.readouterr().out
        assert (layout.root / "metrics.json").read_text() == f"number: {number}\n"
