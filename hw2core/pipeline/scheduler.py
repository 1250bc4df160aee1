"""`hw2 repro`: run every stale stage on a Dask cluster, as many at a time as it has workers.

This process decides what runs, by DVC's rules, and records results; the workers run commands.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from hw2core.engine.interruption import interruption_noted
from hw2core.errors import Interrupted, UserError
from hw2core.layout import Layout
from hw2core.pipeline.dvc_files import repair_dvc_files
from hw2core.pipeline.execution import ATTEMPTS, Outcome, Run
from hw2core.pipeline.repository import Repository, one_line
from hw2core.pipeline.run_lock import only_run
from hw2core.pipeline.slots import assign_gpus, count_slots, visible_gpus
from hw2core.pipeline.targets import select
from hw2core.settings.models import Engine


def reproduce(
    layout: Layout,
    engine: Engine,
    jobs: str,
    cluster: str | None = None,
    dashboard: bool = False,
    *,
    targets: Sequence[str] = (),
    keep_going: bool = False,
    check: Callable[[Repository, list[str]], Mapping[str, str]] = lambda *_: {},
) -> None:
    """Bring the workspace up to date, on this machine with `jobs` stages in parallel (a number, or auto) or on a cluster.

    With `targets` only the stages that they name, and what these need. `check` receives what is stale before anything
    runs; it returns which stages are skipped, by the beginning of their names, and why.

    A stage that fails stops all others and ends the process, with status 2 for bad input, else 1. `keep_going` finishes
    what does not depend on it first.
    """
    started = time.monotonic()
    gpus = [] if engine.device == "cpu" else visible_gpus()
    slots = count_slots(jobs, engine.threads, gpus)
    try:
        with interruption_noted() as interruption, only_run(layout.runs / "repro.lock"):
            repair_dvc_files(layout.root)
            repository = Repository(layout.root)
            chosen = selected(repository, targets)
            todo = [name for name in repository.stale() if name in chosen]
            if todo and (skipped := to_skip(todo, check(repository, todo))):
                chosen -= skipped
                todo = [name for name in repository.stale(skipped) if name in chosen]
            outcomes = Counter[Outcome]()
            if todo:
                fetch(repository, todo)
                interruption.check()
                run = Run(layout, engine, repository, interruption, keep_going)
                if cluster:
                    run_on_cluster(run, todo, cluster, slots, dashboard)
                else:
                    run_here(run, todo, gpus, slots, dashboard)
                outcomes = run.outcomes
            repository.write_lock()
            changed = Repository(layout.root).stale() if todo else []
            changed = [name for name in changed if name in chosen]
    except Interrupted as interruption:
        print("hw2: stopped; finished stages are kept, run it again to continue", file=sys.stderr)
        raise SystemExit(128 + interruption.number) from None
    report(layout, len(chosen), len(todo), outcomes, time.monotonic() - started)
    if changed:
        more = f" and {len(changed) - 1} more stages" if len(changed) > 1 else ""
        print(f"Files changed during the run, and {changed[0]}{more} are stale again: run it again.")


def selected(repository: Repository, targets: Sequence[str]) -> set[str]:
    """The stages that the run is about."""
    if not targets:
        return set(repository.stages)
    commands = {name: stage.cmd for name, stage in repository.stages.items()}
    return select(targets, commands, repository.upstream)


def to_skip(todo: list[str], reasons: Mapping[str, str]) -> set[str]:
    """Say which stages are skipped, those whose names begin as a key of `reasons`, and return them."""
    skipped = set()
    for beginning, reason in reasons.items():
        if names := [name for name in todo if name.startswith(beginning)]:
            print(f"Skipped: {', '.join(names)}: {reason}.", flush=True)
            skipped |= {*names}
    return skipped


def run_here(run: Run, todo: list[str], gpus: list[str], slots: int, dashboard: bool) -> None:
    from hw2core.pipeline.cluster import (  # importing Dask takes a second
        local_client,
        registered,
        show_dashboard,
    )

    slots = min(slots, len(todo))
    workspace = run.workspace(assign_gpus(gpus, slots))
    with local_client(slots, ATTEMPTS, dashboard) as client, registered(client, workspace):
        if dashboard:
            show_dashboard(client)
        run.execute(todo, client, psutil.virtual_memory().available)


def run_on_cluster(run: Run, todo: list[str], address: str, slots: int, dashboard: bool) -> None:
    from hw2core.pipeline.cluster import connected_client, registered, show_dashboard, workers_see
    from hw2core.pipeline.deploy import deployed_client
    from hw2core.pipeline.own_workspace import PROGRESS_TOPIC

    by_file = address.endswith((".yaml", ".yml"))
    with deployed_client(Path(address)) if by_file else connected_client(address) as client:
        if dashboard:
            show_dashboard(client)
        if workers_see(client, run.layout.root):
            # Its workers see the GPUs that they were started with.
            with registered(client, run.workspace([])):
                run.execute(todo, client)
            return
        if run.repository.remote() is None:
            raise UserError(
                f"--cluster {address}: its workers do not see {run.layout.root}, and there is no DVC remote "
                "through which files could pass; name one by `dvc remote add --default` (docs/scale.md)"
            )
        if here := [name for name in todo if run.repository.persistent(name)]:
            print("Stages that read files of this machine run here first.", flush=True)
            run_here(run, here, [], slots, dashboard=False)
        with registered(client, run.own_workspace()):
            client.subscribe_topic(PROGRESS_TOPIC, run.show_progress)
            run.execute([name for name in todo if name not in here], client, separate=True)


def fetch(repository: Repository, todo: list[str]) -> None:
    """Fetch the outputs of these stages from the DVC remote into the cache, if there is a remote.

    A stage is restored from the cache if dvc.lock or the run cache has an entry for its inputs.
    """
    if (remote := repository.remote()) is None:
        return
    print(f"Fetching finished stages from the remote {remote}.", flush=True)
    try:
        repository.fetch(todo)
    except Exception as error:  # of any library of a remote; the run does not depend on it
        print(f"Not everything was fetched ({one_line(error)}); the missing stages run here.", flush=True)


def report(layout: Layout, stages: int, todo: int, outcomes: Counter[Outcome], seconds: float) -> None:
    """Print what the run did, and where the report is."""
    if not todo:
        print(f"Nothing changed: all {stages} stages are up to date.")
        return
    ran, restored = outcomes["ran"], outcomes["restored"]
    print(
        f"All {stages} stages are up to date: {ran} ran, {restored} came from the cache, "
        f"{stages - ran - restored} had not changed; {seconds:.0f} s."
    )
    page = layout.reports / "report.html"
    if page.exists():
        print(f"The report: {page}")
