"""`hw2 gate`: compare the committed metrics with those of another git revision.

gate.yaml says which metrics count and how much worse each may be. A metric measured over several seeds on both sides may
also be worse by two pooled standard deviations: another choice of seeds can cause such a change.
"""

from typing import Literal

from hw2core.errors import UserError
from hw2core.gate.data import on_other_data
from hw2core.gate.metrics import read_revision, read_working_tree
from hw2core.gate.rules import check_rules, compare, load_rules
from hw2core.gate.tables import as_json, as_markdown, as_table
from hw2core.layout import Layout
from hw2core.revisions import find_commit
from hw2core.settings import load_params
from hw2core.settings.runs import evaluated_runs, trained_runs


def gate(layout: Layout, base: str, form: Literal["table", "markdown", "json"]) -> int:
    """Print the comparison with `base`; return 1 if a metric is worse, else 0. A missing metric raises a UserError."""
    rules = load_rules(layout.gate)
    params = load_params(layout.params)
    runs = (*trained_runs(params), *evaluated_runs(params))
    commit = find_commit(layout, base)
    before, now = read_revision(layout, commit, runs), read_working_tree(layout, runs)
    check_rules(rules, before, now, runs)
    comparisons = compare(rules, before, now, on_other_data(layout, commit, runs))
    write = {"table": as_table, "markdown": as_markdown, "json": as_json}[form]
    print(write(comparisons, base, commit), end="")
    missing = [comparison for comparison in comparisons if comparison.verdict == "missing"]
    if missing:
        raise UserError(
            "\n".join(
                f"stages/{lost.item}: metrics.json has no {lost.key}, which {base} has; "
                "run make repro and commit what it changes"
                for lost in missing
            )
        )
    return int(any(comparison.verdict == "worse" for comparison in comparisons))
