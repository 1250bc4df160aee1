"""A local web server whose responses a test defines, including the faults of real servers."""

import hashlib
import random
import socket
import struct
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from drawn import error_of

from hw2core.data.fetch import Remote, fetch_files

CONTENT = random.Random(0).randbytes(300_000)
SIZE = len(CONTENT)
WRONG = bytes(reversed(CONTENT))
PAGE = b"<!DOCTYPE html><html><body>Too many people have downloaded this file.</body></html>"


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        self.server.headers.append(dict(self.headers))
        responses = self.server.responses.get(self.path, [status(404)])
        (responses.pop(0) if len(responses) > 1 else responses[0])(self)

    def begin(self, code: int, **headers: str | int) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    @property
    def start(self) -> int:
        """The first byte of the requested range."""
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *arguments: object) -> None:
        pass


Response = Callable[[Request], None]


class Server(ThreadingHTTPServer):
    """Sends the responses set for a path in order and repeats the last one; records all requests."""

    daemon_threads = False  # close() waits for the handlers, so that no socket stays open

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()

    def reset(self) -> None:
        self.responses: dict[str, list[Response]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.errors: list[str] = []

    def respond(self, path: str, *responses: Response) -> str:
        """Set the responses for a path; returns its address."""
        self.responses[path] = list(responses)
        return self.url + path

    def ranges(self, path: str = "/file") -> list[str | None]:
        """The ranges that were requested."""
        return [range_ for requested, range_ in self.requests if requested == path]

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without an orderly shutdown, so that `reset` sends RST

    def handle_error(self, request: Any, address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # the client may close the connection at any time
            self.errors.append(repr(error))


def ranged(content: bytes = CONTENT, sent: int | None = None, **changes: str | int) -> Response:
    """A server that supports ranges. It closes the connection after `sent` bytes of the body."""

    def respond(request: Request) -> None:
        start = request.start
        if start >= len(content) > 0 and start:
            request.begin(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
            return
        headers: dict[str, str | int] = {"Content_Length": len(content) - start}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.begin(206 if start else 200, **headers | changes)
        request.wfile.write(content[start:][:sent])

    return respond


def rangeless(content: bytes = CONTENT, sent: int | None = None) -> Response:
    """A server that ignores ranges and sends the whole file."""

    def respond(request: Request) -> None:
        request.begin(200, Content_Length=len(content))
        request.wfile.write(content[:sent])

    return respond


def lengthless(content: bytes = CONTENT, sent: int | None = None) -> Response:
    """A server that sends no Content-Length."""

    def respond(request: Request) -> None:
        request.begin(200, Connection="close")
        request.wfile.write(content[:sent])

    return respond


def chunked(content: bytes = CONTENT, sent: int | None = None) -> Response:
    """A server that uses chunked transfer encoding."""

    def respond(request: Request) -> None:
        start = request.start
        headers = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        request.begin(206 if start else 200, Transfer_Encoding="chunked", **headers)
        body = content[start:][:sent]
        for k in range(0, len(body), 1000):
            chunk = body[k : k + 1000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if sent is None or start + sent >= len(content):
            request.wfile.write(b"0\r\n\r\n")

    return respond


def partial_content(begin: int, content_range: str | None, end: int = SIZE) -> Response:
    """A server that sends bytes begin..end with this Content-Range, whatever was requested."""

    def respond(request: Request) -> None:
        headers = {"Content_Range": content_range} if content_range is not None else {}
        request.begin(206, Content_Length=SIZE - begin, **headers)
        request.wfile.write(CONTENT[begin:end])

    return respond


def status(code: int, body: bytes = b"", **headers: str) -> Response:
    def respond(request: Request) -> None:
        request.begin(code, Content_Length=len(body), **headers)
        request.wfile.write(body)

    return respond


def hang_up(request: Request) -> None:
    """Close the connection without a response."""
    request.close_connection = True


def reset(request: Request) -> None:
    """Reset the connection without a response."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True


def garbage(request: Request) -> None:
    """Send something that is not HTTP."""
    request.wfile.write(b"what?\r\n")
    request.close_connection = True


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


def download(
    server: Server, folder: Path, *responses: Response, part: bytes | None = None
) -> list[str | None]:
    """Fetch /file from a server with these responses, check the result, and return the requested ranges."""
    if part is not None:
        put(folder / ".file.part", part)
    fetch_files([remote(server.respond("/file", *responses))], folder, None)
    assert is_complete(folder)
    return server.ranges()


def failure(folder: Path, *addresses: str) -> str:
    """The one-line error message if no address serves the file."""
    message = error_of(lambda: fetch_files([remote(*addresses)], folder, None))
    assert "\n" not in message
    assert not (folder / "file").exists()
    return message


def is_complete(folder: Path) -> bool:
    """The file is valid, and the folder contains nothing else."""
    return (folder / "file").read_bytes() == CONTENT and names(folder) == ["file"]
