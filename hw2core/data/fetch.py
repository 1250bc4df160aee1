"""Download public files to a folder, resumable and verified, from the first address that serves the right content.

A partial download is stored as `.<name>.part` beside its target and survives any interruption. The next attempt
requests only the remaining bytes. A file gets its name only after its checksum has been verified.
"""

import hashlib
import os
import re
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPException, IncompleteRead
from itertools import chain
from pathlib import Path
from ssl import SSLEOFError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from hw2core.errors import UserError

BLOCK = 1 << 20  # bytes
HEAD = 512  # bytes that are enough to recognize a web page
TIMEOUT = 30  # seconds without data
PAUSES = (1, 2, 4)  # seconds between the four attempts at an address
TRANSIENT = (ConnectionError, TimeoutError, BadStatusLine, SSLEOFError)


@dataclass(frozen=True)
class Remote:
    """A public file: its addresses and checksums."""

    name: str
    group: str  # its collection; a mirror may use it as a folder name
    addresses: tuple[str, ...]  # tried in order
    checksum: str  # "sha256:..." or "md5:..." of the published file; "" if none is published
    # A mirror may have recompressed the file: it is also valid if `contents` returns `contents_checksum`.
    # `contents` raises ValueError, OSError or EOFError for an unreadable file.
    contents: Callable[[Path], str] | None = None
    contents_checksum: str = ""


class AddressError(Exception):
    """An address does not serve the file, and a retry would not help."""


class TransientError(AddressError):
    """An address failed to serve the file this time; a retry after a pause may succeed."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def fetch_files(
    remotes: Sequence[Remote], folder: Path, mirror: str | None, local_folders: Sequence[Path] = ()
) -> None:
    """Put every file into `folder`: keep it if it is there, else copy it from a local folder, else download it."""
    base = mirror_address(mirror) if mirror else None
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for remote in remotes:
        try:
            fetch_file(remote, folder, base, local_folders)
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("\n".join(problems))


def fetch_file(remote: Remote, folder: Path, mirror: str | None, local_folders: Sequence[Path]) -> None:
    path = folder / remote.name
    part = folder / f".{remote.name}.part"
    if path.exists():
        if not is_valid(path, remote):
            raise UserError(
                f"{os.path.relpath(path)}: {describe_mismatch(path, remote)}; "
                "delete it to download it again, or replace it with the right file"
            )
    elif found := find_local(remote, local_folders):
        copy(found, path)
    else:
        download(remote, part, mirror)
        commit(part, path)
    part.unlink(missing_ok=True)  # of an earlier download


def find_local(remote: Remote, folders: Sequence[Path]) -> Path | None:
    for found in (folder / remote.name for folder in folders):
        if found.exists():
            if is_valid(found, remote):
                return found
            print(f"{os.path.relpath(found)}: {describe_mismatch(found, remote)}; ignored", file=sys.stderr)
    return None


def is_valid(path: Path, remote: Remote) -> bool:
    """Whether a file is the published one, or has the same contents."""
    assert remote.checksum or (remote.contents and remote.contents_checksum), remote.name
    if remote.checksum and checksum(path, remote) == remote.checksum:
        return True
    try:
        return remote.contents is not None and remote.contents(path) == remote.contents_checksum
    except (ValueError, OSError, EOFError, zlib.error):
        return False


def checksum(path: Path, remote: Remote) -> str:
    """The checksum of a file, by the algorithm of the remote's checksum."""
    algorithm = remote.checksum.partition(":")[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def describe_mismatch(path: Path, remote: Remote) -> str:
    """Why a file is not valid, in a few words."""
    with path.open("rb") as file:
        if is_web_page(file.read(HEAD)):
            return "a web page, not the file"
    if not remote.checksum:
        return "its contents differ from the published file, or cannot be read"
    return f"wrong checksum ({short(remote.checksum)} expected, {short(checksum(path, remote))} found)"


def is_web_page(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"html" in head.lower()


def short(checksum: str) -> str:
    algorithm, _, digest = checksum.partition(":")
    return f"{algorithm} {digest[:8]}..."


def copy(source: Path, path: Path) -> None:
    draft = path.with_name(f".{path.name}.copy")
    try:
        shutil.copyfile(source, draft)
        commit(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def commit(draft: Path, path: Path) -> None:
    """Rename a verified file to its final name, after its content is on disk."""
    with draft.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)


def download(remote: Remote, part: Path, mirror: str | None) -> None:
    """Complete and verify the partial file, from the first address that succeeds."""
    failures = []
    for address in addresses(remote, mirror):
        try:
            return download_from(part, remote, address)
        except AddressError as error:
            failures.append(f"{origin(address)}: {error}")
    reasons = "; ".join(dict.fromkeys(failures)) or "it has no address"
    manual = os.path.relpath(part.parent.parent)
    raise UserError(
        f"{remote.name}: not downloaded ({reasons}); download it in another way and put it into {manual}/, "
        "or set data.mirror"
    )


def mirror_address(mirror: str) -> str:
    scheme, separator, _ = mirror.partition("://")
    if separator and scheme.lower() in ("http", "https", "file"):
        return mirror.rstrip("/")
    if Path(mirror).is_dir():
        return Path(mirror).resolve().as_uri()
    raise UserError(f"data.mirror: {mirror!r} is neither a folder nor an http(s):// or file:// address")


def addresses(remote: Remote, mirror: str | None) -> Iterator[str]:
    if mirror:
        yield f"{mirror}/{quote(remote.name)}"
        yield f"{mirror}/{quote(remote.group)}/{quote(remote.name)}"
    yield from remote.addresses


def origin(address: str) -> str:
    """The origin of an address in error messages: the host without credentials, or a local path."""
    host, _, path = address.partition("://")[2].partition("/")
    return host.rpartition("@")[2] or f"/{path}"


def download_from(part: Path, remote: Remote, address: str) -> None:
    """Complete and verify the partial file. An invalid one is deleted, because no later attempt could complete it."""
    for _ in range(2):
        start = receive_with_retries(part, remote.name, address)
        if is_valid(part, remote):
            return
        mismatch = describe_mismatch(part, remote)
        part.unlink()
        if start == 0:  # otherwise the old part may be the invalid one: retry once from the beginning
            break
    raise AddressError(mismatch)


def receive_with_retries(part: Path, name: str, address: str) -> int:
    for default_pause in PAUSES:
        try:
            return receive(part, name, address)
        except TransientError as error:
            pause(error.retry_after or default_pause)
    return receive(part, name, address)


def pause(seconds: float) -> None:
    """Wait before the next attempt. Tests replace this function."""
    time.sleep(seconds)


def receive(part: Path, name: str, address: str) -> int:
    """Append the missing bytes to the partial file. Returns the offset of the response, 0 for the whole file."""
    size = part.stat().st_size if part.exists() else 0
    for offset in dict.fromkeys((size, 0)):  # request the whole file if the server sends another range
        response = request(address, offset)
        if response is None:
            return size
        with response:
            begin, length = response_range(response)
            if begin in (0, offset):
                write_response(part, name, response, begin, length)
                return begin
    raise AddressError("sends a range that was not requested")


def request(address: str, start: int) -> Any:
    """Request a file from byte `start`; None if the file has no bytes from there on."""
    headers = {"User-Agent": "hw2core", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with network_errors():
        try:
            return urlopen(Request(address, headers=headers), timeout=TIMEOUT)
        except HTTPError as error:
            if error.code != 416 or not start:
                raise
            error.close()
            return None


def response_range(response: Any) -> tuple[int, int | None]:
    """The offset at which a response begins, and the length of the whole file if the response states it."""
    headers = response.headers
    if response.status != 206:
        stated = headers.get("Content-Length", "")
        return 0, int(stated) if stated.isdecimal() else None
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
    if not match:
        return -1, None
    begin, last, length = match.groups()
    return int(begin), int(last) + 1 if length == "*" else int(length)


def write_response(part: Path, name: str, response: Any, begin: int, length: int | None) -> None:
    """Write a response over the partial file. An interrupted response never shortens it."""
    from tqdm import tqdm  # here, because most runs download nothing

    with network_errors():
        head = response.read(HEAD)
    if begin == 0 and is_web_page(head):
        raise AddressError("a web page, not the file")
    part.touch()
    bar = tqdm(desc=name, total=length, initial=begin, unit="B", unit_scale=True, leave=False, disable=None)
    with part.open("r+b") as file, bar:
        file.seek(begin)
        for block in chain((head,), blocks(response)):
            file.write(block)
            bar.update(len(block))
        if length is not None and file.tell() < length:
            raise TransientError("the connection was interrupted")
        file.truncate()


def blocks(response: Any) -> Iterator[bytes]:
    """Yield data as it arrives, so that a broken connection loses nothing that was received."""
    while True:
        with network_errors():
            block = response.read1(BLOCK)
        if not block:
            return
        yield block


@contextmanager
def network_errors() -> Iterator[None]:
    """Convert errors of the network to AddressError with a short message. Disk errors are raised outside this context."""
    try:
        yield
    except HTTPError as error:
        error.close()
        message = shorten(f"{error.code} {error.reason}")
        if error.code == 429 or error.code >= 500:
            raise TransientError(message, retry_after(error)) from None
        raise AddressError(message) from None
    except IncompleteRead:
        raise TransientError("the connection was interrupted") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        message = shorten(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)
        raise (TransientError if isinstance(reason, TRANSIENT) else AddressError)(message) from None


def retry_after(error: HTTPError) -> int | None:
    """The seconds in the Retry-After header, if they are at most 99."""
    seconds = error.headers.get("Retry-After", "")
    return int(seconds) if re.fullmatch("[1-9][0-9]?", seconds) else None


def shorten(message: str) -> str:
    return " ".join(message.split())[:100]
