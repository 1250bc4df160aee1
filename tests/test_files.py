"""Atomic writes: files and folders exist completely or not at all."""

import os
from pathlib import Path

import pytest

from hw2core.files import new_folder, write_whole


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
