"""Repair of dvc.lock and of DVC's file of locks, and the order of dvc.lock."""

import os
import subprocess
from pathlib import Path

import pytest

from hw2core.pipeline.dvc_files import LOCK_HEAD, entry_name, join_lock, repair_dvc_files, split_lock

ENTRIES = [
    f"  {name}:\n    cmd: make {name}\n    outs:\n    - path: out/{name}\n      size: 12\n"
    for name in ("train@b-a", "data", "'1st'")
]


def test_entries_of_dvc_lock_are_in_the_order_of_dvc_yaml() -> None:
    b, data, first = ENTRIES
    removed = b.replace("b-a", "removed")
    entries = {entry_name(entry): entry for entry in split_lock(LOCK_HEAD + removed + b + data + first)}
    assert join_lock(entries, ["1st", "data", "train@b-a"]) == LOCK_HEAD + first + data + b + removed


def test_a_dvc_lock_truncated_anywhere_keeps_its_complete_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # slow, and needed only for a power cut
    text = LOCK_HEAD + "".join(ENTRIES)
    path = tmp_path / "dvc.lock"
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        repair_dvc_files(tmp_path)
        kept = path.read_text() if path.exists() else ""
        if text[:length].endswith("\n"):  # whole lines are not recognized as truncated
            assert kept == text[:length]
            continue
        count = kept.count("    cmd: make")
        assert kept == (LOCK_HEAD + "".join(ENTRIES[:count]) if count else "")
        complete = sum(len(LOCK_HEAD + "".join(ENTRIES[:n])) <= length for n in (1, 2, 3))
        assert complete - 1 <= count <= complete


def test_a_complete_dvc_lock_and_one_of_another_form_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    for text in (
        LOCK_HEAD + "".join(ENTRIES),
        LOCK_HEAD + ENTRIES[0] + "<<<<<<< HEAD\n" + ENTRIES[1].rstrip(),
    ):
        path.write_text(text)
        repair_dvc_files(tmp_path)
        assert path.read_text() == text


def test_the_rwlock_of_a_running_dvc_is_kept(tmp_path: Path) -> None:
    rwlock = tmp_path / ".dvc" / "tmp" / "rwlock"
    rwlock.parent.mkdir(parents=True)
    command = ["/bin/sh", "-c", "echo; read wait", "dvc"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline()  # now it runs, and its command line can be read
        rwlock.write_text(
            f'{{"write": {{"/x": {{"pid": {running.pid}, "cmd": "dvc repro"}}}}, "read": {{}}}}'
        )
        repair_dvc_files(tmp_path)
        assert rwlock.exists()
    repair_dvc_files(tmp_path)
    assert not rwlock.exists()
