"""Run every stage that is not up to date, independent ones side by side.

DVC runs stages one by one. Several `dvc repro -s STAGE` at once are safe, since DVC locks what it writes, so
this is only the order in which to start them, how to stop them together, and what to tell the user. What is
out of date, what a stage reads and whether it really has to run is DVC's own knowledge, asked for through its
commands.
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.params import Engine
from hw2core.workers import usable_cores

GRACE = 5  # seconds that a stopped stage has to end by itself
LOCK_HEAD = "schema: '2.0'\nstages:\n"  # how DVC begins a dvc.lock


class Interrupted(BaseException):
    """Ctrl-C, or another signal that asks to stop."""

    def __init__(self, number: int) -> None:
        self.number = number


def reproduce(layout: Layout, engine: Engine, jobs: str) -> None:
    """Bring the workspace up to date with `jobs` stages at a time (a number, or auto).

    A stage that fails stops everything and ends the process: with status 2 if its input was bad, else 1.
    """
    begun = time.monotonic()
    gpus = [] if engine.device == "cpu" else visible_gpus()
    slots = stages_at_once(jobs, engine.threads, gpus)
    try:
        with signals_interrupt(), Children(layout.runs / "repro.lock", engine.threads) as children:
            mend_dvc_files(layout.root, cut_off=children.left_unfinished)
            upstream, changed = examine_pipeline(layout, children)
            todo = with_downstream(changed, upstream)
            outcomes = Counter[str]()
            if todo:
                fetch(layout, children, todo)
                outcomes = run_stages(layout, children, upstream, todo, share_gpus(gpus, slots))
                # DVC has the last word: it runs whatever was not seen to be out of date.
                outcomes["done"] += finish(layout, children)
            sort_lock_entries(layout.root / "dvc.lock", order=list(upstream))
    except Interrupted as interruption:
        print("hw2: stopped; finished stages stay, run it again to go on from there", file=sys.stderr)
        raise SystemExit(128 + interruption.number) from None
    if not todo:
        print(f"Nothing changed: all {len(upstream)} stages are up to date.")
        return
    ran, restored = outcomes["done"], outcomes["restored"]
    print(
        f"All {len(upstream)} stages are up to date: {ran} ran, {restored} came from the cache, "
        f"{len(upstream) - ran - restored} had not changed; {time.monotonic() - begun:.0f} s."
    )
    report = layout.reports / "report.html"
    if report.exists():
        print(f"The report: {report}")


def stages_at_once(jobs: str, threads: int, gpus: list[str]) -> int:
    """How many stages run at the same time. `auto`: one a GPU, else as many as the cores can feed.

    A stage's threads are a param, not this machine's cores divided by the jobs, because the number of threads
    changes the last bits of a sum and with them every result.
    """
    if jobs == "auto":
        return len(gpus) or max(1, usable_cores() // threads)
    if jobs.isdecimal() and int(jobs) >= 1:
        return int(jobs)
    raise UserError(f"--jobs: must be auto or a number of stages, 1 or more, not {jobs!r}")


def visible_gpus() -> list[str]:
    """The GPUs as CUDA_VISIBLE_DEVICES names them, without the seconds that importing torch takes."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = listing.stdout.splitlines() if listing.returncode == 0 else []
    return [str(index) for index, _ in enumerate(line for line in lines if line.startswith("GPU "))]


def share_gpus(gpus: list[str], slots: int) -> list[list[str]]:
    """The GPUs of each slot: all of them shared out, or one GPU to several slots where they are too few."""
    if len(gpus) >= slots:
        return [gpus[slot::slots] for slot in range(slots)]
    return [[gpus[slot % len(gpus)]] if gpus else [] for slot in range(slots)]


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal all end this process in the same orderly way."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # under nohup a closed terminal is to be ignored
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Children:
    """The dvc commands of this run and the stages they start: one process group, stopped by one signal.

    No stage outlives the run, even if this process is killed by SIGKILL: two processes would then train the
    same stage when the user starts again. A small shell leads the group. It waits on a pipe that only this
    process holds open, so that the end of this process, whatever it is, makes it stop the group.

    One run at a time works in a workspace. The lock on `lock_path` is also the standard input of the whole
    group, and so is held until the last stage's process is gone.
    """

    WATCH = f'trap "" TERM; read go && exit; kill -TERM 0; sleep {GRACE}; kill -KILL 0'

    def __init__(self, lock_path: Path, threads: int) -> None:
        self.lock_path = lock_path
        self.processes: list[subprocess.Popen[str]] = []
        self.environment = os.environ | {
            # Stages call `python`: it must be the one with this package.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "SHELL": "/bin/sh",  # DVC runs a stage's command in the user's own shell, whichever that is
            "PYTHONUNBUFFERED": "1",  # a log can be followed while the stage runs
            "DVC_NO_ANALYTICS": "1",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
        }

    def __enter__(self) -> Self:
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = self.lock_path.open("a+")
        if not try_lock(self.lock):
            print(
                "Waiting for another `hw2 repro` in this workspace, or its last stages, to end.", flush=True
            )
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.lock.seek(0)
        self.left_unfinished = self.lock.read() != ""
        self.lock.write("this run is not over, or was killed\n")
        self.lock.flush()
        silent = subprocess.DEVNULL
        self.watch = subprocess.Popen(
            ["/bin/sh", "-c", self.WATCH],
            stdin=subprocess.PIPE,
            stdout=silent,
            stderr=silent,
            text=True,
            process_group=0,
        )
        return self

    def dvc(
        self,
        *arguments: str,
        cwd: Path,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        gpus: list[str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start a dvc command of this environment, on these GPUs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=cwd,
            env=self.environment | ({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}),
            stdin=self.lock,
            stdout=stdout,
            stderr=stderr,
            text=True,
            process_group=self.watch.pid,
        )
        self.processes.append(process)
        return process

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        ends = [process.poll() for process in self.processes]
        if all(end is not None and end >= 0 for end in ends):
            self.lock.truncate(0)  # no dvc was or will be killed: none can leave a file half-written
        if kind is None:
            self.watch.communicate("go\n")
            self.lock.close()
        else:
            self.stop()
        for process in (*self.processes, self.watch):
            process.communicate()

    def stop(self) -> None:
        """End whatever still runs, by force after a while."""
        os.killpg(self.watch.pid, signal.SIGTERM)
        self.lock.close()
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            with self.lock_path.open() as lock:
                if try_lock(lock):  # nobody has it as standard input any more
                    break
            time.sleep(0.05)
        os.killpg(self.watch.pid, signal.SIGKILL)


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def mend_dvc_files(root: Path, cut_off: bool) -> None:
    """Clear away what a killed dvc leaves behind and cannot read any more.

    DVC writes dvc.lock in place, so a kill can cut it off. Its last entry is then dropped: DVC takes that
    stage's results from its run cache. Also after a kill that left the file well-formed, since an entry that
    lacks only its last lines, a file's size, looks like a whole one. And DVC drops a dead process's entry in
    .dvc/tmp/rwlock, but not if the file was cut off, or if another process has that number by now, which
    in containers is usual.
    """
    lock_file = root / "dvc.lock"
    text = lock_file.read_text(encoding="utf-8") if lock_file.exists() else None
    if text is not None and (cut_off or not text.endswith("\n")):
        text = text.rstrip(" ")
        entries = split_lock(text)
        if len(entries) > 1:
            write_whole(lock_file, (LOCK_HEAD + "".join(entries[:-1])).encode())
        elif entries or LOCK_HEAD.startswith(text):
            lock_file.unlink()
    busy_files = root / ".dvc" / "tmp" / "rwlock"
    if busy_files.exists():
        holders = map(int, re.findall(r'"pid": (\d+)', busy_files.read_text(encoding="utf-8")))
        if not any(is_dvc(holder) for holder in holders):
            busy_files.unlink()


def is_dvc(process: int) -> bool:
    import psutil  # type: ignore[import-untyped]  # comes with dvc

    try:
        command: list[str] = psutil.Process(process).cmdline()
    except psutil.Error:
        return False
    return any(Path(part).name == "dvc" for part in command)


def split_lock(text: str) -> list[str]:
    """The entries of a dvc.lock as text, one a stage; none if it does not look as DVC writes it."""
    if not re.fullmatch(LOCK_HEAD + r"(  .*\n)*(  .*)?", text):
        return []
    return re.split(r"(?m)^(?=  [^ :])", text.removeprefix(LOCK_HEAD))[1:]


def sort_lock_entries(lock_file: Path, order: list[str]) -> None:
    """Put the entries of dvc.lock in the order of dvc.yaml, as a plain `dvc repro` from nothing writes them.

    DVC adds a stage's entry when it is first finished. With stages side by side that is by chance, and two
    clones with the same results would have different files.
    """
    text = lock_file.read_text(encoding="utf-8") if lock_file.exists() else ""

    def rank(entry: str) -> int:
        name = entry.partition("\n")[0].strip(" ?:'\"")
        return order.index(name) if name in order else len(order)

    entries = split_lock(text)
    ordered = sorted(entries, key=rank)
    if ordered != entries:
        write_whole(lock_file, (LOCK_HEAD + "".join(ordered)).encode())


def examine_pipeline(layout: Layout, children: Children) -> tuple[dict[str, set[str]], set[str]]:
    """Every stage with those it reads from, in the order of dvc.yaml, and the stages that are out of date."""
    asked = [
        children.dvc("dag", "--dot", cwd=layout.root),
        children.dvc("--wait-for-lock", "status", "--json", cwd=layout.root),
    ]
    answers = []
    for question in asked:
        answer, problem = question.communicate()
        if question.returncode != 0:
            said = one_line(problem or answer) or f"ended with status {question.returncode}"
            raise UserError(f"dvc: {said}")
        answers.append(answer)
    graph, status = answers
    upstream: dict[str, set[str]] = {name: set() for name in re.findall(r'^"([^"]+)";$', graph, re.MULTILINE)}
    for source, reader in re.findall(r'^"([^"]+)" -> "([^"]+)";$', graph, re.MULTILINE):
        upstream[reader].add(source)
    return upstream, set(json.loads(status)) & set(upstream)


def fetch(layout: Layout, children: Children, todo: list[str]) -> None:
    """Bring what others have made of these stages from the DVC remote, if there is one, into the cache, from where a
    stage whose inputs the lock knows takes its outputs. Without it the stages run."""
    remote = children.dvc("config", "core.remote", cwd=layout.root)
    name = remote.communicate()[0].strip()
    if remote.returncode != 0 or not name:
        return
    print(f"Looking in the remote {name} for what has been made already.", flush=True)
    fetched = children.dvc("--wait-for-lock", "fetch", "--quiet", *todo, cwd=layout.root)
    _, problem = fetched.communicate()
    if fetched.returncode != 0:
        print(f"Not all of it is there ({one_line(problem)}); the rest is made here.", flush=True)


def one_line(message: str) -> str:
    """DVC's message without the excerpts of files in it."""
    lines = [line.strip() for line in message.splitlines() if not re.match(r"\s*\d+ ", line)]
    return " ".join(line for line in lines if line).removeprefix("ERROR: ")


def with_downstream(changed: set[str], upstream: dict[str, set[str]]) -> list[str]:
    """The stages of `changed` and all that read from them, directly or not, in the order of dvc.yaml."""
    reached = set(changed)
    while more := {stage for stage in upstream if upstream[stage] & reached} - reached:
        reached |= more
    return [stage for stage in upstream if stage in reached]


@dataclass(frozen=True)
class Job:
    """A stage that is being run."""

    stage: str
    label: str
    slot: int
    log: Path
    process: "subprocess.Popen[str]"
    begun: float

    @property
    def seconds(self) -> str:
        return f"{time.monotonic() - self.begun:.0f} s"


def run_stages(
    layout: Layout,
    children: Children,
    upstream: dict[str, set[str]],
    todo: list[str],
    gpus_of_slot: list[list[str]],
) -> Counter[str]:
    """Run each stage of `todo` as soon as those it reads from are done; count what became of them."""
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
            begun = time.monotonic()
            process = start_repro(layout, children, log, "-s", stage, gpus=gpus_of_slot[slot])
            running.append(Job(stage, f"{number} {stage:{width}}", slot, log, process, begun))
            print(f"{running[-1].label}  starts", flush=True)
        for job in [job for job in running if job.process.poll() is not None]:
            if job.process.returncode != 0:
                print(f"{job.label}  failed after {job.seconds}", flush=True)
                raise failure(job.stage, job.log, job.process.returncode)
            running.remove(job)
            free.append(job.slot)
            unfinished.remove(job.stage)
            outcome = what_happened(job)
            outcomes[outcome] += 1
            ending = {"done": f"done in {job.seconds}", "restored": "restored from the cache"}
            print(f"{job.label}  {ending.get(outcome, 'is up to date')}", flush=True)
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


def what_happened(job: Job) -> str:
    """Whether a stage that ended well was run, restored from DVC's cache, or had not changed."""
    text = job.log.read_text(encoding="utf-8", errors="replace")
    if f"Running stage '{job.stage}':\n" in text:
        return "done"
    return "restored" if "is cached - skipping run" in text else "unchanged"


def finish(layout: Layout, children: Children) -> int:
    """One plain `dvc repro`; how many stages it still had to run."""
    log = log_of(layout, "dvc-repro")
    process = start_repro(layout, children, log)
    if process.wait() != 0:
        raise failure("the final `dvc repro`", log, process.returncode)
    return len(
        re.findall(r"^Running stage '", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    )


def failure(name: str, log: Path, status: int) -> UserError | SystemExit:
    """Show the end of a failed stage's log, and say how this process is to end: like the stage's command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # What DVC adds about a command that failed says nothing more than the command did.
    ends = [re.search(r"^ERROR: failed to reproduce .* exited with (-?\d+)$", line) for line in lines]
    of_stage = [line for line, end in zip(lines, ends, strict=True) if not end and line]
    print(*of_stage[-20:], sep="\n", file=sys.stderr)
    for end in ends:
        status = int(end[1]) if end else status
    killer = -status if status < 0 else status - 128  # as Python and as a shell put it
    how = f"was killed by signal {killer}" if 0 < killer <= 64 else f"ended with status {status}"
    how += " (is there too little memory? --jobs 1 takes less)" * (killer == signal.SIGKILL)
    message = f"{name} {how}; its whole output: {log}"
    if status == 2:
        return UserError(message)
    print(f"hw2: {message}", file=sys.stderr, flush=True)
    return SystemExit(1)
