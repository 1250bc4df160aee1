"""`hw2 check`: what would stop a stage hours later is a line before anything runs."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Hw2, Raw, Workspace, complaint
from drawn import Files, digit_table, face_table, numbered, png, write_folder

from hw2core.errors import UserError
from hw2core.pipeline.check import Found, check, check_stale
from hw2core.settings.validation import validate

TRAIN, TEST = numbered(0, 120), numbered(120, 140)


def course(attributes: bool) -> Files:
    """The course's folders: USPS of 2021, and faces with attributes as in 2020, or without."""
    files: Files = {}
    for split, names in (("train", TRAIN), ("test", TEST)):
        for folder in ("face", "digits/usps"):
            files |= {f"hw2_data/{folder}/{split}/{name}": png(name) for name in names}
        files[f"hw2_data/digits/usps/{split}.csv"] = digit_table(names)
        if attributes:
            files[f"hw2_data/face/{split}.csv"] = face_table(names)
    return files


@pytest.fixture
def course_raw(raw: Raw, tmp_path: Path) -> Raw:
    """Params of a run on the course's folders."""
    raw["data"] |= {"source": "course", "domains": ["usps"], "digits": "usps", "faces": "celeba"}
    raw["data"]["color_jitter"] = []
    raw["data"]["course"]["path"] = str(tmp_path / "set")
    raw["pairs"] = {}
    raw["conditional"]["acgan"] = ["digits", "faces"]
    raw["acgan"]["faces"]["attribute"] = "smiling"
    return raw


def checked(raw: Raw, workspace: Workspace, *ready: str) -> Found:
    return check(validate(raw, "params.yaml"), workspace.layout, ready)


def problems(raw: Raw, workspace: Workspace, *ready: str) -> list[str]:
    return (complaint(lambda: checked(raw, workspace, *ready)) or "").splitlines()


def test_an_attribute_matches_without_regard_to_case(
    course_raw: Raw, empty_workspace: Workspace, tmp_path: Path
) -> None:
    write_folder(tmp_path / "set", course(attributes=True))
    found = checked(course_raw, empty_workspace)
    assert found.contents["celeba"].counts == {"train": 120, "test": 20}
    assert found.skipped == {}
    course_raw["acgan"]["faces"]["attribute"] = "beard"
    assert problems(course_raw, empty_workspace) == [
        "acgan.faces.attribute: celeba has no beard; it has: Bangs, Male, Smiling"
    ]


def test_faces_without_attributes_skip_what_needs_one(
    course_raw: Raw, empty_workspace: Workspace, tmp_path: Path
) -> None:
    write_folder(tmp_path / "set", course(attributes=False))
    found = checked(course_raw, empty_workspace)
    assert list(found.skipped) == ["train_acgan@faces", "evaluate_acgan@faces"]
    assert "celeba has no attributes" in found.skipped["train_acgan@faces"]


def test_problems_of_all_kinds_are_reported_together(
    course_raw: Raw, empty_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = course(attributes=True)
    del files["hw2_data/digits/usps/train.csv"]
    write_folder(tmp_path / "set", files)
    course_raw["dcgan4"] |= {"size": 128, "batch": 121}
    course_raw["gans"] = ["dcgan4"]
    course_raw["evaluation"]["faces"]["inception"] = "~/nowhere.pth"
    course_raw["engine"]["device"] = "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**9))  # type: ignore[attr-defined]
    found = problems(course_raw, empty_workspace)
    starts = [
        "usps: ", "dcgan4.size: ", "dcgan4.batch: must be at most the 120 training images of celeba, not 121",
        "evaluation.faces.inception: ~/nowhere.pth is not there", "engine.device: cuda", str(empty_workspace.root),
    ]  # fmt: skip
    assert len(found) == len(starts)
    assert all(line.startswith(start) for line, start in zip(found, starts, strict=True)), found


def test_t_sne_of_few_test_images_is_reported(raw: Raw, empty_workspace: Workspace) -> None:
    raw["data"]["embedded"]["test"] = 100
    raw["tsne"] |= {"images_per_domain": 400, "perplexity": 200}
    lines = problems(raw, empty_workspace)
    assert lines
    assert all(line.startswith("tsne.perplexity: must be less than the 200 test images") for line in lines)


def test_ready_data_are_read_where_they_are(workspace: Workspace) -> None:
    from hw2core.settings import load_params

    params = load_params(workspace.layout.params)
    found = check(params, workspace.layout, [params.data.faces, *params.data.domains])
    assert found == check(params, workspace.layout)


def test_event_files_need_tensorboard(
    raw: Raw, empty_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw["engine"]["tensorboard"] = True
    assert problems(raw, empty_workspace) == []
    monkeypatch.setattr("hw2core.pipeline.check.find_spec", lambda _: None)
    assert problems(raw, empty_workspace) == [
        "engine.tensorboard: needs the package tensorboard: pip install hw2core[tensorboard]"
    ]


def test_a_part_of_the_pipeline_needs_only_its_own_datasets(raw: Raw, empty_workspace: Workspace) -> None:
    """In a fresh clone nothing is ready. The classifier of printed does not need the faces."""
    paths = {
        "preprocess@printed": (["data/ready/printed"], {"data/raw/printed"}),
        "train_classifier@printed": (["models/train_classifier/printed"], {"data/ready/printed"}),
    }
    repository: Any = SimpleNamespace(
        stages={"preprocess@printed": SimpleNamespace(cmd="python -m hw2core preprocess printed")},
        outputs=lambda name: paths[name][0],
        inputs=lambda name: paths[name][1],
    )
    params, layout = validate(raw, "params.yaml"), empty_workspace.layout
    found = check_stale(params, layout, repository, list(paths), part=True)
    assert set(found.contents) == {"printed"}
    with pytest.raises(UserError, match="drawn_faces: data/ready/drawn_faces: not made yet"):
        check_stale(params, layout, repository, list(paths))


def test_the_command_says_what_there_is(workspace: Workspace, hw2: Hw2, monkeypatch: Any) -> None:
    from hw2core.pipeline import repository

    class Clean:
        def __init__(self, _: Path) -> None:
            self.stages: dict[str, Any] = {}

        def stale(self) -> list[str]:
            return []

    monkeypatch.setattr(repository, "Repository", Clean)
    outcome = hw2("check")
    assert outcome.status == 0
    assert any("attributes: " in line for line in outcome.out.splitlines())
    assert outcome.out.endswith("`hw2 repro` can run.\n")
