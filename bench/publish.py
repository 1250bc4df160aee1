"""Run the pipeline with other params in a scratch clone, and put what it says into reports/published/NAME.

    python bench/publish.py adaptation --set data.mirror=FOLDER --set data.folder.paths.meters=FOLDER [--jobs 2]

The params are those of reports/published/NAME/params.yaml; `--set` adds what is true of this machine alone, where the
data lie, and does not stay in what is published. Taken from the clone are its report with tables and figures, and how long
each stage took. Nothing is copied while a stage has failed; run it again, and it goes on.
"""

import argparse
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("name", help="a folder of reports/published/ with a params.yaml")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of this machine")
    options.add_argument("--jobs", default="2")
    options.add_argument("--scratch", type=Path, help="where the clone is, or goes (else beside this one)")
    given = options.parse_args()
    home = PUBLISHED / given.name
    scratch = given.scratch or ROOT.parent / f"published-{given.name}"
    local = dict(setting.split("=", 1) for setting in given.set)
    if not scratch.exists():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(scratch)], check=True)
    write_params(home / "params.yaml", scratch / "params.yaml", local)
    log = scratch / "runs" / "published.log"
    log.parent.mkdir(exist_ok=True)
    start = time.monotonic()
    with log.open("a") as file:
        subprocess.run(
            [sys.executable, "-m", "hw2core", "repro", "--jobs", given.jobs],
            cwd=scratch,
            stdout=file,
            check=True,
        )
    minutes = (time.monotonic() - start) / 60
    for part in ("report.md", "tables", "figures"):
        copy(scratch / "reports" / part, home / part, list(local.values()))
    (home / "how.md").write_text(how(given, scratch, log.read_text(), minutes), encoding="utf-8")
    print(f"{home}: published")


def write_params(source: Path, target: Path, local: dict[str, str]) -> None:
    """The published params, with what is true of this machine alone."""
    yaml = YAML()
    params: Any = yaml.load(source.read_text(encoding="utf-8"))
    for key, value in local.items():
        *parents, last = key.split(".")
        section = params
        for parent in parents:
            section = section[parent]
        section[last] = value
    with target.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def copy(source: Path, target: Path, private: list[str]) -> None:
    """A file or folder, without the places of this machine."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in sorted(source.iterdir()):
            copy(path, target / path.name, private)
    elif source.suffix in (".md", ".csv"):
        text = source.read_text(encoding="utf-8")
        for place in private:
            text = text.replace(place, "...")
        target.write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(source, target)


def how(given: argparse.Namespace, scratch: Path, log: str, minutes: float) -> str:
    """Command, code, machine, and the time of every stage."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=scratch, capture_output=True, text=True, check=True
    ).stdout.strip()
    settings = "".join(f" --set {key.partition('=')[0]}=..." for key in given.set)
    stages = re.findall(r"(\S+)\s+done in ([^\n]+)", log)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    rows = "".join(f"| {stage} | {seconds} |\n" for stage, seconds in stages)
    return (
        f"# How these figures were made\n\n"
        f"    python bench/publish.py {given.name}{settings} --jobs {given.jobs}\n\n"
        f"Code of commit {commit}; {platform.machine()}, {len(os.sched_getaffinity(0))} CPU cores, "
        f"Python {platform.python_version()}. The last run took {minutes:.0f} minutes and the largest process "
        f"{memory:.2f} GiB.\n\n"
        f"| stage | took |\n|:---|---:|\n{rows}"
    )


if __name__ == "__main__":
    main()
