"""Is a run that was killed ten times the same as one that was not?

    python bench/kill.py [--kills 10] [--jobs 2] [--profile smoke] [--seed 0]

Clones this repository's last commit three times. Two clones run the pipeline from nothing; the third is killed
with SIGKILL, with all its processes, at random moments, and started again until it ends. Prints the sha256 of
each dvc.lock; ends with status 1 unless all three are identical.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--jobs", default="2")
    options.add_argument("--profile", help="a profile to run with, instead of params.yaml as it is committed")
    options.add_argument("--seed", type=int, default=0, help="of the random moments")
    given = options.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        locks = {}
        duration = 0.0
        # All three now: a commit meanwhile must not come between them.
        clones = {
            name: make_clone(Path(folder) / name, given.profile) for name in ("first", "second", "killed")
        }
        for name, clone in clones.items():
            if name == "killed":
                # The kills are spread over the time that a whole run took.
                pauses = [moments.uniform(0, 2 * duration / (given.kills + 1)) for _ in range(given.kills)]
                for count, pause in enumerate(pauses, 1):
                    print(f"{name}: kill {count}, {run_and_kill(clone, given.jobs, pause)}", flush=True)
            start = time.monotonic()
            subprocess.run(command(given.jobs), cwd=clone, check=True, stdout=subprocess.DEVNULL)
            duration = time.monotonic() - start
            locks[name] = hashlib.sha256((clone / "dvc.lock").read_bytes()).hexdigest()
            print(f"{name}: ended in {duration:.0f} s, dvc.lock {locks[name]}", flush=True)
            shutil.rmtree(clone)
    same = len(set(locks.values())) == 1
    print("the three dvc.lock files are identical" if same else "the dvc.lock files DIFFER")
    sys.exit(not same)


def command(jobs: str) -> list[str]:
    return [sys.executable, "-m", "hw2core", "repro", "--jobs", jobs]


def make_clone(clone: Path, profile: str | None) -> Path:
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    # From nothing: no stage may be taken for done because its results were committed.
    (clone / "dvc.lock").unlink(missing_ok=True)
    for room in ("stages", "reports"):
        shutil.rmtree(clone / room, ignore_errors=True)
    if profile:
        profiles = [sys.executable, "-m", "hw2core", "profile", profile]
        subprocess.run(profiles, cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return clone


def run_and_kill(clone: Path, jobs: str, pause: float) -> str:
    """Start the pipeline, kill it and all it has started after `pause` seconds; tells what was running."""
    process = subprocess.Popen(
        command(jobs), cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(pause)
    except subprocess.TimeoutExpired:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        stages = sorted({stage for member in family if (stage := stage_of(member))})
        for member in family:
            try:
                os.kill(member.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        psutil.wait_procs(family, timeout=30)
        return f"after {pause:.1f} s, in {', '.join(stages) or 'no stage'}"
    return f"came too late: the run ended within {pause:.1f} s with status {process.returncode}"


def stage_of(process: psutil.Process) -> str:
    """The stage command a process runs, or nothing."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return ""
    return " ".join(line[3:]) if line[1:3] == ["-m", "hw2core"] and line[3:4] != ["repro"] else ""


if __name__ == "__main__":
    main()
