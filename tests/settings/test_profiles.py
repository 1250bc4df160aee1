"""`hw2 profile`: a profile's settings go into params.yaml, where they can be read and changed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Hw2, Workspace, refused

from hw2core.settings import load_params, read_yaml

PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


@pytest.fixture
def as_cloned(empty_workspace: Workspace) -> Workspace:
    """A workspace with the repository's own params.yaml."""
    (empty_workspace.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return empty_workspace


@pytest.fixture
def committed(as_cloned: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same as a git repository with one commit."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", *arguments], cwd=as_cloned.root, check=True)
    return as_cloned


def comments(path: Path) -> list[str]:
    return [line.partition("#")[2] for line in path.read_text(encoding="utf-8").splitlines() if "#" in line]


WHOLE = ("pairs", "gan.methods", "data.source", "data.folder.paths")


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
                if isinstance(value, dict) and f"{section}.{key}" not in WHOLE:
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


def test_a_profile_and_back_leaves_every_byte_as_it_was(as_cloned: Workspace, hw2: Hw2) -> None:
    params = as_cloned.layout.params
    params.write_text(params.read_text().replace("seeds: [0, 1]", "seeds:   [0,   5]  # my own"))
    before = params.read_bytes()
    for name in PROFILES:
        assert hw2("profile", name).status == 0
        assert params.read_bytes() != before
        assert hw2("profile", "--reset").status == 0
        assert params.read_bytes() == before


def test_the_way_back_tells_each_value(empty_workspace: Workspace, hw2: Hw2) -> None:
    (empty_workspace.root / "profiles" / "one.yaml").write_text("classifier: {lr: 0.5}\n")
    hw2("profile", "one")
    assert hw2("profile", "--reset").out == "classifier.lr: 0.5 -> 0.001\n"


def test_profiles_laid_on_each_other_are_taken_off_one_by_one(as_cloned: Workspace, hw2: Hw2) -> None:
    params = as_cloned.layout.params
    states = [params.read_bytes()]
    for name in ("R19", "smoke"):
        hw2("profile", name)
        states.append(params.read_bytes())
    assert len(set(states)) == 3
    for state in (states[1], states[0]):
        assert hw2("profile", "--reset").status == 0
        assert params.read_bytes() == state
    refused(hw2("profile", "--reset"), "nothing to undo")


def test_an_edit_after_a_profile_is_not_overwritten(as_cloned: Workspace, hw2: Hw2) -> None:
    params = as_cloned.layout.params
    before = params.read_bytes()
    hw2("profile", "smoke")
    laid = params.read_bytes()
    edited = laid + b"# a thought\n"
    params.write_bytes(edited)
    refused(hw2("profile", "--reset"), "params.yaml: is not as a profile left it", "hw2 profile default")
    assert params.read_bytes() == edited
    params.write_bytes(laid)  # without the edit the way back is open again
    assert hw2("profile", "--reset").status == 0
    assert params.read_bytes() == before


def test_default_is_the_last_commits_and_loses_no_edit_either(committed: Workspace, hw2: Hw2) -> None:
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
def test_default_mends_params_that_cannot_be_read(committed: Workspace, hw2: Hw2, content: bytes) -> None:
    before = committed.layout.params.read_bytes()
    committed.layout.params.write_bytes(content)
    assert hw2("profile", "default", "--as-overrides").status == 2
    assert hw2("profile", "default").status == 0
    assert committed.layout.params.read_bytes() == before


def test_default_without_a_commit_is_one_line(as_cloned: Workspace, hw2: Hw2) -> None:
    refused(hw2("profile", "default"), "params.yaml", "last commit")


def test_the_list_has_every_profile_with_the_first_line_of_its_comment(
    empty_workspace: Workspace, hw2: Hw2
) -> None:
    (empty_workspace.root / "profiles" / "silent.yaml").write_text("seeds: [1]\n")
    lines = hw2("profile", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["default", *sorted([*PROFILES, "silent"])]
    assert "smoke      Every stage in seconds" in "\n".join(lines)
    assert lines[-2 if PROFILES[-1] > "silent" else -1] == "silent"
    assert all(len(line) <= 120 for line in lines)


@pytest.mark.parametrize("arguments", [[], ["smoke", "--list"], ["--list", "--reset"], ["--as-overrides"]])
def test_one_thing_at_a_time(empty_workspace: Workspace, hw2: Hw2, arguments: list[str]) -> None:
    before = empty_workspace.tree()
    refused(hw2("profile", *arguments))
    assert empty_workspace.tree() == before


@pytest.mark.filterwarnings("default")  # DVC's own libraries warn here and there
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("first", [None, "paper"])
def test_overrides_do_in_dvc_what_the_profile_does_in_the_file(
    as_cloned: Workspace, hw2: Hw2, name: str, first: str | None
) -> None:
    from dvc.utils.hydra import apply_overrides

    if first:
        hw2("profile", first)
    params = as_cloned.layout.params
    before = params.read_bytes()
    line = hw2("profile", name, "--as-overrides").out.strip()
    assert params.read_bytes() == before
    words = line.split()  # as a shell splits what $(...) prints
    assert set(words[::2]) <= {"-S"}
    there = params.with_name("there.yaml")
    shutil.copyfile(params, there)
    apply_overrides(there, words[1::2])
    hw2("profile", name)
    assert read_yaml(there) == read_yaml(params)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "profile",
    [
        "data: {mirror: '12'}",
        "data: {mirror: 'null'}",
        "data: {mirror: ~/mirror}",
        "data: {mirror: 'https://example.org/a,b?c={d}&e=[f]#g'}",
        "data: {source: {handwritten: embedded, blended: embedded, printed: embedded}}",
        "data: {domains: [printed, meters], source: {printed: embedded, meters: folder}, jitter: [],"
        " folder: {paths: {meters: ~/meters}}}\npairs: {printed-meters: {source: printed, target: meters}}",
        "classifier: {lr: 1e-6}",
        "seeds: [3]\ndata: {jitter: []}",
        "gan: {methods: {}}",
    ],
)
def test_overrides_hold_values_of_every_kind(as_cloned: Workspace, hw2: Hw2, profile: str) -> None:
    (as_cloned.root / "profiles" / "kinds.yaml").write_text(profile)
    test_overrides_do_in_dvc_what_the_profile_does_in_the_file(as_cloned, hw2, "kinds", None)


@pytest.mark.parametrize("value", ["a b", "it's", "$HOME/x", "a\\b"])
def test_a_value_that_no_shell_passes_on_is_refused(as_cloned: Workspace, hw2: Hw2, value: str) -> None:
    (as_cloned.root / "profiles" / "odd.yaml").write_text(f"data:\n  mirror: {value}\n")
    outcome = hw2("profile", "odd", "--as-overrides")
    refused(outcome, "data.mirror", "cannot be passed on a command line")
    assert not outcome.out


def test_overrides_of_what_is_there_already_are_none(as_cloned: Workspace, hw2: Hw2) -> None:
    hw2("profile", "smoke")
    assert hw2("profile", "smoke", "--as-overrides").out == "\n"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_goes_on_what_dvc_makes_of_params_too(as_cloned: Workspace, hw2: Hw2, name: str) -> None:
    """After `dvc exp run -S` or `dvc exp apply` every list is one of a line for each member."""
    from dvc.utils.hydra import apply_overrides

    apply_overrides(as_cloned.layout.params, ["dann.lr=3e-5"])
    text = as_cloned.layout.params.read_text()
    assert "\nseeds:\n- 0\n- 1\n\nengine:" in text
    kept = comments(as_cloned.layout.params)
    assert hw2("profile", name).status == 0
    assert comments(as_cloned.layout.params) == kept
    load_params(as_cloned.layout.params)
    overlay = read_yaml(as_cloned.root / "profiles" / f"{name}.yaml")
    if overlay.get("seeds", [0, 1]) != [0, 1]:
        assert f"\nseeds: {overlay['seeds']}\n" in as_cloned.layout.params.read_text()
    assert hw2("profile", "--reset").status == 0
    assert as_cloned.layout.params.read_text() == text
