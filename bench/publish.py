"""Gather what a run with other params measured, from the clone it ran in, into reports/published/NAME.

    git clone . ../published && cp reports/published/adaptation/params.yaml ../published/
    # in ../published: name the places of the data in params.yaml, then `hw2 repro`, or `dvc repro` with some targets
    python bench/publish.py adaptation ../published

Copies each stage's metrics.json and history.csv, and writes table.md: for every pair the bounds and the methods that were
trained on it, the seeds, the steps and the time of each training. Of the clone's params only data.mirror, data.course.path and
data.folder.paths may differ from those that are published.
"""

import argparse
import json
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hw2core.params import ADAPTERS, read_yaml  # noqa: E402
from hw2core.report.results import title  # noqa: E402

OWN = (("mirror",), ("course", "path"), ("folder", "paths"))
"""Below `data`: what is true of one machine."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("name", help="a folder of reports/published/ with a params.yaml")
    options.add_argument("clone", type=Path, help="where it ran")
    given = options.parse_args()
    home = ROOT / "reports" / "published" / given.name
    params = check_params(home / "params.yaml", given.clone / "params.yaml")
    stages = given.clone / "stages"
    shutil.rmtree(home / "stages", ignore_errors=True)
    for file in sorted(stages.glob("*/*/*")):
        if file.name in ("metrics.json", "history.csv") and fresh(given.clone, file):
            target = home / "stages" / file.relative_to(stages)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    (home / "table.md").write_text(table(params, home / "stages", given.clone), encoding="utf-8")
    print((home / "table.md").read_text(encoding="utf-8"))


def check_params(published: Path, used: Path) -> dict[str, Any]:
    """The params, which must be the published ones but for what is this machine's own."""
    both: list[Any] = [read_yaml(path) for path in (published, used)]
    for params in both:
        for *parents, last in OWN:
            section = params["data"]
            for parent in parents:
                section = section[parent]
            section[last] = None
    if both[0] != both[1]:
        sys.exit(f"{used}: its params are not those of {published}")
    found: dict[str, Any] = both[0]
    return found


def fresh(clone: Path, file: Path) -> bool:
    """Whether a file came out of this run, and was not in the repository before."""
    said = subprocess.run(
        ["git", "status", "--porcelain", "--", str(file.relative_to(clone))],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
    )
    return bool(said.stdout.strip())


def table(params: dict[str, Any], stages: Path, clone: Path) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.strip()
    methods = [title(method) for method in ADAPTERS]
    lines = [
        f"Accuracy on the target's test set in per cent, at the last step; seeds {params['seeds']}, code of commit {commit}.",
        "The params are params.yaml beside this file; every figure is in stages/. A dash: not run.",
        "",
        f"| pair | source only | {' | '.join(methods)} | target only | test images |",
        f"|:---|---:|{'---:|' * len(methods)}---:|---:|",
    ]
    devices = set()
    for source, target in permutations(params["data"]["domains"], 2):
        bounds = [read(stages / "evaluate_classifier" / domain) for domain in (source, target)]
        trained = [read(stages / f"train_{method}" / f"{source}-{target}") for method in ADAPTERS]
        devices |= {metrics["device"] for metrics in (*bounds, *trained) if metrics}
        low, high = ((bound or {}).get("on", {}).get(target) for bound in bounds)
        cells = [figure(low), *map(figure, trained), figure(high)]
        count = high["test_images"] if high else "–"
        lines.append(f"| {source} → {target} | {' | '.join(cells)} | {count} |")
    return "\n".join([*lines, "", f"Device: {'; '.join(sorted(devices))}.", ""])


def read(folder: Path) -> dict[str, Any] | None:
    path = folder / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def figure(metrics: dict[str, Any] | None) -> str:
    if not metrics:
        return "–"
    last = metrics["accuracy"]["last"]
    return f"{last['mean']:.1f}" + (f" ± {last['std']:.1f}" if last["std"] is not None else "")


if __name__ == "__main__":
    main()
