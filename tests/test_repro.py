"""The runner of the pipeline: side by side, in order, stopped as one, resumed after any death.

The pipelines here are toys in a temporary folder. Their stages leave marks next to the workspace and wait for
each other's marks, so that what runs at the same time is proved and not timed.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import psutil
import pytest

from hw2core import repro
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import Engine

ENGINE = Engine(
    device="cpu",
    threads=2,
    precision="fp32",
    channels_last=True,
    compile=False,
    evaluate_every=1,
    checkpoint_every=1,
)
# What a stage says to wait for a mark; bounded, so that a failing test ends.
WAIT = "n=0; until test -e ../{mark}; do n=$((n+1)); test $n -lt 600 || exit 1; sleep 0.05; done"


@pytest.fixture(autouse=True)
def no_outer_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)


def workspace(folder: Path, stages: str) -> Layout:
    """A fresh clone, as git and `.dvc/config` make it, with these stages."""
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (folder / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    (folder / ".gitignore").write_text("/out/\n/runs/\n")
    (folder / "params.yaml").write_text("number: 1\n")
    (folder / "out").mkdir()
    (folder / "dvc.yaml").write_text("stages:\n" + stages)
    return Layout(folder)


def stage(name: str, *commands: str, deps: str = "") -> str:
    """A stage that reads the outs of `deps` and writes its own, after these commands."""
    command = "; ".join([*commands, f"echo made by {name} > out/{name}"])
    reads = ", ".join(f"out/{dep}" for dep in deps.split())
    return (
        f"  {name}:\n    cmd: >-\n      {command}\n    deps: [{reads}]\n    params: [number]\n"
        f"    outs: [out/{name}]\n"
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        dead: bool = (
            psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        )  # only its parent has not looked yet
    except psutil.NoSuchProcess:
        return True
    return dead


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, list[str]]:
    """A workspace that was run from nothing two stages at a time, and what was said.

    `left` and `right` each wait for the other to be at work, and `left` goes on until `right` and its reader
    have ended, so that the stages end in another order than that of dvc.yaml.
    """
    folder = tmp_path_factory.mktemp("finished")
    told = "echo $CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS >> ../devices"
    alone = "test -e ../alone || {{ {}; }}"  # a plain `dvc repro` has one stage at a time
    stages = (
        stage("left", told, "touch ../left", alone.format(WAIT.format(mark="of-right")))
        + stage("right", told, alone.format(WAIT.format(mark="left")))
        + stage("of-right", "touch ../of-right", deps="right")
        + stage("of-both", "cat out/left out/right > ../read", deps="left right")
    )
    layout = workspace(folder / "toy", stages)
    layout.reports.mkdir()
    (layout.reports / "report.html").touch()
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.delenv("DVC_ROOT", raising=False)
        patch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        repro.reproduce(layout, ENGINE.model_copy(update={"device": "auto"}), "auto")
    return layout, said.getvalue().splitlines()


def test_independent_stages_run_side_by_side_and_readers_after_them(
    finished: tuple[Layout, list[str]],
) -> None:
    layout, said = finished
    marks = layout.root.parent
    assert (marks / "read").read_text() == "made by left\nmade by right\n"
    assert sorted((marks / "devices").read_text().splitlines()) == ["3 2", "5 2"]
    assert said[0] == "4 of 4 stages to do, up to 2 at a time."
    assert {"[1/4] left      starts", "[2/4] right     starts", "[3/4] of-right  starts"} < set(said)
    assert said[-3].startswith("[4/4] of-both   done in ")
    assert said[-2].startswith(
        "All 4 stages are up to date: 4 ran, 0 came from the cache, 0 had not changed;"
    )
    assert said[-1] == f"The report: {layout.reports / 'report.html'}"


def test_dvc_lock_is_the_one_of_a_plain_dvc_repro_whichever_stage_ends_first(
    finished: tuple[Layout, list[str]], tmp_path: Path
) -> None:
    layout, said = finished
    [ends_first] = [line for line in said if " done in " in line][:1]
    assert "right" in ends_first
    plain = workspace(tmp_path / "plain", (layout.root / "dvc.yaml").read_text().removeprefix("stages:\n"))
    (tmp_path / "alone").touch()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=plain.root, check=True)
    assert (layout.root / "dvc.lock").read_text() == (plain.root / "dvc.lock").read_text()


def test_nothing_is_run_and_said_so_when_nothing_changed(
    finished: tuple[Layout, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    layout, _ = finished
    shutil.rmtree(layout.runs / "logs")
    repro.reproduce(layout, ENGINE, "2")
    assert capsys.readouterr().out == "Nothing changed: all 4 stages are up to date.\n"
    assert not (layout.runs / "logs").exists()


def test_what_a_remote_has_is_fetched_and_not_made_again(tmp_path: Path) -> None:
    """The stage writes a line elsewhere whenever it really runs."""
    stages = stage("first", "echo ran >> ../runs-of-first") + stage("second", deps="first")
    layout = workspace(tmp_path / "mine", stages)

    def dvc(root: Path, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)

    def run(root: Path) -> str:
        said = io.StringIO()
        with redirect_stdout(said):
            repro.reproduce(Layout(root), ENGINE, "1")
        return said.getvalue()

    assert "remote" not in run(layout.root)
    dvc(layout.root, "remote", "add", "--default", "shared", str(tmp_path / "shared"))
    dvc(layout.root, "push")
    other = tmp_path / "other"
    ignored = shutil.ignore_patterns("out", "cache", "tmp", "runs")
    shutil.copytree(layout.root, other, ignore=ignored)
    (other / "out").mkdir()
    said = run(other)
    assert "Looking in the remote shared" in said
    assert "0 ran, 2 came from the cache" in said
    assert (other / "out" / "second").read_text() == "made by second\n"
    assert (tmp_path / "runs-of-first").read_text() == "ran\n"

    third = tmp_path / "third"
    shutil.copytree(layout.root, third, ignore=ignored)
    (third / "out").mkdir()
    shutil.rmtree(tmp_path / "shared")
    (tmp_path / "shared").write_text("no folder")
    said = run(third)
    assert "the rest is made here" in said
    assert "2 ran, 0 came from the cache" in said


def test_a_stage_whose_file_is_gone_is_out_of_date(finished: tuple[Layout, list[str]]) -> None:
    layout, _ = finished
    (layout.root / "out" / "right").unlink()
    with repro.Children(layout.runs / "repro.lock", threads=1) as children:
        upstream, changed = repro.examine_pipeline(layout, children)
    assert list(upstream) == ["left", "right", "of-right", "of-both"]
    assert upstream["of-both"] == {"left", "right"}
    assert "right" in changed
    assert "left" not in changed


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
        repro.reproduce(layout, ENGINE, "2")
    shown = capsys.readouterr()
    assert "hw2: this input is bad" in shown.err.splitlines()
    assert "ERROR" not in shown.err
    assert "[2/4] bad     failed after" in shown.out
    assert gone(int((tmp_path / "slow").read_text()))
    assert not (tmp_path / "later").exists()
    assert not (tmp_path / "queued").exists()


@pytest.mark.parametrize(
    ("log", "status", "how", "shown"),
    [
        ("> train\nboom\nERROR: failed to reproduce 'x': failed to run: train, exited with 1\n", 255,
         "ended with status 1", "> train\nboom\n"),
        ("> train\nERROR: failed to reproduce 'x': failed to run: train, exited with -9\n", 255,
         "was killed by signal 9 (is there too little memory? --jobs 1 takes less)", "> train\n"),
        ("> train\nERROR: failed to reproduce 'x': failed to run: train, exited with 143\n", 255,
         "was killed by signal 15", "> train\n"),
        ("ERROR: failed to reproduce 'x': output 'y' does not exist\n", 255,
         "ended with status 255", "ERROR: failed to reproduce 'x': output 'y' does not exist\n"),
    ],
)  # fmt: skip
def test_every_failure_but_bad_input_ends_with_status_1(
    log: str, status: int, how: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.log"
    path.write_text("early line\n" * 30 + log)
    end = repro.failure("x", path, status)
    assert isinstance(end, SystemExit)
    assert end.code == 1
    error = capsys.readouterr().err
    assert error.endswith(f"{shown}hw2: x {how}; its whole output: {path}\n")
    assert len(error.splitlines()) == 21


Interrupt = Callable[[signal.Signals, str], tuple[Layout, int, str]]


@pytest.fixture
def interrupted(tmp_path: Path) -> Interrupt:
    """Run some stages and one after them, `slow`, in a process of its own, and send it a signal while it is at
    `slow`, which waits for the mark `go`: the workspace, the process's status and what it said on stderr."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom hw2core import layout, params, repro\n"
        "engine = params.Engine.model_validate_json(sys.argv[1])\n"
        "repro.reproduce(layout.Layout(Path.cwd()), engine, '1')\n"
    )

    def interrupt(number: signal.Signals, stages: str) -> tuple[Layout, int, str]:
        layout = workspace(
            tmp_path / "toy",
            stages + stage("slow", "echo $$ > ../part", "mv ../part ../slow", WAIT.format(mark="go")),
        )
        run = subprocess.Popen(
            [sys.executable, "-c", program, ENGINE.model_dump_json()],
            cwd=layout.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: (tmp_path / "slow").exists() or run.poll() is not None)
        run.send_signal(number)
        _, said = run.communicate()
        return layout, run.returncode, said

    return interrupt


def test_sigterm_stops_the_stages_and_says_so_in_a_line(tmp_path: Path, interrupted: Interrupt) -> None:
    _, status, said = interrupted(signal.SIGTERM, "")
    assert gone(int((tmp_path / "slow").read_text()))
    assert status == 143
    assert said == "hw2: stopped; finished stages stay, run it again to go on from there\n"


def test_after_a_sigkill_no_stage_lives_on_and_the_next_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interrupted: Interrupt
) -> None:
    layout, status, _ = interrupted(signal.SIGKILL, stage("first", "echo run >> ../first"))
    assert status == -signal.SIGKILL
    orphan = int((tmp_path / "slow").read_text())
    wait_until(lambda: gone(orphan))

    # The worst that the kill of a dvc in the middle of writing can leave behind.
    dvc_lock = layout.root / "dvc.lock"
    dvc_lock.write_text(dvc_lock.read_text()[:-10])
    busy_files = layout.root / ".dvc" / "tmp" / "rwlock"
    busy_files.write_text(f'{{"write": {{"{layout.root}/out/slow": {{"pid": {os.getpid()}, "cmd": "dvc re')
    (tmp_path / "go").touch()

    repro.reproduce(layout, ENGINE, "1")
    said = capsys.readouterr().out
    assert "[1/2] first  restored from the cache" in said
    assert "[2/2] slow   done in " in said
    assert (tmp_path / "first").read_text() == "run\n"
    names = [entry.partition(":")[0] for entry in repro.split_lock(dvc_lock.read_text())]
    assert names == ["  first", "  slow"]


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "", "1.5"])
def test_jobs_is_auto_or_a_positive_number(jobs: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--jobs: must be auto or a number of stages, 1 or more, not '"):
        repro.reproduce(Layout(tmp_path), ENGINE, jobs)


def test_jobs_auto_is_one_a_gpu_else_what_the_cores_can_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro, "usable_cores", lambda: 9)
    assert repro.stages_at_once("auto", threads=2, gpus=[]) == 4
    assert repro.stages_at_once("auto", threads=16, gpus=[]) == 1
    assert repro.stages_at_once("auto", threads=2, gpus=["0", "1", "2"]) == 3
    assert repro.stages_at_once("7", threads=2, gpus=["0"]) == 7


def test_gpus_are_shared_out_among_the_slots() -> None:
    assert repro.share_gpus(["0", "1"], 2) == [["0"], ["1"]]
    assert repro.share_gpus(["0", "1", "2"], 2) == [["0", "2"], ["1"]]
    assert repro.share_gpus(["0", "1"], 3) == [["0"], ["1"], ["0"]]
    assert repro.share_gpus([], 2) == [[], []]


def test_visible_gpus_are_those_of_the_variable_or_of_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-1f")
    assert repro.visible_gpus() == ["2", "GPU-1f"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert repro.visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repro.visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: H200 (UUID: x)'\necho '  MIG 1g: y'\necho 'GPU 1: H200 (UUID: z)'\n"
    )
    tool.chmod(0o755)
    assert repro.visible_gpus() == ["0", "1"]


def test_what_reads_from_a_changed_stage_is_looked_at_again_in_the_order_of_dvc_yaml() -> None:
    upstream = {"report": {"judge"}, "data": set(), "train": {"data"}, "judge": {"train"}, "other": set()}
    assert repro.with_downstream({"train"}, upstream) == ["report", "train", "judge"]
    assert repro.with_downstream(set(), upstream) == []


def test_a_bad_dvc_yaml_is_one_line(tmp_path: Path) -> None:
    layout = workspace(tmp_path / "toy", "  a: [")
    with pytest.raises(UserError, match=r"^dvc: '\./dvc\.yaml' is invalid\. [^\n]* in line \d+, column \d+$"):
        repro.reproduce(layout, ENGINE, "1")


ENTRIES = [
    f"  {name}:\n    cmd: make {name}\n    deps:\n    - path: in\n      md5: 0123456789\n      size: 12\n"
    f"    outs:\n    - path: out/{name}\n      md5: 0123456789\n      size: 1234\n"
    for name in ("train@b-a", "data", "'1st'")
]


def test_the_entries_of_dvc_lock_are_put_in_the_order_of_dvc_yaml(tmp_path: Path) -> None:
    b, data, first = ENTRIES
    removed = b.replace("b-a", "gone")
    path = tmp_path / "dvc.lock"
    path.write_text(repro.LOCK_HEAD + removed + b + data + first)
    repro.sort_lock_entries(path, order=["1st", "data", "train@b-a"])
    assert path.read_text() == repro.LOCK_HEAD + first + data + b + removed


def test_a_dvc_lock_that_was_cut_off_anywhere_keeps_its_whole_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        os, "fsync", lambda file: None
    )  # hundreds of files that nobody needs after a power cut
    text = repro.LOCK_HEAD + "".join(ENTRIES)
    path = tmp_path / "dvc.lock"
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        repro.mend_dvc_files(tmp_path, cut_off=True)
        kept = path.read_text() if path.exists() else ""
        count = kept.count("    cmd: make")
        assert kept == (repro.LOCK_HEAD + "".join(ENTRIES[:count]) if count else "")
        whole = sum(len(repro.LOCK_HEAD + "".join(ENTRIES[:n])) <= length for n in (1, 2, 3))
        assert whole - 1 <= count <= whole


def test_a_whole_dvc_lock_and_one_of_another_make_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    for text, cut_off in (
        (repro.LOCK_HEAD + "".join(ENTRIES), False),
        (repro.LOCK_HEAD + ENTRIES[0] + "<<<<<<< HEAD\n" + ENTRIES[1], True),
    ):
        path.write_text(text)
        repro.mend_dvc_files(tmp_path, cut_off=cut_off)
        repro.sort_lock_entries(path, order=["train@b-a", "data", "1st"])
        assert path.read_text() == text


def test_entries_of_a_living_dvc_are_kept_in_its_lock_of_files(tmp_path: Path) -> None:
    busy_files = tmp_path / ".dvc" / "tmp" / "rwlock"
    busy_files.parent.mkdir(parents=True)
    command = ["/bin/sh", "-c", "echo; read wait", "dvc"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout
        assert living.stdout.readline()  # now it runs, and its command line can be read
        busy_files.write_text(
            f'{{"write": {{"/x": {{"pid": {living.pid}, "cmd": "dvc repro"}}}}, "read": {{}}}}'
        )
        repro.mend_dvc_files(tmp_path, cut_off=True)
        assert busy_files.exists()
    repro.mend_dvc_files(tmp_path, cut_off=True)
    assert not busy_files.exists()
