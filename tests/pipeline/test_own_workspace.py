"""Workers that do not see the workspace of the run: they get the code and fetch, run and send through the DVC remote."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster
from toys import ENGINE, stage, workspace

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline import cluster, own_workspace
from hw2core.pipeline.scheduler import reproduce

STAGES = """\
  raw:
    cmd: test -e raw/by-hand && echo more > raw/more
    deps: [number.txt]
    outs: [raw: {persist: true}]
  folders:
    foreach: [a, b]
    do:
      cmd: mkdir -p out/${item} && cp raw/by-hand out/${item}/copy && ls raw > out/${item}/list
      deps: [raw]
      outs: ["out/${item}"]
  sums:
    cmd: "echo a: $(cat out/a/copy) > sums.yaml"
    deps: [out/a]
    outs: [sums.yaml: {cache: false}]
  read_what_sums_names:
    cmd: cat out/a/list > out/read
    params: [sums.yaml: [a]]
    outs: [out/read]
    metrics: [out/metrics.json: {cache: false}]
  report:
    cmd: find out -type f | grep -v report | sort > out-of-all; echo "script `cat script.txt`" >> out-of-all
    deps: [out, script.txt]
    outs: [out-of-all]
"""
STAGES = STAGES.replace(
    "cat out/a/list > out/read", "mkdir -p out; cat out/a/list > out/read; echo {} > out/metrics.json"
)


@pytest.fixture(autouse=True)
def no_outer_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)


def toy(folder: Path, stages: str = STAGES, remote: Path | None = None) -> Layout:
    layout = workspace(folder, stages)
    (folder / "raw").mkdir()
    (folder / "raw" / "by-hand").write_text("a file that a person has put here\n")
    (folder / "number.txt").write_text("1\n")
    (folder / "script.txt").write_text("not committed\n")
    (folder / ".gitignore").write_text("/out/\n/runs/\n/raw/\n/out-of-all\n")
    (folder / "out" / "left-over").write_text("of an earlier run\n")
    if remote:
        (folder / ".dvc" / "config.local").write_text(
            f"[core]\n    remote = shared\n['remote \"shared\"']\n    url = {remote}\n"
        )
    return layout


@pytest.fixture
def separate(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster whose two workers are taken not to see the workspace."""
    monkeypatch.setattr(cluster, "workers_see", lambda client, root: False)
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0"
    ) as found:
        yield found.scheduler_address


def test_dvc_lock_and_files_are_those_of_a_local_run(
    tmp_path: Path, separate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = toy(tmp_path / "here"), toy(tmp_path / "there", remote=tmp_path / "remote")
    reproduce(here, ENGINE, "1")
    capsys.readouterr()
    reproduce(there, ENGINE, "1", separate)
    printed = capsys.readouterr().out
    assert "Stages that read files of this machine run here first." in printed
    assert "6 ran, 0 came from the cache" in printed
    assert "stale again" not in printed
    assert (there.root / "dvc.lock").read_text() == (here.root / "dvc.lock").read_text()
    assert "script not committed" in (there.root / "out-of-all").read_text()
    for name in ("raw/more", "out/a/list", "out/read", "out/metrics.json", "sums.yaml", "out-of-all"):
        assert (there.root / name).read_bytes() == (here.root / name).read_bytes()

    # What the remote has is not run again, wherever.
    third = toy(tmp_path / "third", remote=tmp_path / "remote")
    reproduce(third, ENGINE, "1")
    assert "1 ran, 5 came from the cache" in capsys.readouterr().out  # raw, which persists, never enters it


def test_a_failed_stage_is_shown_with_its_log_and_status(
    tmp_path: Path, separate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = toy(
        tmp_path / "toy", stage("bad", "echo 'hw2: bad input' >&2", "exit 2"), remote=tmp_path / "remote"
    )
    with pytest.raises(UserError, match="bad ended with status 2"):
        reproduce(layout, ENGINE, "1", separate)
    assert "hw2: bad input" in capsys.readouterr().err
    assert (layout.runs / "logs" / "bad.log").read_text() == "hw2: bad input\n"


def test_without_a_remote_it_is_one_line_and_nothing_runs(tmp_path: Path, separate: str) -> None:
    layout = toy(tmp_path / "toy")
    with pytest.raises(UserError, match=r"do not see .*toy, and there is no DVC remote"):
        reproduce(layout, ENGINE, "1", separate)
    assert not (layout.root / "raw" / "more").exists()


def test_a_remote_that_does_not_answer_is_one_line(tmp_path: Path, separate: str) -> None:
    (tmp_path / "remote").write_text("not a folder")
    layout = toy(tmp_path / "toy", stage("a") + stage("b", deps="a"), remote=tmp_path / "remote")
    with pytest.raises(SystemExit, match=r"^hw2: a: the DVC remote shared: .*remote.*$"):
        reproduce(layout, ENGINE, "1", separate)


def test_a_worker_with_other_libraries_is_named(
    tmp_path: Path, separate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = toy(tmp_path / "toy", stage("a"), remote=tmp_path / "remote")
    answers = iter([{"python": "3.11", "torch": "2.0"}])
    monkeypatch.setattr(own_workspace, "versions", lambda: next(answers, {"python": "3.11", "torch": "1.0"}))
    with pytest.raises(SystemExit, match=r"hw2: a: the worker tcp\S+ has torch 1\.0 instead of 2\.0"):
        reproduce(layout, ENGINE, "1", separate)


def test_files_that_a_person_has_put_into_a_persistent_output_survive_the_next_run(tmp_path: Path) -> None:
    layout = toy(tmp_path / "toy")
    reproduce(layout, ENGINE, "1")
    (layout.root / "number.txt").write_text("2\n")
    reproduce(layout, ENGINE, "1")
    assert (layout.root / "raw" / "by-hand").exists()
