"""Gather what a run with other params measured, from the clone it ran in, into reports/published/NAME.

    git clone . ../published && cp reports/published/adaptation/params.yaml ../published/
    # in ../published: name the places of the data in params.yaml, then `hw2 repro`, or `dvc repro` with some targets
    python bench/publish.py adaptation ../published

Copies each stage's metrics.json and history.csv and the pictures of what was generated, never one that shows real images, and
writes table.md of whatever was run: for every pair the bounds and the methods, for every generator of faces or digits what the
judges found. Of the clone's params only data.mirror, data.course.path and data.folder.paths may differ from those that are
published.
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

from hw2core.settings import ADAPTERS, read_yaml  # noqa: E402
from hw2core.report.results import title  # noqa: E402

OWN = (("mirror",), ("course", "path"), ("folder", "paths"))
"""Below `data`: what is true of one machine."""

PICTURES = (
    *("samples.png", "progress.png", "pairs.png", "reverse.png"),
    *("sweep.png", "guidance.png", "eta.png", "interpolation.png"),
)
REAL = ("evaluate_real/samples.png", "evaluate_vae/interpolation.png")
"""Pictures by the same names that show real images."""


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
        if publishable(file) and fresh(given.clone, file):
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


def publishable(file: Path) -> bool:
    """Numbers, and pictures of what was generated alone."""
    kind = file.parent.parent.name
    if file.name in ("metrics.json", "history.csv", "sweep.csv"):
        return True
    return file.name in PICTURES and f"{kind}/{file.name}" not in REAL


def table(params: dict[str, Any], stages: Path, clone: Path) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.strip()
    parts = [pairs_table(params, stages), faces_table(params, stages), digits_table(params, stages)]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in stages.glob("*/*/metrics.json")]
    devices = sorted({metrics["device"] for metrics in found if "device" in metrics})
    head = [
        f"Code of commit {commit}; the params are params.yaml beside this file, and every figure is in stages/.",
        f"Device: {'; '.join(devices)}. A dash: not run.",
    ]
    return "\n".join([*head, *(line for part in parts if part for line in ("", *part)), ""])


def pairs_table(params: dict[str, Any], stages: Path) -> list[str]:
    """Accuracy of the bounds and the methods."""
    methods = [title(method) for method in ADAPTERS]
    lines = [
        f"Accuracy on the target's test set in per cent, at the last step; seeds {params['seeds']}.",
        "",
        f"| pair | source only | {' | '.join(methods)} | target only | test images |",
        f"|:---|---:|{'---:|' * len(methods)}---:|---:|",
    ]
    run = False
    for source, target in permutations(params["data"]["domains"], 2):
        bounds = [read(stages / "evaluate_classifier" / domain) for domain in (source, target)]
        trained = [read(stages / f"train_{method}" / f"{source}-{target}") for method in ADAPTERS]
        run = run or any(trained)
        low, high = ((bound or {}).get("on", {}).get(target) for bound in bounds)
        cells = [figure(low), *map(figure, trained), figure(high)]
        count = high["test_images"] if high else "–"
        lines.append(f"| {source} → {target} | {' | '.join(cells)} | {count} |")
    return lines if run else []


def faces_table(params: dict[str, Any], stages: Path) -> list[str]:
    """What the judges found of the generators of faces, and of the real images that they learned."""
    runs = {name: read(stages / "evaluate_gan" / name) for name in params["gan"]["methods"]}
    runs["vae"] = read(stages / "evaluate_vae" / "faces")
    ends = read(stages / "evaluate_real" / "faces")
    if not ends or not any(runs.values()):
        return []
    share = ends["test_images"]["face_detection_rate"]
    lines = [
        f"Generated faces, learned from {params['data']['faces']}; seeds {params['generation']['seeds']}. One face is found in "
        f"{share:.1f} % of the {ends['test_images']['images']} real test images.",
        "",
        "| system | faces found, % | of real | offline distance | offline KID | precision | recall | images | steps | parameters |",
        "|:---|" + "---:|" * 9,
    ]
    for name, metrics in runs.items():
        if metrics:
            found = metrics["face_detection_rate"]["mean"]
            cells = [
                f"{found:.1f}",
                f"{found / share:.2f}",
                *(
                    f"{metrics[f'{key}_faces']['mean']:.3g}"
                    for key in ("fid", "kid", "precision", "recall")
                ),
                str(metrics["by"][0]["n_fake"]),
                *effort(metrics),
            ]
            lines.append(f"| {title(name)} | {' | '.join(cells)} |")
    near, far = (ends[name]["fd_faces"] for name in ("training_images", "noise"))
    return [
        *lines,
        "",
        f"The ends of the offline distance: real training images {near:.2f}, noise {far:.1f}.",
    ]


def digits_table(params: dict[str, Any], stages: Path) -> list[str]:
    """What the judges found of the digits drawn by their label."""
    runs = {name: read(stages / f"evaluate_{name}" / "digits") for name in ("acgan", "ddpm")}
    if not any(runs.values()):
        return []
    lines = [
        f"Generated digits, learned from {params['data']['digits']}; seeds {params['generation']['seeds']}.",
        "",
        "| system | digits read, % | read by | offline distance | precision | recall | images | steps | parameters |",
        "|:---|---:|:---|" + "---:|" * 6,
    ]
    for name, metrics in runs.items():
        if metrics:
            cells = [
                f"{metrics['digit_accuracy']['mean']:.1f}",
                metrics["judge"],
                *(f"{metrics[f'{key}_digits']['mean']:.2f}" for key in ("fid", "precision", "recall")),
                str(metrics["images"]),
                *effort(metrics),
            ]
            lines.append(f"| {title(name)} | {' | '.join(cells)} |")
    return lines


def effort(metrics: dict[str, Any]) -> tuple[str, str]:
    """How long a generator was trained, and how large it is."""
    training = metrics["training"]
    return str(training["steps"]), f"{sum(training['parameters'].values()):,}"


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
