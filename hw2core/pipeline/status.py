"""`hw2 status`: which stages `hw2 repro` would run, why, and how long it would take."""

from collections import defaultdict

from hw2core.layout import Layout
from hw2core.pipeline.estimate import duration, longest_paths
from hw2core.pipeline.execution import Costs
from hw2core.pipeline.experiments import report_lost
from hw2core.pipeline.repository import Repository

NAMES = 4  # stages named with a reason; of the others only the number is printed


def report_status(layout: Layout, slots: int) -> int:
    """Print it. Return 1 if a finished experiment has no result, else 0."""
    repository = Repository(layout.root)
    todo = repository.stale()
    if not todo:
        print(f"All {len(repository.stages)} stages are up to date.")
    else:
        reasons: dict[str, list[str]] = defaultdict(list)
        for name in todo:
            for reason in repository.reasons(name):
                reasons[reason].append(name)
        print(f"{len(todo)} of {len(repository.stages)} stages are stale:")
        for reason, names in reasons.items():
            more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
            print(f"  {reason}: {', '.join(names[:NAMES])}{more}")
        changed = {name for names in reasons.values() for name in names}
        if downstream := [name for name in todo if name not in changed]:
            print(f"  downstream of these: {len(downstream)} more, if their inputs change")
        print(estimate(todo, repository, Costs(layout.runs / "costs.json").seconds, slots))
    # DVC makes this folder for its first experiment. Asking it takes seconds.
    return report_lost(layout) if (layout.root / ".dvc" / "tmp" / "exps").exists() else 0


def estimate(todo: list[str], repository: Repository, seconds: dict[str, float], slots: int) -> str:
    """How long these stages would take, by their last runs on this machine."""
    known = [name for name in todo if name in seconds]
    if not known:
        return "None of them has run on this machine yet: no estimate of the time."
    work = sum(seconds[name] for name in known)
    longest = max(longest_paths(known, repository.upstream, seconds).values())
    unknown = f", without {len(todo) - len(known)} that never ran here" * (len(known) < len(todo))
    return f"About {duration(max(longest, work / slots))} with {slots} at a time{unknown}; {duration(work)} one by one."
