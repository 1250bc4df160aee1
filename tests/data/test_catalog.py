"""The catalog: the datasets of every source are found and have distinct descriptions."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Raw

from hw2core.data.catalog import EMBEDDED, find, local_folders, locate
from hw2core.errors import UserError
from hw2core.settings.registry import DATASETS
from hw2core.settings.validation import validate

REAL = ("MNIST", "SVHN", "USPS", "CelebA")


def data_of(raw: Raw, **changes: Any) -> Any:
    """The data section with changes. It need not match data.domains, which `download` does not read."""
    params = validate(raw, "params.yaml")
    return params.data.model_copy(update=changes)


def test_embedded_datasets_have_distinct_descriptions() -> None:
    assert set(EMBEDDED) == set(DATASETS["embedded"])
    assert len({stand_in.about for stand_in in EMBEDDED.values()}) == len(EMBEDDED)


def test_no_synthetic_dataset_has_the_name_of_a_real_one() -> None:
    for name, stand_in in EMBEDDED.items():
        for real in REAL:
            assert real.lower() not in name
            # handwritten says that its images are a part of MNIST.
            assert name == "handwritten" or real.lower() not in stand_in.about.lower()


@pytest.mark.parametrize("source", ["embedded", "public"])
def test_every_dataset_of_a_source_is_found(raw: Raw, source: str, tmp_path: Path) -> None:
    for name in DATASETS[source]:  # type: ignore[index]
        assert find(data_of(raw, source=source), name, tmp_path).source == source


def test_sources_can_be_mixed(raw: Raw, tmp_path: Path) -> None:
    data = data_of(raw, source={"usps": "public", "printed": "embedded"})
    assert find(data, "usps", tmp_path).source == "public"
    assert find(data, "printed", tmp_path).source == "embedded"
    with pytest.raises(UserError, match=r"data\.source: does not say where svhn comes from"):
        find(data, "svhn", tmp_path)


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (
            "embedded",
            "usps",
            "embedded has no usps, only handwritten, blended, printed, drawn_faces; usps needs public or course",
        ),
        ("public", "printed", "printed needs embedded"),
        ("public", "meters", "meters needs folder, and data.folder.paths"),
        ("course", "mnist", "mnist needs public"),
        ("course", "usps", "data.course.path: must name the course's folder"),
        ("folder", "meters", "data.folder.paths: must name the folder that meters comes from"),
    ],
)
def test_missing_dataset_is_reported_with_the_sources_that_have_it(
    raw: Raw, source: str, name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        find(data_of(raw, source=source), name, tmp_path)


def test_paths_are_expanded_and_relative_to_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("DATA", "/big/disk")
    assert locate("mine", tmp_path) == tmp_path / "mine"
    assert locate("/elsewhere", tmp_path) == Path("/elsewhere")
    assert locate("~/mine", tmp_path) == Path("/home/someone/mine")
    assert locate("$DATA/mine", tmp_path) == Path("/big/disk/mine")


def test_local_folders_are_data_raw_and_those_of_other_datasets(tmp_path: Path) -> None:
    for name in ("mnist", "mnistm", ".draft"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    assert local_folders(tmp_path / "mnistm") == [tmp_path, tmp_path / "mnist"]
