"""The files of a folder or of an archive behind one interface. Archives are not extracted."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hw2core.data.archives import MAX_FILE, is_junk, open_archive, reason, too_large
from hw2core.data.problems import FileError, Problems
from hw2core.errors import UserError

Identity = tuple[int, int]  # device and inode of a folder
MAX_VISITS = 10  # of one folder: a few links to each other multiply without end


class Tree(Protocol):
    """The interface of a folder and of an archive.

    A tree holds no open files and no contents, so it is cheap to pickle for another process. A `part` of it is
    cheaper still, except of a compressed tar: see Archive.
    """

    @property
    def name(self) -> str:
        """The path as the user gave it."""

    @property
    def files(self) -> list[str]:
        """Sorted paths of the regular files, without hidden files and JUNK."""

    def read(self, file: str) -> bytes:
        """The content of a file; FileError if it cannot be read."""

    def part(self, files: list[str]) -> "Tree":
        """The tree of these files only, in this order."""


def open_tree(path: Path) -> Tree:
    if path.is_dir():
        return Folder(str(path), list_folder(path))
    if not path.exists():
        raise UserError(f"{path}: does not exist; give an existing folder or archive")
    if not path.is_file():  # to open a pipe can take for ever
        raise UserError(f"{path}: is neither a folder nor a regular file; give a folder or an archive")
    return open_archive(path)


@dataclass(frozen=True)
class Folder:
    """The files below a folder. Symbolic links are followed."""

    name: str
    files: list[str]

    def read(self, file: str) -> bytes:
        path = f"{self.name}/{file}"
        try:
            with open(path, "rb") as opened:
                content = opened.read(MAX_FILE + 1)
        except OSError as error:
            raise unreadable(path, error) from None
        if len(content) > MAX_FILE:
            raise too_large(path)
        return content

    def part(self, files: list[str]) -> "Folder":
        return replace(self, files=files)


def list_folder(root: Path) -> list[str]:
    """Every file below `root`. Regular files are not opened or stat-ed: there may be millions."""
    problems = Problems()
    visits = Counter[Identity]()
    files: list[str] = []
    pending: list[tuple[str, frozenset[Identity]]] = [("", frozenset())]
    while pending:
        folder, parents = pending.pop()
        try:
            parents |= {here := identity(root / folder)}
            visits[here] += 1
            if visits[here] > MAX_VISITS:
                what = f"is reached in more than {MAX_VISITS} ways through links"
                raise FileError(f"{root}/{folder}", what, "remove them")
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = folder + entry.name
                    if is_junk([entry.name]):
                        continue
                    if entry.is_symlink() and not os.path.exists(entry.path):
                        problems.add(f"{root}/{name}", "is a broken link", "remove it")
                    elif not entry.is_dir():
                        if entry.is_file():
                            files.append(name)
                    elif entry.is_symlink() and identity(entry.path) in parents:
                        problems.add(f"{root}/{name}", "is a link to a folder that contains it", "remove it")
                    else:
                        pending.append((f"{name}/", parents))
        except OSError as error:
            problems.found.append(unreadable(f"{root}/{folder}", error))
    problems.raise_any()
    return sorted(files)


def identity(folder: str | Path) -> Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def unreadable(path: str, error: OSError) -> FileError:
    return FileError(path, f"cannot be read ({reason(error)})", "fix this or remove it")
