"""`hw2 profile`: a profile's settings are written into params.yaml, where they can be read and changed."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Hw2, Workspace, refused

from hw2core.settings import load_params
from hw2core.settings.profiles import WHOLE
from hw2core.settings.yaml import read_yaml

PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


@pytest.fixture
def cloned(empty_workspace: Workspace) -> Workspace:
    """A workspace with the repository's own params.yaml."""
    (empty_workspace.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return empty_workspace


@pytest.fixture
def committed(cloned: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same as a git repository with one commit."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", *arguments], cwd=cloned.root, check=True)
    return cloned


def add_profile(workspace: Workspace, content: str) -> str:
    """Write a profile; returns its name."""
    (workspace.layout.profiles / "new.yaml").write_text(content)
    return "new"


def comments(path: Path) -> list[str]:
    return [line.partition("#")[2] for line in path.read_text(encoding="utf-8").splitlines() if "#" in line]


def values(overlay: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The path and value of everything that an overlay sets."""
    for key, value in overlay.items():
        if isinstance(value, dict) and (*path, key) not in WHOLE:
            yield from values(value, (*path, key))
        else:
            yield (*path, key), value


def overridden(hw2: Hw2, params: Path, *names: str) -> Any:
    """What DVC makes of params.yaml, given the arguments of `--as-overrides`."""
    from dvc.utils.hydra import apply_overrides

    words = hw2("profile", *names, "--as-overrides").out.split()  # as a shell splits the output of $(...)
    assert set(words[::2]) <= {"-S"}
    copy = params.with_name("copy.yaml")
    shutil.copyfile(params, copy)
    apply_overrides(copy, words[1::2])
    return read_yaml(copy)


@pytest.mark.filterwarnings("default")  # of DVC's own libraries
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_applied_and_undone(cloned: Workspace, hw2: Hw2, name: str) -> None:
    """The params are valid and have the profile's values and the old comments; `--as-overrides` gives the same params
    through DVC without a change of the file; `--reset` restores every byte."""
    params = cloned.layout.params
    if name in ("six_pairs", "embedded"):
        hw2("profile", "public")
    text = re.sub(r"(?m)^seeds: \[.*?\]", "seeds:   [0,   5]  # my own", params.read_text())
    params.write_text(text.replace("path: null", "path: ~/hw2_data"))
    before, comments_before = params.read_bytes(), comments(params)
    through_dvc = overridden(hw2, params, name)
    assert params.read_bytes() == before

    outcome = hw2("profile", name)
    assert (outcome.status, outcome.err) == (0, "")
    load_params(params)
    assert comments(params) == comments_before
    assert len(comments_before) > 100
    applied = read_yaml(params)
    for path, value in values(read_yaml(cloned.layout.profiles / f"{name}.yaml")):
        found = applied
        for key in path:
            found = found[key]
        assert found == value, path
    assert through_dvc == applied

    assert params.read_bytes() != before
    assert hw2("profile", "--reset").status == 0
    assert params.read_bytes() == before


def test_profiles_compose_in_any_order(cloned: Workspace, hw2: Hw2) -> None:
    """Data come first and sizes last, whatever the order of the names."""
    found = []
    cloned.change("data.course.path", "~/hw2_data")
    for names in (("quick", "R22b", "course"), ("course", "R22b", "quick")):
        assert hw2("profile", *names).status == 0
        found.append(load_params(cloned.layout.params))
        assert hw2("profile", "--reset").status == 0
    assert found[0] == found[1]
    assert found[0].data.source == "course"
    assert list(found[0].pairs) == ["mnistm-usps", "mnistm-svhn"]  # R22b's
    assert (found[0].dann.steps, found[0].gans) == (500, ["dcgan5", "sngan_gp"])


@pytest.mark.parametrize(("path", "source"), [(None, "public"), ("~/hw2_data", "course")])
def test_a_report_reads_the_course_if_its_folder_is_known(
    cloned: Workspace, hw2: Hw2, path: str | None, source: str
) -> None:
    cloned.change("data.course.path", path)
    outcome = hw2("profile", "R22b")
    assert f"data.source: embedded -> {source}" in outcome.out.splitlines()


def sizes_of(section: Any, names: Any) -> Any:
    return {
        key: sizes_of(section[key], value) if isinstance(value, dict) else section[key]
        for key, value in names.items()
    }


def test_quick_has_the_sizes_of_the_default_with_one_seed() -> None:
    quick, default = read_yaml(ROOT / "profiles" / "quick.yaml"), read_yaml(ROOT / "params.yaml")
    assert quick.pop("seeds") == [0]
    assert quick["generation"].pop("seeds") == {"gans": [0], "autoencoders": [0], "conditional": [0]}
    assert quick == sizes_of(default, quick)
    systems = {
        name: section for name, section in default.items() if isinstance(section, dict) and "steps" in section
    }
    assert set(systems) < set(quick)


@pytest.mark.parametrize("size", ["smoke", "quick", "published", "paper"])
@pytest.mark.parametrize("data", ["embedded", "public", "course"])
def test_data_and_sizes_set_different_keys(data: str, size: str) -> None:
    keys = [
        {path for path, _ in values(read_yaml(ROOT / "profiles" / f"{name}.yaml"))} for name in (data, size)
    ]
    assert not keys[0] & keys[1]


def test_other_values_stay_as_they_are(cloned: Workspace, hw2: Hw2) -> None:
    before = cloned.layout.params.read_text().splitlines()
    assert hw2("profile", add_profile(cloned, "classifier: {lr: 0.5}\n")).status == 0
    after = cloned.layout.params.read_text().splitlines()
    (changed,) = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed.startswith("  lr: 0.5")


def test_each_changed_value_is_printed(empty_workspace: Workspace, hw2: Hw2) -> None:
    name = add_profile(empty_workspace, "classifier: {lr: 0.5, steps: 7}\nseeds: [4]\ngans: []\n")
    changes = ["seeds: [0] -> [4]", "gans: ['dcgan4', 'sngan'] -> []", "classifier.lr: 0.001 -> 0.5"]
    assert sorted(hw2("profile", name).out.splitlines()) == sorted(changes)
    back = ["seeds: [4] -> [0]", "gans: [] -> ['dcgan4', 'sngan']", "classifier.lr: 0.5 -> 0.001"]
    assert sorted(hw2("profile", "--reset").out.splitlines()) == sorted(back)


def test_a_profile_that_is_already_applied_changes_no_byte(cloned: Workspace, hw2: Hw2) -> None:
    hw2("profile", "smoke")
    before = cloned.layout.params.read_bytes()
    assert hw2("profile", "smoke").out == "params.yaml already has the settings of profile smoke\n"
    assert hw2("profile", "smoke", "--as-overrides").out == "\n"
    assert cloned.layout.params.read_bytes() == before


def test_a_profile_replaces_the_pairs(empty_workspace: Workspace, hw2: Hw2) -> None:
    name = add_profile(empty_workspace, "pairs: {printed-blended: {source: printed, target: blended}}\n")
    assert hw2("profile", name).status == 0
    assert list(load_params(empty_workspace.layout.params).pairs) == ["printed-blended"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("classifier: {lr: -1}\n", "classifier.lr"),
        ("classifier: {ls: 1}\n", "did you mean classifier.lr?"),
        ("classifier: {beta1: 0.5}\n", "classifier.beta1: is called classifier.optimizer.betas now"),
        ("classifier: 3\n", "classifier: "),
        ("gans: [biggan]\n", "gans: unknown system biggan"),
        ("pairs: {a-b: {source: a, target: b}}\n", "pairs.a-b.source"),
        ("classifier: {lr: 1\n", "not valid YAML"),
        ("- classifier\n", "holds no keys"),
        ("", "holds no keys"),
    ],
)
def test_an_invalid_profile_changes_nothing(
    empty_workspace: Workspace, hw2: Hw2, content: str, problem: str
) -> None:
    name = add_profile(empty_workspace, content)
    before = empty_workspace.tree()
    outcome = hw2("profile", name)
    assert outcome.status == 2
    assert any(problem in line for line in outcome.problems)
    assert all(name in line for line in outcome.problems)
    assert empty_workspace.tree() == before


def test_an_unknown_profile_is_reported_with_the_known_ones(empty_workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("profile", "nosuch"), f"unknown profile nosuch; profiles/ has: {', '.join(PROFILES)}")


@pytest.mark.parametrize("content", ["", "- a\n", "words\n", "seeds: [0]\nseeds: [1]\n", "a: {\n"])
def test_params_that_are_not_a_mapping_are_left_as_they_are(
    empty_workspace: Workspace, hw2: Hw2, content: str
) -> None:
    empty_workspace.layout.params.write_text(content)
    refused(hw2("profile", "smoke"), "params.yaml")
    assert empty_workspace.layout.params.read_text() == content


def test_a_profile_corrects_a_value_out_of_range(empty_workspace: Workspace, hw2: Hw2) -> None:
    empty_workspace.change("classifier.steps", 0)
    assert hw2("profile", "smoke").status == 0
    load_params(empty_workspace.layout.params)


@pytest.mark.filterwarnings("default")
def test_profiles_on_top_of_each_other_are_undone_one_by_one(cloned: Workspace, hw2: Hw2) -> None:
    params = cloned.layout.params
    states = [params.read_bytes()]
    for names in (("everything", "public", "six_pairs"), ("R19",)):  # R19 has fewer pairs and systems
        through_dvc = overridden(hw2, params, *names)
        hw2("profile", *names)
        states.append(params.read_bytes())
        assert through_dvc == read_yaml(params)
    assert len(set(states)) == 3
    for state in (states[1], states[0]):
        assert hw2("profile", "--reset").status == 0
        assert params.read_bytes() == state
    refused(hw2("profile", "--reset"), "nothing to undo")


def test_an_edit_after_a_profile_is_not_overwritten(cloned: Workspace, hw2: Hw2) -> None:
    params = cloned.layout.params
    before = params.read_bytes()
    hw2("profile", "smoke")
    applied = params.read_bytes()
    edited = applied + b"# a thought\n"
    params.write_bytes(edited)
    refused(hw2("profile", "--reset"), "params.yaml: is not as a profile left it", "hw2 profile default")
    assert params.read_bytes() == edited
    params.write_bytes(applied)  # without the edit, undo works again
    assert hw2("profile", "--reset").status == 0
    assert params.read_bytes() == before


def test_default_restores_the_last_commit_and_can_be_undone(committed: Workspace, hw2: Hw2) -> None:
    params = committed.layout.params
    before = params.read_bytes()
    params.write_bytes(before.replace(b"seeds: [0, 1]", b"seeds: [7]"))
    edited = params.read_bytes()
    outcome = hw2("profile", "default")
    assert (outcome.status, outcome.out) == (0, "seeds: [7] -> [0, 1]\n")
    assert params.read_bytes() == before
    assert hw2("profile", "default").out == "params.yaml already has the settings of profile default\n"
    assert hw2("profile", "--reset").status == 0
    assert params.read_bytes() == edited


@pytest.mark.parametrize("content", [b"seeds: [\n", b"", b"\xff", b"seeds: [0]\nseeds: [1]\n", b"words\n"])
def test_default_replaces_params_that_cannot_be_read(committed: Workspace, hw2: Hw2, content: bytes) -> None:
    before = committed.layout.params.read_bytes()
    committed.layout.params.write_bytes(content)
    assert hw2("profile", "default", "--as-overrides").status == 2
    outcome = hw2("profile", "default")
    assert outcome.out == "params.yaml: was not readable; it is replaced by that of the last commit\n"
    assert committed.layout.params.read_bytes() == before


def test_default_without_a_commit_is_refused(cloned: Workspace, hw2: Hw2) -> None:
    refused(hw2("profile", "default"), "params.yaml", "last commit")


def test_the_list_has_every_profile_with_the_first_line_of_its_comment(
    empty_workspace: Workspace, hw2: Hw2
) -> None:
    (empty_workspace.layout.profiles / "silent.yaml").write_text("seeds: [1]\n")
    lines = hw2("profile", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["default", *sorted([*PROFILES, "silent"])]
    assert any(line.startswith("smoke       Sizes: every stage in seconds") for line in lines)
    assert "silent" in lines
    assert all(len(line) <= 120 for line in lines)


@pytest.mark.parametrize("arguments", [[], ["smoke", "--list"], ["--list", "--reset"], ["--as-overrides"]])
def test_options_that_exclude_each_other_are_refused(
    empty_workspace: Workspace, hw2: Hw2, arguments: list[str]
) -> None:
    before = empty_workspace.tree()
    refused(hw2("profile", *arguments))
    assert empty_workspace.tree() == before


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "profile",
    [
        "data: {mirror: '12', course: {path: 'null'}}\n"
        "evaluation: {digits: {checkpoint: ~/lenet},"
        " faces: {inception: 'https://example.org/a,b?c={d}&e=[f]#g'}}",
        "data: {domains: [printed, meters], digits: printed, source: {printed: embedded, meters: folder,"
        " drawn_faces: embedded}, color_jitter: [], folder: {paths: {meters: ~/meters}}}\n"
        "pairs: {printed-meters: {source: printed, target: meters}}",
        "seeds: [3]\nclassifier: {lr: 1e-6}\ngans: []\npairs: {}\nvae: {optimizer: {betas: [0.5, 0.9]}}",
    ],
)
def test_overrides_hold_values_of_every_kind(empty_workspace: Workspace, hw2: Hw2, profile: str) -> None:
    params = empty_workspace.layout.params
    name = add_profile(empty_workspace, profile)
    through_dvc = overridden(hw2, params, name)
    assert hw2("profile", name).status == 0
    assert through_dvc == read_yaml(params)


@pytest.mark.parametrize("value", ["a b", "it's", "$HOME/x", "a\\b"])
def test_a_value_that_a_shell_would_change_has_no_override(
    empty_workspace: Workspace, hw2: Hw2, value: str
) -> None:
    name = add_profile(empty_workspace, f"data:\n  mirror: {value}\n")
    outcome = hw2("profile", name, "--as-overrides")
    refused(outcome, "data.mirror", "cannot be passed on a command line")
    assert not outcome.out


@pytest.mark.filterwarnings("default")
def test_a_profile_keeps_the_comments_of_a_file_that_dvc_has_rewritten(cloned: Workspace, hw2: Hw2) -> None:
    """After `dvc exp run -S` or `dvc exp apply` every list has one line per member."""
    from dvc.utils.hydra import apply_overrides

    params = cloned.layout.params
    apply_overrides(params, ["dann.lr=3e-5"])
    text, kept = params.read_text(), comments(params)
    assert "\n- dcgan4\n- sngan\n" in text
    assert hw2("profile", "R21").status == 0
    assert comments(params) == kept
    load_params(params)
    assert "\nautoencoders: []" in params.read_text()
    assert "\ngans: [stylegan2]" in params.read_text()
    assert hw2("profile", "--reset").status == 0
    assert params.read_text() == text
