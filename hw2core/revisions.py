"""Commits by name, and what they hold: revisions of git, and experiments of DVC."""

import subprocess

from hw2core.errors import UserError
from hw2core.layout import Layout


def find_commit(layout: Layout, name: str) -> str:
    """The commit of a revision or, if there is none of that name, of an experiment; a UserError says how to get it."""
    try:
        if commit := resolve(layout, name) or experiment(layout, name):
            return commit
        git(layout, "rev-parse", "--git-dir")
    except FileNotFoundError:
        raise UserError("git is not installed, and revisions are read with it") from None
    if resolve(layout, f"origin/{name}"):
        raise UserError(f"there is no revision {name} here, but origin/{name}: name that one")
    if git(layout, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UserError(
            f"there is no revision {name} in this shallow clone; fetch it and name origin/{name}: "
            f"git fetch --depth=1 origin {name}:refs/remotes/origin/{name}"
        )
    raise UserError(
        f"there is no revision and no experiment {name} here; `git fetch` brings what others pushed"
    )


def resolve(layout: Layout, revision: str) -> str | None:
    return or_none(layout, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def experiment(layout: Layout, name: str) -> str | None:
    listed = or_none(layout, "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps") or ""
    commits = dict(line.rsplit(" ", 1) for line in listed.splitlines())
    return next((commit for ref, commit in commits.items() if ref.rpartition("/")[2] == name), None)


def file_of(layout: Layout, commit: str, path: str) -> bytes:
    """The content of a file in a commit; empty if it has none."""
    return run(layout, "show", f"{commit}:./{path}").stdout


def or_none(layout: Layout, *arguments: str) -> str | None:
    """What a git command prints; None if it fails."""
    done = run(layout, *arguments)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def git(layout: Layout, *arguments: str, stdin: bytes = b"") -> bytes:
    """What a git command prints; a UserError with its message if it fails."""
    done = run(layout, *arguments, stdin=stdin)
    if done.returncode != 0:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout


def run(layout: Layout, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=layout.root, input=stdin, capture_output=True)
