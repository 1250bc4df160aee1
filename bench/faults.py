"""Whether a pipeline that is killed again and again gives the same results as one that is not.

    python bench/faults.py [--per-stage 6] [--runs 20] [--profile smoke] [--jobs 2] [--seed 0]

Clones the last commit of this repository and runs the whole pipeline once, unbroken. Then it breaks

- each training, --per-stage times, in a clone: by SIGKILL, SIGTERM or SIGINT at a random moment, or by SIGKILL while its
  checkpoint is written. The training is started again until it ends;
- the whole pipeline, --runs times, in another clone: by SIGKILL to all its processes, SIGTERM or SIGINT at a random moment, or by
  SIGKILL while dvc.lock is written.

After each broken training, and after the broken pipeline, the hashes of all outputs must be those of the unbroken run. SIGTERM and
SIGINT must end a process within 5 s, a training with a checkpoint. Prints the faults by kind; the exit status is 1 unless all were
survived.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from common import lock_digest, make_clone, parser
from ruamel.yaml import YAML

from hw2core.files import DRAFT
from hw2core.pipeline import worker
from hw2core.pipeline.worker import ForkServer

PROMPT = 5.0  # seconds in which a process ends by SIGTERM or SIGINT
KINDS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGKILL while writing")


class Tally:
    """The faults by kind, and how many of them were survived."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()
        self.ends: list[float] = []
        """Seconds from SIGTERM or SIGINT to the end of a process."""

    def note(self, kind: str, survived: bool, what: str) -> None:
        self.injected[kind] += 1
        self.survived[kind] += survived
        print(f"{'survived' if survived else 'LOST'}: {kind}: {what}", flush=True)

    def note_end(self, seconds: float) -> None:
        self.ends.append(seconds)

    def report(self) -> bool:
        prompt = sum(seconds < PROMPT for seconds in self.ends)
        print(f"{prompt} of {len(self.ends)} ended within {PROMPT:.0f} s of SIGTERM or SIGINT")
        for kind, count in sorted(self.injected.items()):
            print(f"{kind:45} {count:4} injected {self.survived[kind]:4} survived")
        total, survived = sum(self.injected.values()), sum(self.survived.values())
        print(f"{'all':45} {total:4} injected {survived:4} survived")
        return total == survived and prompt == len(self.ends)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--per-stage", type=int, default=6)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--jobs", default="2")
    options.add_argument("--profile", default="smoke", help="a profile to apply to the committed params.yaml")
    options.add_argument("--seed", type=int, default=0, help="of the random moments")
    given = options.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    rng, tally = random.Random(given.seed), Tally()
    with tempfile.TemporaryDirectory() as folder:
        # Both now, so that a commit during the runs does not make them differ.
        whole, broken = (make_clone(Path(folder) / name, given.profile) for name in ("whole", "broken"))
        seconds = run_to_the_end(whole, given.jobs)
        print(f"unbroken: {seconds:.0f} s, dvc.lock {lock_digest(whole)}", flush=True)
        break_trainings(whole, given.per_stage, rng, tally)
        if given.runs:
            break_pipeline(whole, broken, given, seconds, rng, tally)
    sys.exit(not tally.report())


def command(jobs: str) -> list[str]:
    return [sys.executable, "-m", "hw2core", "repro", "--jobs", jobs]


def run_to_the_end(clone: Path, jobs: str) -> float:
    start = time.monotonic()
    subprocess.run(command(jobs), cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


# --- trainings ---------------------------------------------------------------------------------------------------


def break_trainings(clone: Path, per_stage: int, rng: random.Random, tally: Tally) -> None:
    """Break each training --per-stage times, then let it end, in a clone in which all have run."""
    stages: dict[str, Any] = YAML(typ="safe").load((clone / "dvc.lock").read_text())["stages"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    worker.TICK = 0.002
    server = ForkServer(clone, environment)
    for name, stage in stages.items():
        if not name.startswith("train_"):
            continue
        outs = [clone / out["path"] for out in stage["outs"]]
        for out in outs:
            out.unlink(missing_ok=True)
        seconds, faults = 1.0, []
        for number in range(per_stage):
            kind = KINDS[number % len(KINDS)]
            sent, took, seconds = break_training(
                server, clone, stage["cmd"], kind, rng.uniform(0, 1.2) * seconds
            )
            if sent:
                faults.append((kind, took))
        while server.run(request(clone, stage["cmd"]), lambda: None)["status"] != 0:
            print((clone / "runs" / "faults.log").read_text())
        # What DVC noted of the unbroken run.
        same = [md5(out) for out in outs] == [out["md5"] for out in stage["outs"]]
        for kind, took in faults:
            tally.note(f"training, {kind}", same, f"{name}, ended in {took:.2f} s")
            if not kind.startswith("SIGKILL"):
                tally.note_end(took)
    server.end()
    server.process.wait()


def request(clone: Path, text: str) -> Any:
    """What the fork server takes."""
    log = clone / "runs" / "faults.log"
    return {"command": text, "folder": str(clone), "log": str(log), "environment": dict(os.environ)}


def break_training(
    server: ForkServer, clone: Path, text: str, kind: str, pause: float
) -> tuple[bool, float, float]:
    """Start a training and break it. Returns whether it was broken, in how many seconds it then ended, and how long it ran."""
    sent: list[float] = []
    started = time.monotonic()

    def fault() -> None:
        """Called every few milliseconds while it runs."""
        if kind == KINDS[3]:
            due = any((clone / "runs").glob(f"train_*/*/*/*/.*{DRAFT}"))
        else:
            due = time.monotonic() - started > pause
        if not sent and due:
            for child in psutil.Process(server.process.pid).children():
                child.send_signal(getattr(signal, kind.partition(" ")[0]))
                sent.append(time.monotonic())

    answer = server.run(request(clone, text), fault)
    now = time.monotonic()
    return bool(sent) and answer["status"] != 0, now - (sent or [now])[0], now - started


# --- the pipeline ------------------------------------------------------------------------------------------------


def break_pipeline(
    whole: Path, broken: Path, given: argparse.Namespace, seconds: float, rng: random.Random, tally: Tally
) -> None:
    """Break the whole pipeline again and again, then let it end."""
    faults = []
    for number in range(given.runs):
        kind = KINDS[number % len(KINDS)]
        # On average the faults are spread over the duration of a whole run.
        took = break_run(broken, given.jobs, kind, rng.uniform(3, 2 * seconds / given.runs + 3))
        if took is None:
            print("the pipeline had ended", flush=True)
            continue
        faults.append((kind, took))
        print(f"pipeline, {kind}: ended in {took:.2f} s", flush=True)
        if not kind.startswith("SIGKILL"):
            tally.note_end(took)
    run_to_the_end(broken, given.jobs)
    same = lock_digest(whole) == lock_digest(broken)
    left = [str(path) for path in broken.rglob(f".*{DRAFT}")]
    print(f"drafts of killed writers that are left: {left or 'none'}")
    for kind, took in faults:
        tally.note(f"pipeline, {kind}", same, f"ended in {took:.2f} s")


def break_run(clone: Path, jobs: str, kind: str, pause: float) -> float | None:
    """Start the pipeline and break it. Returns in how many seconds it then ended; None if it had ended before."""
    process = subprocess.Popen(
        command(jobs), cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + pause
    while process.poll() is None:
        writing = kind == KINDS[3] and any(clone.glob(f".dvc.lock-*{DRAFT}"))
        # The lock is written only now and then.
        if writing or time.monotonic() > end + (60 if kind == KINDS[3] else 0):
            break
        time.sleep(0.0005 if kind == KINDS[3] else 0.02)
    if process.poll() is not None:
        return None
    sent = time.monotonic()
    if kind.startswith("SIGKILL"):
        kill_with_children(process.pid)
    else:
        process.send_signal(getattr(signal, kind))
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # too late, as the tally will say
            kill_with_children(process.pid)
    return time.monotonic() - sent


def kill_with_children(pid: int) -> None:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)


if __name__ == "__main__":
    main()
