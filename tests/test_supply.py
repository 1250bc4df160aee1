"""What the project takes from others: packages with their licenses, and no network while it runs."""

import re
import socket
import sys

import pytest
from conftest import ROOT, Workspace, refuse_to_connect

sys.path.insert(0, str(ROOT / "bench"))
from licenses import license_of, required


def test_the_license_of_every_requirement_is_listed() -> None:
    text = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\S+) \| \S", text, re.MULTILINE)
    assert listed[1:] == required()


def test_a_license_is_named_by_what_the_package_states() -> None:
    assert license_of("numpy").startswith("BSD-3-Clause")
    assert license_of("no-such-package") == "not installed on this platform"


def test_every_stage_runs_without_a_network(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them have run in `finished`, where a connection is an error."""
    assert (finished.root / "stages" / "sweep_ddpm").is_dir()
    monkeypatch.setattr(socket.socket, "connect", refuse_to_connect)
    with socket.socket() as own, pytest.raises(AssertionError, match="connects to"):
        own.connect(("192.0.2.1", 80))
