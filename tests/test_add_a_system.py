"""docs/add-a-system.md does what it says: its code blocks add an adaptation method and a GAN, through DVC to the report."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline_run import ROOT, PipelineRun, change_params

from hw2core.settings.yaml import read_yaml

pytestmark = pytest.mark.filterwarnings("default")

BLOCK = re.compile(
    r"^<!-- (file|insert|append|replace): (.*?) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
"""What to do, where, and the code."""


def apply_page(page: str, root: Path) -> list[str]:
    """Apply every annotated block to the files below `root`; returns the files that were there before."""
    changed = []
    for action, where, code in BLOCK.findall(page):
        name, _, marker = where.partition(", ")
        path = root / name
        if action == "file":
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, encoding="utf-8")
            continue
        changed.append(name)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if action == "append":
            lines.append(code)
        else:
            text = marker.partition(": ")[2]
            (at, *_) = [at for at, line in enumerate(lines) if line.startswith(text)]
            lines[at : at + (action == "replace")] = [code]
        path.write_text("".join(lines), encoding="utf-8")
    return changed


@pytest.fixture(scope="module")
def workspace(pipeline: PipelineRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An up-to-date workspace of one pair, to which the page was applied."""
    root = pipeline.copy_to(tmp_path_factory.mktemp("page") / "workspace")
    change_params(root, lambda raw: raw["pairs"].pop("printed-blended"))
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q", "report"], cwd=root, check=True)
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "docs" / "add-a-system.md").read_text(encoding="utf-8")
    changed = apply_page(page, root)
    assert set(changed) == {"hw2core/settings/systems.py", "params.yaml", "profiles/smoke.yaml"}
    smoke = read_yaml(root / "profiles" / "smoke.yaml")
    change_params(root, lambda raw: [raw[name].update(smoke[name]) for name in ("mmd", "lsgan")])
    return root


def test_the_examples_train_through_dvc_and_nothing_else_runs(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=workspace,
        capture_output=True,
        text=True,
        env=os.environ
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    ran = set(re.findall(r"^Running stage '(.*)':$", done.stdout, re.MULTILINE))
    assert ran == {
        "pair_inputs@blended-handwritten",
        "train_adapter@mmd-blended-handwritten-0",
        "evaluate@mmd-blended-handwritten-0",
        "tsne@mmd-blended-handwritten",
        "train_gan@lsgan-0",
        "evaluate_gan@lsgan-0",
        "report",
    }
    report = (workspace / "reports" / "report.md").read_text(encoding="utf-8")
    assert re.search(r"^\| pair .*\| MMD \|", report, re.MULTILINE)
    assert re.search(r"^\| LSGAN \|", report, re.MULTILINE)


def test_the_tests_of_the_page_pass(workspace: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("tests/systems/test_mmd.py", "tests/systems/test_lsgan.py", "tests/settings/test_registry.py"),
        ],
        cwd=workspace,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
