"""Copy what a run of other params measured, from the clone that it ran in, into reports/published/NAME.

    git clone . ../published && cp reports/published/adaptation/params.yaml ../published/
    # in ../published: set the paths of the data in params.yaml, then `hw2 repro`, or `dvc repro` with some targets
    python bench/publish.py adaptation ../published
    python bench/publish.py --table-only adaptation   # write table.md again from what is published

Copies metrics.json and history.csv of each stage and the pictures of generated images, never one that shows real images.
table.md has a row for each pair (the bounds and the adapters) and for each generator of faces or digits. The params of the
clone may differ from the published ones in data.mirror, data.course.path and data.folder.paths only.

Runs of version 0.1 have one folder per item, with the mean and standard deviation over the seeds. Later runs have a folder per
seed, which are combined here.
"""

import json
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

from common import ROOT, parser

from hw2core.evaluation.seeds import combine
from hw2core.report.names import arrow
from hw2core.settings.registry import title
from hw2core.settings.yaml import read_yaml

Metrics = dict[str, Any]

LOCAL = (("mirror",), ("course", "path"), ("folder", "paths"))
"""Keys below `data` that depend on the machine."""

NUMBERS = ("metrics.json", "history.csv", "sweep.csv")
GENERATED = {
    **{f"train_{kind}": ("progress.png",) for kind in ("gan", "autoencoder", "acgan", "ddpm")},
    **{f"evaluate_{kind}": ("samples.png",) for kind in ("gan", "autoencoder", "acgan")},
    "evaluate_ddpm": ("samples.png", "reverse.png"),
    "sweep_ddpm": ("eta.png", "guidance.png", "interpolation.png"),
}
"""The pictures of each stage that show generated images only."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("name", help="a folder of reports/published/ with a params.yaml")
    options.add_argument("clone", type=Path, nargs="?", help="the clone in which it ran")
    options.add_argument("--table-only", action="store_true", help="only write table.md again")
    given = options.parse_args()
    if given.table_only == (given.clone is not None):
        options.error("give either the clone or --table-only")
    home = ROOT / "reports" / "published" / given.name
    path = home / "table.md"
    if given.table_only:
        params, head = read_yaml(home / "params.yaml"), path.read_text(encoding="utf-8").splitlines()[:2]
    else:
        params = check_params(home / "params.yaml", given.clone / "params.yaml")
        copy_stages(given.clone, home)
        head = describe_run(given.clone, home)
    path.write_text("\n".join([*head, *tables(params, home / "stages"), ""]), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


# --- gathering ------------------------------------------------------------------------------------------------


def check_params(published: Path, used: Path) -> dict[str, Any]:
    """Return the params, which must equal the published ones except for the keys in LOCAL."""
    both: list[Any] = [read_yaml(path) for path in (published, used)]
    for params in both:
        for *parents, last in LOCAL:
            section = params["data"]
            for parent in parents:
                section = section[parent]
            section[last] = None
    if both[0] != both[1]:
        sys.exit(f"{used}: its params are not those of {published}")
    found: dict[str, Any] = both[0]
    return found


def copy_stages(clone: Path, home: Path) -> None:
    shutil.rmtree(home / "stages", ignore_errors=True)
    for file in changed_files(clone):
        if is_publishable(file):
            target = home / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clone / file, target)


def changed_files(clone: Path) -> list[Path]:
    """The files below stages/ that this run wrote: those that differ from the clone's last commit."""
    status = ["git", "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", "stages"]
    lines = subprocess.run(status, cwd=clone, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [Path(line[3:]) for line in lines if line]
    return sorted(file for file in files if (clone / file).is_file())


def is_publishable(file: Path) -> bool:
    """Whether a file, given as stages/<stage>/..., holds numbers or shows generated images only."""
    return file.name in NUMBERS or file.name in GENERATED.get(file.parts[1], ())


def describe_run(clone: Path, home: Path) -> list[str]:
    revision = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(revision, cwd=clone, capture_output=True, text=True, check=True).stdout.strip()
    measured = [read_json(path) for path in home.glob("stages/**/metrics.json")]
    devices = sorted({metrics["device"] for metrics in measured if "device" in metrics})
    return [
        f"Code of commit {commit}; the params are params.yaml beside this file, and every metric is in stages/.",
        f"Device: {'; '.join(devices)}. A dash: not run.",
    ]


# --- tables ---------------------------------------------------------------------------------------------------


def tables(params: dict[str, Any], stages: Path) -> list[str]:
    parts = [pairs_table(params, stages), faces_table(params, stages), digits_table(params, stages)]
    return [line for part in parts if part for line in ("", *part)]


def pairs_table(params: dict[str, Any], stages: Path) -> list[str]:
    """Accuracy of the bounds and the adapters on every ordered pair of domains."""
    adapters = params["adapters"]
    lines = [
        f"Accuracy on the target's test set in percent, at the last step; seeds {params['seeds']}.",
        "",
        f"| pair | source only | {' | '.join(map(title, adapters))} | target only | test images |",
        f"|:---|---:|{'---:|' * len(adapters)}---:|---:|",
    ]
    any_run = False
    for source, target in permutations(params["data"]["domains"], 2):
        pair = f"{source}-{target}"
        bounds = [read(stages, "evaluate_classifier", domain) for domain in (source, target)]
        trained = [read(stages, f"train_{adapter}", pair) for adapter in adapters]
        any_run = any_run or any(trained)
        low, high = ((bound or {}).get("on", {}).get(target) for bound in bounds)
        cells = [format_accuracy(metrics) for metrics in (low, *trained, high)]
        count = high["test_images"] if high else "–"
        lines.append(f"| {arrow(pair)} | {' | '.join(cells)} | {count} |")
    return lines if any_run else []


def faces_table(params: dict[str, Any], stages: Path) -> list[str]:
    """Generated faces compared with the real test images."""
    systems = [
        *(("gan", name) for name in params["gans"]),
        *(("autoencoder", n) for n in params["autoencoders"]),
    ]
    real = read(stages, "evaluate_real", "faces")
    evaluated = {
        (kind, name): metrics
        for kind, name in systems
        if (metrics := read(stages, f"evaluate_{kind}", name)) is not None
    }
    if not real or not evaluated:
        return []
    rate = real["test_images"]["face_detection_rate"]
    kinds = [f"{kind}s" for kind in dict.fromkeys(kind for kind, _ in evaluated)]
    lines = [
        f"Generated faces of systems trained on {params['data']['faces']}; {seeds_of(params, kinds)}. The face "
        f"detection rate is {rate:.1f} % on the {real['test_images']['images']} real test images.",
        "",
        "| system | face detection rate, % | relative to real | FD (face features) | KD (face features) | precision | recall "
        "| images | steps | parameters |",
        "|:---|" + "---:|" * 9,
    ]
    for (kind, name), metrics in evaluated.items():
        found = metrics["face_detection_rate"]["mean"]
        cells = [
            format_metric(metrics["face_detection_rate"], ".1f"),
            f"{found / rate:.2f}",
            *(format_metric(metrics[f"{key}_faces"], ".3g") for key in ("fd", "kd", "precision", "recall")),
            str(metrics["extractor"][0]["n_fake"]),
            *training_cells(stages, f"train_{kind}", name),
        ]
        lines.append(f"| {title(name)} | {' | '.join(cells)} |")
    near, far = (real[name]["fd_faces"] for name in ("training_images", "noise"))
    return [*lines, "", f"FD (face features) of real training images: {near:.2f}, of noise: {far:.1f}."]


def digits_table(params: dict[str, Any], stages: Path) -> list[str]:
    """Generated digits, read by a classifier and compared with the real test images."""
    names = [name for name, items in params["conditional"].items() if "digits" in items]
    evaluated = {
        name: metrics for name in names if (metrics := read(stages, f"evaluate_{name}", "digits")) is not None
    }
    if not evaluated:
        return []
    lines = [
        f"Generated digits of systems trained on {params['data']['digits']}; {seeds_of(params, ['conditional'])}.",
        "",
        "| system | digit accuracy, % | classifier | FD (digit features) | precision | recall | images | steps | parameters |",
        "|:---|---:|:---|" + "---:|" * 6,
    ]
    for name, metrics in evaluated.items():
        cells = [
            format_metric(metrics["digit_accuracy"], ".1f"),
            metrics["classifier"],
            *(format_metric(metrics[f"{key}_digits"], ".2f") for key in ("fd", "precision", "recall")),
            str(metrics["images"]),
            *training_cells(stages, f"train_{name}", "digits"),
        ]
        lines.append(f"| {title(name)} | {' | '.join(cells)} |")
    return lines


def seeds_of(params: dict[str, Any], kinds: list[str]) -> str:
    """The seeds of these kinds of generators, once if they are the same."""
    seeds = {kind: params["generation"]["seeds"][kind] for kind in kinds}
    first, *others = seeds.values()
    if all(other == first for other in others):
        return f"seeds {first}"
    return ", ".join(f"seeds {found} of {kind}" for kind, found in seeds.items())


def training_cells(stages: Path, stage: str, item: str) -> tuple[str, str]:
    """The steps and the parameters of a training; dashes if it is not published."""
    metrics = read(stages, stage, item)
    return (str(metrics["steps"]), f"{sum(metrics['parameters'].values()):,}") if metrics else ("–", "–")


def format_accuracy(metrics: Metrics | None) -> str:
    return format_metric(metrics["accuracy"]["last"], ".1f") if metrics else "–"


def format_metric(metric: Metrics, form: str) -> str:
    """The mean, with the standard deviation over seeds if there are several."""
    std = metric["std"] if metric.get("n", 1) > 1 else None
    return f"{metric['mean']:{form}}" + ("" if std is None else f" ± {std:{form}}")


def read(stages: Path, stage: str, item: str) -> Metrics | None:
    """The metrics of an item, combined over its seeds; None if it was not run."""
    folder = stages / stage / item
    seeds = sorted(
        folder.glob("seed*/metrics.json"), key=lambda path: int(path.parent.name.removeprefix("seed"))
    )
    if seeds:
        combined: Metrics = combine([read_json(path) for path in seeds])
        return combined
    path = folder / "metrics.json"
    return read_json(path) if path.is_file() else None


def read_json(path: Path) -> Metrics:
    found: Metrics = json.loads(path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
