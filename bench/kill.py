"""Whether a pipeline that is killed ten times gives the same results as one that is not.

    python bench/kill.py [--kills 10] [--jobs 2] [--profile smoke] [--seed 0]

Clones the last commit of this repository three times. Two clones run the whole pipeline. The third is killed with SIGKILL, with
all its processes, at random times, and restarted until it finishes. Prints the SHA-256 of each dvc.lock; the exit status is 1
unless all three are identical.
"""

import argparse
import hashlib
import os
import random
import re
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
    options.add_argument("--profile", help="a profile to apply to the committed params.yaml")
    options.add_argument("--seed", type=int, default=0, help="of the random times")
    given = options.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        locks = {}
        duration = 0.0
        # All three now, so that a commit during the runs does not make them differ.
        clones = {
            name: make_clone(Path(folder) / name, given.profile) for name in ("first", "second", "killed")
        }
        for name, clone in clones.items():
            if name == "killed":
                # On average the kills are spread over the duration of a whole run.
                pauses = [rng.uniform(0, 2 * duration / (given.kills + 1)) for _ in range(given.kills)]
                for count, pause in enumerate(pauses, 1):
                    print(f"{name}: kill {count}, {run_and_kill(clone, given.jobs, pause)}", flush=True)
            start = time.monotonic()
            subprocess.run(command(given.jobs), cwd=clone, check=True, stdout=subprocess.DEVNULL)
            duration = time.monotonic() - start
            locks[name] = print_lock(clone, duration)
            shutil.rmtree(clone)
    same = len(set(locks.values())) == 1
    print("the three dvc.lock files are identical" if same else "the dvc.lock files DIFFER")
    sys.exit(not same)


def command(jobs: str) -> list[str]:
    return [sys.executable, "-m", "hw2core", "repro", "--jobs", jobs]


def make_clone(clone: Path, profile: str | None) -> Path:
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    # Without committed results, so that every stage runs.
    (clone / "dvc.lock").unlink(missing_ok=True)
    for folder in ("stages", "reports"):
        shutil.rmtree(clone / folder, ignore_errors=True)
    if profile:
        apply = [sys.executable, "-m", "hw2core", "profile", profile]
        subprocess.run(apply, cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return clone


def print_lock(clone: Path, seconds: float) -> str:
    """Print and return the SHA-256 of a clone's dvc.lock."""
    lock = hashlib.sha256((clone / "dvc.lock").read_bytes()).hexdigest()
    print(f"{clone.name}: finished in {seconds:.0f} s, dvc.lock {lock}", flush=True)
    return lock


def run_and_kill(clone: Path, jobs: str, pause: float) -> str:
    """Start the pipeline and kill it with all its processes after `pause` seconds. Returns what was running."""
    process = subprocess.Popen(
        command(jobs),
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        process.wait(pause)
    except subprocess.TimeoutExpired:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            try:
                os.kill(member.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        psutil.wait_procs(family, timeout=30)
        stages = running_stages(process.communicate()[0])
        return f"after {pause:.1f} s, in {', '.join(stages) or 'no stage'}"
    return f"too late: the run finished within {pause:.1f} s with status {process.returncode}"


def running_stages(output: str) -> list[str]:
    """The stages that have started and not ended, by the lines `[number/all] stage  what` of a run."""
    running: dict[str, bool] = {}
    for line in output.splitlines():
        if found := re.fullmatch(r"\[ *\d+/\d+\] (\S+) +(.*)", line):
            running[found[1]] = found[2] == "starts"
    return [stage for stage, runs in running.items() if runs]


if __name__ == "__main__":
    main()
