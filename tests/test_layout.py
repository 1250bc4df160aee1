"""The workspace is found from any folder in it, and every path of it is in it."""

from pathlib import Path

import pytest

from hw2core.errors import UserError
from hw2core.layout import Layout, find_workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    return tmp_path.resolve()


def test_the_workspace_is_found_from_any_folder_in_it(root: Path) -> None:
    (root / "stages" / "deep").mkdir(parents=True)
    assert find_workspace(root).root == root
    assert find_workspace(root / "stages" / "deep").root == root


@pytest.mark.parametrize("missing", ["params.yaml", "dvc.yaml"])
def test_a_workspace_has_both_of_its_files(root: Path, missing: str) -> None:
    (root / missing).unlink()
    with pytest.raises(UserError, match="no workspace here"):
        find_workspace(root)


def test_every_path_is_in_the_workspace_and_no_two_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    layout = Layout(Path("/w"))
    paths = [
        *(
            layout.params,
            layout.profiles,
            layout.gate,
            layout.stages,
            layout.reports,
            layout.runs,
            layout.features,
        ),
        *(layout.raw("a"), layout.ready("a"), layout.sheet("a"), layout.inputs("a")),
        *(layout.stage("s", "i"), layout.stage("s", "i", 0), layout.stage("s", "i", 1)),
        *(layout.model("s", "i", 0), layout.model("s", "i", 1), layout.model("s", "j", 0)),
    ]
    assert all(path.is_relative_to("/w") for path in paths)
    assert len(set(paths)) == len(paths)


def test_outputs_have_the_paths_of_dvc_yaml() -> None:
    layout = Layout(Path("/w"))
    assert layout.model("train_gan", "sngan", 1) == Path("/w/models/train_gan/sngan/seed1.safetensors")
    assert layout.stage("train_gan", "sngan", 0) == Path("/w/stages/train_gan/sngan/seed0")
    assert layout.stage("sweep_ddpm", "digits") == Path("/w/stages/sweep_ddpm/digits")
    assert layout.inputs("digits") == Path("/w/stages/inputs/digits.json")


def test_the_resume_state_of_an_experiment_is_in_the_real_workspace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_ROOT", "/real")
    layout = Layout(Path("/copy"))
    assert layout.runs == Path("/real/runs")
    assert layout.stage("s", "i").is_relative_to("/copy")
