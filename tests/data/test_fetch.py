"""Downloads: complete and verified whatever servers and connections do, or one line that says why not."""

import hashlib
import http.client
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from ssl import SSLCertVerificationError, SSLEOFError
from typing import Any
from urllib.error import URLError

import pytest
import web_server as web
from conftest import complaint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from web_fixtures import download_folder, fresh_server, local_only, recorded_pauses, running_server  # noqa: F401
from web_server import CONTENT, PAGE, SIZE, WRONG, Response, Server, download, failure, names, put, remote

from hw2core.data import fetch
from hw2core.data.fetch import Remote, fetch_files, is_web_page

REAL_PAUSE = fetch.pause


@pytest.mark.parametrize(
    "response",
    [web.ranged(), web.lengthless(), web.chunked(), web.ranged(Content_Length="many")],
    ids=["ranged", "lengthless", "chunked", "invalid length"],
)
def test_download_with_one_request(
    server: Server, folder: Path, pauses: list[float], response: Response
) -> None:
    assert download(server, folder, response) == [None]
    assert pauses == []
    (headers,) = server.headers
    assert headers["User-Agent"] == "hw2core"
    assert headers["Accept-Encoding"] == "identity"


def test_download_of_an_empty_file(server: Server, folder: Path) -> None:
    empty = Remote("file", "group", (server.respond("/file", web.ranged(b"")),), web.sha256(b""))
    fetch_files([empty], folder, None)
    assert (folder / "file").read_bytes() == b""


def test_redirect_keeps_the_range(server: Server, folder: Path) -> None:
    server.respond("/elsewhere", web.ranged())
    download(server, folder, web.status(302, Location="/elsewhere"), part=CONTENT[:1000])
    assert server.requests == [("/file", "bytes=1000-"), ("/elsewhere", "bytes=1000-")]


def test_redirect_to_a_local_file_is_refused(server: Server, folder: Path, tmp_path: Path) -> None:
    target = put(tmp_path / "right", CONTENT).as_uri()
    message = failure(folder, server.respond("/file", web.status(302, Location=target)))
    assert names(folder) == []
    assert message.startswith("file: not downloaded (127.0.0.1:")


# Interrupted connections.


@pytest.mark.parametrize("kind", [web.ranged, web.chunked])
def test_interrupted_download_resumes(
    server: Server, folder: Path, pauses: list[float], kind: Callable[..., Response]
) -> None:
    cut = kind(CONTENT, 100_000)
    assert download(server, folder, cut, cut, kind()) == [None, "bytes=100000-", "bytes=200000-"]
    assert pauses == [1, 2]


def test_next_run_requests_only_the_rest(server: Server, folder: Path, pauses: list[float]) -> None:
    message = failure(folder, server.respond("/file", web.ranged(sent=50_000)))
    assert "the connection was interrupted" in message
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:200_000]
    assert pauses == [1, 2, 4]
    server.reset()
    assert download(server, folder, web.ranged()) == ["bytes=200000-"]


@pytest.mark.parametrize("response", [web.hang_up, web.reset, web.garbage])
def test_dropped_connection_is_retried(
    server: Server, folder: Path, pauses: list[float], response: Response
) -> None:
    download(server, folder, response, response, web.ranged())
    assert pauses == [1, 2]


def test_refused_connection_is_retried_and_reported(folder: Path, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        host = f"127.0.0.1:{occupied.getsockname()[1]}"
    assert f"({host}: Connection refused)" in failure(folder, f"http://{host}/file")
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("error", [TimeoutError("timed out"), SSLEOFError("EOF occurred")])
def test_timeout_is_retried(
    server: Server, folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    open_url, timeouts = fetch.urlopen, []

    def fail_once(request: Any, timeout: float) -> Any:
        timeouts.append(timeout)
        if len(timeouts) == 1:
            raise URLError(error)
        return open_url(request, timeout=timeout)

    monkeypatch.setattr(fetch, "urlopen", fail_once)
    download(server, folder, web.ranged())
    assert pauses == [1]
    assert timeouts == [30, 30]


@pytest.mark.parametrize(
    "error",
    [SSLCertVerificationError(1, "verify failed"), socket.gaierror(socket.EAI_NONAME, "Name not known")],
)
def test_permanent_connection_error_is_not_retried(
    folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail(request: Any, timeout: float) -> None:
        raise URLError(error)

    monkeypatch.setattr(fetch, "urlopen", fail)
    assert f"(host.invalid: {error.strerror})" in failure(folder, "https://host.invalid/file")
    assert pauses == []


def test_timeout_within_the_body_keeps_what_was_received(
    server: Server, folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = http.client.HTTPResponse.read1, []

    def time_out_once(response: http.client.HTTPResponse, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 2:
            raise TimeoutError("timed out")
        return read(response, min(size, 1000))

    monkeypatch.setattr(http.client.HTTPResponse, "read1", time_out_once)
    first, second = download(server, folder, web.ranged())
    assert pauses == [1]
    assert first is None
    assert second is not None
    assert fetch.HEAD < int(second.removeprefix("bytes=").removesuffix("-")) < SIZE


# Ranges.

PART, LONGER = CONTENT[:1000], CONTENT + b"more"
COMPLETED: dict[str, tuple[bytes, list[Response], list[str | None]]] = {
    "server without ranges": (PART, [web.rangeless()], ["bytes=1000-"]),
    "part longer than the file": (LONGER, [web.rangeless()], [f"bytes={len(LONGER)}-"]),
    "part is the complete file": (CONTENT, [web.ranged()], [f"bytes={SIZE}-"]),
    "response from the first byte": (
        WRONG[:1000],
        [web.partial_content(0, f"bytes 0-{SIZE - 1}/{SIZE}")],
        ["bytes=1000-"],
    ),
    "short range": (
        PART,
        [web.partial_content(1000, f"bytes 1000-1499/{SIZE}", end=1500), web.ranged()],
        ["bytes=1000-", "bytes=1500-"],
    ),
    "interrupted range of unknown total length": (
        PART,
        [web.partial_content(1000, f"bytes 1000-{SIZE - 1}/*", end=2000), web.ranged()],
        ["bytes=1000-", "bytes=2000-"],
    ),
    **{
        f"wrong range {value}": (PART, [web.partial_content(7, value), web.ranged()], ["bytes=1000-", None])
        for value in (f"bytes 999-{SIZE - 1}/{SIZE}", f"bytes 1001-{SIZE - 1}/{SIZE}", "bytes ?", None)
    },
    **{
        f"wrong part of {len(part)} bytes": (part, [web.ranged()], [f"bytes={len(part)}-", None])
        for part in (WRONG[:1000], WRONG, LONGER)
    },
}


@pytest.mark.parametrize(("part", "responses", "ranges"), COMPLETED.values(), ids=COMPLETED)
def test_part_is_completed_or_replaced(
    server: Server, folder: Path, part: bytes, responses: list[Response], ranges: list[str | None]
) -> None:
    assert download(server, folder, *responses, part=part) == ranges


def test_interrupted_restart_keeps_the_part(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:100_000])
    failure(folder, server.respond("/file", web.rangeless(sent=10)))
    assert (folder / ".file.part").read_bytes() == CONTENT[:100_000]


@pytest.mark.parametrize(("part", "ranges"), [(b"", [None]), (PART, ["bytes=1000-", None])])
def test_server_that_always_sends_a_wrong_range_is_skipped(
    server: Server, folder: Path, part: bytes, ranges: list[str | None]
) -> None:
    put(folder / ".file.part", part)
    address = server.respond("/file", web.partial_content(7, f"bytes 7-{SIZE - 1}/{SIZE}"))
    assert "sends a range that was not requested" in failure(folder, address)
    assert server.ranges() == ranges
    assert (folder / ".file.part").read_bytes() == part


# Status codes.


@pytest.mark.parametrize(
    ("codes", "attempts", "expected"), [((400, 404, 416, 451), 1, []), ((429, 500, 503), 4, [1, 2, 4])]
)
def test_attempts_before_the_next_address(
    server: Server,
    folder: Path,
    pauses: list[float],
    codes: tuple[int, ...],
    attempts: int,
    expected: list[int],
) -> None:
    for code in codes:
        server.reset()
        pauses.clear()
        (folder / "file").unlink(missing_ok=True)
        failing, good = server.respond("/failing", web.status(code)), server.respond("/good", web.ranged())
        fetch_files([remote(failing, good)], folder, None)
        assert web.is_complete(folder)
        assert [path for path, _ in server.requests] == ["/failing"] * attempts + ["/good"], code
        assert pauses == expected


@pytest.mark.parametrize(
    ("requested", "made"),
    [("7", 7), ("99", 99), ("3600", 1), ("0", 1), ("-5", 1), ("Wed, 21 Oct 2037 07:28:00 GMT", 1), ("", 1)],
)
def test_short_retry_after_is_respected(
    server: Server, folder: Path, pauses: list[float], requested: str, made: float
) -> None:
    download(server, folder, web.status(503, Retry_After=requested), web.ranged())
    assert pauses == [made]


def test_pause_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    REAL_PAUSE(2)
    assert slept == [2]


# Wrong content.


def test_wrong_content_is_deleted_and_the_next_address_tried(server: Server, folder: Path) -> None:
    wrong, good = server.respond("/wrong", web.ranged(WRONG)), server.respond("/good", web.ranged())
    fetch_files([remote(wrong, good)], folder, None)
    assert web.is_complete(folder)
    assert server.requests == [("/wrong", None), ("/good", None)]


def test_part_from_a_wrong_address_is_replaced(server: Server, folder: Path) -> None:
    wrong = server.respond("/wrong", web.ranged(WRONG, sent=1000))
    fetch_files([remote(wrong, server.respond("/good", web.ranged()))], folder, None)
    assert web.is_complete(folder)
    assert server.ranges("/good") == ["bytes=4000-", None]


def test_address_with_wrong_content_is_restarted_only_once(server: Server, folder: Path) -> None:
    put(folder / ".file.part", PART)
    wrong = web.ranged(WRONG)
    message = failure(folder, server.respond("/file", wrong, web.ranged(WRONG, sent=2000), wrong))
    assert server.ranges() == ["bytes=1000-", None, "bytes=2000-"]
    assert names(folder) == []
    expected, found = (hashlib.sha256(content).hexdigest()[:8] for content in (CONTENT, WRONG))
    assert f"wrong checksum (sha256 {expected}... expected, sha256 {found}... found)" in message


def test_truncated_file_of_unknown_length_is_invalid(server: Server, folder: Path) -> None:
    assert "wrong checksum" in failure(folder, server.respond("/file", web.lengthless(sent=1000)))
    assert names(folder) == []


def test_web_page_leaves_the_part_unchanged(server: Server, folder: Path, pauses: list[float]) -> None:
    put(folder / ".file.part", PART)
    message = failure(folder, server.respond("/file", web.status(200, PAGE)))
    assert ": a web page, not the file)" in message
    assert (folder / ".file.part").read_bytes() == PART
    assert pauses == []


def test_web_pages_are_recognized_by_their_first_bytes() -> None:
    pages = (b"\xef\xbb\xbf\r\n  <HTML>", b"<!-- saved --><html>", b'<?xml version="1.0"?><html xmlns="">')
    assert all(is_web_page(page) and not is_web_page(b"PK" + page) for page in (PAGE, *pages))


# Any sequence of faults.

SMALL = CONTENT[:3000]
cut_points = st.integers(0, len(SMALL))
faults = st.one_of(
    *(
        cut_points.map(lambda sent, kind=kind: kind(SMALL, sent))
        for kind in (web.ranged, web.rangeless, web.lengthless, web.chunked)
    ),
    st.sampled_from([web.hang_up, web.reset, web.status(503), web.status(200, PAGE), web.status(404)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    size=cut_points,
    sequence=st.lists(faults, max_size=8),
    last=st.sampled_from([web.ranged, web.rangeless, web.chunked]),
)
@example(size=0, sequence=[web.ranged(SMALL, sent) for sent in range(0, 500, 100)], last=web.ranged)
def test_any_sequence_of_faults_ends_with_the_complete_file(
    server: Server, tmp_path: Path, size: int, sequence: list[Response], last: Callable[[bytes], Response]
) -> None:
    """Each run ends with the valid file, or with no file and a valid beginning of it."""
    address = server.respond("/file", *sequence, last(SMALL))
    wanted = Remote("file", "group", (address,), web.sha256(SMALL))
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        folder = Path(name)
        part = put(folder / ".file.part", SMALL[:size])
        for _ in range(len(sequence) + 1):
            if complaint(lambda: fetch_files([wanted], folder, None)) is None:
                break
            assert not (folder / "file").exists()
            assert SMALL.startswith(part.read_bytes() if part.exists() else b"")
        assert (folder / "file").read_bytes() == SMALL
        assert names(folder) == ["file"]
