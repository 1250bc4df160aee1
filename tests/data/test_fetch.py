"""Published files arrive whole and right, whatever servers, connections and disks do, or one line says why not.

A server on this machine answers each request as the test says; nobody sleeps, and no other machine is asked.
"""

import errno
import gzip
import hashlib
import http.client
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLCertVerificationError, SSLEOFError
from threading import Thread
from typing import Any
from urllib.error import URLError

import pytest
from conftest import complaint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hw2core.data import fetch
from hw2core.data.fetch import Remote, bring, right

CONTENT = random.Random(0).randbytes(300_000)
SIZE = len(CONTENT)
WRONG = bytes(reversed(CONTENT))
PAGE = b"<!DOCTYPE html><html><body>Too many people have downloaded this file.</body></html>"
REALLY_PAUSE = fetch.pause


# The server.


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        self.server.headers.append(dict(self.headers))
        answers = self.server.answers.get(self.path, [status(404)])
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def begin(self, code: int, **headers: str | int) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    @property
    def start(self) -> int:
        """Where the range that is asked for begins."""
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *arguments: object) -> None:
        pass


Answer = Callable[[Request], None]


class Server(ThreadingHTTPServer):
    """Gives the answers set for a path one after the other, the last one for ever; notes what it was asked."""

    daemon_threads = False  # closing waits for them: no socket stays open

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str] = []

    def answer(self, path: str, *answers: Answer) -> str:
        """Set the answers for a path; gives its address."""
        self.answers[path] = list(answers)
        return self.url + path

    def ranges(self, path: str = "/file") -> list[str | None]:
        """The ranges that were asked for."""
        return [asked for asked_path, asked in self.requests if asked_path == path]

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # no polite end first, so that `reset` is one

    def handle_error(self, request: Any, address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # the client may hang up at any time
            self.faults.append(repr(error))


def ranged(content: bytes = CONTENT, sent: int | None = None, **changes: str | int) -> Answer:
    """A server that honours ranges; it hangs up when it has `sent` so many bytes of an answer."""

    def answer(request: Request) -> None:
        start = request.start
        if start >= len(content) > 0 and start:
            request.begin(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
            return
        headers: dict[str, str | int] = {"Content_Length": len(content) - start}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.begin(206 if start else 200, **headers | changes)
        request.wfile.write(content[start:][:sent])

    return answer


def rangeless(content: bytes = CONTENT, sent: int | None = None) -> Answer:
    """A server that sends all of it, whatever range it is asked for."""

    def answer(request: Request) -> None:
        request.begin(200, Content_Length=len(content))
        request.wfile.write(content[:sent])

    return answer


def lengthless(content: bytes = CONTENT, sent: int | None = None) -> Answer:
    """A server that does not say how much will come."""

    def answer(request: Request) -> None:
        request.begin(200, Connection="close")
        request.wfile.write(content[:sent])

    return answer


def chunked(content: bytes = CONTENT, sent: int | None = None) -> Answer:
    """The same in chunks, of which the last one tells that it is the last."""

    def answer(request: Request) -> None:
        start = request.start
        headers = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        request.begin(206 if start else 200, Transfer_Encoding="chunked", **headers)
        body = content[start:][:sent]
        for k in range(0, len(body), 1000):
            chunk = body[k : k + 1000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if sent is None or start + sent >= len(content):
            request.wfile.write(b"0\r\n\r\n")

    return answer


def part_of(begin: int, content_range: str | None, end: int = SIZE) -> Answer:
    """A server that says so of the range it sends, and sends the file from `begin` on; at `end` it hangs up."""

    def answer(request: Request) -> None:
        headers = {"Content_Range": content_range} if content_range is not None else {}
        request.begin(206, Content_Length=SIZE - begin, **headers)
        request.wfile.write(CONTENT[begin:end])

    return answer


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: Request) -> None:
        request.begin(code, Content_Length=len(body), **headers)
        request.wfile.write(body)

    return answer


def hang_up(request: Request) -> None:
    """No answer at all."""
    request.close_connection = True


def reset(request: Request) -> None:
    """No answer, and the connection is thrown away."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    assert not server.faults


@pytest.fixture(autouse=True)
def no_other_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def connect_here(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        assert address[0] == "127.0.0.1", address
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", connect_here)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    asked_for: list[float] = []
    monkeypatch.setattr(fetch, "pause", asked_for.append)
    return asked_for


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "raw" / "set"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def remote(*addresses: str, name: str = "file") -> Remote:
    return Remote(name, "group", addresses, sha256(CONTENT))


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def said_of(address_or_addresses: str | tuple[str, ...], folder: Path) -> str:
    """What the one line says when no address gives the file."""
    addresses = (address_or_addresses,) if isinstance(address_or_addresses, str) else address_or_addresses
    said = complaint(lambda: bring([remote(*addresses)], folder, None))
    assert said is not None
    assert "\n" not in said
    assert not (folder / "file").exists()
    return said


def brought(folder: Path) -> bool:
    """The file is there, right, and nothing else is."""
    return (folder / "file").read_bytes() == CONTENT and names(folder) == ["file"]


# A server that does what it should.


def test_a_file_is_downloaded_whole(server: Server, folder: Path, pauses: list[float]) -> None:
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert server.requests == [("/file", None)]
    assert pauses == []


def test_a_server_is_told_who_asks_and_that_nothing_is_to_be_compressed(server: Server, folder: Path) -> None:
    bring([remote(server.answer("/file", ranged()))], folder, None)
    (headers,) = server.headers
    assert headers["User-Agent"] == "hw2core"
    assert headers["Accept-Encoding"] == "identity"


def test_an_empty_file_is_a_file(server: Server, folder: Path) -> None:
    empty = Remote("file", "group", (server.answer("/file", ranged(b"")),), sha256(b""))
    bring([empty], folder, None)
    assert (folder / "file").read_bytes() == b""


@pytest.mark.parametrize(
    "answer",
    [lengthless(), chunked(), ranged(Content_Length="many")],
    ids=["lengthless", "chunked", "no number"],
)
def test_a_file_of_unknown_length_is_downloaded(server: Server, folder: Path, answer: Answer) -> None:
    bring([remote(server.answer("/file", answer))], folder, None)
    assert brought(folder)


def test_a_redirect_is_followed_with_the_same_range(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    server.answer("/elsewhere", ranged())
    bring([remote(server.answer("/file", status(302, Location="/elsewhere")))], folder, None)
    assert brought(folder)
    assert server.requests == [("/file", "bytes=1000-"), ("/elsewhere", "bytes=1000-")]


@pytest.mark.parametrize("secret", ["file", "ftp"])
def test_a_redirect_never_leads_to_a_local_file(
    server: Server, folder: Path, tmp_path: Path, secret: str
) -> None:
    target = put(tmp_path / "right", CONTENT).as_uri().replace("file:", f"{secret}:")
    said = said_of(server.answer("/file", status(302, Location=target)), folder)
    assert names(folder) == []
    assert said.startswith("file: not downloaded (127.0.0.1:")


def test_a_redirect_to_itself_ends(server: Server, folder: Path, pauses: list[float]) -> None:
    assert ": 302 " in said_of(server.answer("/file", status(302, Location="/file")), folder)
    assert pauses == []


def test_the_content_is_on_the_disk_before_it_has_its_name(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (happened.append("on the disk"), fsync(file)))
    monkeypatch.setattr("os.replace", lambda *paths: (happened.append("named"), rename(*paths)))
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert happened == ["on the disk", "named"]


# Connections that break.


def test_a_cut_download_goes_on_where_it_was_cut(server: Server, folder: Path, pauses: list[float]) -> None:
    cut = ranged(sent=100_000)
    bring([remote(server.answer("/file", cut, cut, ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == [None, "bytes=100000-", "bytes=200000-"]
    assert pauses == [1, 2]


def test_a_download_in_chunks_goes_on_where_it_was_cut(server: Server, folder: Path) -> None:
    bring([remote(server.answer("/file", chunked(sent=100_000), chunked()))], folder, None)
    assert brought(folder)
    assert server.ranges() == [None, "bytes=100000-"]


def test_the_next_run_asks_only_for_the_rest(server: Server, folder: Path, pauses: list[float]) -> None:
    address = server.answer("/file", ranged(sent=50_000))
    assert "the connection was cut" in said_of(address, folder)
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:200_000]
    assert pauses == [1, 2, 4]
    server.requests.clear()

    server.answer("/file", ranged())
    bring([remote(address)], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=200000-"]


def test_the_next_address_goes_on_where_the_last_one_was_cut(server: Server, folder: Path) -> None:
    cutting, good = server.answer("/cutting", ranged(sent=10_000)), server.answer("/good", ranged())
    bring([remote(cutting, good)], folder, None)
    assert brought(folder)
    assert len(server.ranges("/cutting")) == 4
    assert server.ranges("/good") == ["bytes=40000-"]


def babble(request: Request) -> None:
    request.wfile.write(b"what?\r\n")
    request.close_connection = True


@pytest.mark.parametrize("answer", [hang_up, reset, babble])
def test_a_connection_that_is_dropped_is_tried_again(
    server: Server, folder: Path, pauses: list[float], answer: Answer
) -> None:
    bring([remote(server.answer("/file", answer, answer, ranged()))], folder, None)
    assert brought(folder)
    assert pauses == [1, 2]


def test_a_refused_connection_is_tried_again_and_then_named(folder: Path, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    said = said_of(f"http://{host}/file", folder)
    assert f"({host}: Connection refused)" in said
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("error", [TimeoutError("timed out"), SSLEOFError("EOF occurred")])
def test_a_server_that_does_not_answer_in_time_is_tried_again(
    server: Server, folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    open_url, allowed = fetch.urlopen, []

    def late_at_first(request: Any, timeout: float) -> Any:
        allowed.append(timeout)
        if len(allowed) == 1:
            raise URLError(error)
        return open_url(request, timeout=timeout)

    monkeypatch.setattr(fetch, "urlopen", late_at_first)
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert pauses == [1]
    assert allowed == [30, 30]


def test_a_server_without_a_valid_certificate_is_passed_over(
    folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def distrust(request: Any, timeout: float) -> None:
        raise URLError(SSLCertVerificationError(1, "certificate verify failed"))

    monkeypatch.setattr(fetch, "urlopen", distrust)
    assert "(host.invalid: certificate verify failed)" in said_of("https://host.invalid/file", folder)
    assert pauses == []


def test_what_came_before_a_server_fell_silent_is_kept(
    server: Server, folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = http.client.HTTPResponse.read1, []

    def silent_once(response: http.client.HTTPResponse, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 2:
            raise TimeoutError("timed out")
        return read(response, min(size, 1000))

    monkeypatch.setattr(http.client.HTTPResponse, "read1", silent_once)
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert pauses == [1]
    (first, second) = server.ranges()
    assert first is None
    assert second is not None
    assert fetch.BEGINNING < int(second.removeprefix("bytes=").removesuffix("-")) < SIZE


def test_a_host_without_address_is_not_tried_again(
    folder: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: Any, **options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    assert "(host.invalid: Name or service not known)" in said_of("http://host.invalid/file", folder)
    assert pauses == []


# Servers with a mind of their own.


def test_a_server_that_ignores_ranges_starts_over(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    bring([remote(server.answer("/file", rangeless()))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-"]


def test_a_part_longer_than_the_file_is_cut_down_to_it(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT + b"more")
    bring([remote(server.answer("/file", rangeless()))], folder, None)
    assert brought(folder)


def test_a_start_over_that_is_cut_off_takes_nothing_away(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:100_000])
    said_of(server.answer("/file", rangeless(sent=10)), folder)
    assert (folder / ".file.part").read_bytes() == CONTENT[:100_000]


@pytest.mark.parametrize(
    "content_range",
    [
        f"bytes 7-{SIZE - 1}/{SIZE}",
        f"bytes 999-{SIZE - 1}/{SIZE}",
        f"bytes 1001-{SIZE - 1}/{SIZE}",
        "bytes ?",
        None,
    ],
)
def test_another_range_than_was_asked_for_is_not_appended(
    server: Server, folder: Path, pauses: list[float], content_range: str | None
) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    bring([remote(server.answer("/file", part_of(7, content_range), ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-", None]
    assert pauses == []


def test_a_range_from_the_start_on_is_as_good_as_the_file(server: Server, folder: Path) -> None:
    put(folder / ".file.part", WRONG[:1000])
    bring([remote(server.answer("/file", part_of(0, f"bytes 0-{SIZE - 1}/{SIZE}")))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-"]


def test_a_shorter_range_than_was_asked_for_is_not_the_end(server: Server, folder: Path) -> None:
    def short(request: Request) -> None:
        request.begin(206, Content_Length=500, Content_Range=f"bytes 1000-1499/{SIZE}")
        request.wfile.write(CONTENT[1000:1500])

    put(folder / ".file.part", CONTENT[:1000])
    bring([remote(server.answer("/file", short, ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-", "bytes=1500-"]


def test_a_range_of_a_file_of_unknown_length_is_appended(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    bring([remote(server.answer("/file", part_of(1000, f"bytes 1000-{SIZE - 1}/*")))], folder, None)
    assert brought(folder)


def test_a_cut_range_of_a_file_of_unknown_length_is_not_the_end(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    cut = part_of(1000, f"bytes 1000-{SIZE - 1}/*", end=2000)
    bring([remote(server.answer("/file", cut, ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-", "bytes=2000-"]


def test_a_server_that_sends_a_range_unasked_is_passed_over(server: Server, folder: Path) -> None:
    said = said_of(server.answer("/file", part_of(7, f"bytes 7-{SIZE - 1}/{SIZE}")), folder)
    assert "sends another part of the file" in said
    assert server.ranges() == [None]


def test_a_server_that_never_sends_what_is_asked_for_is_passed_over(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    said = said_of(server.answer("/file", part_of(7, f"bytes 7-{SIZE - 1}/{SIZE}")), folder)
    assert "sends another part of the file" in said
    assert (folder / ".file.part").read_bytes() == CONTENT[:1000]


def test_a_part_that_is_all_of_the_file_is_taken(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT)
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == [f"bytes={SIZE}-"]


@pytest.mark.parametrize("part", [WRONG, CONTENT + b"more"], ids=["as long", "longer"])
def test_a_part_beyond_which_there_is_nothing_and_that_is_wrong_is_begun_anew(
    server: Server, folder: Path, part: bytes
) -> None:
    put(folder / ".file.part", part)
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == [f"bytes={len(part)}-", None]


def test_a_server_that_knows_no_ranges_for_the_whole_file_either_is_passed_over(
    server: Server, folder: Path, pauses: list[float]
) -> None:
    assert ": 416 " in said_of(server.answer("/file", status(416)), folder)
    assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_a_refusal_sends_to_the_next_address_at_once(
    server: Server, folder: Path, pauses: list[float], code: int
) -> None:
    no, yes = server.answer("/no", status(code)), server.answer("/yes", ranged())
    bring([remote(no, yes)], folder, None)
    assert brought(folder)
    assert server.requests == [("/no", None), ("/yes", None)]
    assert pauses == []


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: Server, folder: Path, pauses: list[float], code: int) -> None:
    busy = status(code)
    bring([remote(server.answer("/file", busy, busy, busy, ranged()))], folder, None)
    assert brought(folder)
    assert pauses == [1, 2, 4]


def test_a_server_that_stays_busy_is_asked_four_times(
    server: Server, folder: Path, pauses: list[float]
) -> None:
    busy, other = server.answer("/busy", status(503)), server.answer("/other", ranged())
    bring([remote(busy, other)], folder, None)
    assert brought(folder)
    assert [path for path, _ in server.requests] == ["/busy"] * 4 + ["/other"]
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize(
    ("asked_for", "made"),
    [("7", 7), ("99", 99), ("3600", 1), ("0", 1), ("-5", 1), ("Wed, 21 Oct 2037 07:28:00 GMT", 1), ("", 1)],
)
def test_a_busy_server_is_given_the_time_it_asks_for_if_it_is_short(
    server: Server, folder: Path, pauses: list[float], asked_for: str, made: float
) -> None:
    bring([remote(server.answer("/file", status(503, Retry_After=asked_for), ranged()))], folder, None)
    assert brought(folder)
    assert pauses == [made]


def test_a_pause_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    REALLY_PAUSE(2)
    assert slept == [2]


# Another content than the right one.


def test_wrong_bytes_are_deleted_and_the_next_address_asked(server: Server, folder: Path) -> None:
    wrong, good = server.answer("/wrong", ranged(WRONG)), server.answer("/good", ranged())
    bring([remote(wrong, good)], folder, None)
    assert brought(folder)
    assert server.requests == [("/wrong", None), ("/good", None)]


def test_wrong_bytes_are_named_by_both_checksums(server: Server, folder: Path) -> None:
    said = said_of(server.answer("/file", ranged(WRONG)), folder)
    expected, found = (sha256(content)[7:15] for content in (CONTENT, WRONG))
    assert f"its checksum differs (sha256 {expected}... expected, sha256 {found}... found)" in said
    assert names(folder) == []


def test_a_wrong_part_is_no_hindrance(server: Server, folder: Path) -> None:
    put(folder / ".file.part", WRONG[:1000])
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert brought(folder)
    assert server.ranges() == ["bytes=1000-", None]


def test_a_part_begun_at_a_wrong_address_is_no_hindrance(server: Server, folder: Path) -> None:
    wrong, good = server.answer("/wrong", ranged(WRONG, sent=1000)), server.answer("/good", ranged())
    bring([remote(wrong, good)], folder, None)
    assert brought(folder)
    assert server.ranges("/good") == ["bytes=4000-", None]


def test_an_address_that_changed_its_mind_between_two_tries_is_asked_from_nothing(
    server: Server, folder: Path
) -> None:
    address = server.answer("/file", ranged(WRONG, sent=1000), ranged())
    bring([remote(address)], folder, None)
    assert brought(folder)
    assert server.ranges() == [None, "bytes=1000-", None]


def test_an_address_is_asked_from_nothing_only_once_more(server: Server, folder: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    said_of(server.answer("/file", ranged(WRONG)), folder)
    assert server.ranges() == ["bytes=1000-", None]
    assert names(folder) == []


def test_an_address_is_asked_from_nothing_only_once_more_even_if_it_is_cut(
    server: Server, folder: Path
) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    said_of(server.answer("/file", ranged(WRONG), ranged(WRONG, sent=2000), ranged(WRONG)), folder)
    assert server.ranges() == ["bytes=1000-", None, "bytes=2000-"]
    assert names(folder) == []


def test_a_file_of_unknown_length_that_was_cut_is_not_taken_for_whole(server: Server, folder: Path) -> None:
    assert "its checksum differs" in said_of(server.answer("/file", lengthless(sent=1000)), folder)
    assert names(folder) == []


@pytest.mark.parametrize(
    "page",
    [PAGE, b"\xef\xbb\xbf\r\n  <HTML>", b"<!-- saved --><html>", b'<?xml version="1.0"?><html xmlns="">'],
)
def test_a_web_page_is_not_the_file(server: Server, folder: Path, pauses: list[float], page: bytes) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    said = said_of(server.answer("/file", status(200, page)), folder)
    assert ": a web page, not the file)" in said
    assert (folder / ".file.part").read_bytes() == CONTENT[:1000]
    assert pauses == []


# What is there already.


def test_a_right_file_put_there_by_hand_is_left_alone(server: Server, folder: Path) -> None:
    path = put(folder / "file", CONTENT)
    before = path.stat()
    bring([remote(server.answer("/file", ranged()))], folder, None)
    assert path.stat() == before
    assert server.requests == []


def test_a_file_is_known_by_an_md5_as_well(folder: Path) -> None:
    path = put(folder / "file", CONTENT)
    known = replace(remote(), checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert right(path, known)
    put(path, WRONG)
    assert not right(path, known)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (
            WRONG,
            f"its checksum differs (sha256 {sha256(CONTENT)[7:15]}... expected, sha256 {sha256(WRONG)[7:15]}",
        ),
        (b"", "its checksum differs"),
        (CONTENT[:-1], "its checksum differs"),
        (PAGE, "a web page, not the file"),
    ],
    ids=["wrong", "empty", "cut", "page"],
)
def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(
    server: Server, folder: Path, content: bytes, wrong: str
) -> None:
    path = put(folder / "file", content)
    said = complaint(lambda: bring([remote(server.answer("/file", ranged()))], folder, None))
    assert said is not None
    assert said.startswith(f"data/raw/set/file: {wrong}")
    assert said.endswith("; delete it, and it is brought anew, or put the right one in its place")
    assert path.read_bytes() == content
    assert server.requests == []


def test_the_part_of_a_file_that_came_another_way_is_cleared_away(folder: Path, tmp_path: Path) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    put(folder / "file", CONTENT)
    bring([remote()], folder, None)
    assert brought(folder)


def test_a_file_found_nearby_is_copied(server: Server, folder: Path, tmp_path: Path) -> None:
    found = put(tmp_path / "data" / "raw" / "file", CONTENT)
    bring([remote(server.answer("/file", ranged()))], folder, None, (tmp_path / "nowhere", found.parent))
    assert brought(folder)
    assert server.requests == []
    assert not (folder / "file").samefile(found)
    assert found.read_bytes() == CONTENT


def test_a_read_only_file_found_nearby_gives_one_that_can_be_replaced(folder: Path, tmp_path: Path) -> None:
    found = put(tmp_path / "near" / "file", CONTENT)
    found.chmod(0o444)  # as DVC leaves its own
    bring([remote()], folder, None, [found.parent])
    assert brought(folder)


def test_a_wrong_file_found_nearby_is_noted_and_passed_over(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = put(tmp_path / "wrong" / "file", WRONG)
    put(tmp_path / "right" / "file", CONTENT)
    bring([remote()], folder, None, [tmp_path / "wrong", tmp_path / "right"])
    assert brought(folder)
    assert wrong.read_bytes() == WRONG
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wrong/file: its checksum differs (")
    assert line.endswith("; passed over")


def test_a_copy_that_fails_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "near" / "file", CONTENT)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        bring([remote()], folder, None, [tmp_path / "near"])
    assert names(folder) == []


# Files that were packed anew.


def unpacked(path: Path) -> str:
    with gzip.open(path) as file:
        return sha256(file.read())


PACKED, PACKED_ANEW = (gzip.compress(CONTENT, level, mtime=level) for level in (1, 9))
PACKED_WRONG = gzip.compress(WRONG)
BROKEN = {
    "no gzip": CONTENT,
    "cut": PACKED_ANEW[:-100],
    "damaged": PACKED_ANEW[:1000] + bytes(1000) + PACKED_ANEW[2000:],
    "damaged at the end": PACKED_ANEW[:-8] + bytes(8),
    "not deflated": PACKED_ANEW[:10] + b"\xff" * 100,
}


def packed(*addresses: str, published: str = sha256(PACKED)) -> Remote:
    return Remote("file", "group", addresses, published, unpacked, sha256(CONTENT))


@pytest.mark.parametrize("published", [sha256(PACKED), ""])
def test_a_file_that_was_packed_anew_is_right(server: Server, folder: Path, published: str) -> None:
    assert PACKED != PACKED_ANEW
    bring([packed(server.answer("/file", ranged(PACKED_ANEW)), published=published)], folder, None)
    assert (folder / "file").read_bytes() == PACKED_ANEW
    bring([packed(published=published)], folder, None)


def test_the_file_as_published_is_right_without_being_unpacked(folder: Path) -> None:
    path = put(folder / "file", CONTENT)
    assert right(path, packed(published=sha256(CONTENT)))


@pytest.mark.parametrize("published", [sha256(PACKED), ""])
@pytest.mark.parametrize("content", [PACKED_WRONG, *BROKEN.values()], ids=["other content", *BROKEN])
def test_a_file_with_other_or_unreadable_contents_is_refused(
    folder: Path, content: bytes, published: str
) -> None:
    put(folder / "file", content)
    said = complaint(lambda: bring([packed(published=published)], folder, None))
    assert said is not None
    assert said.startswith(
        "data/raw/set/file: its checksum differs" if published else "data/raw/set/file: its contents"
    )


@pytest.mark.parametrize(
    "unknowable",
    [replace(remote(), checksum=""), replace(packed(published=""), contents_checksum="")],
    ids=["no checksum", "no checksum of the contents"],
)
def test_a_file_that_nobody_could_check_is_a_mistake_of_ours(folder: Path, unknowable: Remote) -> None:
    put(folder / "file", CONTENT)
    with pytest.raises(AssertionError, match="file"):
        bring([unknowable], folder, None)


# Mirrors.


def test_the_mirror_is_asked_first_by_name_then_by_group(server: Server, folder: Path) -> None:
    server.answer("/mirror/group/file", ranged())
    official = server.answer("/official", ranged())
    bring([remote(official)], folder, f"{server.url}/mirror/")
    assert brought(folder)
    assert server.requests == [("/mirror/file", None), ("/mirror/group/file", None)]


def test_the_official_address_is_asked_after_the_mirror(server: Server, folder: Path) -> None:
    server.answer("/mirror/file", ranged(WRONG))
    official = server.answer("/official", ranged())
    bring([remote(official)], folder, f"{server.url}/mirror")
    assert brought(folder)
    assert [path for path, _ in server.requests] == ["/mirror/file", "/mirror/group/file", "/official"]


@pytest.mark.parametrize("inside", ["file", "group/file"])
@pytest.mark.parametrize("address", [str, Path.as_uri], ids=["folder", "file address"])
def test_a_mirror_may_be_a_folder(
    folder: Path, tmp_path: Path, inside: str, address: Callable[[Path], str]
) -> None:
    mirror = tmp_path / "a mirror @ home"
    put(mirror / inside, CONTENT)
    put(folder / ".file.part", CONTENT[:1000])
    bring([remote()], folder, address(mirror))
    assert brought(folder)
    assert (mirror / inside).read_bytes() == CONTENT


def test_a_mirror_may_be_a_folder_relative_to_the_workspace(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "mirror" / "file", CONTENT)
    bring([remote()], folder, "mirror")
    assert brought(folder)


def test_what_a_folder_lacks_is_named(folder: Path, tmp_path: Path, pauses: list[float]) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "file").mkdir(parents=True)
    said = complaint(lambda: bring([remote()], folder, str(mirror)))
    assert said is not None
    assert f"({mirror}/file: Is a directory; {mirror}/group/file: No such file or directory)" in said
    assert pauses == []


def test_an_unusual_name_is_asked_for_as_addresses_write_it(server: Server, folder: Path) -> None:
    server.answer("/mirror/a%20%23%20file", ranged())
    bring([remote(name="a # file")], folder, f"{server.url}/mirror")
    assert (folder / "a # file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "mirror", ["ftp://host/mirror", "data:,", "example.org/mirror", "no/such/folder", "http:/h"]
)
def test_a_mirror_that_is_neither_address_nor_folder_is_named(folder: Path, mirror: str) -> None:
    put(folder / "file", CONTENT)
    said = complaint(lambda: bring([remote()], folder, mirror))
    assert said == f"data.mirror: '{mirror}' is neither a folder nor an http(s):// or file:// address"


@pytest.mark.parametrize(
    "mirror", ["http://", "http:///x", "http://[::1/x", "http://127.0.0.1:port", "http://a b"]
)
def test_an_address_that_is_none_is_said_in_one_line(folder: Path, pauses: list[float], mirror: str) -> None:
    said = complaint(lambda: bring([remote()], folder, mirror))
    assert said is not None
    assert said.startswith("file: not downloaded (")
    assert "\n" not in said
    assert pauses == []


def test_no_password_is_printed(folder: Path) -> None:
    said = complaint(lambda: bring([remote()], folder, "http://me:password@127.0.0.1/mirror"))
    assert said is not None
    assert said.startswith("file: not downloaded (127.0.0.1: ")
    assert "me:" not in said


# What is said.


def test_a_file_that_no_address_gives_is_one_line_with_every_answer(server: Server, folder: Path) -> None:
    addresses = (
        server.answer("/a", status(404)),
        server.answer("/b", status(503)),
        server.answer("/c", status(200, PAGE)),
        server.answer("/d", status(404)),
    )
    host = server.url.removeprefix("http://")
    assert said_of(addresses, folder) == (
        f"file: not downloaded ({host}: 404 Not Found; {host}: 503 Service Unavailable; "
        f"{host}: a web page, not the file); "
        "download it by other means and put it in data/raw/, or set data.mirror"
    )


def test_a_file_without_an_address_is_asked_of_the_user(folder: Path) -> None:
    assert said_of((), folder).startswith(
        "file: not downloaded (it has no address); download it by other means"
    )


def test_a_server_cannot_fill_the_screen(server: Server, folder: Path) -> None:
    def talk(request: Request) -> None:
        request.wfile.write(b"HTTP/1.1 404 " + b"na " * 5000 + b"\r\nContent-Length: 0\r\n\r\n")

    assert len(said_of(server.answer("/file", talk), folder)) < 300


def test_every_missing_file_is_named_after_all_were_tried(server: Server, folder: Path) -> None:
    put(folder / "altered", WRONG)
    remotes = [
        remote(server.answer("/one", status(404)), name="one"),
        remote(name="altered"),
        remote(server.answer("/two", status(403)), name="two"),
        remote(server.answer("/file", ranged())),
    ]
    said = complaint(lambda: bring(remotes, folder, None))
    assert said is not None
    lines = said.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["one", "data/raw/set/altered", "two"]
    assert names(folder) == ["altered", "file"]


# Deaths and disks.


class Bar:
    """In the place of tqdm: notes what it is told, and may end it all."""

    told: list[dict[str, Any]]
    end: Callable[[], object] | None

    def __init__(self, **settings: Any) -> None:
        self.settings = settings | {"updates": []}
        self.told.append(self.settings)

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
    Bar.told, Bar.end = [], None
    monkeypatch.setattr("tqdm.tqdm", Bar)
    return Bar


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_the_progress_counts_from_what_was_there(server: Server, folder: Path, bar: type[Bar]) -> None:
    put(folder / ".file.part", CONTENT[:1000])
    bring([remote(server.answer("/file", ranged()))], folder, None)
    (told,) = bar.told
    assert told["initial"] + sum(told["updates"]) == told["total"] == SIZE
    assert told["initial"] == 1000
    assert told["desc"] == "file"
    assert (told["unit"], told["unit_scale"], told["disable"]) == ("B", True, None)


def test_the_progress_of_a_file_of_unknown_length_has_no_end(
    server: Server, folder: Path, bar: type[Bar]
) -> None:
    bring([remote(server.answer("/file", lengthless()))], folder, None)
    (told,) = bar.told
    assert told["total"] is None
    assert sum(told["updates"]) == SIZE


def test_an_interrupted_download_goes_on_the_next_time(server: Server, folder: Path, bar: type[Bar]) -> None:
    address = server.answer("/file", ranged())
    bar.end = interrupt
    with pytest.raises(KeyboardInterrupt):
        bring([remote(address)], folder, None)
    assert names(folder) == [".file.part"]
    there = (folder / ".file.part").read_bytes()
    assert CONTENT.startswith(there)
    assert len(there) == sum(bar.told[0]["updates"])
    bar.end = None
    bring([remote(address)], folder, None)
    assert brought(folder)
    if len(there) < SIZE:
        assert server.ranges() == [None, f"bytes={len(there)}-"]


def test_an_interrupted_pause_keeps_what_is_there(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "pause", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bring([remote(server.answer("/file", ranged(sent=1000)))], folder, None)
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:1000]


KILLED = """
import os, signal, sys, tqdm
from pathlib import Path
from hw2core.data.fetch import Remote, bring

class Bar:
    come = 0
    def __init__(self, **settings): pass
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def update(self, count):
        self.come += count
        if self.come >= 190_000:
            os.kill(os.getpid(), signal.SIGKILL)

tqdm.tqdm = Bar
address, checksum, folder = sys.argv[1:]
bring([Remote("file", "group", (address,), checksum)], Path(folder), None)
"""


def test_a_killed_download_goes_on_the_next_time(server: Server, folder: Path) -> None:
    address = server.answer("/file", ranged(sent=200_000), ranged())
    command = [sys.executable, "-c", KILLED, address, sha256(CONTENT), str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert names(folder) == [".file.part"]
    there = (folder / ".file.part").read_bytes()
    assert there
    assert CONTENT.startswith(there)
    bring([remote(address)], folder, None)
    assert brought(folder)
    assert server.ranges() == [None, f"bytes={len(there)}-"]


class SmallDisk:
    """An open file on a disk that has room for so many bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> "SmallDisk":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, block: bytes) -> None:
        self.file.write(block[: self.room])
        self.room -= len(block)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_it_at_once_and_keeps_what_fits(
    server: Server, folder: Path, pauses: list[float]
) -> None:
    address, other = server.answer("/file", ranged()), server.answer("/other", ranged())
    really_open = Path.open

    def open_on_a_small_disk(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = really_open(path, mode, *arguments, **options)
        return SmallDisk(file, 100_000) if path.name == ".file.part" and "+" in mode else file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_on_a_small_disk)
        with pytest.raises(OSError, match="No space left") as full:
            bring([remote(address, other), remote(other, name="other")], folder, None)
    assert full.value.errno == errno.ENOSPC
    assert server.requests == [("/file", None)]
    assert pauses == []
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT[:100_000]

    bring([remote(address)], folder, None)
    assert brought(folder)
    assert server.ranges() == [None, "bytes=100000-"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_ends_it_at_once(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float], code: int
) -> None:
    def refuse(path: Path, *arguments: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    address, other = server.answer("/file", ranged()), server.answer("/other", ranged())
    with pytest.raises(OSError, match=os.strerror(code)) as refused:
        bring([remote(address, other)], folder, None)
    assert refused.value.filename == str(folder / ".file.part")
    assert server.requests == [("/file", None)]
    assert pauses == []
    assert names(folder) == []


def test_a_folder_that_is_a_file_is_left_as_it_is(server: Server, folder: Path) -> None:
    put(folder, b"mine")
    with pytest.raises(OSError, match="File exists"):
        bring([remote(server.answer("/file", ranged()))], folder, None)
    assert folder.read_bytes() == b"mine"
    assert server.requests == []


def test_a_name_that_cannot_be_given_keeps_what_came(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        bring([remote(server.answer("/file", ranged()))], folder, None)
    assert names(folder) == [".file.part"]
    assert (folder / ".file.part").read_bytes() == CONTENT


# Whatever happens.

SMALL = CONTENT[:3000]
cut_points = st.integers(0, len(SMALL))
mishaps = st.one_of(
    *(
        cut_points.map(lambda sent, kind=kind: kind(SMALL, sent))
        for kind in (ranged, rangeless, lengthless, chunked)
    ),
    st.sampled_from([hang_up, reset, status(503), status(200, PAGE), status(404)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    begun=cut_points,
    happening=st.lists(mishaps, max_size=12),
    last=st.sampled_from([ranged, rangeless, chunked]),
)
@example(begun=0, happening=[ranged(SMALL, sent) for sent in range(0, 500, 100)], last=ranged)
def test_whatever_is_cut_wherever_the_file_ends_whole_and_right(
    server: Server, tmp_path: Path, begun: int, happening: list[Answer], last: Callable[[bytes], Answer]
) -> None:
    """Each run of `bring` ends with the right file, or without any and with a right beginning of it."""
    address = server.answer("/file", *happening, last(SMALL))
    wanted = Remote("file", "group", (address,), sha256(SMALL))
    with tempfile.TemporaryDirectory(dir=tmp_path) as place:
        folder = Path(place)
        part = put(folder / ".file.part", SMALL[:begun])
        for _ in range(len(happening) + 1):
            if complaint(lambda: bring([wanted], folder, None)) is None:
                break
            assert not (folder / "file").exists()
            assert SMALL.startswith(part.read_bytes() if part.exists() else b"")
        assert (folder / "file").read_bytes() == SMALL
        assert names(folder) == ["file"]
