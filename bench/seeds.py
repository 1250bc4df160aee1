"""How results of GANs vary over seeds, with the settings of params.yaml or changed ones.

    python bench/seeds.py dcgan4 sngan [--seeds 0 1 2] [-S dcgan4.steps=1000 ...] [--jobs 2] [--out FILE.json]

Trains each GAN once per seed by the commands of the stages, and evaluates it, in a scratch copy of the workspace: nothing of
the workspace changes. It must have the faces and the weights of face_features, so run `make repro` first. Prints the face detection
rate and the distance of each seed, their mean, standard deviation and range.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import ROOT, parser
from ruamel.yaml import YAML

METRICS = {"face_detection_rate": "%", "fd_faces": "", "recall_faces": ""}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("gans", nargs="+", metavar="GAN")
    options.add_argument("--seeds", type=int, nargs="+", default=list(range(10)), help="0 to 9 unless given")
    options.add_argument("-S", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    options.add_argument("--out", type=Path, help="JSON file for every result")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = copy_workspace(Path(scratch), given.gans, given.seeds, given.changes)
        runs = [(gan, seed) for gan in given.gans for seed in given.seeds]
        with ThreadPoolExecutor(given.jobs) as pool:
            measured = list(pool.map(lambda run: train_and_evaluate(workspace, *run), runs))
    results: dict[str, list[dict[str, Any]]] = {gan: [] for gan in given.gans}
    for (gan, _), metrics in zip(runs, measured, strict=True):
        results[gan].append(metrics)
    for gan in given.gans:
        show(gan, results[gan])
    print(
        "device:",
        measured[0]["device"],
        "; processor:",
        processor(),
        "; changes:",
        *given.changes or ["none"],
    )
    if given.out:
        about = {"processor": processor(), "changes": given.changes, "seeds": given.seeds}
        given.out.write_text(json.dumps(about | {"results": results}, indent=1) + "\n", encoding="utf-8")


def copy_workspace(folder: Path, gans: list[str], seeds: list[int], changes: list[str]) -> Path:
    """A workspace with changed params, and with links to the data and the extractor of this one."""
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["gans"], params["generation"]["seeds"]["gans"] = gans, seeds
    for change in changes:
        key, _, value = change.partition("=")
        *path, last = key.split(".")
        section = params
        for name in path:
            section = section[name]
        if last not in section:
            sys.exit(f"params.yaml has no key {key}")
        section[last] = YAML(typ="safe").load(value)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "data").mkdir()
    (folder / "data" / "ready").symlink_to(ROOT / "data" / "ready")
    (folder / "models").mkdir()
    (folder / "models" / "train_face_features").symlink_to(ROOT / "models" / "train_face_features")
    return folder


def train_and_evaluate(workspace: Path, gan: str, seed: int) -> dict[str, Any]:
    for command in ("train_gan", "evaluate_gan"):
        arguments = [sys.executable, "-m", "hw2core", command, gan, str(seed)]
        # PYTHONPATH: the code of this repository, whatever is installed.
        run = subprocess.run(
            arguments,
            cwd=workspace,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        if run.returncode:
            sys.exit(f"{command} {gan} {seed}: {run.stderr}")
    path = workspace / "stages" / "evaluate_gan" / gan / f"seed{seed}" / "metrics.json"
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    print(
        f"{gan} seed {seed}:",
        *(f"{name} {metrics[name]:.4g}" for name in METRICS),
        file=sys.stderr,
        flush=True,
    )
    return {"seed": seed, "images": metrics["images"], "device": metrics["device"]} | {
        name: metrics[name] for name in METRICS
    }


def show(gan: str, results: list[dict[str, Any]]) -> None:
    for name, unit in METRICS.items():
        values = [each[name] for each in results]
        deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
        each = " ".join(f"{value:.4g}" for value in values)
        print(
            f"{gan:10} {name:20} {statistics.mean(values):.4g} ± {deviation:.2g}{unit}, "
            f"{min(values):.4g} to {max(values):.4g}; each: {each}"
        )


def processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


if __name__ == "__main__":
    main()
