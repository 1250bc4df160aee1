"""stages/inputs/*.json: each key changes with what its readers depend on, and with nothing else."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Hw2, Workspace, refused

from hw2core.engine import images
from hw2core.engine.images import ImageData, Split, open_split
from hw2core.files import sha256_of
from hw2core.settings.registry import ADAPTERS
from hw2core.stages.inputs import images_of

PAIR = "blended-handwritten"
Keys = dict[str, Any]


@pytest.fixture
def keys(workspace: Workspace, hw2: Hw2) -> Callable[[str], Keys]:
    """What the stage writes now for a pair, or for digits or faces: the keys that dvc.yaml reads, without nesting."""

    def written(name: str) -> Keys:
        stage = "pair_inputs" if "-" in name else "generation_inputs"
        assert hw2(stage, name).status == 0
        content = json.loads(workspace.layout.inputs(name).read_text())
        if stage == "generation_inputs":
            return content
        seeds = {
            f"{method}.{seed}": value
            for method in content
            if method != "domains"
            for seed, value in content[method].items()
        }
        return {"domains": content["domains"], **seeds}

    return written


def invert_images(workspace: Workspace, domain: str) -> None:
    folder = workspace.layout.ready(domain)
    splits = {name: open_split(folder, name) for name in images.SPLITS}
    inverted = {
        name: Split(255 - np.array(split.images), np.array(split.labels)) for name, split in splits.items()
    }
    images.write(folder, ImageData(inverted, "changed"), {"name": domain})


def changed(before: Keys, after: Keys) -> set[str]:
    assert before.keys() == after.keys()
    return {key for key in before if before[key] != after[key]}


def classifier(workspace: Workspace, domain: str, seed: int) -> str:
    return str(workspace.layout.model("train_classifier", domain, seed).relative_to(workspace.root))


def test_a_pair_has_a_key_for_each_adapter_and_seed(keys: Callable[[str], Keys]) -> None:
    assert keys(PAIR).keys() == {"domains", *(f"{method}.seed0" for method in ADAPTERS)}


def test_a_new_seed_or_adapter_adds_keys_and_changes_none(
    workspace: Workspace, keys: Callable[[str], Keys]
) -> None:
    workspace.change("adapters", ["dann", "adda"])
    before = keys(PAIR)
    workspace.change("adapters", ["dsn", "adda", "dann"])
    weights = (workspace.root / classifier(workspace, "blended", 0)).read_bytes()
    (workspace.root / classifier(workspace, "blended", 1)).write_bytes(weights + b" ")
    workspace.change("seeds", [1, 0])
    after = keys(PAIR)
    assert after.items() >= before.items()
    assert after.keys() - before.keys() == {"dsn.seed0", "dsn.seed1", "dann.seed1", "adda.seed1"}
    assert after["adda.seed1"] != after["adda.seed0"]
    assert after["dann.seed1"] == after["dann.seed0"]


def test_only_addas_key_changes_with_the_sources_classifier_of_its_seed(
    workspace: Workspace, keys: Callable[[str], Keys]
) -> None:
    other = (workspace.root / classifier(workspace, "printed", 0)).read_bytes()
    (workspace.root / classifier(workspace, "blended", 1)).write_bytes(other)
    workspace.change("seeds", [0, 1])
    before = keys(PAIR)
    workspace.damage(classifier(workspace, "handwritten", 0), lambda _: other)  # the target's
    assert not changed(before, keys(PAIR))
    workspace.damage(classifier(workspace, "blended", 0), lambda _: other)
    assert changed(before, keys(PAIR)) == {"adda.seed0"}


@pytest.mark.parametrize("domain", ["blended", "handwritten"])
def test_every_key_changes_with_the_images_of_its_domains_only(
    workspace: Workspace, keys: Callable[[str], Keys], domain: str
) -> None:
    before = keys(PAIR)
    invert_images(workspace, "printed")
    assert not changed(before, keys(PAIR))
    invert_images(workspace, domain)
    assert changed(before, keys(PAIR)) == set(before)


@pytest.mark.parametrize(
    ("kind", "dataset", "weights"),
    [
        ("digits", "blended", "models/train_classifier/blended/seed0.safetensors"),
        ("faces", "drawn_faces", "models/train_face_features/faces/seed0.safetensors"),
    ],
)
def test_images_and_extractor_have_keys_of_their_own(
    workspace: Workspace, keys: Callable[[str], Keys], kind: str, dataset: str, weights: str
) -> None:
    before = keys(kind)
    assert before.keys() == {"images", "extractor"}
    assert before["images"] == images_of(workspace.layout, dataset)
    assert before["extractor"] == sha256_of(workspace.root / weights)
    workspace.damage(weights, lambda content: content + b" ")
    assert changed(before, keys(kind)) == {"extractor"}


def test_the_digits_are_those_of_data_digits_and_their_extractor_of_the_first_seed(
    workspace: Workspace, keys: Callable[[str], Keys]
) -> None:
    before = keys("digits")
    invert_images(workspace, "handwritten")
    assert not changed(before, keys("digits"))
    invert_images(workspace, "blended")
    assert changed(before, keys("digits")) == {"images"}
    (workspace.root / classifier(workspace, "blended", 4)).write_bytes(b"other weights")
    workspace.change("seeds", [4, 0])
    assert changed(before, keys("digits")) == {"images", "extractor"}
    workspace.change("seeds", [0])
    workspace.change("data.digits", "handwritten")
    assert keys("digits")["images"] == images_of(workspace.layout, "handwritten")


def test_the_key_of_faces_changes_with_the_names_of_their_attributes(
    workspace: Workspace, keys: Callable[[str], Keys]
) -> None:
    before = keys("faces")
    workspace.damage(
        "data/ready/drawn_faces/about.json", lambda content: content.replace(b'"male"', b'"bearded"')
    )
    assert changed(before, keys("faces")) == {"images"}


def test_inputs_of_unknown_names_are_refused(empty_workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("pair_inputs", "blended-printed"), "unknown pair blended-printed; pairs has: ", PAIR)
    refused(hw2("generation_inputs", "cats"), "unknown kind cats; there are: digits, faces")
    refused(hw2("generation_inputs", "digits"), "data/ready/blended: ")
    assert not (empty_workspace.root / "stages").exists()
