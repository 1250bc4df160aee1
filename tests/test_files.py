"""Atomic writes: files and folders exist completely or not at all."""

import fcntl
import io
import os
from pathlib import Path

import numpy as np
import pytest

from hw2core.files import DRAFT, new_folder, whole_file, write_array, write_whole


def test_write_creates_the_folders(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", b"old")

    def fail(*arguments: object) -> None:
        raise OSError("no more space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no more space"):
        write_whole(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_content_is_on_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (events.append("fsync"), fsync(file)))
    monkeypatch.setattr("os.replace", lambda *paths: (events.append("rename"), replace(*paths)))
    write_whole(tmp_path / "file", b"content")
    assert events[:2] == ["fsync", "rename"]


def test_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with new_folder(tmp_path / "room" / "folder") as draft:
        (draft / "file").write_text("content")
        assert not (tmp_path / "room" / "folder").exists()
    assert (tmp_path / "room" / "folder" / "file").read_text() == "content"
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["folder"]


def test_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with new_folder(tmp_path / "folder") as draft:
            (draft / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_folder_keeps_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    with new_folder(tmp_path / "folder") as draft:
        (draft / "old").touch()

    def fail() -> None:
        with new_folder(tmp_path / "folder") as draft:
            (draft / "new").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "folder",
        "folder/old",
    ]


def test_new_folder_is_readable_by_everyone(tmp_path: Path) -> None:
    with new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_drafts_of_killed_writers_are_removed_and_those_that_are_being_written_stay(tmp_path: Path) -> None:
    (tmp_path / f".file-1234{DRAFT}").write_bytes(b"half")
    (tmp_path / f".folder-x1y2{DRAFT}").mkdir()
    (tmp_path / f".folder-x1y2{DRAFT}" / "half").touch()
    others = {".file", ".file-backup", f".file.txt-1{DRAFT}", f".folder-held{DRAFT}", f"file-1{DRAFT}"}
    for name in others:
        (tmp_path / name).touch()
    with (tmp_path / f".folder-held{DRAFT}").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_whole(tmp_path / "file", b"whole")
        with new_folder(tmp_path / "folder"), new_folder(tmp_path / "folder"):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", *others}


@pytest.mark.parametrize(
    "array", [np.arange(6, dtype=np.uint8).reshape(2, 3), np.zeros((3, 0)), np.float32(2)]
)
def test_an_array_is_written_as_numpy_writes_it(tmp_path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    write_array(tmp_path / "array.npy", array)
    expected = io.BytesIO()
    np.save(expected, array)
    assert (tmp_path / "array.npy").read_bytes() == expected.getvalue()


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    with whole_file(tmp_path / "file") as file:
        file.write(b"content")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"content"
