"""`hw2 gate`: the committed metrics are held against those of another git revision, by the rules of gate.yaml."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Hw2, refused
from hypothesis import given
from hypothesis import strategies as st

from hw2core.gate import Rule, compare, judge, load_rules, places, read_working_tree
from hw2core.layout import Layout

RULES = """
rules:
  - {metrics: evaluate/*, key: accuracy.last, better: up, absolute: 2.0, relative: 0.0}
  - {metrics: evaluate_gan/*, key: fid, better: down, absolute: 0.0, relative: 0.1, same: [by.0.extractor]}
"""


def spread(mean: float, std: float | None = None, n: int = 2) -> dict[str, Any]:
    return {"mean": mean, "std": std, "n": n, "each": [mean] * n}


def adapted(mean: float, std: float | None = 0.5) -> dict[str, Any]:
    return {"accuracy": {"last": spread(mean, std), "chosen": spread(mean, std)}, "test_images": 600}


def drawn(fid: Any, extractor: str = "inception") -> dict[str, Any]:
    return {"fid": fid, "by": [{"extractor": extractor, "n_fake": 1000}]}


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Clone:
    """A small git repository with metrics, and how to change them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, item: str, metrics: Any) -> None:
        path = self.root / "stages" / item / "metrics.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(metrics if isinstance(metrics, str) else json.dumps(metrics))

    def remove(self, item: str) -> None:
        (self.root / "stages" / item / "metrics.json").unlink()

    def commit(self) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "x")
        return git(self.root, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A clone on a branch of its own, whose metrics are still those of main."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    clone = Clone(tmp_path / "clone")
    clone.root.mkdir()
    git(clone.root, "init", "--quiet", "--initial-branch", "main")
    for name, text in (("params.yaml", ""), ("dvc.yaml", ""), ("gate.yaml", RULES)):
        (clone.root / name).write_text(text)
    clone.write("evaluate/dann-a-b", adapted(80.0))
    clone.write("evaluate/adda-a-b", adapted(60.0, std=3.0))
    clone.write("evaluate_gan/sngan", drawn(20.0))
    clone.commit()
    git(clone.root, "switch", "--quiet", "--create", "work")
    monkeypatch.chdir(clone.root)
    return clone


def verdicts(hw2: Hw2) -> dict[str, str]:
    metrics = json.loads(hw2("gate", "--json").out)["metrics"]
    return {f"{metric['metrics']} {metric['key']}": metric["verdict"] for metric in metrics}


def test_the_same_metrics_pass(clone: Clone, hw2: Hw2) -> None:
    outcome = hw2("gate")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].startswith("3 metrics against main (")
    assert outcome.out.splitlines()[-1].endswith("): 3 ok.")


@pytest.mark.parametrize(
    ("accuracy", "status"), [(78.1, 0), (78.0, 0), (77.9, 1), (99.0, 0)], ids=["less", "at", "more", "better"]
)
def test_up_to_the_absolute_tolerance_an_accuracy_may_fall(
    clone: Clone, hw2: Hw2, accuracy: float, status: int
) -> None:
    clone.write("evaluate/dann-a-b", adapted(accuracy))
    assert hw2("gate").status == status


@pytest.mark.parametrize(("fid", "status"), [(21.9, 0), (22.0, 0), (22.1, 1), (5.0, 0)])
def test_up_to_the_relative_tolerance_a_distance_may_rise(
    clone: Clone, hw2: Hw2, fid: float, status: int
) -> None:
    clone.write("evaluate_gan/sngan", drawn(fid))
    assert hw2("gate").status == status


@pytest.mark.parametrize(("accuracy", "status"), [(54.1, 0), (53.9, 1)])
def test_two_standard_deviations_of_the_base_are_no_regression(
    clone: Clone, hw2: Hw2, accuracy: float, status: int
) -> None:
    clone.write("evaluate/adda-a-b", adapted(accuracy))
    assert hw2("gate").status == status


def test_a_metric_that_became_unsteady_does_not_excuse_itself(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(70.0, std=20.0))
    assert hw2("gate").status == 1


def test_a_regression_is_told_first_in_an_aligned_table(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(70.0))
    commit = git(clone.root, "rev-parse", "--short=7", "main")
    assert hw2("gate").out.splitlines() == [
        "metric                               main      here  change  allowed  verdict",
        "evaluate/dann-a-b accuracy.last  80 ± 0.5  70 ± 0.5     -10       -2  WORSE",
        "evaluate/adda-a-b accuracy.last    60 ± 3    60 ± 3      +0       -6  ok",
        "evaluate_gan/sngan fid                 20        20      +0       +2  ok",
        "",
        f"3 metrics against main ({commit}): 1 worse than allowed, 2 ok.",
    ]


def test_markdown_shows_what_changed_and_counts_the_rest(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(70.0))
    commit = git(clone.root, "rev-parse", "--short=7", "main")
    outcome = hw2("gate", "--md")
    assert outcome.status == 1
    assert outcome.out.splitlines() == [
        "### Gate",
        "",
        f"3 metrics against main ({commit}): 1 worse than allowed, 2 ok.",
        "",
        "| metric | main | here | change | allowed | verdict |",
        "|:---|---:|---:|---:|---:|:---|",
        "| `evaluate/dann-a-b accuracy.last` | 80 ± 0.5 | 70 ± 0.5 | -10 | -2 | **WORSE** |",
        "",
        "The other 2 are what they were.",
    ]


def test_markdown_of_unchanged_metrics_has_no_table(clone: Clone, hw2: Hw2) -> None:
    said = hw2("gate", "--md").out
    assert "|" not in said
    assert said.endswith("All are what they were.\n")


def test_json_says_everything(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(70.0))
    outcome = hw2("gate", "--json")
    assert outcome.status == 1
    said = json.loads(outcome.out)
    assert (said["base"], said["status"]) == ("main", "worse")
    assert said["commit"] == git(clone.root, "rev-parse", "main")
    assert said["metrics"][0] == {
        "metrics": "evaluate/dann-a-b",
        "key": "accuracy.last",
        "better": "up",
        "base": {"mean": 80.0, "std": 0.5, "n": 2},
        "here": {"mean": 70.0, "std": 0.5, "n": 2},
        "change": -10.0,
        "allowed": 2.0,
        "verdict": "worse",
    }
    assert len(said["metrics"]) == 3


@pytest.mark.parametrize("form", [[], ["--md"], ["--json"]])
def test_a_metric_that_is_gone_is_an_error_in_every_form(clone: Clone, hw2: Hw2, form: list[str]) -> None:
    clone.remove("evaluate/dann-a-b")
    outcome = hw2("gate", *form)
    refused(outcome, "stages/evaluate/dann-a-b/metrics.json", "accuracy.last", "main")
    assert "missing" in outcome.out.lower()


def test_a_metric_that_is_no_longer_measured_is_gone(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate_gan/sngan", drawn("not measured: judges.inception names no weights"))
    refused(hw2("gate"), "stages/evaluate_gan/sngan/metrics.json", "fid")


def test_a_missing_metric_outweighs_a_regression(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(10.0))
    clone.remove("evaluate/adda-a-b")
    assert hw2("gate").status == 2


def test_a_new_metric_is_shown_and_fails_nothing(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dsn-a-b", adapted(1.0))
    assert hw2("gate").status == 0
    assert verdicts(hw2)["evaluate/dsn-a-b accuracy.last"] == "new"


def test_what_was_measured_in_neither_is_not_shown(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate_gan/sngan", drawn("not measured"))
    clone.commit()
    git(clone.root, "branch", "--force", "main")
    assert "evaluate_gan/sngan fid" not in verdicts(hw2)


def test_values_of_two_judges_are_shown_and_not_compared(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate_gan/sngan", drawn(500.0, extractor="another"))
    assert hw2("gate").status == 0
    assert verdicts(hw2)["evaluate_gan/sngan fid"] == "other judge"


def test_a_key_without_a_rule_is_nobodys_business(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", {"accuracy": {"last": spread(80.0)}})  # has no test_images any more
    assert hw2("gate").status == 0


def test_the_base_is_any_revision_as_it_was_committed(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", adapted(90.0))
    better = clone.commit()
    clone.write("evaluate/dann-a-b", adapted(80.0))
    assert hw2("gate").status == 0
    assert hw2("gate", "--base", better).status == 1
    git(clone.root, "tag", "good", better)
    assert hw2("gate", "--base", "good").status == 1


def test_the_workspace_may_be_a_folder_of_a_larger_repository(
    clone: Clone, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone.root / "inner").mkdir()
    for name in ("params.yaml", "dvc.yaml", "gate.yaml", "stages"):
        git(clone.root, "mv", name, "inner")
    base = clone.commit()
    monkeypatch.chdir(clone.root / "inner" / "stages")
    inner = Clone(clone.root / "inner")
    inner.write("evaluate/dann-a-b", adapted(70.0))
    outcome = hw2("gate", "--base", base)
    assert (outcome.status, "1 worse than allowed, 2 ok" in outcome.out) == (1, True)


def test_an_unknown_base_is_one_line(clone: Clone, hw2: Hw2) -> None:
    for base in ("nosuch", "--help", "", "main:stages"):
        refused(hw2("gate", f"--base={base}"), "there is no revision", "git fetch")


def test_a_shallow_clone_is_told_how_to_fetch_the_base(
    clone: Clone, hw2: Hw2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.write("evaluate/dann-a-b", adapted(70.0))
    clone.commit()
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=work", clone.root.as_uri(), str(shallow))
    monkeypatch.chdir(shallow)
    outcome = hw2("gate")
    refused(outcome, "there is no revision main in this shallow clone")
    remedy = outcome.err.partition("fetch it: ")[2].strip()
    fetch, _, again = remedy.partition(" && hw2 ")
    git(shallow, *fetch.split()[1:])
    refused(hw2("gate"), "origin/main", "--base origin/main")
    assert hw2(*again.split()).status == 1


def test_without_a_git_repository_or_git_itself_there_is_one_line(
    clone: Clone, hw2: Hw2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone.root / ".git").rename(tmp_path / "aside")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    refused(hw2("gate"), "git", "not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(hw2("gate"), "git is not installed")


def test_metrics_that_are_no_json_are_named(clone: Clone, hw2: Hw2) -> None:
    clone.write("evaluate/dann-a-b", "{")
    refused(hw2("gate"), "stages/evaluate/dann-a-b/metrics.json: not readable as JSON")
    broken = clone.commit()
    clone.write("evaluate/dann-a-b", adapted(80.0))
    refused(hw2("gate", "--base", broken), f"{broken[:7]}:stages/evaluate/dann-a-b/metrics.json")


GOOD = "metrics: a/b, key: c, better: up, absolute: 1, relative: 0"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (f"rules: [{{{GOOD}, absolut: 1}}]", "rules.0.absolut: unknown key; did you mean rules.0.absolute?"),
        (f"rule: [{{{GOOD}}}]\nrules: [{{{GOOD}}}]", "rule: unknown key; did you mean rules?"),
        ("rules: [{metrics: a/b, key: c, better: up, absolute: 1}]", "rules.0.relative: missing"),
        (f"rules: [{{{GOOD.replace('up', 'higher')}}}]", "rules.0.better: must be up or down, not 'higher'"),
        (f"rules: [{{{GOOD.replace('a/b', 'ab')}}}]", "rules.0.metrics: "),
        (f"rules: [{{{GOOD.replace(': c', ': c..d')}}}]", "rules.0.key: "),
        (f"rules: [{{{GOOD.replace('absolute: 1', 'absolute: -1')}}}]", "rules.0.absolute: "),
        (f"rules: [{{{GOOD.replace('absolute: 1', 'absolute: yes')}}}]", "rules.0.absolute: "),
        (f"rules: [{{{GOOD.replace('absolute: 1', 'absolute: .nan')}}}]", "rules.0.absolute: "),
        (f"rules: [{{{GOOD}}}]", "rules.0: no metric is called a/b c"),
        ("rules: []", "rules: "),
        ("- a", "gate.yaml: "),
        ("", "gate.yaml: "),
        ("rules: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_gate_yaml_is_one_line(clone: Clone, hw2: Hw2, rules: str, said: str) -> None:
    (clone.root / "gate.yaml").write_text(rules)
    refused(hw2("gate"), "gate.yaml: ", said)


def test_without_gate_yaml_there_is_one_line(clone: Clone, hw2: Hw2) -> None:
    (clone.root / "gate.yaml").unlink()
    refused(hw2("gate"), "gate.yaml: no such file")


def test_one_form_at_a_time(clone: Clone, hw2: Hw2) -> None:
    refused(hw2("gate", "--md", "--json"), "--md", "--json")


def rule(**changes: Any) -> Rule:
    facts = {"metrics": "a/*", "key": "x", "better": "up", "absolute": 1.0, "relative": 0.0} | changes
    return Rule.model_validate(facts)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 0.9), st.floats(0, 10))
def test_what_is_no_worse_always_passes_and_a_fall_past_every_tolerance_never(
    base: float, gain: float, absolute: float, relative: float, std: float
) -> None:
    up = rule(absolute=absolute, relative=relative)
    down = up.model_copy(update={"better": "down"})
    before = {"x": {"mean": base, "std": std}}
    allowed = max(absolute, relative * abs(base), 2 * std)
    for better, sign in ((up, 1), (down, -1)):
        risen = judge(better, "a/b", "x", before, {"x": base + sign * abs(gain)})
        fallen = judge(better, "a/b", "x", before, {"x": base - sign * (1.01 * allowed + 1)})
        assert risen is not None
        assert fallen is not None
        assert (risen.verdict, fallen.verdict) == ("ok", "worse")


def test_a_star_stands_for_one_part_and_does_not_cross_its_borders() -> None:
    tree = {"a/b": {"on": {"p": {"x": 1}, "q": {"x": 2, "y": {"x": 3}}}}, "a2/b": {"on": {"p": {"x": 1}}}}
    assert places(rule(key="on.*.x"), tree) == [("a/b", "on.p.x"), ("a/b", "on.q.x")]
    assert places(rule(metrics="*/c", key="on.*.x"), tree) == []
    assert places(rule(key="on.*.x.z"), tree) == []


def test_the_first_rule_that_names_a_metric_counts() -> None:
    rules = [rule(key="x", absolute=5.0), rule(key="*", absolute=0.0)]
    found = compare(rules, {"a/b": {"x": 10, "y": 10}}, {"a/b": {"x": 8, "y": 8}})
    assert {c.key: c.verdict for c in found} == {"x": "ok", "y": "worse"}


def test_the_repositorys_own_rules_watch_every_adapter_classifier_and_generator_of_its_results() -> None:
    layout = Layout(ROOT)
    tree = read_working_tree(layout)
    watched = {c.item for c in compare(load_rules(layout.gate), tree, tree)}
    kinds = ("evaluate/", "evaluate_classifier/", "evaluate_gan/", "evaluate_vae/", "evaluate_real/")
    assert {item for item in tree if item.startswith(kinds)} <= watched
