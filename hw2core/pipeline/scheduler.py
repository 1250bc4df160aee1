"""`hw2 repro`: run every stale stage on a Dask cluster, as many at a time as it has workers.

This process decides what runs, by DVC's rules, and records results; the workers run commands. A stage starts when those
that it reads from are recorded. Stages on the longest remaining path come first.
"""

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hw2core.engine.instructions import set_instructions
from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.pipeline.display import Display
from hw2core.pipeline.dvc_files import repair_dvc_files
from hw2core.pipeline.estimate import longest_paths
from hw2core.pipeline.repository import Repository, one_line
from hw2core.pipeline.run_lock import Interrupted, only_run, signals_raise
from hw2core.pipeline.slots import assign_gpus, count_slots, visible_gpus
from hw2core.progress import VARIABLE
from hw2core.settings.models import Engine
from hw2core.threads import thread_variables

Outcome = Literal["ran", "restored", "unchanged"]

ATTEMPTS = 3
"""How often a stage is started that is killed, or whose worker is."""


def reproduce(layout: Layout, engine: Engine, jobs: str, cluster: str | None = None) -> None:
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
                with open_cluster(layout, cluster, min(slots, len(todo))) as client:
                    # Workers of a running cluster see the GPUs that they were started with.
                    gpus_of_slot = [] if cluster else assign_gpus(gpus, slots)
                    run = Run(layout, engine, repository, client, gpus_of_slot)
                    outcomes = run.execute(todo)
            repository.write_lock()
            changed = Repository(layout.root).stale() if todo else []
    except Interrupted as interruption:
        print("hw2: stopped; finished stages are kept, run it again to continue", file=sys.stderr)
        raise SystemExit(128 + interruption.number) from None
    report(layout, len(repository.stages), len(todo), outcomes, time.monotonic() - started)
    if changed:
        print(f"Files changed during the run, and {', '.join(changed)} are stale again: run it again.")


def open_cluster(layout: Layout, address: str | None, slots: int) -> Any:
    from hw2core.pipeline.cluster import connected_client, local_client  # importing Dask takes a second

    return connected_client(address, layout.root) if address else local_client(slots, ATTEMPTS)


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

    def __init__(
        self,
        layout: Layout,
        engine: Engine,
        repository: Repository,
        client: Any,
        gpus_of_slot: list[list[str]],
    ) -> None:
        self.layout, self.repository, self.client = layout, repository, client
        self.gpus = {str(slot): ",".join(gpus) for slot, gpus in enumerate(gpus_of_slot) if gpus}
        self.environment = {
            "PYTHONUNBUFFERED": "1",  # so that a log can be followed while its stage runs
            **thread_variables(engine.threads),
        }
        set_instructions(engine.cpu_isa, self.environment)
        self.costs = Costs(layout.runs / "costs.json")
        self.outcomes = Counter[Outcome]()
        self.attempts = Counter[str]()
        self.names: dict[str, str] = {}
        """The stage of each Dask key."""

    def execute(self, todo: list[str]) -> Counter[Outcome]:
        """Run each stage of `todo` once those that it reads from are finished. Return the number of each outcome."""
        from distributed import as_completed

        stages, upstream = len(self.repository.stages), self.repository.upstream
        print(f"{len(todo)} of {stages} stages to do, up to {self.capacity()} at a time.", flush=True)
        self.paths = longest_paths(todo, upstream, self.costs.seconds)
        self.unfinished, self.waiting = set(todo), list(todo)
        self.running = as_completed()
        progress = self.layout.runs / "progress"
        progress.mkdir(parents=True, exist_ok=True)
        with Display(todo, upstream, self.costs.seconds, self.capacity(), progress) as self.display:
            while self.unfinished:
                while (ready := self.ready()) and len(self.names) < self.capacity():
                    self.start(max(ready, key=self.paths.__getitem__))
                if self.names:
                    self.finish(next(self.running))
        return self.outcomes

    def capacity(self) -> int:
        """How many stages can run at a time. One waits for a worker while there is none."""
        return max(1, sum(self.client.nthreads().values()))

    def ready(self) -> list[str]:
        return [name for name in self.waiting if not self.repository.upstream[name] & self.unfinished]

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
        task = Task(
            self.repository.stages[name].cmd,
            self.layout.root,
            self.log(name),
            tuple(self.repository.outputs(name)),
            self.environment,
            {VARIABLE: str(self.display.progress_file(name))},
            self.gpus,
        )
        key = f"{name} {self.attempts[name]}"
        future = self.client.submit(run, task, key=key, pure=False, priority=self.paths[name])
        self.names[key] = name
        self.running.add(future)

    def finish(self, future: Any) -> None:
        """Record the result of a stage, or end the run."""
        name = self.names.pop(future.key)
        try:
            answer = future.result()
        except Exception as error:  # Dask gave it up: its workers were killed
            raise SystemExit(f"hw2: {name}: {one_line(error)}") from None
        finally:
            future.release()
        if answer["status"] < 0 and self.attempts[name] < ATTEMPTS:
            self.display.say(name, f"was killed by signal {-answer['status']} and starts again")
            self.submit(name)
        elif answer["status"] != 0:
            self.display.say(name, f"failed after {answer['seconds']:.0f} s")
            raise failure(name, self.log(name), answer["status"])
        else:
            self.repository.record(name)
            self.costs.note(name, answer)
            self.unfinished.remove(name)
            self.outcomes["ran"] += 1
            self.display.ends(name, f"done in {answer['seconds']:.0f} s", answer["seconds"])

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
