"""The files below a folder or in an archive, by name; nothing is extracted."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hw2core.data.archives import left_out, open_archive, reason
from hw2core.data.problems import FileError, Problems
from hw2core.errors import UserError

Identity = tuple[int, int]  # of a folder, whatever name led to it


class Tree(Protocol):
    """What a folder and an archive have in common.

    A tree keeps nothing open and says where its files lie, not what is in them, so it is cheap to send to another
    process; a `part` of it is cheaper still (but for compressed tars: see Archive).
    """

    @property
    def name(self) -> str:
        """The path as the user gave it."""

    @property
    def files(self) -> list[str]:
        """Regular files, each by its path below the tree, sorted; hidden ones and JUNK are left out."""

    def read(self, file: str) -> bytes:
        """What is in a file; a FileError if it cannot be read."""

    def part(self, files: list[str]) -> "Tree":
        """The tree of these files alone, in this order."""


def open_tree(path: Path) -> Tree:
    if path.is_dir():
        return Folder(str(path), list_folder(path))
    if not path.exists():
        raise UserError(f"{path}: does not exist; give a folder or an archive that is there")
    return open_archive(path)


@dataclass(frozen=True)
class Folder:
    """The files below a folder; symbolic links are followed."""

    name: str
    files: list[str]

    def read(self, file: str) -> bytes:
        path = f"{self.name}/{file}"
        try:
            with open(path, "rb") as content:
                return content.read()
        except OSError as error:
            raise unreadable(path, error) from None

    def part(self, files: list[str]) -> "Folder":
        return replace(self, files=files)


def list_folder(root: Path) -> list[str]:
    """Every file below `root`. Of plain files nothing but their names is asked: there may be very many."""
    problems = Problems()
    files: list[str] = []
    waiting: list[tuple[str, frozenset[Identity]]] = [("", frozenset())]
    while waiting:
        folder, around = waiting.pop()
        try:
            around |= {identity(root / folder)}
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = folder + entry.name
                    if left_out([entry.name]):
                        continue
                    if entry.is_symlink() and not os.path.exists(entry.path):
                        problems.add(f"{root}/{name}", "is a link that leads nowhere", "take it away")
                    elif not entry.is_dir():
                        if entry.is_file():
                            files.append(name)
                    elif entry.is_symlink() and identity(entry.path) in around:
                        problems.add(f"{root}/{name}", "is a link to a folder it lies in", "take it away")
                    else:
                        waiting.append((f"{name}/", around))
        except OSError as error:
            problems.found.append(unreadable(f"{root}/{folder}", error))
    problems.raise_any()
    return sorted(files)


def identity(folder: str | Path) -> Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def unreadable(path: str, error: OSError) -> FileError:
    return FileError(path, f"cannot be read ({reason(error)})", "mend that, or take it away")
