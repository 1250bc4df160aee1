"""`hw2 doctor`: its findings, and how to get what is missing."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from conftest import ROOT, write_yaml

from hw2core import doctor
from hw2core.settings.yaml import read_yaml

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without data and Inception weights, on a machine with free memory and disk and without a GPU."""
    folder = tmp_path / "clone"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    shutil.copy(ROOT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(doctor, "gpu_names", list)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2e12, 1e12, 1e12))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16e9, available=8e9))
    return folder


def lines_with(mark: str, printed: str) -> list[str]:
    return [line.removeprefix(mark).strip() for line in printed.splitlines() if line.startswith(mark)]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_clone_without_data_gpu_and_weights_can_run(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.examine() == 0
    printed = capsys.readouterr().out
    assert lines_with("missing", printed) == []
    notes = lines_with("note", printed)
    for domain in ("handwritten", "blended", "printed", "drawn_faces"):
        assert (
            f"data of {domain} is not prepared yet: `hw2 repro` puts it in {workspace}/data/ready/{domain}"
            in notes
        )
    assert "no GPU: the default runs on the CPU" in notes
    assert any(note.startswith("FID is not measured") and f"at {doctor.INCEPTION}" in note for note in notes)
    fine = "\n".join(lines_with("ok", printed))
    for part in (
        f"from {ROOT / 'hw2core'}", "Python 3.", f"torch {version('torch')}", "dvc 3.", "git version",
        "CPU cores usable", "8.0 of 16.0 GB of memory free", "1000 GB of disk free",
        f"workspace {workspace}", "params.yaml is valid",
    ):  # fmt: skip
        assert part in fine
    assert printed.splitlines()[-1] == "The pipeline can run: `hw2 repro`."


def test_the_face_set_is_listed_only_if_params_use_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = read_yaml(workspace / "params.yaml")
    raw |= {"gans": [], "autoencoders": [], "conditional": {"acgan": [], "ddpm": ["digits"]}}
    raw["extractors"]["faces"] = []
    write_yaml(workspace / "params.yaml", raw)
    assert doctor.examine() == 0
    assert "drawn_faces" not in capsys.readouterr().out


def test_existing_data_weights_and_gpus_are_named(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "data" / "ready" / "blended").mkdir(parents=True)
    weights = Path(doctor.INCEPTION).expanduser()
    weights.parent.mkdir(parents=True)
    weights.touch()
    (workspace / "nvidia-smi").write_text(
        "#!/bin/sh\necho NVIDIA H200, 143771 MiB\necho NVIDIA H200, 143771 MiB\n"
    )
    (workspace / "nvidia-smi").chmod(0o755)
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("HOME", str(workspace.parent))
    monkeypatch.setenv("PATH", str(workspace), prepend=os.pathsep)
    assert doctor.examine() == 0
    printed = capsys.readouterr().out
    fine = lines_with("ok", printed)
    assert f"data of blended: {workspace}/data/ready/blended" in fine
    assert any(
        note.startswith(f"{doctor.INCEPTION} is there but not used") for note in lines_with("note", printed)
    )
    assert "GPU NVIDIA H200, 143771 MiB; GPU NVIDIA H200, 143771 MiB" in fine


def test_weights_are_expected_where_params_name_them(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = workspace / "params.yaml"
    weights = workspace.parent / "weights.pth"
    params.write_text(params.read_text().replace("inception: null", f"inception: {weights}"))
    assert doctor.examine() == 0
    assert any(
        f"evaluation.faces.inception names {weights}, which does not exist" in note
        for note in lines_with("note", capsys.readouterr().out)
    )
    weights.touch()
    assert doctor.examine() == 0
    assert f"Inception weights: {weights}" in lines_with("ok", capsys.readouterr().out)


def test_notes_on_little_disk_and_memory_say_what_to_do(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2e12, 1.9e12, 9e9))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16e9, available=1e9))
    assert doctor.examine() == 0
    notes = lines_with("note", capsys.readouterr().out)
    assert f"9.0 GB of disk free at {workspace}: make room, 10 GB is comfortable" in notes
    assert any(note.startswith("1.0 of 16.0 GB of memory free: ") and "--jobs 1" in note for note in notes)


def test_outside_a_workspace_the_other_findings_are_still_reported(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.parent)
    assert doctor.examine() == 1
    printed = capsys.readouterr().out
    [missing] = lines_with("missing", printed)
    assert missing.startswith("no workspace here: ")
    assert missing.endswith("change into your clone of hw2core")
    assert "torch" in "\n".join(lines_with("ok", printed))
    assert printed.splitlines()[-1] == "The pipeline cannot run yet: see `missing`."


def test_bad_params_are_counted_and_the_first_is_named(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(workspace / "params.yaml", "seeds: [", "sedes: 1\nmore: 2\nseeds: [")
    assert doctor.examine() == 1
    [missing] = lines_with("missing", capsys.readouterr().out)
    assert missing.startswith(
        "a valid params.yaml; correct 2 problems, the first: params.yaml: sedes: unknown key"
    )


def test_a_gpu_that_params_require_is_missing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(workspace / "params.yaml", "device: auto", "device: cuda")
    assert doctor.examine() == 1
    [missing] = lines_with("missing", capsys.readouterr().out)
    assert missing.startswith("a GPU, which params.yaml requires: ")


def test_a_copy_that_is_not_a_clone_lacks_a_repository(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / ".git").rmdir()
    assert doctor.examine() == 1
    assert "is in no git repository" in lines_with("missing", capsys.readouterr().out)[0]
    (workspace / ".dvc").rmdir()
    assert doctor.examine() == 1
    assert "is not a DVC workspace" in lines_with("missing", capsys.readouterr().out)[0]


def test_programs_and_packages_that_are_not_installed_are_missing(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", not_installed)
    monkeypatch.setenv("PATH", str(workspace))
    assert doctor.examine() == 1
    missing = lines_with("missing", capsys.readouterr().out)
    assert [line.split()[0].rstrip(",") for line in missing] == ["dvc", "git", "torch"]
    assert "`make setup`" in missing[0]


def test_a_driver_that_fails_is_no_gpu(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "nvidia-smi").write_text("#!/bin/sh\necho the driver is too old\nexit 9\n")
    (workspace / "nvidia-smi").chmod(0o755)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(workspace))
    assert doctor.gpu_names() == []


def test_torch_is_not_imported() -> None:
    """Which would take seconds."""
    program = "import sys; from hw2core import doctor; doctor.examine(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT).returncode == 0


def test_git_that_hangs_or_fails_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("git", 20)

    monkeypatch.setattr(subprocess, "run", hang)
    assert doctor.git()[0] == "missing"
