"""What scheduling costs: a pipeline of many stages that do nothing.

    python bench/scale.py [--stages 1000] [--jobs 8]

Makes a pipeline in a temporary folder: a layer of independent stages, one after each of them, and one after all. Each writes a
file of one line. Prints the seconds until the first stage starts, the milliseconds per stage after that, and the seconds that a
second run takes, which finds nothing to do.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, parser

PARAMS = ("params.yaml", "gate.yaml")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--stages", type=int, default=1000)
    options.add_argument("--jobs", type=int, default=8)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_workspace(folder, given.stages)
        start = time.monotonic()
        lines = run(folder, given.jobs)
        print(f"{given.stages} stages, {given.jobs} workers, {os.cpu_count()} cores")
        first = next(seconds for seconds, line in lines if line.endswith("starts"))
        whole = time.monotonic() - start
        print(f"first stage after {first - start:.1f} s")
        print(f"then {1000 * (whole - first + start) / given.stages:.0f} ms per stage, {whole:.0f} s in all")
        start = time.monotonic()
        [(_, line)] = run(folder, given.jobs)
        print(f"second run: {time.monotonic() - start:.1f} s, {line}")


def make_workspace(folder: Path, stages: int) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (folder / ".gitignore").write_text("/out/\n/runs/\n")
    for name in PARAMS:
        (folder / name).write_bytes((ROOT / name).read_bytes())
    half = (stages - 1) // 2
    made = {f"first{i}": stage(f"first{i}", []) for i in range(stages - 1 - half)}
    made |= {f"second{i}": stage(f"second{i}", [f"first{i}"]) for i in range(half)}
    made["last"] = stage("last", list(made))
    (folder / "dvc.yaml").write_text(  # JSON is YAML
        json.dumps({"stages": made})
    )


def stage(name: str, deps: list[str]) -> dict[str, object]:
    return {
        "cmd": f"echo {name} > out/{name}",
        "deps": [f"out/{dep}" for dep in deps],
        "outs": [f"out/{name}"],
    }


def run(folder: Path, jobs: int) -> list[tuple[float, str]]:
    """Run the pipeline. Return its lines, each with the time at which it came."""
    command = [sys.executable, "-m", "hw2core", "repro", "--jobs", str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [(time.monotonic(), line.rstrip()) for line in process.stdout]
    if process.returncode:
        sys.exit(f"hw2 repro ended with status {process.returncode}")
    return lines


if __name__ == "__main__":
    main()
