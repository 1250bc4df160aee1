"""The rules of gate.yaml, and the comparison of two sets of metrics by them."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from hw2core.errors import UserError
from hw2core.evaluation.seeds import DEVIATIONS, Value, pooled_std
from hw2core.gate.metrics import Tree
from hw2core.settings.base import Float, Section
from hw2core.settings.runs import STAGES, Run
from hw2core.settings.validation import describe
from hw2core.settings.yaml import read_yaml

Verdict = Literal["worse", "missing", "ok", "new", "not comparable"]
ORDER: tuple[Verdict, ...] = ("missing", "worse", "not comparable", "new", "ok")


class Rule(Section):
    """Which metrics are compared, which direction is better, and how much worse they may get."""

    metrics: str = Field(pattern=r"^[^/]+/[^/]+$")
    key: str = Field(pattern=r"^[^.]+(\.[^.]+)*$")
    better: Literal["up", "down"]
    absolute: Float = Field(ge=0)
    relative: Float = Field(ge=0, lt=1)
    same: tuple[str, ...] = ()
    """Keys that must be equal for two values to be comparable, e.g. the evaluator or the number of images."""

    def applies_to(self, name: str) -> bool:
        """Return whether the rule covers a stage/item."""
        stage, item = name.split("/")
        stage_pattern, item_pattern = self.metrics.split("/")
        return fnmatchcase(stage, stage_pattern) and fnmatchcase(item, item_pattern)


class Rules(Section):
    rules: list[Rule] = Field(min_length=1)


@dataclass(frozen=True)
class Comparison:
    """A metric of a stage/item in the base and here."""

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
    """Return the rules of gate.yaml, or raise a UserError with a line for every problem."""
    try:
        return Rules.model_validate(read_yaml(path)).rules
    except ValidationError as error:
        problems = [describe(detail, Rules) for detail in error.errors(include_url=False)]
        raise UserError(
            "\n".join(f"{path.name}: {' '.join(problem.split())}" for problem in problems)
        ) from None


def check_rules(rules: list[Rule], base: Tree, here: Tree, runs: Iterable[Run]) -> None:
    """Raise a UserError for a rule that matches no metric: it is misspelled or out of date.

    A rule for runs that params do not select, e.g. of GANs, may match nothing.
    """
    selected = {f"{run.stage}/{run.item}" for run in runs}
    for number, rule in enumerate(rules):
        if matches(rule, base) or matches(rule, here):
            continue
        is_known = any(fnmatchcase(stage, rule.metrics.split("/")[0]) for stage in STAGES)
        if is_known and not any(rule.applies_to(name) for name in selected):
            continue
        raise UserError(
            f"gate.yaml: rules.{number}: no metric is called {rule.metrics} {rule.key}, neither in the base "
            "nor here; correct the rule or remove it"
        )


def compare(rules: list[Rule], base: Tree, here: Tree, other_data: Collection[str] = ()) -> list[Comparison]:
    """Compare every metric that a rule matches, the worst first. If several rules match, the first one counts.

    A stage/item of `other_data` was measured on other data in the base.
    """
    comparisons: dict[tuple[str, str], Comparison] = {}
    for rule in rules:
        for item, key in (*matches(rule, base), *matches(rule, here)):
            if (item, key) not in comparisons:
                comparison = compare_metric(rule, item, key, base.get(item), here.get(item))
                if comparison and item in other_data and comparison.base and comparison.here:
                    comparison = replace(comparison, allowed=None, verdict="not comparable")
                comparisons |= {(item, key): comparison} if comparison else {}
    return sorted(comparisons.values(), key=lambda comparison: ORDER.index(comparison.verdict))


def matches(rule: Rule, tree: Tree) -> list[tuple[str, str]]:
    """Return each stage/item and key of `tree` that the rule matches, whatever its value."""
    return [
        (name, key)
        for name, metrics in tree.items()
        if rule.applies_to(name)
        for key in matching_keys(metrics, rule.key.split("."))
    ]


def matching_keys(metrics: Any, pattern: list[str]) -> list[str]:
    """Return the dotted keys of `metrics` that match the pattern part by part."""
    if not isinstance(metrics, dict):
        return []
    first, *rest = pattern
    matching = [key for key in metrics if fnmatchcase(key, first)]
    return (
        [f"{key}.{below}" for key in matching for below in matching_keys(metrics[key], rest)]
        if rest
        else matching
    )


def compare_metric(rule: Rule, item: str, key: str, base: Any, here: Any) -> Comparison | None:
    """Compare one metric by one rule; return None if it is a number on neither side."""
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
        verdict = "not comparable"
    else:
        spread = DEVIATIONS * (pooled_std(before, now) or 0.0)
        allowed = max(rule.absolute, rule.relative * abs(before.mean), spread)
        worse_by = (before.mean - now.mean) * (1 if rule.better == "up" else -1)
        # 54.1 - 53.1 is slightly more than 1 in floating point
        verdict = "worse" if worse_by > allowed and not math.isclose(worse_by, allowed) else "ok"
    return Comparison(item, key, rule.better, before, now, allowed, verdict)


def look_up(metrics: Any, key: str) -> Any:
    """Return the value at a dotted key, through dicts and lists; None if there is none."""
    for part in key.split("."):
        if isinstance(metrics, list) and part.isdecimal() and int(part) < len(metrics):
            metrics = metrics[int(part)]
        elif isinstance(metrics, dict):
            metrics = metrics.get(part)
        else:
            return None
    return metrics


def as_value(measured: Any) -> Value | None:
    """Convert a number, or a mean with its standard deviation; return None for texts such as "not measured"."""
    if isinstance(measured, dict):
        mean, std, n = (number(measured.get(part)) for part in ("mean", "std", "n"))
        return None if mean is None else Value(mean, std, None if n is None else int(n))
    mean = number(measured)
    return None if mean is None else Value(mean)


def number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
