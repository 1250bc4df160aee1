"""Interrupted downloads and disk errors: the part is kept, and the next run resumes."""

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import web_server as web
from web_fixtures import download_folder, fresh_server, local_only, recorded_pauses, running_server  # noqa: F401
from web_server import CONTENT, SIZE, Server, download, is_complete, names, put, remote

from hw2core.data import fetch
from hw2core.data.fetch import fetch_files

# Progress and interruptions.


class Bar:
    """Replaces tqdm: records its arguments and can raise an exception."""

    bars: list[dict[str, Any]]
    end: Callable[..., object] | None

    def __init__(self, **settings: Any) -> None:
        self.settings = settings | {"updates": []}
        self.bars.append(self.settings)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, count: int) -> None:
        self.settings["updates"].append(count)
        if self.end and sum(self.settings["updates"]) > 1000:
            self.end()


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> type[Bar]:
    Bar.bars, Bar.end = [], None
    monkeypatch.setattr("tqdm.tqdm", Bar)
    return Bar


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_progress_starts_at_the_size_of_the_part(server: Server, folder: Path, bar: type[Bar]) -> None:
    download(server, folder, web.ranged(), part=CONTENT[:1000])
    (shown,) = bar.bars
    assert shown["initial"] + sum(shown["updates"]) == shown["total"] == SIZE
    assert shown["initial"] == 1000
    assert shown["desc"] == "file"
    assert (shown["unit"], shown["unit_scale"], shown["disable"]) == ("B", True, None)


def test_progress_of_a_file_of_unknown_length_has_no_total(
    server: Server, folder: Path, bar: type[Bar]
) -> None:
    download(server, folder, web.lengthless())
    (shown,) = bar.bars
    assert shown["total"] is None
    assert sum(shown["updates"]) == SIZE


def test_cancelled_pause_keeps_the_part(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "pause", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_files([remote(server.respond("/file", web.ranged(sent=1000)))], folder, None)
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:1000]


def test_cancelled_download_resumes(server: Server, folder: Path, bar: type[Bar]) -> None:
    bar.end = interrupt
    with pytest.raises(KeyboardInterrupt):
        fetch_files([remote(server.respond("/file", web.ranged()))], folder, None)
    assert names(folder) == [".file.part"]
    part = (folder / ".file.part").read_bytes()
    assert CONTENT.startswith(part)
    assert len(part) == sum(bar.bars[0]["updates"])
    bar.end = None
    assert download(server, folder, web.ranged())[1:] == (
        [] if len(part) == SIZE else [f"bytes={len(part)}-"]
    )


KILLED = """
import os, signal, sys, tqdm
from pathlib import Path
from hw2core.data.fetch import Remote, fetch_files

class Bar:
    received = 0
    def __init__(self, **settings): pass
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def update(self, count):
        self.received += count
        if self.received >= 190_000:
            os.kill(os.getpid(), signal.SIGKILL)

tqdm.tqdm = Bar
address, checksum, folder = sys.argv[1:]
fetch_files([Remote("file", "group", (address,), checksum)], Path(folder), None)
"""


def test_killed_download_resumes(server: Server, folder: Path) -> None:
    address = server.respond("/file", web.ranged(sent=200_000), web.ranged())
    command = [sys.executable, "-c", KILLED, address, web.sha256(CONTENT), str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert names(folder) == [".file.part"]
    part = (folder / ".file.part").read_bytes()
    assert part
    assert CONTENT.startswith(part)
    fetch_files([remote(address)], folder, None)
    assert is_complete(folder)
    assert server.ranges() == [None, f"bytes={len(part)}-"]


# Disk errors.


class SmallDisk(io.FileIO):
    """A file on a disk with room for `room` more bytes."""

    room = 100_000

    def write(self, block: Any) -> int:
        super().write(block[: self.room])
        self.room -= len(block)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(block)


def test_full_disk_stops_the_download_and_keeps_the_part(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    real_open = Path.open

    def open_on_small_disk(path: Path, mode: str = "r") -> Any:
        return SmallDisk(path, "r+") if (path.name, mode) == (".file.part", "r+b") else real_open(path, mode)

    monkeypatch.setattr(Path, "open", open_on_small_disk)
    addresses = server.respond("/file", web.ranged()), server.respond("/other", web.ranged())
    with pytest.raises(OSError, match="No space left"):
        fetch_files([remote(*addresses), remote(addresses[1], name="other")], folder, None)
    monkeypatch.setattr(Path, "open", real_open)
    assert server.requests == [("/file", None)]
    assert pauses == []
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:100_000]
    assert download(server, folder, web.ranged()) == [None, "bytes=100000-"]


def test_read_only_folder_stops_the_download(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    def refuse(path: Path, *arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    address, other = server.respond("/file", web.ranged()), server.respond("/other", web.ranged())
    with pytest.raises(OSError, match="Read-only file system"):
        fetch_files([remote(address, other)], folder, None)
    assert server.requests == [("/file", None)]
    assert pauses == []
    assert names(folder) == []


def test_file_in_place_of_the_folder_is_kept(server: Server, folder: Path) -> None:
    put(folder, b"mine")
    with pytest.raises(OSError, match="File exists"):
        fetch_files([remote(server.respond("/file", web.ranged()))], folder, None)
    assert folder.read_bytes() == b"mine"
    assert server.requests == []


def test_content_is_on_disk_before_the_rename(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (events.append("fsync"), fsync(file)))
    monkeypatch.setattr("os.replace", lambda *paths: (events.append("rename"), rename(*paths)))
    download(server, folder, web.ranged())
    assert events == ["fsync", "rename"]


def test_failed_fsync_keeps_the_part(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        fetch_files([remote(server.respond("/file", web.ranged()))], folder, None)
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT
