"""`hw2 prune`: remove what params no longer select: files of stages that are gone, and their entries in dvc.lock."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from hw2core.layout import Layout
from hw2core.pipeline.repository import Repository

FOLDERS = ("data/ready", "models", "stages")
"""What stages write. data/raw is left alone: files that were brought by hand lie there."""


def prune(layout: Layout, remove: bool) -> None:
    """Print what is no longer selected, and remove it if asked to."""
    repository = Repository(layout.root)
    paths = left_over(layout.root, repository.sources)
    entries = [name for name in repository.entries if name not in repository.stages]
    if not paths and not entries:
        print("Nothing to remove: every file belongs to a stage of dvc.yaml with these params.")
        return
    for path in paths:
        print(f"{path.relative_to(layout.root)}{'/' if path.is_dir() else ''}")
    if entries:
        print(
            f"dvc.lock: {len(entries)} entries, {', '.join(entries[:3])}{', ...' if len(entries) > 3 else ''}"
        )
    if not remove:
        print("`hw2 prune --yes` removes these. DVC's cache keeps their content: the same params restore it.")
        return
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in entries:
        del repository.entries[name]
    repository.write_lock()
    print("Removed. `hw2 repro` writes the report without them.")


def left_over(root: Path, outputs: Iterable[str]) -> list[Path]:
    """The files and whole folders below FOLDERS that neither are an output, nor lie in one, nor hold one."""
    known = {root / output for output in outputs}
    above = {folder for path in known for folder in path.parents}
    found = [
        path for folder in FOLDERS if (root / folder).is_dir() for path in below(root / folder, known, above)
    ]
    return sorted(found)


def below(folder: Path, known: set[Path], above: set[Path]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path in above and path.is_dir():
            yield from below(path, known, above)
        elif path not in known and path.name != ".gitignore":  # DVC's own
            yield path
