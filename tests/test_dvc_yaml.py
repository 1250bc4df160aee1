"""dvc.yaml is exact: each stage's deps and params are what its command imports and reads."""

from pathlib import Path

import pytest
from pipeline_run import PipelineRun, Stage, change_params, make_workspace, read_stages

# DVC's own libraries warn here and there.
pytestmark = pytest.mark.filterwarnings("default")

SHELL = (
    "hw2core/__main__.py",
    "hw2core/cli/",
    "hw2core/engine/instructions.py",
    "hw2core/errors.py",
    "hw2core/layout.py",
    "hw2core/pipeline/",  # before a report by hand
    "hw2core/progress.py",
    "hw2core/settings/",
    "hw2core/stages/dispatch.py",
    "hw2core/stages/table.py",
    "hw2core/threads.py",
)
"""Passes on the command line, values and paths that DVC sees anyway, or only prints. What computes with torch depends on
all of hw2core/engine, and so on its instructions.py, which every command imports."""

NO_RESULT = {
    "engine.checkpoint_every",
    "engine.threads",
    "engine.cpu_isa",
    "engine.tensorboard",
    "data.mirror",
}
"""Read though no result depends on it: how often a checkpoint is written (test_loop.py shows that it changes nothing),
the threads and instructions, which every command sets and some do not use, and the address of a file whose checksum is
pinned."""

IN_PATHS = {"seeds[0]", "generation.seeds.conditional[0]"}
"""The first seed, which dvc.yaml writes into the paths of the deps."""

BEHIND_INPUTS = (
    *("data.digits", "data.faces", "pairs", "backbone", "classifier", "face_features", "adapters"),
    *("conditional",),
)
"""What a stage that depends on a key of stages/inputs reads in order to find the files whose checksums are there."""

OTHER_SOURCES = {"data.public", "data.course", "data.folder"}
"""Read only with another data.source than that of the smoke profile."""


def covers(declared: str, path: str, separator: str) -> bool:
    return declared in ("*", path) or path.startswith(declared + separator)


def by_kind(run: PipelineRun) -> dict[str, list[Stage]]:
    kinds: dict[str, list[Stage]] = {}
    for stage in run.stages:
        kinds.setdefault(stage.kind, []).append(stage)
    return kinds


def test_every_command_runs_this_package(pipeline: PipelineRun) -> None:
    assert all(stage.command[:3] == ["python", "-m", "hw2core"] for stage in pipeline.stages)


def test_each_kind_of_generator_has_stages_for_its_own_seeds(tmp_path: Path) -> None:
    """The sweep samples the DDPM of the first seed."""
    root = tmp_path / "workspace"
    make_workspace(root)
    seeds = {"gans": [0, 1, 2], "autoencoders": [3, 4], "conditional": [5, 0]}
    change_params(root, lambda raw: raw["generation"].update(seeds=seeds))
    stages = {stage.name: stage for stage in read_stages(root)}
    items = {"gan": ("sngan", "gans"), "autoencoder": ("vae", "autoencoders")}
    items |= {"acgan": ("faces", "conditional"), "ddpm": ("digits", "conditional")}
    for kind, (item, key) in items.items():
        for step in ("train", "evaluate"):
            found = {name for name in stages if name.startswith(f"{step}_{kind}@{item}-")}
            assert found == {f"{step}_{kind}@{item}-{seed}" for seed in seeds[key]}
    assert "models/train_ddpm/digits/seed5.safetensors" in stages["sweep_ddpm@digits"].deps


def test_deps_name_every_file_of_the_package_that_a_stage_imports(pipeline: PipelineRun) -> None:
    missing = {
        (stage.name, path)
        for stage in pipeline.stages
        for path in stage.imports
        if not path.startswith(SHELL)
        and not path.endswith("__init__.py")
        and not any(covers(dep, path, "/") for dep in stage.deps)
    }
    assert not missing


def test_deps_name_no_file_of_the_package_that_no_stage_of_a_kind_imports(pipeline: PipelineRun) -> None:
    idle = {
        (kind, dep)
        for kind, stages in by_kind(pipeline).items()
        for stage in stages
        for dep in stage.deps
        if dep.startswith("hw2core/")
        and not any(covers(dep, path, "/") for s in stages for path in s.imports)
    }
    assert not idle


def test_params_name_every_value_that_a_stage_reads(pipeline: PipelineRun) -> None:
    missing = {
        (stage.name, path)
        for stage in pipeline.stages
        for path in stage.reads - NO_RESULT - IN_PATHS
        if not any(covers(key, path, ".") for key in stage.params)
        and not (stage.inputs and path.split("[")[0].startswith(BEHIND_INPUTS))
    }
    assert not missing


def test_params_name_no_value_that_no_stage_of_a_kind_reads(pipeline: PipelineRun) -> None:
    """A section that was opened counts as read: whoever builds a system is given all of it."""
    idle = {
        (kind, key)
        for kind, stages in by_kind(pipeline).items()
        for stage in stages
        for key in stage.params
        if key not in OTHER_SOURCES
        and not any(key in s.opened for s in stages)
        and not any(covers(key, path, ".") or covers(path, key, ".") for s in stages for path in s.reads)
    }
    assert not idle


def test_whatever_computes_with_torch_names_the_threads_and_instructions(pipeline: PipelineRun) -> None:
    kinds = ("train", "evaluate", "sweep", "tsne")
    named = [set(stage.params) for stage in pipeline.stages if stage.name.startswith(kinds)]
    assert named
    assert all({"engine.threads", "engine.cpu_isa"} <= params for params in named)


def test_every_stage_leaves_its_outs(pipeline: PipelineRun) -> None:
    missing = {
        (stage.name, out)
        for stage in pipeline.stages
        for out in stage.outs
        if not (pipeline.root / out).exists()
    }
    assert not missing


def test_no_stage_leaves_anything_else(pipeline: PipelineRun) -> None:
    outs = [out for stage in pipeline.stages for out in stage.outs]
    rooms = ("stages", "models", "reports", "data/raw", "data/ready")
    left = {
        str(path.relative_to(pipeline.root))
        for room in rooms
        for path in (pipeline.root / room).rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }
    assert not {path for path in left if not any(covers(out, path, "/") for out in outs)}


def test_no_resume_state_is_left_behind(pipeline: PipelineRun) -> None:
    left = [path for path in (pipeline.root / "runs").rglob("*") if path.is_file()]
    # The cache of extracted features, and params.yaml as it was before the profiles.
    assert {path.parent.name for path in left} == {"features", "profiles"}


def test_every_table_of_the_report_is_a_table_in_its_page(pipeline: PipelineRun) -> None:
    text, page = ((pipeline.root / "reports" / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert text.count("\n|:---|") == page.count("<table>\n") > 5  # the scripts of the charts have others
    assert "|---" not in page
