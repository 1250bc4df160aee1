"""`hw2 repro`: run every stale stage, independent stages in parallel.

DVC runs stages one at a time. Several `dvc repro -s STAGE` may run in parallel, because DVC locks the files that it
writes. The scheduler only decides when to start each of them, stops them together, and reports to the user. DVC alone
knows what is stale, what a stage reads and whether it must run; it is called through its commands.
"""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.children import Children, Interrupted, signals_raise
from hw2core.pipeline.dag import Upstream, one_line, read_dag, with_downstream
from hw2core.pipeline.dvc_files import repair_dvc_files, sort_lock_entries
from hw2core.pipeline.slots import assign_gpus, count_slots, visible_gpus
from hw2core.settings.models import Engine


def reproduce(layout: Layout, engine: Engine, jobs: str) -> None:
    """Bring the workspace up to date with `jobs` stages in parallel (a number, or auto).

    A stage that fails stops all others and ends the process, with status 2 for bad input, else 1.
    """
    started = time.monotonic()
    gpus = [] if engine.device == "cpu" else visible_gpus()
    slots = count_slots(jobs, engine.threads, gpus)
    try:
        with signals_raise(), Children(layout.runs / "repro.lock", engine.threads) as children:
            repair_dvc_files(layout.root, interrupted=children.left_unfinished)
            upstream, stale = read_dag(layout, children)
            todo = with_downstream(stale, upstream)
            outcomes = Counter[str]()
            if todo:
                fetch(layout, children, todo)
                outcomes = run_stages(layout, children, upstream, todo, assign_gpus(gpus, slots))
                # DVC has the last word: it runs whatever it still finds stale.
                outcomes["done"] += finish(layout, children)
            sort_lock_entries(layout.root / "dvc.lock", order=list(upstream))
    except Interrupted as interruption:
        print("hw2: stopped; finished stages are kept, run it again to continue", file=sys.stderr)
        raise SystemExit(128 + interruption.number) from None
    report(layout, len(upstream), len(todo), outcomes, time.monotonic() - started)


def report(layout: Layout, stages: int, todo: int, outcomes: Counter[str], seconds: float) -> None:
    """Print what the run did, and where the report is."""
    if not todo:
        print(f"Nothing changed: all {stages} stages are up to date.")
        return
    ran, restored = outcomes["done"], outcomes["restored"]
    print(
        f"All {stages} stages are up to date: {ran} ran, {restored} came from the cache, "
        f"{stages - ran - restored} had not changed; {seconds:.0f} s."
    )
    page = layout.reports / "report.html"
    if page.exists():
        print(f"The report: {page}")


def fetch(layout: Layout, children: Children, todo: list[str]) -> None:
    """Fetch the outputs of these stages from the DVC remote into the cache, if there is a remote.

    DVC restores a stage from the cache if dvc.lock has an entry for its inputs. Without the outputs the stage runs.
    """
    remote = children.dvc("config", "core.remote", cwd=layout.root)
    name = remote.communicate()[0].strip()
    if remote.returncode != 0 or not name:
        return
    print(f"Fetching finished stages from the remote {name}.", flush=True)
    fetched = children.dvc("--wait-for-lock", "fetch", "--quiet", *todo, cwd=layout.root)
    _, error = fetched.communicate()
    if fetched.returncode != 0:
        print(f"Not everything was fetched ({one_line(error)}); the missing stages run here.", flush=True)


@dataclass(frozen=True)
class Job:
    """A running stage."""

    stage: str
    label: str
    slot: int
    log: Path
    process: "subprocess.Popen[str]"
    started: float

    @property
    def seconds(self) -> str:
        return f"{time.monotonic() - self.started:.0f} s"


def run_stages(
    layout: Layout,
    children: Children,
    upstream: Upstream,
    todo: list[str],
    gpus_of_slot: list[list[str]],
) -> Counter[str]:
    """Run each stage of `todo` once those that it reads from are finished. Return the number of each outcome."""
    print(f"{len(todo)} of {len(upstream)} stages to do, up to {len(gpus_of_slot)} at a time.", flush=True)
    width = max(map(len, todo))
    outcomes = Counter[str]()
    waiting = list(todo)
    unfinished = set(todo)
    free = list(range(len(gpus_of_slot)))
    running: list[Job] = []
    while unfinished:
        for stage in [stage for stage in waiting if not upstream[stage] & unfinished][: len(free)]:
            waiting.remove(stage)
            slot = free.pop(0)
            number = f"[{len(todo) - len(waiting):{len(str(len(todo)))}}/{len(todo)}]"
            log = log_of(layout, stage)
            started = time.monotonic()
            process = start_repro(layout, children, log, "-s", stage, gpus=gpus_of_slot[slot])
            running.append(Job(stage, f"{number} {stage:{width}}", slot, log, process, started))
            print(f"{running[-1].label}  starts", flush=True)
        for job in [job for job in running if job.process.poll() is not None]:
            if job.process.returncode != 0:
                print(f"{job.label}  failed after {job.seconds}", flush=True)
                raise failure(job.stage, job.log, job.process.returncode)
            running.remove(job)
            free.append(job.slot)
            unfinished.remove(job.stage)
            outcome = outcome_of(job)
            outcomes[outcome] += 1
            message = {"done": f"done in {job.seconds}", "restored": "restored from the cache"}
            print(f"{job.label}  {message.get(outcome, 'is up to date')}", flush=True)
        time.sleep(0.05)
    return outcomes


def log_of(layout: Layout, name: str) -> Path:
    return layout.runs / "logs" / f"{name.replace('/', '_')}.log"


def start_repro(
    layout: Layout, children: Children, log: Path, *arguments: str, gpus: list[str] | None = None
) -> "subprocess.Popen[str]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        return children.dvc(
            *("--wait-for-lock", "repro", *arguments),
            cwd=layout.root,
            stdout=output,
            stderr=subprocess.STDOUT,
            gpus=gpus,
        )


def outcome_of(job: Job) -> str:
    """Return whether a successful stage ran, was restored from DVC's cache, or had not changed."""
    text = job.log.read_text(encoding="utf-8", errors="replace")
    if f"Running stage '{job.stage}':\n" in text:
        return "done"
    return "restored" if "is cached - skipping run" in text else "unchanged"


def finish(layout: Layout, children: Children) -> int:
    """Run a plain `dvc repro`. Return the number of stages that it still had to run."""
    log = log_of(layout, "dvc-repro")
    process = start_repro(layout, children, log)
    if process.wait() != 0:
        raise failure("the final `dvc repro`", log, process.returncode)
    return len(
        re.findall(r"^Running stage '", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    )


def failure(name: str, log: Path, status: int) -> UserError | SystemExit:
    """Print the end of a failed stage's log. Return the exception that ends this process like the stage's command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # DVC's own line about a failed command adds nothing but the exit status.
    ends = [re.search(r"^ERROR: failed to reproduce .* exited with (-?\d+)$", line) for line in lines]
    of_stage = [line for line, end in zip(lines, ends, strict=True) if not end and line]
    print(*of_stage[-20:], sep="\n", file=sys.stderr)
    for end in ends:
        status = int(end[1]) if end else status
    killer = -status if status < 0 else status - 128  # the conventions of Python and of shells
    how = f"was killed by signal {killer}" if 0 < killer <= 64 else f"ended with status {status}"
    how += " (is there too little memory? --jobs 1 takes less)" * (killer == signal.SIGKILL)
    message = f"{name} {how}; its whole output: {log}"
    if status == 2:
        return UserError(message)
    print(f"hw2: {message}", file=sys.stderr, flush=True)
    return SystemExit(1)
