"""dvc.lock as text, and repair of the files that a killed DVC leaves behind."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw2core.files import write_whole

LOCK_HEAD = "schema: '2.0'\nstages:\n"  # the first lines of every dvc.lock


def repair_dvc_files(root: Path) -> None:
    """Repair dvc.lock, and remove the entries of dead processes from .dvc/tmp/rwlock."""
    repair_lock(root / "dvc.lock")
    remove_stale_rwlock(root / ".dvc" / "tmp" / "rwlock")


def repair_lock(lock_file: Path) -> None:
    """Drop the last entry of a truncated dvc.lock. `dvc repro` writes the file in place, so that a kill can truncate it."""
    text = lock_file.read_text(encoding="utf-8") if lock_file.exists() else None
    if text is None or text.endswith("\n"):
        return
    text = text.rstrip(" ")
    entries = split_lock(text)
    if len(entries) > 1:
        write_whole(lock_file, (LOCK_HEAD + "".join(entries[:-1])).encode())
    elif entries or LOCK_HEAD.startswith(text):
        lock_file.unlink()


def remove_stale_rwlock(rwlock: Path) -> None:
    """Remove the file in which DVC notes the files in use, unless a running DVC holds one of them.

    DVC drops the entry of a dead process itself, but not if the file is truncated, nor if another process has the same
    id by now, which is common in containers.
    """
    if not rwlock.exists():
        return
    holders = map(int, re.findall(r'"pid": (\d+)', rwlock.read_text(encoding="utf-8")))
    if not any(is_dvc_process(holder) for holder in holders):
        rwlock.unlink()


def is_dvc_process(pid: int) -> bool:
    import psutil  # here: it is seldom needed

    try:
        command: list[str] = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return any(Path(part).name == "dvc" for part in command)


def split_lock(text: str) -> list[str]:
    """Return the entries of a dvc.lock as text, one per stage; an empty list if DVC did not write it in this form."""
    if not re.fullmatch(LOCK_HEAD + r"(  .*\n)*(  .*)?", text):
        return []
    return re.split(r"(?m)^(?=  [^ :])", text.removeprefix(LOCK_HEAD))[1:]


def entry_name(entry: str) -> str:
    return entry.partition("\n")[0].strip(" ?:'\"")


def join_lock(entries: Mapping[str, str], order: Sequence[str]) -> str:
    """The text of a dvc.lock with its entries as in dvc.yaml, which is what a `dvc repro` from scratch writes.

    In parallel runs stages finish in any order. Entries of stages that dvc.yaml no longer has come last.
    """
    rank = {name: position for position, name in enumerate(order)}
    names = sorted(entries, key=lambda name: rank.get(name, len(rank)))
    return LOCK_HEAD + "".join(entries[name] for name in names)
