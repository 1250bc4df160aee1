"""`hw2 gate`: are the committed metrics as good as those of another git revision?

gate.yaml says which metrics count and how much worse each may be. A metric that was measured over several seeds
may also be worse by what another choice of seeds would have done.
"""

import json
import math
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, ValidationError

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import Float, Section, describe, read_yaml

DEVIATIONS = 2  # of the base's standard deviations: a change within them is what other seeds might have given

Verdict = Literal["worse", "missing", "ok", "new", "other judge"]
ORDER: tuple[Verdict, ...] = ("missing", "worse", "other judge", "new", "ok")
Tree = dict[str, Any]
"""The metrics of one revision: of each stage/item what its metrics.json says."""


class Rule(Section):
    """Which metrics are watched, which way is better, and how much worse they may get."""

    metrics: str = Field(pattern=r"^[^/]+/[^/]+$")
    key: str = Field(pattern=r"^[^.]+(\.[^.]+)*$")
    better: Literal["up", "down"]
    absolute: Float = Field(ge=0)
    relative: Float = Field(ge=0, lt=1)
    same: tuple[str, ...] = ()
    """Keys that must be equal for two values to be comparable: the judge, the number of images."""


class Rules(Section):
    rules: list[Rule] = Field(min_length=1)


@dataclass(frozen=True)
class Value:
    """A measured number; over several seeds their mean."""

    mean: float
    std: float | None = None
    n: int | None = None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if self.std is None else f" ± {self.std:.2g}")


@dataclass(frozen=True)
class Comparison:
    """A metric in the base and here."""

    item: str
    key: str
    better: str
    base: Value | None
    here: Value | None
    allowed: float | None
    verdict: Verdict

    @property
    def change(self) -> float | None:
        return self.here.mean - self.base.mean if self.base and self.here else None


def load_rules(path: Path) -> list[Rule]:
    """The rules of gate.yaml, or a UserError with a line for every problem."""
    try:
        return Rules.model_validate(read_yaml(path)).rules
    except ValidationError as error:
        problems = [describe(detail, Rules) for detail in error.errors(include_url=False)]
        raise UserError(
            "\n".join(f"{path.name}: {' '.join(problem.split())}" for problem in problems)
        ) from None


def compare(rules: list[Rule], base: Tree, here: Tree) -> list[Comparison]:
    """Every metric that a rule names and either side has, the worst first. The first rule that names it counts."""
    found: dict[tuple[str, str], Comparison] = {}
    for number, rule in enumerate(rules):
        named = [place for tree in (base, here) for place in places(rule, tree)]
        if not named:
            raise UserError(
                f"gate.yaml: rules.{number}: no metric is called {rule.metrics} {rule.key}, neither in the base "
                "nor here; mend the rule or remove it"
            )
        for item, key in named:
            if (item, key) not in found:
                comparison = judge(rule, item, key, base.get(item), here.get(item))
                found |= {(item, key): comparison} if comparison else {}
    return sorted(found.values(), key=lambda comparison: ORDER.index(comparison.verdict))


def places(rule: Rule, tree: Tree) -> list[tuple[str, str]]:
    """Each stage/item and key of `tree` that the rule names, measured or not."""
    stage, item = rule.metrics.split("/")
    return [
        (name, key)
        for name, metrics in tree.items()
        if fnmatchcase(name.split("/")[0], stage) and fnmatchcase(name.split("/")[1], item)
        for key in matching_keys(metrics, rule.key.split("."))
    ]


def matching_keys(metrics: Any, pattern: list[str]) -> list[str]:
    """The dotted keys of `metrics` that match, part by part."""
    if not isinstance(metrics, dict):
        return []
    first, *rest = pattern
    matching = [key for key in metrics if fnmatchcase(key, first)]
    return (
        [f"{key}.{below}" for key in matching for below in matching_keys(metrics[key], rest)]
        if rest
        else matching
    )


def judge(rule: Rule, item: str, key: str, base: Any, here: Any) -> Comparison | None:
    """One metric by one rule; None if neither side measured it."""
    before, now = (as_value(look_up(metrics, key)) for metrics in (base, here))
    if before is None and now is None:
        return None
    allowed = None
    verdict: Verdict
    if before is None:
        verdict = "new"
    elif now is None:
        verdict = "missing"
    elif any(look_up(base, fact) != look_up(here, fact) for fact in rule.same):
        verdict = "other judge"
    else:
        allowed = max(rule.absolute, rule.relative * abs(before.mean), DEVIATIONS * (before.std or 0.0))
        worse_by = (before.mean - now.mean) * (1 if rule.better == "up" else -1)
        # 54.1 - 53.1 is a little more than 1 in floating point
        verdict = "worse" if worse_by > allowed and not math.isclose(worse_by, allowed) else "ok"
    return Comparison(item, key, rule.better, before, now, allowed, verdict)


def look_up(metrics: Any, key: str) -> Any:
    """What stands at a dotted key, through dicts and lists; None if nothing does."""
    for part in key.split("."):
        if isinstance(metrics, list) and part.isdecimal() and int(part) < len(metrics):
            metrics = metrics[int(part)]
        elif isinstance(metrics, dict):
            metrics = metrics.get(part)
        else:
            return None
    return metrics


def as_value(measured: Any) -> Value | None:
    """A number, or a mean with its standard deviation; None for words such as "not measured"."""
    if isinstance(measured, dict):
        mean, std, n = (number(measured.get(part)) for part in ("mean", "std", "n"))
        return None if mean is None else Value(mean, std, None if n is None else int(n))
    mean = number(measured)
    return None if mean is None else Value(mean)


def number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None


def read_working_tree(layout: Layout) -> Tree:
    return {
        f"{path.parts[-3]}/{path.parts[-2]}": parsed(path.read_bytes(), str(path.relative_to(layout.root)))
        for path in sorted(layout.stages.glob("*/*/metrics.json"))
    }


def read_revision(layout: Layout, commit: str) -> Tree:
    """The metrics as they were committed: two git commands, however many files there are."""
    listing = git(layout, "ls-tree", "-r", "-z", commit, "--", "stages/")
    blobs = {}
    for entry in filter(None, listing.decode().split("\0")):
        facts, name = entry.split("\t", 1)
        path = PurePosixPath(name)
        if len(path.parts) == 4 and path.name == "metrics.json":
            blobs[path] = facts.split()[2]
    stream = git(
        layout, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs.values()).encode()
    )
    tree = {}
    for path in blobs:
        head, _, stream = stream.partition(b"\n")
        size = int(head.split()[2])
        tree[f"{path.parts[1]}/{path.parts[2]}"] = parsed(stream[:size], f"{commit[:7]}:{path}")
        stream = stream[size + 1 :]
    return tree


def parsed(content: bytes, name: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise UserError(f"{name}: not readable as JSON") from None


def find_commit(layout: Layout, base: str) -> str:
    """The commit that `base` names, or what to do to have it here."""
    try:
        if (commit := resolved(layout, base)) is not None:
            return commit
        git(layout, "rev-parse", "--git-dir")
    except FileNotFoundError:
        raise UserError("git is not installed, and the gate reads the base's metrics with it") from None
    if resolved(layout, f"origin/{base}") is not None:
        raise UserError(f"there is no revision {base} here, but origin/{base}: give --base origin/{base}")
    if git(layout, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UserError(
            f"there is no revision {base} in this shallow clone; fetch it: "
            f"git fetch --depth=1 origin {base}:refs/remotes/origin/{base} && hw2 gate --base origin/{base}"
        )
    raise UserError(f"there is no revision {base} here; `git fetch` brings what others pushed")


def resolved(layout: Layout, revision: str) -> str | None:
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    answer = subprocess.run(asked, cwd=layout.root, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


def git(layout: Layout, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", *arguments], cwd=layout.root, input=stdin, capture_output=True)
    if done.returncode != 0:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout


def gate(layout: Layout, base: str, form: Literal["table", "markdown", "json"]) -> int:
    """Print the comparison with `base`; 1 if a metric is worse, else 0. A missing one is a UserError."""
    rules = load_rules(layout.gate)
    commit = find_commit(layout, base)
    comparisons = compare(rules, read_revision(layout, commit), read_working_tree(layout))
    write = {"table": as_table, "markdown": as_markdown, "json": as_json}[form]
    print(write(comparisons, base, commit), end="")
    missing = [comparison for comparison in comparisons if comparison.verdict == "missing"]
    if missing:
        raise UserError(
            "\n".join(
                f"stages/{lost.item}/metrics.json: has no {lost.key}, which {base} has; "
                "run make repro and commit what it changes"
                for lost in missing
            )
        )
    return int(any(comparison.verdict == "worse" for comparison in comparisons))


def conclusion(comparisons: list[Comparison], base: str, commit: str) -> str:
    count = {verdict: sum(c.verdict == verdict for c in comparisons) for verdict in ORDER}
    named = {
        "missing": "missing",
        "worse": "worse than allowed",
        "other judge": "measured by another judge",
        "new": "new",
        "ok": "ok",
    }
    parts = [f"{count[verdict]} {named[verdict]}" for verdict in ORDER if count[verdict]]
    return f"{len(comparisons)} metrics against {base} ({commit[:7]}): {', '.join(parts)}."


def cells(comparison: Comparison) -> list[str]:
    change = "" if comparison.change is None else f"{comparison.change:+.3g}"
    sign = "-" if comparison.better == "up" else "+"
    allowed = "" if comparison.allowed is None else f"{sign}{comparison.allowed:.3g}"
    base, here = (str(value) if value else "-" for value in (comparison.base, comparison.here))
    verdict = comparison.verdict.upper() if comparison.verdict in ("worse", "missing") else comparison.verdict
    return [f"{comparison.item} {comparison.key}", base, here, change, allowed, verdict]


def as_table(comparisons: list[Comparison], base: str, commit: str) -> str:
    """For a terminal: columns aligned."""
    rows = [["metric", base, "here", "change", "allowed", "verdict"], *map(cells, comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for name, *numbers, verdict in rows:
        middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
        lines.append("  ".join([name.ljust(widths[0]), *middle, verdict]))
    return "\n".join([*lines, "", conclusion(comparisons, base, commit), ""])


def as_markdown(comparisons: list[Comparison], base: str, commit: str) -> str:
    """For a comment: what changed in a table, what did not in a number."""
    changed = [comparison for comparison in comparisons if comparison.base != comparison.here]
    lines = ["### Gate", "", conclusion(comparisons, base, commit)]
    if changed:
        lines += [
            "",
            f"| metric | {base} | here | change | allowed | verdict |",
            "|:---|---:|---:|---:|---:|:---|",
        ]
    for comparison in changed:
        name, *numbers, verdict = cells(comparison)
        verdict = f"**{verdict}**" if verdict.isupper() else verdict
        lines.append(f"| `{name}` | {' | '.join(numbers)} | {verdict} |")
    if same := len(comparisons) - len(changed):
        lines += ["", f"The other {same} are what they were." if changed else "All are what they were."]
    return "\n".join([*lines, ""])


def as_json(comparisons: list[Comparison], base: str, commit: str) -> str:
    """For scripts: everything."""
    verdicts = {comparison.verdict for comparison in comparisons}
    status = "missing" if "missing" in verdicts else "worse" if "worse" in verdicts else "ok"
    metrics = [
        {
            "metrics": comparison.item,
            "key": comparison.key,
            "better": comparison.better,
            "base": vars(comparison.base) if comparison.base else None,
            "here": vars(comparison.here) if comparison.here else None,
            "change": comparison.change,
            "allowed": comparison.allowed,
            "verdict": comparison.verdict,
        }
        for comparison in comparisons
    ]
    return json.dumps({"base": base, "commit": commit, "status": status, "metrics": metrics}, indent=2) + "\n"
