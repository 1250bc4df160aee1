"""`hw2 doctor`: report what this machine has, what is missing, and how to get it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import hw2core
from hw2core.errors import UserError
from hw2core.layout import Layout, find_workspace
from hw2core.settings import Params, load_params
from hw2core.settings.inception import FILE, OFFICIAL
from hw2core.settings.runs import datasets_of
from hw2core.workers import usable_cores

Line = tuple[Literal["ok", "missing", "note"], str]
"""A finding: in order, missing so that the pipeline cannot run, or worth knowing."""

GB = 10**9
INCEPTION = f"~/.cache/torch/hub/checkpoints/{FILE}"


def examine() -> int:
    """Print a line for each finding; return 0 if the pipeline can run here, else 1."""
    can_run = True
    for mark, text in findings():
        print(f"{mark:<7}  {text}", flush=True)
        can_run = can_run and mark != "missing"
    print("The pipeline can run: `hw2 repro`." if can_run else "The pipeline cannot run yet: see `missing`.")
    return 0 if can_run else 1


def findings() -> Iterator[Line]:
    yield "ok", f"hw2core {hw2core.__version__}, from {Path(hw2core.__file__).parent}"
    yield "ok", f"Python {sys.version.split()[0]} (3.11 or newer is needed), {sys.executable}"
    yield package("dvc")
    yield git()
    yield "ok", f"{usable_cores()} CPU cores usable"
    yield memory()
    layout, line = workspace()
    yield line
    yield disk(layout.root if layout else Path.cwd())
    params = None
    if layout:
        yield dvc_repository(layout)
        params, line = settings(layout)
        yield line
    if layout and params:
        yield from datasets(layout, params)
    yield package("torch")
    yield gpus(params)
    yield inception(params)


def package(name: str) -> Line:
    try:
        return "ok", f"{name} {version(name)}"
    except PackageNotFoundError:
        return "missing", f"{name} is not installed in {sys.prefix}: `make setup` makes a whole environment"


def git() -> Line:
    try:
        answer = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        answer = None
    if answer is None or answer.returncode != 0:
        return "missing", "git, which dvc needs: install it with the system's package manager"
    return "ok", answer.stdout.strip()


def memory() -> Line:
    try:
        import psutil  # comes with dvc
    except ImportError:
        return "note", "free memory unknown: psutil, which comes with dvc, is not installed"
    free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
    found = f"{free / GB:.1f} of {total / GB:.1f} GB of memory free"
    if free < 2 * GB:
        return "note", f"{found}: close other programs, or run fewer stages at once with --jobs 1"
    return "ok", found


def disk(folder: Path) -> Line:
    free = shutil.disk_usage(folder).free
    if free < 10 * GB:
        return "note", f"{free / GB:.1f} GB of disk free at {folder}: make room, 10 GB is comfortable"
    return "ok", f"{free / GB:.0f} GB of disk free at {folder}"


def workspace() -> tuple[Layout | None, Line]:
    try:
        layout = find_workspace()
    except UserError as error:
        return None, ("missing", str(error))
    return layout, ("ok", f"workspace {layout.root}")


def dvc_repository(layout: Layout) -> Line:
    if not (layout.root / ".dvc").is_dir():
        return "missing", f"{layout.root} is not a DVC workspace: change into a git clone of hw2core"
    if not any((folder / ".git").exists() for folder in (layout.root, *layout.root.parents)):
        return (
            "missing",
            f"{layout.root} is in no git repository, which dvc needs: clone hw2core, or `git init`",
        )
    return "ok", "a git and DVC repository"


def settings(layout: Layout) -> tuple[Params | None, Line]:
    try:
        return load_params(layout.params), ("ok", "params.yaml is valid")
    except UserError as error:
        problems = str(error).splitlines()
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems, the first"
        return None, ("missing", f"a valid params.yaml; correct {count}: {problems[0]}")
    except OSError as error:
        return None, ("missing", f"a readable params.yaml: {error.strerror}")


def datasets(layout: Layout, params: Params) -> Iterator[Line]:
    for dataset in datasets_of(params):
        folder = layout.ready(dataset)
        if folder.exists():
            yield "ok", f"data of {dataset}: {folder}"
        else:
            yield "note", f"data of {dataset} is not prepared yet: `hw2 repro` puts it in {folder}"


def gpus(params: Params | None) -> Line:
    """As nvidia-smi says: importing torch would take seconds."""
    found = gpu_names()
    if found:
        return "ok", "; ".join(f"GPU {name}" for name in found)
    if params and params.engine.device == "cuda":
        return (
            "missing",
            "a GPU, which params.yaml requires: set engine.device to auto or cpu, or repair the driver",
        )
    return "note", "no GPU: the default runs on the CPU"


def gpu_names() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in answer.stdout.splitlines() if line] if answer.returncode == 0 else []


def inception(params: Params | None) -> Line:
    named = params.evaluation.faces.inception if params else None
    if named == OFFICIAL:
        return "ok", "Inception weights: the official ones, which `hw2 repro` downloads"
    path = Path(named or INCEPTION).expanduser()
    if path.is_file() and named:
        return "ok", f"Inception weights: {named}"
    without = "without them faces are compared by FD, the distance of this pipeline's own features"
    if path.is_file():
        return (
            "note",
            f"{INCEPTION} is there but not used: `evaluation.faces.inception: {INCEPTION}` measures FID",
        )
    if named:
        return (
            "note",
            f"evaluation.faces.inception names {named}, which does not exist; null does without: {without}",
        )
    return "note", (
        "FID is not measured: `evaluation.faces.inception: official` downloads its weights; offline it needs "
        f"{Path(INCEPTION).name}, from the release fid_weights of pytorch-fid, at {INCEPTION}, and "
        f"`evaluation.faces.inception` with that path; {without}"
    )
