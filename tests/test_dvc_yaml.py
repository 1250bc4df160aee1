"""dvc.yaml holds what it says: each stage's deps and params are what its command imports and reads.

The whole pipeline runs here once, with profiles/smoke.yaml, in a copy of the workspace.
"""

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# DVC's own libraries warn here and there.
pytestmark = pytest.mark.filterwarnings("default")

ROOT = Path(__file__).parents[1]

SHELL = {
    "hw2core/__init__.py",
    "hw2core/__main__.py",
    "hw2core/cli.py",
    "hw2core/errors.py",
    "hw2core/layout.py",
    "hw2core/params.py",
    "hw2core/stages/names.py",
}
"""What passes on the command line, values and paths that DVC sees anyway, or only speaks of errors."""


NO_RESULT = {"engine.checkpoint_every", "engine.threads", "data.mirror"}
"""What a command reads though its result may not depend on it: how often a checkpoint is written (test_loop.py
shows that it changes nothing), the threads, which every command sets and some do not use, and from where a file
comes whose checksum is pinned."""

OTHER_SOURCES = {"data.public", "data.course", "data.folder"}
"""What only another data.source than that of the run below reads."""


OWN_STAGES = {
    "download_faces": ("download", ""),
    "preprocess_faces": ("preprocess", ""),
    "evaluate_acgan_digits": ("evaluate_acgan", "digits"),
    "evaluate_acgan_faces": ("evaluate_acgan", "faces"),
}
"""Where the items of a stage read different things, each is a stage of its own, of this kind and item. The datasets of
the first two have any name."""


def kind_and_item(name: str) -> tuple[str, str]:
    kind, _, item = name.partition("@")
    return OWN_STAGES.get(kind, (kind, item))


@dataclass
class Stage:
    name: str
    command: list[str]
    deps: list[str]
    outs: list[str]
    params: list[str]
    status: int = -1
    imports: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()


def read_stages(root: Path) -> list[Stage]:
    """The stages as DVC itself resolves them, in an order in which they can run."""
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo
    from networkx import topological_sort

    with contextlib.chdir(root), Repo(str(root)) as repo:  # DVC names everything from the current folder
        return [
            Stage(
                stage.addressing,
                shlex.split(stage.cmd),
                deps=[str(dep) for dep in stage.deps if not isinstance(dep, ParamsDependency)],
                outs=[str(out) for out in stage.outs],
                params=[
                    key
                    for dep in stage.deps
                    if isinstance(dep, ParamsDependency)
                    for key in (dep.params or ["*"])
                ],
            )
            for stage in topological_sort(repo.index.graph.reverse())
        ]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    for name in ("hw2core", "profiles", ".dvc", "dvc.yaml", "params.yaml", ".dvcignore"):
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "tmp", "cache")
            shutil.copytree(source, root / name, ignore=ignore)
        else:
            shutil.copyfile(source, root / name)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    for profile in ("every_gan", "smoke"):
        subprocess.run([sys.executable, "-m", "hw2core", "profile", profile], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def stages(workspace: Path) -> list[Stage]:
    """Every stage, run once in the workspace."""
    listed = read_stages(workspace)
    commands, record = workspace / "commands.json", workspace / "record.json"
    commands.write_text(json.dumps({stage.name: stage.command[3:] for stage in listed}))
    recorder = Path(__file__).with_name("record_stages.py")
    done = subprocess.run(
        [sys.executable, recorder, commands, record], cwd=workspace, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for stage in listed:
        seen = json.loads(record.read_text())[stage.name]
        assert seen["status"] == 0, (stage.name, done.stderr)
        stage.imports, stage.reads = frozenset(seen["imports"]), frozenset(seen["reads"])
        stage.opened = frozenset(seen["opened"])
    return listed


def covers(declared: str, path: str, separator: str) -> bool:
    return declared in ("*", path) or path.startswith(declared + separator)


def test_there_are_stages_of_every_kind(stages: list[Stage]) -> None:
    kinds = {stage.name.split("@")[0] for stage in stages}
    assert kinds == {
        "download",
        "preprocess",
        "train_classifier",
        "train_dann",
        "train_adda",
        "train_dsn",
        "train_adamatch",
        "download_faces",
        "preprocess_faces",
        "train_face_features",
        "train_gan",
        "train_vae",
        "train_acgan",
        "train_ddpm",
        "evaluate_acgan_digits",
        "evaluate_acgan_faces",
        "evaluate_ddpm",
        "sweep_ddpm",
        "evaluate_real",
        "evaluate_gan",
        "evaluate_vae",
        "evaluate_classifier",
        "evaluate",
        "tsne",
        "report",
    }


def test_every_command_is_a_command_of_the_package_named_like_its_stage(stages: list[Stage]) -> None:
    for stage in stages:
        assert stage.command[:3] == ["python", "-m", "hw2core"]
        assert stage.command[3] == kind_and_item(stage.name)[0]


def test_deps_name_every_file_of_the_package_that_a_stage_imports(stages: list[Stage]) -> None:
    missing = {
        (stage.name, path)
        for stage in stages
        for path in stage.imports - SHELL
        if not path.endswith("__init__.py") and not any(covers(dep, path, "/") for dep in stage.deps)
    }
    assert not missing


def test_deps_name_no_file_of_the_package_that_a_stage_does_not_import(stages: list[Stage]) -> None:
    idle = {
        (stage.name, dep)
        for stage in stages
        for dep in stage.deps
        if dep.startswith("hw2core/")
        and not dep.endswith(".npz")
        and not any(covers(dep, path, "/") for path in stage.imports)
    }
    assert not idle


def test_params_name_every_value_that_a_stage_reads(stages: list[Stage]) -> None:
    missing = {
        (stage.name, path)
        for stage in stages
        for path in stage.reads - NO_RESULT
        if not any(covers(key, path, ".") for key in stage.params)
    }
    assert not missing


def test_whatever_computes_with_torch_names_the_threads(stages: list[Stage]) -> None:
    kinds = ("train", "evaluate", "sweep", "tsne")
    assert all("engine.threads" in stage.params for stage in stages if stage.name.startswith(kinds))


def test_params_name_no_value_that_a_stage_does_not_read(stages: list[Stage]) -> None:
    """What builds a system hands it its whole section, and any of it may shape the networks: so a section that
    was opened counts as read."""
    idle = {
        (stage.name, key)
        for stage in stages
        for key in stage.params
        if key not in OTHER_SOURCES
        and key not in stage.opened
        and not any(covers(key, path, ".") or covers(path, key, ".") for path in stage.reads)
    }
    assert not idle


def test_how_a_diffusion_model_is_sampled_trains_nothing_again(stages: list[Stage]) -> None:
    readers = {
        stage.name for stage in stages if any(covers(key, "ddpm.guidance", ".") for key in stage.params)
    }
    assert readers == {"evaluate_ddpm", "sweep_ddpm", "report"}


def test_every_stage_leaves_its_outs(stages: list[Stage], workspace: Path) -> None:
    missing = {(stage.name, out) for stage in stages for out in stage.outs if not (workspace / out).exists()}
    assert not missing


def test_outs_lie_in_the_folder_of_their_stage(stages: list[Stage]) -> None:
    for stage in stages:
        kind, item = kind_and_item(stage.name)
        rooms = {"download": "data/raw", "preprocess": "data/ready", "report": "reports"}
        room = rooms.get(kind)
        folder = f"{room}/{item}".rstrip("/") if room else f"stages/{kind}/{item}"
        assert all(out.startswith(folder) for out in stage.outs), stage.name


def test_every_table_of_the_report_is_a_table_in_its_page(stages: list[Stage], workspace: Path) -> None:
    text, page = ((workspace / "reports" / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert text.count("\n|:---|") == page.count("<table>") == 10
    assert "|---" not in page


def test_no_resume_state_is_left_behind(stages: list[Stage], workspace: Path) -> None:
    left = [path for path in (workspace / "runs").rglob("*") if path.is_file()]
    # What judges keep of images they have seen, and params.yaml as it was before the profiles.
    assert {path.parent.name for path in left} == {"features", "profiles"}
