"""Contract 1 of the design: what a change re-runs, and what it does not.

Each case edits the copy of an up-to-date workspace and compares what DVC calls changed with the table. DVC names the stages
whose own dependencies changed; what follows from them runs again only if their outputs change.
"""

import subprocess
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipeline_run import PipelineRun, change_params, hw2, stale_stages

pytestmark = pytest.mark.filterwarnings("default")

GENERATORS = ["train_gan@*", "train_autoencoder@*", "train_acgan@*", "train_ddpm@*", "train_face_features@*"]
TRAININGS = ["train_classifier@*", "train_adapter@*", *GENERATORS]
FACES = ["evaluate_real@*", "evaluate_gan@*", "evaluate_autoencoder@*", "evaluate_acgan@faces-*"]
DATA = ["download@*", "download_faces@*", "preprocess@*", "preprocess_faces@*"]
DANN = ["train_adapter@dann-*", "evaluate@dann-*", "tsne@dann-*"]
REPORT = ["report"]


@pytest.fixture(scope="module")
def copy(pipeline: PipelineRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.copy_to(tmp_path_factory.mktemp("dependencies") / "workspace")


@pytest.fixture
def workspace(copy: Path) -> Iterator[Path]:
    """The copy; what a test changes in code and params is undone."""
    kept = {path: path.read_bytes() for path in (copy / "params.yaml", *(copy / "hw2core").rglob("*.*"))}
    yield copy
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def expect(workspace: Path, patterns: list[str], names: set[str]) -> None:
    """All stages that match a pattern are stale, and no others; every pattern matches some."""
    stale = stale_stages(workspace)
    expected = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    assert all(any(fnmatchcase(name, pattern) for name in names) for pattern in patterns)
    assert stale == expected


@pytest.fixture
def names(pipeline: PipelineRun) -> set[str]:
    return {stage.name for stage in pipeline.stages}


def test_nothing_is_stale_at_first(workspace: Path) -> None:
    assert stale_stages(workspace) == set()


@pytest.mark.parametrize(
    ("files", "reruns"),
    [
        (["report/templates/report.md.j2", "report/figures/style.py", "report/results.py"], REPORT),
        (["report/figures/grids.py"], REPORT),
        (["data/archives.py", "data/folder.py", "data/course.py"], DATA),
        (["data/fetch.py"], [*DATA, "download_inception@*"]),
        (["evaluation/faces.py"], FACES),
        (["evaluation/tsne.py"], ["tsne@*", "tsne_classifier@*", "evaluate_autoencoder@*"]),
        (["systems/dann.py"], DANN),
        (["systems/sngan.py"], ["train_gan@sngan-*", "evaluate_gan@sngan-*"]),
        (
            [
                "progress.py",
                "cli/pipeline.py",
                "pipeline/scheduler.py",
                "settings/validation.py",
                "gate/rules.py",
                "doctor.py",
            ],
            [],
        ),
    ],
    ids=lambda value: value[0] if value and isinstance(value, list) else "nothing",
)
def test_a_change_of_code(workspace: Path, names: set[str], files: list[str], reruns: list[str]) -> None:
    for file in files:
        path = workspace / "hw2core" / file
        path.write_bytes(path.read_bytes() + b"\n# changed\n")
    expect(workspace, reruns, names)


def test_a_change_of_the_loop_trains_everything_again_and_prepares_no_data(
    workspace: Path, names: set[str]
) -> None:
    path = workspace / "hw2core/engine/loop.py"
    path.write_bytes(path.read_bytes() + b"\n# changed\n")
    stale = stale_stages(workspace)
    assert {name for name in names if any(fnmatchcase(name, pattern) for pattern in TRAININGS)} <= stale
    assert not {name for name in stale if name.startswith(("download", "preprocess", "report"))}


def set_key(path: str, value: Any) -> Callable[[Any], None]:
    def change(raw: Any) -> None:
        *parents, key = path.split(".")
        for parent in parents:
            raw = raw[parent]
        assert raw[key] != value
        raw[key] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "reruns"),
    [
        ("dann.lr", 3e-4, DANN),
        ("data.val_fraction", 0.2, ["train_classifier@*", "train_adapter@*"]),
        ("ddpm.guidance_scale", 4.0, ["evaluate_ddpm@*", "sweep_ddpm@*"]),
        ("ddpm.lr", 3e-4, ["train_ddpm@*", "evaluate_ddpm@*", "sweep_ddpm@*"]),
        ("acgan.faces.lr", 3e-4, ["train_acgan@faces-*", "evaluate_acgan@faces-*"]),
        ("tsne.perplexity", 6, ["tsne@*", "tsne_classifier@*", "evaluate_autoencoder@*"]),
        (
            "engine.cpu_isa",
            "native",
            [*TRAININGS, "evaluate_*@*", "evaluate@*", "tsne@*", "tsne_classifier@*", "sweep_ddpm@*"],
        ),
        ("engine.checkpoint_every", 7, []),
        ("engine.tensorboard", True, []),
        ("data.mirror", "elsewhere", []),
    ],
)
def test_a_change_of_params(
    workspace: Path, names: set[str], key: str, value: Any, reruns: list[str]
) -> None:
    """The report prints all params, so it follows every change."""
    change_params(workspace, set_key(key, value))
    expect(workspace, [*reruns, "report"], names)


def test_a_comment_in_params_reruns_nothing(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(f"# A comment.\n{path.read_text()}")
    assert stale_stages(workspace) == set()


def follow_inputs(workspace: Path) -> set[str]:
    """Run the stages that write the checksums of inputs, where stale; returns what is stale then."""
    for name in sorted(stale_stages(workspace)):
        kind, _, item = name.partition("@")
        if kind == "pair_inputs":
            subprocess.run(hw2(kind, item), cwd=workspace, check=True)
    return {
        name for name in stale_stages(workspace) if not name.startswith(("pair_inputs", "generation_inputs"))
    }


def add_generator_seeds(raw: Any) -> None:
    for seed, seeds in enumerate(raw["generation"]["seeds"].values(), start=1):
        seeds.append(seed)


@pytest.mark.parametrize(
    ("change", "added"),
    [
        (add_generator_seeds, ["train_gan@dcgan4-1", "train_autoencoder@vae-2", "evaluate_ddpm@digits-3"]),
        (lambda raw: raw["gans"].remove("r3gan"), []),
        (lambda raw: raw["adapters"].remove("dsn"), []),
    ],
    ids=["one more seed of the generators", "one GAN less", "one adapter less"],
)
def test_adding_and_removing_touches_nothing_that_was_there(
    workspace: Path, names: set[str], change: Callable[[Any], None], added: list[str]
) -> None:
    change_params(workspace, change)
    stale = follow_inputs(workspace)
    assert stale & names == {"report"}
    assert set(added) <= stale


def test_a_new_seed_and_a_new_pair_train_what_is_new(copy: Path, workspace: Path, names: set[str]) -> None:
    """The classifiers of the new seed run first: adapters that start from them need their weights."""

    def change(raw: Any) -> None:
        raw["seeds"].append(1)
        raw["pairs"]["handwritten-printed"] = {"source": "handwritten", "target": "printed"}

    change_params(workspace, change)
    for domain in ("handwritten", "blended", "printed"):
        subprocess.run(hw2("train_classifier", domain, "1"), cwd=workspace, check=True, capture_output=True)
    stale = follow_inputs(workspace)
    assert stale & names == {"report"}
    assert {"train_adapter@dann-blended-handwritten-1", "train_adapter@adda-handwritten-printed-0"} <= stale
    for seed in (copy / "models/train_classifier").rglob("seed1.safetensors"):
        seed.unlink()
    for folder in (copy / "stages/train_classifier").glob("*/seed1"):
        subprocess.run(["rm", "-r", folder], check=True)


def test_a_new_domain_trains_nothing_that_was_there(workspace: Path, names: set[str]) -> None:
    """Every classifier is evaluated on it."""

    def change(raw: Any) -> None:
        data = raw["data"]
        data["source"] = dict.fromkeys((*data["domains"], data["faces"]), "embedded") | {"meters": "folder"}
        data["domains"].append("meters")
        data["folder"]["paths"] = {"meters": "meters"}

    change_params(workspace, change)
    stale = follow_inputs(workspace)
    assert {"download@meters", "train_classifier@meters-0"} <= stale
    assert {name.partition("@")[0] for name in stale & names} == {
        *(
            "download",
            "preprocess",
            "download_faces",
            "preprocess_faces",
        ),  # data.source: the same arrays again
        *("evaluate_classifier", "report"),
    }


def test_other_images_of_a_domain_rerun_what_uses_it(workspace: Path, names: set[str]) -> None:
    """Last in this file: it changes data."""
    from hw2core.engine.images import ImageData, Split, open_split, read_about, write

    folder = workspace / "data/ready/printed"
    about = read_about(folder)
    splits = {name: open_split(folder, name) for name in ("train", "test")}
    changed = {name: Split(255 - np.array(s.images), np.array(s.labels)) for name, s in splits.items()}
    write(
        folder, ImageData(changed, about["made"]), {key: about[key] for key in ("name", "source", "settings")}
    )
    stale = follow_inputs(workspace)
    adapted = {
        name
        for name in names
        if name.startswith(("train_adapter@", "evaluate@", "tsne@", "tsne_classifier@")) and "printed" in name
    }
    assert adapted
    classifiers = {name for name in names if name.startswith("evaluate_classifier@")}
    expected = {"preprocess@printed", "train_classifier@printed-0", *classifiers, *adapted, "report"}
    assert stale == expected
