"""The stages that bring and make data leave whole folders, and the same bytes each time."""

import json

import pytest
from conftest import Hw2, Workspace

DOMAINS = ["handwritten", "blended", "printed"]


@pytest.mark.parametrize("stage", ["download", "preprocess"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_making_data_again_leaves_the_same_bytes(
    workspace: Workspace, hw2: Hw2, stage: str, domain: str
) -> None:
    before = workspace.tree()
    assert hw2(stage, domain).status == 0
    assert workspace.tree() == before


@pytest.mark.parametrize("domain", DOMAINS)
def test_ready_data_says_what_it_is_and_how_it_was_made(finished: Workspace, domain: str) -> None:
    about = json.loads((finished.layout.ready(domain) / "about.json").read_text())
    assert (about["name"], about["source"]) == (domain, "embedded")
    assert about["settings"] == {"seed": 0, "train": 100, "test": 100}
    assert {name: split["images"] for name, split in about["counts"].items()} == {"train": 100, "test": 100}
    assert about["classes"] == list(range(10))


def test_another_seed_makes_other_data(workspace: Workspace, hw2: Hw2) -> None:
    path = workspace.layout.ready("handwritten") / "train_images.npy"
    before = path.read_bytes()
    workspace.change("data.embedded.seed", 1)
    assert hw2("preprocess", "handwritten").status == 0
    assert path.read_bytes() != before
