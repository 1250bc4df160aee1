"""Files and folders are there whole or not at all."""

from pathlib import Path

import pytest

from hw2core.files import new_folder, write_whole


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", b"old")

    def fail(*arguments: object) -> None:
        raise OSError("no more space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no more space"):
        write_whole(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_the_content_is_on_the_disk_before_it_is_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    happened: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (happened.append("on the disk"), fsync(file)))
    monkeypatch.setattr("os.replace", lambda *paths: (happened.append("named"), replace(*paths)))
    write_whole(tmp_path / "file", b"content")
    assert happened[:2] == ["on the disk", "named"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "room" / "folder") as draft:
        (draft / "file").write_text("content")
        assert not (tmp_path / "room" / "folder").exists()
    assert (tmp_path / "room" / "folder" / "file").read_text() == "content"
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["folder"]


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with new_folder(tmp_path / "folder") as draft:
            (draft / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_whose_making_fails_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
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


def test_others_may_read_a_new_folder(tmp_path: Path) -> None:
    with new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755
