"""The metrics of the working tree and of a git revision, combined over the seeds of each stage and item."""

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from hw2core.errors import UserError
from hw2core.evaluation.seeds import combine
from hw2core.layout import Layout
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


def find_commit(layout: Layout, base: str) -> str:
    """Return the commit that `base` names, a revision or an experiment, or raise a UserError that says how to get it."""
    try:
        if (commit := resolve(layout, base) or experiment(layout, base)) is not None:
            return commit
        git(layout, "rev-parse", "--git-dir")
    except FileNotFoundError:
        raise UserError("git is not installed, and the gate reads the base's metrics with it") from None
    if resolve(layout, f"origin/{base}") is not None:
        raise UserError(f"there is no revision {base} here, but origin/{base}: give --base origin/{base}")
    if git(layout, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UserError(
            f"there is no revision {base} in this shallow clone; fetch it: "
            f"git fetch --depth=1 origin {base}:refs/remotes/origin/{base} && hw2 gate --base origin/{base}"
        )
    raise UserError(f"there is no revision {base} here; `git fetch` brings what others pushed")


def experiment(layout: Layout, name: str) -> str | None:
    """The commit of a DVC experiment."""
    done = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps"],
        cwd=layout.root,
        capture_output=True,
        text=True,
    )
    refs = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    return next((commit for ref, commit in refs.items() if ref.rpartition("/")[2] == name), None)


def git_show(layout: Layout, commit: str, path: str) -> bytes:
    """The content of a file in a commit; empty if it has none."""
    done = subprocess.run(["git", "show", f"{commit}:./{path}"], cwd=layout.root, capture_output=True)
    return done.stdout if done.returncode == 0 else b""


def resolve(layout: Layout, revision: str) -> str | None:
    command = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(command, cwd=layout.root, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def git(layout: Layout, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", *arguments], cwd=layout.root, input=stdin, capture_output=True)
    if done.returncode != 0:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout
