"""`hw2 gate`: the committed metrics are compared with those of another git revision, by the rules of gate.yaml."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Hw2, refused, small_raw, write_yaml
from hypothesis import given
from hypothesis import strategies as st

from hw2core.errors import UserError
from hw2core.gate.metrics import read_working_tree
from hw2core.gate.rules import Rule, check_rules, compare, compare_metric, load_rules, matches
from hw2core.layout import Layout
from hw2core.settings import load_params
from hw2core.settings.runs import Run, evaluated_runs, trained_runs

RULES = """
rules:
  - {metrics: evaluate/*, key: accuracy.last, better: up, absolute: 2.0, relative: 0.0}
  - metrics: evaluate_gan/*
    key: fid
    better: down
    absolute: 0.0
    relative: 0.1
    same: [extractor.0.extractor]
"""
DANN, ADDA, DSN = (f"evaluate/{method}-blended-handwritten" for method in ("dann", "adda", "dsn"))
SNGAN = "evaluate_gan/sngan"


def adapted(accuracy: float) -> dict[str, Any]:
    return {"accuracy": {"last": accuracy, "chosen": accuracy}, "test_images": 600}


def generated(fid: Any, extractor: str = "inception") -> dict[str, Any]:
    return {"fid": fid, "extractor": [{"extractor": extractor, "n_fake": 1000}]}


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Clone:
    """A small git repository with metrics, and methods that change them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, folder: str, metrics: Any) -> None:
        path = self.root / "stages" / folder / "metrics.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(metrics if isinstance(metrics, str) else json.dumps(metrics))

    def adapt(self, item: str, mean: float, std: float = 0.5) -> None:
        """Write the accuracies of two seeds with this mean and standard deviation."""
        for seed, sign in enumerate((-1, 1)):
            self.write(f"{item}/seed{seed}", adapted(mean + sign * std / 2**0.5))

    def generate(self, fid: Any, extractor: str = "inception") -> None:
        self.write(f"{SNGAN}/seed0", generated(fid, extractor))

    def remove(self, item: str) -> None:
        shutil.rmtree(self.root / "stages" / item)

    def commit(self) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "x")
        return git(self.root, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository on the branch `work`, whose metrics are those of `main`."""
    clone = Clone(tmp_path_factory.mktemp("gate") / "clone")
    clone.root.mkdir()
    git(clone.root, "init", "--quiet", "--initial-branch", "main")
    for key, value in (("user.name", "Tester"), ("user.email", "tester@example.org")):
        git(clone.root, "config", key, value)
    write_yaml(clone.root / "params.yaml", small_raw() | {"seeds": [0, 1]})
    for name, text in (("dvc.yaml", ""), ("gate.yaml", RULES)):
        (clone.root / name).write_text(text)
    clone.adapt(DANN, 80.0)
    clone.adapt(ADDA, 60.0, std=3.0)
    clone.generate(20.0)
    clone.commit()
    git(clone.root, "switch", "--quiet", "--create", "work")
    return clone.root


@pytest.fixture
def clone(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A copy of the template, as the current folder."""
    clone = Clone(tmp_path / "clone")
    shutil.copytree(template, clone.root)
    monkeypatch.chdir(clone.root)
    return clone


def verdicts(hw2: Hw2) -> dict[str, str]:
    metrics = json.loads(hw2("gate", "--json").out)["metrics"]
    return {f"{metric['metrics']} {metric['key']}": metric["verdict"] for metric in metrics}


def test_the_same_metrics_pass(clone: Clone, hw2: Hw2) -> None:
    outcome = hw2("gate")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].startswith("3 metrics compared with main (")
    assert outcome.out.splitlines()[-1].endswith("): 3 ok.")


@pytest.mark.parametrize(
    ("accuracy", "status"), [(78.1, 0), (78.0, 0), (77.9, 1), (99.0, 0)], ids=["less", "at", "more", "better"]
)
def test_an_accuracy_may_fall_by_the_absolute_tolerance(
    clone: Clone, hw2: Hw2, accuracy: float, status: int
) -> None:
    clone.adapt(DANN, accuracy)
    assert hw2("gate").status == status


@pytest.mark.parametrize(("fid", "status"), [(21.9, 0), (22.0, 0), (22.1, 1), (5.0, 0)])
def test_a_distance_may_rise_by_the_relative_tolerance(
    clone: Clone, hw2: Hw2, fid: float, status: int
) -> None:
    clone.generate(fid)
    assert hw2("gate").status == status


@pytest.mark.parametrize(
    ("accuracy", "std", "status"),
    [
        (54.1, 3.0, 0),
        (54.0, 3.0, 0),
        (53.9, 3.0, 1),
        (55.8, 0.0, 0),
        (55.7, 0.0, 1),
        (53.0, 4.0, 0),
        (52.9, 4.0, 1),
    ],
)
def test_two_pooled_standard_deviations_are_allowed(
    clone: Clone, hw2: Hw2, accuracy: float, std: float, status: int
) -> None:
    """Those of the base and of here: sqrt((3² + 0²) / 2) is 2.12."""
    clone.adapt(ADDA, accuracy, std=std)
    assert hw2("gate").status == status


@pytest.mark.parametrize(("accuracy", "status"), [(58.1, 0), (57.9, 1)])
def test_with_one_seed_on_a_side_only_the_tolerances_of_the_rule_are_allowed(
    clone: Clone, hw2: Hw2, accuracy: float, status: int
) -> None:
    write_yaml(clone.root / "params.yaml", small_raw() | {"seeds": [0]})
    clone.write(f"{ADDA}/seed0", adapted(accuracy))
    clone.write(f"{DANN}/seed0", adapted(80.0))
    assert hw2("gate").status == status


def test_a_regression_comes_first_in_an_aligned_table(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DANN, 70.0)
    commit = git(clone.root, "rev-parse", "--short=7", "main")
    assert hw2("gate").out.splitlines() == [
        "metric                                               main      here  change  allowed  verdict",
        "evaluate/dann-blended-handwritten accuracy.last  80 ± 0.5  70 ± 0.5     -10       -2  WORSE",
        "evaluate/adda-blended-handwritten accuracy.last    60 ± 3    60 ± 3      +0       -6  ok",
        "evaluate_gan/sngan fid                                 20        20      +0       +2  ok",
        "",
        f"3 metrics compared with main ({commit}): 1 worse than allowed, 2 ok.",
    ]


def test_markdown_shows_changed_metrics_and_counts_the_others(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DANN, 70.0)
    commit = git(clone.root, "rev-parse", "--short=7", "main")
    outcome = hw2("gate", "--md")
    assert outcome.status == 1
    assert outcome.out.splitlines() == [
        "### Gate",
        "",
        f"3 metrics compared with main ({commit}): 1 worse than allowed, 2 ok.",
        "",
        "| metric | main | here | change | allowed | verdict |",
        "|:---|---:|---:|---:|---:|:---|",
        f"| `{DANN} accuracy.last` | 80 ± 0.5 | 70 ± 0.5 | -10 | -2 | **WORSE** |",
        "",
        "The other 2 are unchanged.",
    ]


def test_markdown_of_unchanged_metrics_has_no_table(clone: Clone, hw2: Hw2) -> None:
    printed = hw2("gate", "--md").out
    assert "|" not in printed
    assert printed.endswith("All are unchanged.\n")


def test_json_has_every_field(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DANN, 70.0)
    outcome = hw2("gate", "--json")
    assert outcome.status == 1
    printed = json.loads(outcome.out)
    assert (printed["base"], printed["status"]) == ("main", "worse")
    assert printed["commit"] == git(clone.root, "rev-parse", "main")
    assert printed["metrics"][0] == {
        "metrics": DANN,
        "key": "accuracy.last",
        "better": "up",
        "base": {"mean": 80.0, "std": pytest.approx(0.5), "n": 2},
        "here": {"mean": 70.0, "std": pytest.approx(0.5), "n": 2},
        "change": -10.0,
        "allowed": 2.0,
        "verdict": "worse",
    }
    assert len(printed["metrics"]) == 3


@pytest.mark.parametrize("form", [[], ["--md"], ["--json"]])
def test_a_missing_metric_is_an_error_in_every_form(clone: Clone, hw2: Hw2, form: list[str]) -> None:
    clone.remove(DANN)
    outcome = hw2("gate", *form)
    refused(outcome, f"stages/{DANN}: metrics.json has no accuracy.last, which main has")
    assert "missing" in outcome.out.lower()


def test_a_metric_that_is_no_longer_measured_is_missing(clone: Clone, hw2: Hw2) -> None:
    clone.generate("not measured: evaluation.faces.inception names no weights")
    refused(hw2("gate"), f"stages/{SNGAN}: metrics.json has no fid")


def test_a_missing_metric_outweighs_a_regression(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DANN, 10.0)
    clone.remove(ADDA)
    assert hw2("gate").status == 2


def test_a_new_metric_is_shown_and_passes(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DSN, 1.0)
    assert hw2("gate").status == 0
    assert verdicts(hw2)[f"{DSN} accuracy.last"] == "new"


def test_a_metric_without_a_number_on_both_sides_is_not_shown(clone: Clone, hw2: Hw2) -> None:
    clone.generate("not measured")
    clone.commit()
    git(clone.root, "branch", "--force", "main")
    assert f"{SNGAN} fid" not in verdicts(hw2)


def test_values_of_different_extractors_are_shown_but_not_compared(clone: Clone, hw2: Hw2) -> None:
    clone.generate(500.0, extractor="another")
    assert hw2("gate").status == 0
    assert verdicts(hw2)[f"{SNGAN} fid"] == "not comparable"


def test_values_on_other_data_are_shown_but_not_compared(clone: Clone, hw2: Hw2) -> None:
    """Whatever the data sets are called: their checksums in dvc.lock decide."""

    def lock(**checksums: str) -> None:
        outs = [{"path": f"data/ready/{name}", "md5": md5} for name, md5 in checksums.items()]
        (clone.root / "dvc.lock").write_text(json.dumps({"stages": {"preprocess": {"outs": outs}}}))

    lock(handwritten="1", blended="2", printed="3", drawn_faces="4")
    base = clone.commit()
    git(clone.root, "branch", "--force", "main", base)
    clone.adapt(DANN, 20.0)
    clone.generate(90.0)
    assert hw2("gate").status == 1
    lock(handwritten="1", blended="9", printed="3", drawn_faces="4")
    assert verdicts(hw2) == {
        f"{DANN} accuracy.last": "not comparable",
        f"{ADDA} accuracy.last": "not comparable",
        f"{SNGAN} fid": "worse",
    }
    lock(handwritten="1", blended="2", printed="9", drawn_faces="9")
    assert verdicts(hw2)[f"{SNGAN} fid"] == "not comparable"
    assert verdicts(hw2)[f"{DANN} accuracy.last"] == "worse"
    (clone.root / "dvc.lock").write_text("[")  # what is not known is compared
    assert verdicts(hw2)[f"{SNGAN} fid"] == "worse"


def test_a_key_without_a_rule_is_ignored(clone: Clone, hw2: Hw2) -> None:
    for seed in (0, 1):
        clone.write(f"{DANN}/seed{seed}", {"accuracy": {"last": 80.0}})  # without test_images
    assert hw2("gate").status == 0


def test_the_base_is_any_revision_as_it_was_committed(clone: Clone, hw2: Hw2) -> None:
    clone.adapt(DANN, 90.0)
    better = clone.commit()
    clone.adapt(DANN, 80.0)
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
    inner.adapt(DANN, 70.0)
    outcome = hw2("gate", "--base", base)
    assert (outcome.status, "1 worse than allowed, 2 ok" in outcome.out) == (1, True)


def test_an_unknown_base_is_one_line(clone: Clone, hw2: Hw2) -> None:
    for base in ("nosuch", "--help", "", "main:stages"):
        refused(hw2("gate", f"--base={base}"), "there is no revision and no experiment", "git fetch")


def test_in_a_shallow_clone_the_error_says_how_to_fetch_the_base(
    clone: Clone, hw2: Hw2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.adapt(DANN, 70.0)
    clone.commit()
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=work", clone.root.as_uri(), str(shallow))
    monkeypatch.chdir(shallow)
    outcome = hw2("gate")
    refused(outcome, "there is no revision main in this shallow clone")
    fetch = outcome.err.partition("name origin/main: ")[2].strip()
    git(shallow, *fetch.split()[1:])
    refused(hw2("gate"), "there is no revision main here, but origin/main")
    assert hw2("gate", "--base=origin/main").status == 1


def test_without_a_git_repository_or_git_itself_there_is_one_line(
    clone: Clone, hw2: Hw2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone.root / ".git").rename(tmp_path / "aside")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    refused(hw2("gate"), "git", "not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(hw2("gate"), "git is not installed")


def test_metrics_that_are_not_json_are_named(clone: Clone, hw2: Hw2) -> None:
    clone.write(f"{DANN}/seed1", "{")
    refused(hw2("gate"), f"stages/{DANN}/seed1/metrics.json: not readable as JSON")
    broken = clone.commit()
    clone.adapt(DANN, 80.0)
    refused(hw2("gate", "--base", broken), f"{broken[:7]}:stages/{DANN}/seed1/metrics.json")


def test_an_item_without_the_metrics_of_every_seed_is_an_error(clone: Clone, hw2: Hw2) -> None:
    clone.remove(f"{DANN}/seed1")
    refused(hw2("gate"), f"stages/{DANN}/seed1/metrics.json: not there")


def test_folders_that_params_do_not_select_are_ignored(clone: Clone, hw2: Hw2) -> None:
    clone.write(f"{DANN}/seed7", adapted(0.0))
    clone.write("evaluate/dann-mnistm-svhn/seed0", adapted(0.0))
    assert set(verdicts(hw2).values()) == {"ok"}


def test_what_params_no_longer_select_is_not_compared(clone: Clone, hw2: Hw2) -> None:
    """Neither is its rule an error."""
    clone.remove(SNGAN)
    write_yaml(clone.root / "params.yaml", small_raw() | {"seeds": [0, 1], "gans": []})
    assert set(verdicts(hw2)) == {f"{DANN} accuracy.last", f"{ADDA} accuracy.last"}


def test_the_base_may_have_other_seeds_or_one_file_for_all_seeds(clone: Clone, hw2: Hw2) -> None:
    clone.remove(DANN)
    clone.remove(ADDA)
    clone.write(f"{DANN}/seed3", adapted(90.0))
    spread = {"mean": 60.0, "std": 3.0, "n": 2, "values": [57.9, 62.1]}
    clone.write(ADDA, {"accuracy": {"last": spread, "chosen": spread}})
    base = clone.commit()
    clone.remove(DANN)
    clone.adapt(DANN, 80.0)
    clone.adapt(ADDA, 55.0, std=3.0)
    printed = hw2("gate", "--base", base, "--json").out
    found = {metric["metrics"]: metric for metric in json.loads(printed)["metrics"]}
    assert found[DANN]["base"] == {"mean": 90.0, "std": None, "n": 1}
    assert found[DANN]["verdict"] == "worse"
    assert found[ADDA]["base"] == {"mean": 60.0, "std": 3.0, "n": 2}
    assert found[ADDA]["verdict"] == "ok"


GOOD = "metrics: a/b, key: c, better: up, absolute: 1, relative: 0"


@pytest.mark.parametrize(
    ("rules", "printed"),
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
        (f"rules: [{{{GOOD.replace('a/b', 'evaluate/*')}}}]", "rules.0: no metric is called evaluate/* c"),
        (f"rules: [{{{GOOD}}}]", "rules.0: no metric is called a/b c"),
        ("rules: []", "rules: "),
        ("- a", "gate.yaml: "),
        ("", "gate.yaml: "),
        ("rules: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_gate_yaml_is_one_line(clone: Clone, hw2: Hw2, rules: str, printed: str) -> None:
    (clone.root / "gate.yaml").write_text(rules)
    refused(hw2("gate"), "gate.yaml: ", printed)


def test_without_gate_yaml_there_is_one_line(clone: Clone, hw2: Hw2) -> None:
    (clone.root / "gate.yaml").unlink()
    refused(hw2("gate"), "gate.yaml: no such file")


def test_one_form_at_a_time(clone: Clone, hw2: Hw2) -> None:
    refused(hw2("gate", "--md", "--json"), "--md", "--json")


def rule(**changes: Any) -> Rule:
    facts = {"metrics": "a/*", "key": "x", "better": "up", "absolute": 1.0, "relative": 0.0} | changes
    return Rule.model_validate(facts)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 0.9), st.floats(0, 10))
def test_no_change_for_the_worse_fails_and_a_change_past_every_tolerance_does(
    base: float, gain: float, absolute: float, relative: float, std: float
) -> None:
    up = rule(absolute=absolute, relative=relative)
    down = up.model_copy(update={"better": "down"})

    def over_seeds(mean: float) -> Any:
        return {"x": {"mean": mean, "std": std, "n": 2}}

    before, allowed = over_seeds(base), max(absolute, relative * abs(base), 2 * std)
    for better, sign in ((up, 1), (down, -1)):
        risen = compare_metric(better, "a/b", "x", before, over_seeds(base + sign * abs(gain)))
        fallen = compare_metric(better, "a/b", "x", before, over_seeds(base - sign * (1.01 * allowed + 1)))
        assert risen is not None
        assert fallen is not None
        assert (risen.verdict, fallen.verdict) == ("ok", "worse")


def test_a_star_matches_within_one_part_of_a_key_or_name() -> None:
    tree = {"a/b": {"on": {"p": {"x": 1}, "q": {"x": 2, "y": {"x": 3}}}}, "a2/b": {"on": {"p": {"x": 1}}}}
    assert matches(rule(key="on.*.x"), tree) == [("a/b", "on.p.x"), ("a/b", "on.q.x")]
    assert matches(rule(metrics="*/c", key="on.*.x"), tree) == []
    assert matches(rule(key="on.*.x.z"), tree) == []


def test_the_first_rule_that_names_a_metric_counts() -> None:
    rules = [rule(key="x", absolute=5.0), rule(key="*", absolute=0.0)]
    found = compare(rules, {"a/b": {"x": 10, "y": 10}}, {"a/b": {"x": 8, "y": 8}})
    assert {c.key: c.verdict for c in found} == {"x": "ok", "y": "worse"}


def test_a_rule_may_match_nothing_if_params_select_no_run_of_its_stage() -> None:
    rules = [rule(metrics="evaluate_gan/*")]
    check_rules(rules, {}, {}, [Run("evaluate", "dann-a-b", 0)])
    with pytest.raises(UserError, match=r"rules\.0: no metric is called evaluate_gan/\* x"):
        check_rules(rules, {}, {}, [Run("evaluate_gan", "sngan", 0)])


def test_the_rules_of_the_repository_cover_every_evaluation_of_its_params() -> None:
    layout = Layout(ROOT)
    rules, params = load_rules(layout.gate), load_params(layout.params)
    for run in evaluated_runs(params):
        name = f"{run.stage}/{run.item}"
        covered = any(rule.applies_to(name) for rule in rules)
        assert covered or run.stage in ("tsne", "sweep_ddpm"), name


def test_every_rule_of_the_repository_matches_its_committed_metrics() -> None:
    layout = Layout(ROOT)
    rules, params = load_rules(layout.gate), load_params(layout.params)
    runs = (*trained_runs(params), *evaluated_runs(params))
    tree = read_working_tree(layout, runs)
    check_rules(rules, tree, tree, runs)
    assert {comparison.verdict for comparison in compare(rules, tree, tree)} == {"ok"}
