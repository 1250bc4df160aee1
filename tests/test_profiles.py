"""`hw2 profile`: a profile's settings go into params.yaml, where they can be read and changed."""

from pathlib import Path

import pytest
from conftest import ROOT, Hw2, Workspace

from hw2core.params import load_params, read_yaml

PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


@pytest.fixture
def as_cloned(empty_workspace: Workspace) -> Workspace:
    """A workspace with the repository's own params.yaml."""
    (empty_workspace.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return empty_workspace


def comments(path: Path) -> list[str]:
    return [line.partition("#")[2] for line in path.read_text(encoding="utf-8").splitlines() if "#" in line]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_applied_and_leaves_valid_params(as_cloned: Workspace, hw2: Hw2, name: str) -> None:
    outcome = hw2("profile", name)
    assert (outcome.status, outcome.err) == (0, "")
    load_params(as_cloned.layout.params)
    params, overlay = (
        read_yaml(path) for path in (as_cloned.layout.params, as_cloned.root / f"profiles/{name}.yaml")
    )
    for section, values in overlay.items():
        if section != "pairs" and isinstance(values, dict):
            for key, value in values.items():
                if isinstance(value, dict):
                    assert params[section][key] | value == params[section][key]
                else:
                    assert params[section][key] == value
        else:
            assert params[section] == values


def test_every_comment_of_params_is_kept(as_cloned: Workspace, hw2: Hw2) -> None:
    before = comments(as_cloned.layout.params)
    assert len(before) > 10
    hw2("profile", "smoke")
    assert comments(as_cloned.layout.params) == before


def test_what_a_profile_does_not_name_stays_as_it_was(as_cloned: Workspace, hw2: Hw2) -> None:
    (as_cloned.root / "profiles" / "one.yaml").write_text("classifier: {lr: 0.5}\n")
    before = as_cloned.layout.params.read_text().splitlines()
    assert hw2("profile", "one").status == 0
    after = as_cloned.layout.params.read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0].startswith("  lr: 0.5")


def test_each_changed_value_is_told(empty_workspace: Workspace, hw2: Hw2) -> None:
    (empty_workspace.root / "profiles" / "two.yaml").write_text(
        "classifier: {lr: 0.5, steps: 7}\nseeds: [4]\n"
    )
    assert hw2("profile", "two").out.splitlines() == ["classifier.lr: 0.001 -> 0.5", "seeds: [0] -> [4]"]


def test_a_profile_that_is_there_already_changes_no_byte(as_cloned: Workspace, hw2: Hw2) -> None:
    hw2("profile", "smoke")
    before = as_cloned.layout.params.read_bytes()
    assert hw2("profile", "smoke").out == "params.yaml already has the settings of profile smoke\n"
    assert as_cloned.layout.params.read_bytes() == before


def test_a_profile_replaces_the_pairs_and_adds_none(empty_workspace: Workspace, hw2: Hw2) -> None:
    (empty_workspace.root / "profiles" / "pair.yaml").write_text(
        "pairs: {printed-blended: {source: printed, target: blended}}\n"
    )
    assert hw2("profile", "pair").status == 0
    assert list(load_params(empty_workspace.layout.params).pairs) == ["printed-blended"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("classifier: {lr: -1}\n", "classifier.lr"),
        ("classifier: {ls: 1}\n", "did you mean classifier.lr?"),
        ("classifier: 3\n", "classifier: "),
        ("pairs: {a-b: {source: a, target: b}}\n", "pairs.a-b.source"),
        ("classifier: {lr: 1\n", "not valid YAML"),
        ("- classifier\n", "holds no keys"),
        ("", "holds no keys"),
    ],
)
def test_a_profile_that_is_wrong_changes_nothing(
    empty_workspace: Workspace, hw2: Hw2, content: str, said: str
) -> None:
    (empty_workspace.root / "profiles" / "wrong.yaml").write_text(content)
    before = empty_workspace.tree()
    outcome = hw2("profile", "wrong")
    assert outcome.status == 2
    assert any(said in line for line in outcome.problems)
    assert all("wrong" in line for line in outcome.problems)
    assert empty_workspace.tree() == before


def test_an_unknown_profile_is_told_which_there_are(empty_workspace: Workspace, hw2: Hw2) -> None:
    outcome = hw2("profile", "nosuch")
    assert (outcome.status, outcome.problems) == (
        2,
        [f"hw2: unknown profile nosuch; profiles/ has: {', '.join(PROFILES)}"],
    )


@pytest.mark.parametrize("content", ["", "- a\n", "words\n", "seeds: [0]\nseeds: [1]\n", "a: {\n"])
def test_a_profile_on_params_that_are_no_mapping_is_refused(
    empty_workspace: Workspace, hw2: Hw2, content: str
) -> None:
    empty_workspace.layout.params.write_text(content)
    outcome = hw2("profile", "smoke")
    assert outcome.status == 2
    assert all(line.startswith("hw2: params.yaml") for line in outcome.problems)
    assert empty_workspace.layout.params.read_text() == content


def test_a_profile_mends_params_that_are_only_out_of_range(empty_workspace: Workspace, hw2: Hw2) -> None:
    """Whoever spoiled a value gets it back by a profile that sets it."""
    empty_workspace.change("classifier.steps", 0)
    assert hw2("profile", "smoke").status == 0
    load_params(empty_workspace.layout.params)
