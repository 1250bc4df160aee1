"""Where things are: the workspace is found from anywhere in it, and holds all of its paths."""

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
def test_without_both_of_its_files_it_is_no_workspace(root: Path, missing: str) -> None:
    (root / missing).unlink()
    with pytest.raises(UserError, match="no workspace here"):
        find_workspace(root)


def test_every_path_lies_in_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    layout = Layout(Path("/w"))
    paths = [
        layout.params,
        layout.profiles,
        layout.gate,
        layout.stages,
        layout.reports,
        layout.runs,
        layout.raw("a"),
        layout.ready("a"),
        layout.stage("s", "i"),
    ]
    assert all(path.is_relative_to("/w") for path in paths)
    assert len(set(paths)) == len(paths)


def test_resume_state_of_an_experiment_outlives_its_copy_of_the_workspace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_ROOT", "/real")
    layout = Layout(Path("/copy"))
    assert layout.runs == Path("/real/runs")
    assert layout.stage("s", "i").is_relative_to("/copy")
