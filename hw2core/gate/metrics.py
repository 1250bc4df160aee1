"""The metrics of the working tree and of a git revision, combined over the seeds of each stage and item."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from hw2core.errors import UserError
from hw2core.evaluation.seeds import combine
from hw2core.layout import Layout
from hw2core.revisions import git
from hw2core.settings.parsing import parse_json
from hw2core.settings.runs import Run

Tree = dict[str, Any]
"""The metrics of one revision: for each stage/item the content of its metrics.json, combined over seeds."""


def read_working_tree(layout: Layout, runs: Iterable[Run]) -> Tree:
    """Return the metrics of `runs` that the working tree has. Folders of other runs are ignored.

    An item for which only some of the seeds have metrics raises a UserError: its mean would be over fewer seeds than
    params say.
    """
    tree: Tree = {}
    for name, seeds in seeds_of(runs).items():
        paths = [
            PurePosixPath("stages", name, f"seed{seed}" * (seed is not None), "metrics.json")
            for seed in seeds
        ]
        present = [path for path in paths if (layout.root / path).is_file()]
        if present and present != paths:
            absent = next(path for path in paths if path not in present)
            raise UserError(f"{absent}: not there; run make repro and commit what it changes")
        if present:
            metrics = [parse_json((layout.root / path).read_bytes(), str(path)) for path in paths]
            tree[name] = metrics[0] if seeds == [None] else combine(metrics)
    return tree


def seeds_of(runs: Iterable[Run]) -> dict[str, list[int | None]]:
    """Return the seeds of each stage/item."""
    seeds = defaultdict(list)
    for run in runs:
        seeds[f"{run.stage}/{run.item}"].append(run.seed)
    return dict(seeds)


def read_revision(layout: Layout, commit: str, runs: Iterable[Run]) -> Tree:
    """Return the committed metrics of the stages and items of `runs`, over whatever seeds the revision has.

    Two git commands read all files. Revisions of before the seed folders have one metrics.json for all seeds.
    """
    blobs: dict[PurePosixPath, str] = {}
    for entry in git(layout, "ls-tree", "-r", "-z", commit, "--", "stages/").decode().split("\0"):
        facts, _, name = entry.partition("\t")
        if name.endswith("/metrics.json"):
            blobs[PurePosixPath(name)] = facts.split()[2]
    contents = read_blobs(layout, blobs)
    tree: Tree = {}
    for name in seeds_of(runs):
        folder = PurePosixPath("stages", name)
        per_seed = sorted(
            path for path in contents if path.parent.parent == folder and is_seed(path.parent.name)
        )
        whole = folder / "metrics.json"
        if per_seed:
            tree[name] = combine([parse_json(contents[path], f"{commit[:7]}:{path}") for path in per_seed])
        elif whole in contents:
            tree[name] = parse_json(contents[whole], f"{commit[:7]}:{whole}")
    return tree


def is_seed(folder: str) -> bool:
    return folder.startswith("seed") and folder.removeprefix("seed").isdecimal()


def read_blobs(layout: Layout, blobs: Mapping[PurePosixPath, str]) -> dict[PurePosixPath, bytes]:
    """Return the contents of git objects."""
    names = "".join(f"{blob}\n" for blob in blobs.values())
    stream = git(layout, "cat-file", "--batch", stdin=names.encode())
    contents = {}
    for path in blobs:
        head, _, stream = stream.partition(b"\n")
        size = int(head.split()[2])
        contents[path] = stream[:size]
        stream = stream[size + 1 :]
    return contents
