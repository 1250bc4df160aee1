"""Fixtures for the tests of downloads. Import all of them: they depend on each other."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from web_server import Server

from hw2core.data import fetch


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="server")
def fresh_server(running_server: Server) -> Iterator[Server]:
    running_server.reset()
    yield running_server
    assert not running_server.errors


@pytest.fixture(autouse=True)
def local_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def connect_locally(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        assert address[0] == "127.0.0.1", address
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", connect_locally)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True, name="pauses")
def recorded_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The requested pauses, none of which is made."""
    requested: list[float] = []
    monkeypatch.setattr(fetch, "pause", requested.append)
    return requested


@pytest.fixture(name="folder")
def download_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The download folder of a dataset in a scratch workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "raw" / "set"
