"""Repair of the files that a killed DVC leaves behind, and a stable order in dvc.lock."""

import re
from pathlib import Path

from hw2core.files import write_whole

LOCK_HEAD = "schema: '2.0'\nstages:\n"  # the first lines of every dvc.lock


def repair_dvc_files(root: Path, interrupted: bool) -> None:
    """Repair dvc.lock, and remove the entries of dead processes from .dvc/tmp/rwlock.

    `interrupted` says that the last run was killed.
    """
    repair_lock(root / "dvc.lock", interrupted)
    remove_stale_rwlock(root / ".dvc" / "tmp" / "rwlock")


def repair_lock(lock_file: Path, interrupted: bool) -> None:
    """Drop the last entry of a truncated dvc.lock: DVC restores that stage from its run cache.

    DVC writes dvc.lock in place, so that a kill can truncate it. After a kill the last entry is dropped even if the
    file is well-formed, because an entry without its last lines (the size of a file) looks complete.
    """
    text = lock_file.read_text(encoding="utf-8") if lock_file.exists() else None
    if text is None or (text.endswith("\n") and not interrupted):
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
    import psutil  # type: ignore[import-untyped]  # here: it is seldom needed

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


def sort_lock_entries(lock_file: Path, order: list[str]) -> None:
    """Sort the entries of dvc.lock as in dvc.yaml, which is what a `dvc repro` from scratch writes.

    DVC adds the entry of a stage when the stage first finishes. If stages run in parallel this order varies, and two
    clones with equal results would have different files.
    """
    text = lock_file.read_text(encoding="utf-8") if lock_file.exists() else ""

    def rank(entry: str) -> int:
        name = entry.partition("\n")[0].strip(" ?:'\"")
        return order.index(name) if name in order else len(order)

    entries = split_lock(text)
    ordered = sorted(entries, key=rank)
    if ordered != entries:
        write_whole(lock_file, (LOCK_HEAD + "".join(ordered)).encode())
