"""`hw2 repro`: run every stale stage on a Dask cluster, as many at a time as it has workers.

This process decides what runs, by DVC's rules, and records results; the workers run commands. A stage starts when those
that it reads from are recorded. Stages on the longest remaining path come first.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil  # type: ignore[import-untyped]

from hw2core.engine.instructions import set_instructions
from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.pipeline.capacity import Capacity
from hw2core.pipeline.display import Display
from hw2core.pipeline.dvc_files import repair_dvc_files
from hw2core.pipeline.estimate import longest_paths
from hw2core.pipeline.repository import Repository, one_line
from hw2core.pipeline.run_lock import Interrupted, only_run, signals_raise
from hw2core.pipeline.slots import assign_gpus, count_slots, visible_gpus
from hw2core.settings.models import Engine
from hw2core.threads import thread_variables

if TYPE_CHECKING:
    from distributed import Client

    from hw2core.pipeline.worker import Workspace

Outcome = Literal["ran", "restored", "unchanged"]

ATTEMPTS = 3
"""How often a stage is started that is killed, or whose worker is."""


def reproduce(
    layout: Layout, engine: Engine, jobs: str, cluster: str | None = None, dashboard: bool = False
) -> None:
    """Bring the workspace up to date, on this machine with `jobs` stages in parallel (a number, or auto) or on a cluster.

    A stage that fails stops all others and ends the process, with status 2 for bad input, else 1.
    """
    started = time.monotonic()
    gpus = [] if engine.device == "cpu" else visible_gpus()
    slots = count_slots(jobs, engine.threads, gpus)
    try:
        with signals_raise(), only_run(layout.runs / "repro.lock"):
            repair_dvc_files(layout.root)
            repository = Repository(layout.root)
            todo = repository.stale()
            outcomes = Counter[Outcome]()
            if todo:
                fetch(repository, todo)
                run = Run(layout, engine, repository)
                if cluster:
                    run_on_cluster(run, todo, cluster, slots, dashboard)
                else:
                    run_here(run, todo, gpus, slots, dashboard)
                outcomes = run.outcomes
            repository.write_lock()
            changed = Repository(layout.root).stale() if todo else []
    except Interrupted as interruption:
        print("hw2: stopped; finished stages are kept, run it again to continue", file=sys.stderr)
        raise SystemExit(128 + interruption.number) from None
    report(layout, len(repository.stages), len(todo), outcomes, time.monotonic() - started)
    if changed:
        print(f"Files changed during the run, and {', '.join(changed)} are stale again: run it again.")


def run_here(run: "Run", todo: list[str], gpus: list[str], slots: int, dashboard: bool) -> None:
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


def run_on_cluster(run: "Run", todo: list[str], address: str, slots: int, dashboard: bool) -> None:
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


class Run:
    """The stages of one run."""

    def __init__(self, layout: Layout, engine: Engine, repository: Repository) -> None:
        self.layout, self.repository = layout, repository
        self.environment = {
            "PYTHONUNBUFFERED": "1",  # so that a log can be followed while its stage runs
            "DVC_ROOT": os.environ.get("DVC_ROOT", str(layout.root)),
            **thread_variables(engine.threads),
        }
        set_instructions(engine.cpu_isa, self.environment)
        self.costs = Costs(layout.runs / "costs.json")
        self.outcomes = Counter[Outcome]()
        self.attempts = Counter[str]()
        self.names: dict[str, str] = {}
        """The stage of each Dask key."""

    def workspace(self, gpus_of_slot: list[list[str]]) -> "Workspace":
        """For workers that see the workspace of this run."""
        from hw2core.pipeline.worker import Workspace

        gpus = {str(slot): ",".join(gpus) for slot, gpus in enumerate(gpus_of_slot) if gpus}
        return Workspace(self.layout.root, self.environment, gpus)

    def own_workspace(self) -> "Workspace":
        """For workers that need a copy of the workspace."""
        from hw2core.pipeline.own_workspace import OwnWorkspace, pack

        code = pack(self.layout.root, self.repository.sources)
        return OwnWorkspace(code, self.repository.remote_config(), self.environment)

    def execute(self, todo: list[str], client: "Client", memory: float = 0.0, separate: bool = False) -> None:
        """Run each stage of `todo` once those that it reads from are finished.

        `memory` limits what runs at a time, unless it is 0. Workers are `separate` if files pass between this workspace
        and theirs through the DVC remote.
        """
        from distributed import as_completed

        self.client, self.separate = client, separate
        on_device = {name for name in todo if self.repository.reads(name, "engine.device")}
        self.capacity = Capacity(client, on_device, self.costs.memory, memory)
        slots = self.capacity.stages
        stages, upstream = len(self.repository.stages), self.repository.upstream
        print(f"{len(todo)} of {stages} stages to do, up to {slots} at a time.", flush=True)
        self.paths = longest_paths(todo, upstream, self.costs.seconds)
        self.unfinished, self.waiting = set(todo), list(todo)
        self.running = as_completed()
        progress = self.layout.runs / "progress"
        progress.mkdir(parents=True, exist_ok=True)
        with Display(todo, upstream, self.costs.seconds, slots, progress) as self.display:
            while self.unfinished:
                while (name := self.next_stage()) is not None:
                    self.start(name)
                if self.names:
                    self.finish(next(self.running))

    def next_stage(self) -> str | None:
        """Of the stages that can start now, the one on the longest path."""
        self.capacity.refresh()
        upstream, running = self.repository.upstream, list(self.names.values())
        ready = [name for name in self.waiting if not upstream[name] & self.unfinished]
        fitting = [name for name in ready if self.capacity.fits(name, running)]
        return max(fitting, key=self.paths.__getitem__, default=None)

    def start(self, name: str) -> None:
        self.waiting.remove(name)
        state = self.repository.begin(name)
        if state != "runs":
            self.display.ends(name, "restored from the cache" if state == "restored" else "is up to date")
            self.unfinished.remove(name)
            self.outcomes[state] += 1
        else:
            self.display.starts(name)
            self.submit(name)

    def submit(self, name: str) -> None:
        from hw2core.pipeline.worker import Task, run

        self.attempts[name] += 1
        sent = self.repository.send(sorted(self.repository.inputs(name))) if self.separate else {}
        persistent = self.repository.persistent(name)
        task = Task(
            name=name,
            command=self.repository.stages[name].cmd,
            log=self.path(self.log(name)),
            progress=self.path(self.display.progress_file(name)),
            outputs=tuple(path for path in self.repository.outputs(name) if path not in persistent),
            inputs=sent,
        )
        key = f"{name} {self.attempts[name]}"
        future = self.client.submit(
            run,
            task,
            key=key,
            pure=False,
            priority=self.paths[name],
            retries=ATTEMPTS - 1,  # if a worker cannot fetch or send files
            **self.capacity.requirements(name),
        )
        self.names[key] = name
        self.running.add(future)

    def path(self, path: Path) -> str:
        """A path below the workspace, as the workers read it."""
        return str(path.relative_to(self.layout.runs.parent) if self.separate else path)

    def finish(self, future: Any) -> None:
        """Record the result of a stage, or end the run."""
        name = self.names.pop(future.key)
        try:
            answer = future.result()
        except Exception as error:  # Dask gave it up: its workers were killed
            raise SystemExit(f"hw2: {name}: {one_line(error)}") from None
        finally:
            future.release()
        if self.separate:
            write_whole(self.log(name), answer["log"])
        if answer["status"] < 0 and self.attempts[name] < ATTEMPTS:
            self.display.say(name, f"was killed by signal {-answer['status']} and starts again")
            self.submit(name)
        elif answer["status"] != 0:
            self.display.say(name, f"failed after {answer['seconds']:.0f} s")
            raise failure(name, self.log(name), answer["status"])
        else:
            if self.separate:
                self.repository.accept(name, answer["outputs"], answer["entry"])
            else:
                self.repository.record(name)
            self.costs.note(name, answer)
            self.unfinished.remove(name)
            self.outcomes["ran"] += 1
            self.display.ends(name, f"done in {answer['seconds']:.0f} s", answer["seconds"])

    def show_progress(self, event: tuple[float, dict[str, str]]) -> None:
        """A worker with its own workspace says how far a stage is."""
        _, message = event
        write_whole(self.display.progress_file(message["stage"]), message["progress"].encode())

    def log(self, name: str) -> Path:
        return self.layout.runs / "logs" / f"{name.replace('/', '_')}.log"


class Costs:
    """What each stage took in its last run, for the order of the next run. A hint: no result depends on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, float]] = {}
        with contextlib.suppress(OSError, ValueError):
            self.known = json.loads(path.read_text(encoding="utf-8"))

    @property
    def seconds(self) -> dict[str, float]:
        return {name: cost["seconds"] for name, cost in self.known.items()}

    @property
    def memory(self) -> dict[str, float]:
        return {name: cost["memory"] for name, cost in self.known.items()}

    def note(self, name: str, answer: Mapping[str, float]) -> None:
        self.known[name] = {key: round(answer[key], 2) for key in ("seconds", "cpu_seconds", "memory")}
        write_whole(self.path, json.dumps(self.known, indent=0, sort_keys=True).encode())


def failure(name: str, log: Path, status: int) -> UserError | SystemExit:
    """Print the end of a failed stage's log. Return the exception that ends this process like the stage's command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    print(*[line for line in lines if line][-20:], sep="\n", file=sys.stderr)
    killer = -status if status < 0 else status - 128  # the conventions of Python and of shells
    how = f"was killed by signal {killer}" if 0 < killer <= 64 else f"ended with status {status}"
    how += " (is there too little memory? --jobs 1 takes less)" * (killer == signal.SIGKILL)
    message = f"{name} {how}; its whole output: {log}"
    if status == 2:
        return UserError(message)
    print(f"hw2: {message}", file=sys.stderr, flush=True)
    return SystemExit(1)
