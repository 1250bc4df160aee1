"""Stages download and preprocess, from every source, and `hw2 data`."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import official
import pytest
from conftest import Hw2, Raw, Workspace, refused
from PIL import Image

DOMAINS = ["handwritten", "blended", "printed"]


@pytest.mark.parametrize("dataset", [*DOMAINS, "drawn_faces"])
def test_the_same_stages_leave_the_same_bytes(workspace: Workspace, hw2: Hw2, dataset: str) -> None:
    before = workspace.tree()
    for stage in ("download", "preprocess"):
        assert hw2(stage, dataset).status == 0
    assert workspace.tree() == before


def about(workspace: Workspace, dataset: str) -> Raw:
    made: Raw = json.loads((workspace.layout.ready(dataset) / "about.json").read_text())
    return made


@pytest.mark.parametrize("domain", DOMAINS)
def test_ready_data_has_its_source_settings_and_counts(finished: Workspace, domain: str) -> None:
    made = about(finished, domain)
    assert (made["name"], made["source"]) == (domain, "embedded")
    assert made["settings"] == {"seed": 0, "train": 100, "test": 100}
    assert {name: split["images"] for name, split in made["counts"].items()} == {"train": 100, "test": 100}
    assert made["classes"] == list(range(10))


def test_another_seed_makes_other_images(workspace: Workspace, hw2: Hw2) -> None:
    path = workspace.layout.ready("handwritten") / "train_images.npy"
    before = path.read_bytes()
    workspace.change("data.embedded.seed", 1)
    assert hw2("preprocess", "handwritten").status == 0
    assert path.read_bytes() != before


@pytest.fixture
def published(empty_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a mirror of small published datasets."""
    files = official.every_file()
    official.publish(monkeypatch, files)
    mirror = official.write(files, tmp_path / "mirror")
    set_data(empty_workspace, source="public", mirror=mirror.as_uri())
    return empty_workspace


def set_data(workspace: Workspace, domains: tuple[str, ...] = ("mnistm", "usps"), **values: object) -> None:
    for key, value in {**values, "domains": list(domains), "digits": domains[0], "color_jitter": []}.items():
        workspace.change(f"data.{key}", value)
    source, target = domains[:2]
    workspace.change("pairs", {f"{source}-{target}": {"source": source, "target": target}})


@pytest.mark.parametrize("dataset", ["mnist", "mnistm", "usps", "svhn", "celeba"])
def test_a_published_dataset_is_downloaded_and_preprocessed(
    published: Workspace, hw2: Hw2, dataset: str
) -> None:
    assert hw2("download", dataset).status == 0
    assert hw2("preprocess", dataset).status == 0
    made = about(published, dataset)
    assert (made["name"], made["source"]) == (dataset, "public")
    before = published.tree()
    assert hw2("download", dataset).status == 0
    assert hw2("preprocess", dataset).status == 0
    assert published.tree() == before


def test_a_file_placed_in_data_raw_by_hand_is_not_downloaded(
    published: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    (published.root / "data").mkdir()
    (tmp_path / "mirror").rename(published.root / "data" / "raw")
    assert hw2("download", "usps").status == 0
    assert sorted(path.name for path in published.layout.raw("usps").iterdir()) == ["usps.bz2", "usps.t.bz2"]


def test_a_wrong_file_placed_there_by_hand_is_refused_and_kept(published: Workspace, hw2: Hw2) -> None:
    folder = published.layout.raw("usps")
    official.write({"usps.bz2": b"not it"}, folder)
    refused(hw2("download", "usps"), "usps.bz2")
    assert (folder / "usps.bz2").read_bytes() == b"not it"


def test_a_failed_download_leaves_no_file_and_names_the_remedy(
    published: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    (tmp_path / "mirror" / "usps.t.bz2").write_bytes(b"<!DOCTYPE html><html>")
    refused(hw2("download", "usps"), "usps.t.bz2", "data/raw", "data.mirror")
    assert not (published.layout.raw("usps") / "usps.t.bz2").exists()
    assert (published.layout.raw("usps") / "usps.bz2").exists()


def digits(folder: Path, count: int = 10, mode: str = "RGB") -> None:
    """A folder of the course's form: png files and a table, for training and for testing."""
    rng = np.random.default_rng(count)
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        rows = []
        for i in range(count):
            pixels = rng.integers(0, 256, (28, 28, 3) if mode == "RGB" else (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{i:05d}.png")
            rows.append(f"{i:05d}.png, {i % 10}\n")
        (folder / f"{split}.csv").write_text("image_name, label\n" + "".join(rows))


@pytest.mark.parametrize("source", ["course", "folder"])
def test_image_files_are_copied_and_preprocessed(
    empty_workspace: Workspace, hw2: Hw2, tmp_path: Path, source: str
) -> None:
    root = tmp_path / "hw2_data" / "digits"
    digits(root / "mnistm")
    digits(root / "usps", mode="L")
    if source == "course":
        set_data(empty_workspace, source="course", course={"path": str(tmp_path / "hw2_data")})
    else:
        paths = {name: str(root / name) for name in ("mnistm", "usps")}
        set_data(empty_workspace, source="folder", folder={"paths": paths, "test": 0.2})
    for dataset, channels in (("mnistm", 3), ("usps", 1)):
        assert hw2("download", dataset).status == 0
        assert hw2("preprocess", dataset).status == 0
        assert about(empty_workspace, dataset)["source"] == source
        images = np.load(empty_workspace.layout.ready(dataset) / "test_images.npy")
        first = np.asarray(Image.open(root / dataset / "test" / "00000.png")).reshape(28, 28, channels)
        assert (images[0] == np.broadcast_to(first, (28, 28, 3))).all()


def test_a_folder_with_problems_is_refused_whole_by_download(
    empty_workspace: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    root = tmp_path / "hw2_data" / "digits"
    digits(root / "mnistm")
    (root / "mnistm" / "train" / "00003.png").write_bytes(b"")
    (root / "mnistm" / "test" / "00004.png").write_bytes(b"not a picture")
    set_data(empty_workspace, source="course", course={"path": str(tmp_path / "hw2_data")})
    outcome = hw2("download", "mnistm")
    assert outcome.status == 2
    assert any("00003.png" in line for line in outcome.problems)
    assert any("00004.png" in line for line in outcome.problems)
    assert not any(path.is_file() for path in empty_workspace.layout.raw("mnistm").rglob("*"))


def test_preprocess_without_download_names_the_command_to_run(empty_workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("preprocess", "printed"), "data/raw/printed", "`hw2 repro` downloads it")


@pytest.mark.parametrize("name", ["svhn", "../printed"])
def test_a_dataset_that_the_source_does_not_have_is_refused(
    empty_workspace: Workspace, hw2: Hw2, name: str
) -> None:
    for stage in ("download", "preprocess"):
        refused(hw2(stage, name), "data.source")


def test_data_shows_counts_and_a_contact_sheet(workspace: Workspace, hw2: Hw2, tmp_path: Path) -> None:
    outcome = hw2("data", "printed", "--out", str(tmp_path / "sheet.png"))
    assert outcome.status == 0
    assert "train 100, test 100 images, 28x28" in outcome.out
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if line}
    for split in ("train", "test"):
        assert [int(cell) for cell in rows[split][-10:]] == about(workspace, "printed")["counts"][split][
            "per_class"
        ]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500


def test_data_shows_faces_and_their_attributes(published: Workspace, hw2: Hw2) -> None:
    for stage in ("download", "preprocess"):
        assert hw2(stage, "celeba").status == 0
    outcome = hw2("data", "celeba")
    assert outcome.status == 0
    assert "train 8, test 3 images, 64x64" in outcome.out
    assert ["Male", "4", "2"] in [line.split() for line in outcome.out.splitlines()]
    assert (published.root / "data" / "sheets" / "celeba.png").is_file()


def test_drawn_faces_have_attributes_and_settings_of_their_own(workspace: Workspace, hw2: Hw2) -> None:
    made = about(workspace, "drawn_faces")
    assert made["settings"] == {"seed": 0, "faces_train": 100, "faces_test": 100}
    assert made["attributes"] == ["smiling", "male", "glasses", "dark_hair"]
    outcome = hw2("data", "drawn_faces")
    assert outcome.status == 0
    assert "train 100, test 100 images, 64x64" in outcome.out
    assert (workspace.root / "data" / "sheets" / "drawn_faces.png").is_file()


def test_data_of_a_missing_dataset_names_the_command_to_run(empty_workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("data", "printed"), "data/ready/printed: ", "`hw2 repro` makes it")


def test_data_alone_lists_all_sets_with_their_state(workspace: Workspace, hw2: Hw2) -> None:
    shutil.rmtree(workspace.layout.ready("printed"))
    lines = hw2("data").out.splitlines()
    assert lines[0] == "In params.yaml:"
    assert any(
        re.match(r"  handwritten +embedded, ready: [\d,]+ training and [\d,]+ test images$", line)
        for line in lines
    )
    assert any(re.match(r"  printed +embedded, not ready; `hw2 repro` makes it$", line) for line in lines)
    assert "  public: mnist, mnistm, usps, svhn, celeba" in lines
    refused(hw2("data", "--out", "x.png"), "--out")
