"""What running the pipeline costs beside the stages' own work.

    python bench/overhead.py [--profile smoke] [--jobs 2]

Clones the last commit, runs the whole pipeline, and prints the CPU seconds of the stages by kind and those of everything else (hw2
repro itself, DVC in it, Dask, imports in the fork servers), each also in percent of the run. Then runs `hw2 repro` again with nothing
to do.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from common import make_clone, parser

KINDS = {
    "data": ("download", "preprocess"),
    "trainings": ("train",),
    "evaluations": ("evaluate", "sweep", "tsne"),
    "report": ("report",),
    "inputs": ("pair_inputs", "generation_inputs"),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--profile", help="a profile to apply to the committed params.yaml")
    options.add_argument("--jobs", default="2")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = make_clone(Path(folder) / "clone", given.profile)
        wall, cpu = run(clone, "repro", "--jobs", given.jobs)
        show(json.loads((clone / "runs" / "costs.json").read_text(encoding="utf-8")), wall, cpu)
        wall, cpu = run(clone, "repro")
        print(f"again, with nothing to do: {wall:.1f} s, {cpu:.1f} CPU seconds")


def run(clone: Path, *arguments: str) -> tuple[float, float]:
    """Run a command of hw2 in a clone. Return its seconds and those of the CPUs."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "hw2core", *arguments],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


def show(costs: dict[str, dict[str, float]], wall: float, cpu: float) -> None:
    by_kind: dict[str, list[float]] = defaultdict(list)
    for name, cost in costs.items():
        kind = next(kind for kind, starts in KINDS.items() if name.startswith(starts))
        by_kind[kind].append(cost["cpu_seconds"])
    own = sum(map(sum, by_kind.values()))
    print(f"{'':12} stages  CPU seconds  of the run")
    for kind, seconds in by_kind.items():
        print(f"{kind:12} {len(seconds):6} {sum(seconds):12.1f} {sum(seconds) / cpu:11.1%}")
    print(f"{'beside them':12} {'':6} {cpu - own:12.1f} {(cpu - own) / cpu:11.1%}")
    print(f"{'all':12} {len(costs):6} {cpu:12.1f}; {wall:.0f} s")


if __name__ == "__main__":
    main()
