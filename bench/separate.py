"""Whether workers without a shared folder give the results of one machine, also while they are killed.

    python bench/separate.py [--workers 3] [--kills 10] [--profile smoke] [--seed 0] [--remote URL]

Clones the last commit of this repository once for the run, once for a run on this machine alone, and once for each Dask worker.
Each worker has a home folder of its own and sees no folder of the run or of another worker (a mount namespace hides them: Linux
only). Only the DVC remote is common to all: a folder, or --remote, e.g. s3://bucket/path with the environment's credentials.
While the cluster runs the pipeline, workers that are in a training are killed with SIGKILL and started anew. Prints the SHA-256
of each dvc.lock; the exit status is 1 unless they are identical.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import lock_digest, make_clone, parser
from distributed import Client

PYTHON = sys.executable
DASK = [PYTHON, "-m", "dask"]
SCHEDULER = "--host 127.0.0.1 --port 0 --no-dashboard"
WORKER = "--nthreads 1 --no-nanny --no-dashboard"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--profile", default="smoke")
    options.add_argument("--seed", type=int, default=0, help="of the random times")
    options.add_argument("--remote", help="the DVC remote; default: a folder")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, run = (make_clone(folder / clone, given.profile) for clone in ("alone", "run"))
        homes = [folder / f"worker{number}" for number in range(given.workers)]
        for home in homes:
            make_clone(home / "hw2core", None)
        set_remote(run, given.remote or str(folder / "remote"))
        cluster = Cluster(folder, homes)
        try:
            in_cluster = print_lock(run, cluster.run(run, given.kills, random.Random(given.seed)))
        finally:
            cluster.close()
        start = time.monotonic()
        subprocess.run([PYTHON, "-m", "hw2core", "repro"], cwd=alone, check=True, stdout=subprocess.DEVNULL)
        on_this_machine = print_lock(alone, time.monotonic() - start)
    print(
        "the dvc.lock files are identical" if in_cluster == on_this_machine else "the dvc.lock files DIFFER"
    )
    sys.exit(in_cluster != on_this_machine)


def print_lock(clone: Path, seconds: float) -> str:
    digest = lock_digest(clone)
    print(f"{clone.name}: finished in {seconds:.0f} s, dvc.lock {digest}", flush=True)
    return digest


def set_remote(clone: Path, url: str) -> None:
    add = [PYTHON, "-m", "dvc", "remote", "add", "--quiet", "--local", "--default", "common", url]
    subprocess.run(add, cwd=clone, check=True)


class Cluster:
    """A Dask scheduler and workers, each in its own clone."""

    def __init__(self, folder: Path, homes: list[Path]) -> None:
        self.folder, self.homes = folder, homes
        self.file = folder / "scheduler.json"
        self.scheduler = subprocess.Popen(
            [*DASK, "scheduler", *SCHEDULER.split(), "--scheduler-file", str(self.file)],
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        while not self.file.exists():
            time.sleep(0.1)
        self.client = Client(scheduler_file=str(self.file))
        self.workers = {home.name: self.worker(home) for home in homes}

    def worker(self, home: Path) -> subprocess.Popen[bytes]:
        hidden = [self.folder / "run", self.folder / "alone", *(each for each in self.homes if each != home)]
        mounts = " && ".join(f"mount -t tmpfs none {path}" for path in hidden)
        start = [*DASK, "worker", *WORKER.split(), "--name", home.name, "--scheduler-file", str(self.file)]
        start += ["--local-directory", str(home / "scratch")]
        # The shell makes way for the worker, so that a kill reaches the worker itself.
        return subprocess.Popen(
            [
                "unshare",
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                f'{mounts} && exec "$@"',
                "sh",
                *start,
            ],
            cwd=home / "hw2core",
            env={**os.environ, "HOME": str(home)},
            stderr=subprocess.DEVNULL,
        )

    def run(self, clone: Path, kills: int, rng: random.Random) -> float:
        """Run the pipeline of a clone, and kill workers meanwhile. Return the seconds that it took."""
        start = time.monotonic()
        address = self.client.scheduler_info()["address"]
        command = [PYTHON, "-m", "hw2core", "repro", "--cluster", address]
        process = subprocess.Popen(command, cwd=clone)
        killed = 0
        while process.poll() is None:
            time.sleep(rng.uniform(1, 10))
            if killed < kills and (trainings := self.trainings()):
                name = rng.choice(sorted(trainings))
                self.workers[name].kill()
                self.workers[name].wait()
                killed += 1
                print(f"kill {killed}: {name}, in {trainings[name]}", flush=True)
                self.workers[name] = self.worker(self.folder / name)
        if process.returncode:
            sys.exit(f"the run ended with status {process.returncode}")
        print(f"{killed} workers were killed", flush=True)
        return time.monotonic() - start

    def trainings(self) -> dict[str, str]:
        """The training of each worker that is in one."""
        names = {
            address: each["id"]
            for address, each in self.client.scheduler_info(n_workers=-1)["workers"].items()
        }
        running = self.client.processing()
        return {
            names[address]: key
            for address, keys in running.items()
            for key in keys
            if address in names and key.startswith("train_")
        }

    def close(self) -> None:
        self.client.close()
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
