"""The whole pipeline in smoke size, run once: what each stage is for DVC, and what its command really did."""

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw2core.settings.yaml import read_yaml, write_yaml

ROOT = Path(__file__).parents[1]


@dataclass
class Stage:
    """A stage as DVC resolves it, and what its command imported and read."""

    name: str
    command: list[str]
    deps: list[str]
    outs: list[str]
    params: list[str]
    """Keys of params.yaml; "*" stands for all."""
    inputs: list[str]
    """Files of stages/inputs whose keys it depends on."""
    imports: frozenset[str] = field(default_factory=frozenset)
    reads: frozenset[str] = field(default_factory=frozenset)
    opened: frozenset[str] = field(default_factory=frozenset)

    @property
    def kind(self) -> str:
        return self.name.partition("@")[0]


@dataclass
class PipelineRun:
    """A workspace with DVC and git in which every stage is up to date. Not to be changed: copy it."""

    root: Path
    stages: list[Stage]

    def copy_to(self, root: Path) -> Path:
        shutil.copytree(self.root, root, symlinks=True)
        return root


def stale_stages(root: Path) -> set[str]:
    """The stages that DVC calls changed."""
    from dvc.repo import Repo

    with contextlib.chdir(root), Repo(str(root)) as repo:
        return {name for name, changes in repo.status().items() if changes != ["always changed"]}


def read_stages(root: Path) -> list[Stage]:
    """The stages in an order in which they can run."""
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo
    from networkx import topological_sort

    with contextlib.chdir(root), Repo(str(root)) as repo:  # DVC names files relative to the current folder
        found = []
        for stage in topological_sort(repo.index.graph.reverse()):
            params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            own = [dep for dep in params if str(dep) == "params.yaml"]
            found.append(
                Stage(
                    stage.addressing,
                    shlex.split(stage.cmd),
                    deps=[str(dep) for dep in stage.deps if dep not in params],
                    outs=[str(out) for out in stage.outs],
                    params=[key for dep in own for key in (dep.params or ["*"])],
                    inputs=[str(dep) for dep in params if dep not in own],
                )
            )
        return found


def make_workspace(root: Path) -> None:
    """A clone of the tracked files with the smoke profile: two pairs, one seed, every system."""
    root.mkdir(parents=True)
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    skipped = ("stages/", "reports/", "dvc.lock", "tests/", "bench/", "docs/")
    for name in tracked.stdout.decode().split("\0"):
        if name and not name.startswith(skipped) and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    for command in (["git", "init", "--quiet"], hw2("profile", "everything", "smoke")):
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    pairs = {"blended-handwritten": ("blended", "handwritten"), "printed-blended": ("printed", "blended")}
    change_params(
        root,
        lambda raw: raw.update(
            seeds=[0], pairs={name: {"source": s, "target": t} for name, (s, t) in pairs.items()}
        ),
    )


def run_pipeline(root: Path) -> None:
    """Run every stage's command in one process, and have DVC record the results as it would have made them."""
    make_workspace(root)
    commands, record = root.with_suffix(".commands"), root.with_suffix(".record")
    listed = read_stages(root)
    commands.write_text(json.dumps({stage.name: stage.command[3:] for stage in listed}))
    recorder = Path(__file__).with_name("record_stages.py")
    done = subprocess.run(
        [sys.executable, recorder, commands, record], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name, seen in json.loads(record.read_text()).items():
        assert seen["status"] == 0, (name, done.stderr)
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q"], cwd=root, check=True)


def load_run(root: Path) -> PipelineRun:
    record = json.loads(root.with_suffix(".record").read_text())
    stages = read_stages(root)
    for stage in stages:
        seen = record[stage.name]
        stage.imports, stage.reads = frozenset(seen["imports"]), frozenset(seen["reads"])
        stage.opened = frozenset(seen["opened"])
    return PipelineRun(root, stages)


def hw2(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hw2core", *arguments]


def change_params(root: Path, change: Any) -> None:
    """Change the plain values of params.yaml; its comments are lost."""
    path = root / "params.yaml"
    raw = read_yaml(path)
    change(raw)
    with path.open("w", encoding="utf-8") as file:
        write_yaml(raw, file)
