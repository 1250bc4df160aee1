"""Published files brought to a folder, whole and verified, from the first address that gives the right one.

What has come of a file lies in `.<name>.part` beside where it will be and outlives whatever cuts the download
off; the next try, now or another day, asks only for the rest. A file has its name only when it is right.
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
BEGINNING = 512  # bytes that tell a web page from a file
TIMEOUT = 30  # seconds in which a server has to say something
PAUSES = (1, 2, 4)  # seconds, between four tries of an address
PASSING = (ConnectionError, TimeoutError, BadStatusLine, SSLEOFError)


@dataclass(frozen=True)
class Remote:
    """A published file: where it is, and how one knows that it is the right one."""

    name: str
    group: str  # the collection it belongs to: a mirror may keep it in a folder of this name
    addresses: tuple[str, ...]  # tried in order
    checksum: str  # "sha256:..." or "md5:..." of the file as published; "" if none is published
    # A mirror may have packed the file anew: one whose `contents` give `contents_checksum` is right as well.
    # Of an unreadable file it raises ValueError, OSError or EOFError.
    contents: Callable[[Path], str] | None = None
    contents_checksum: str = ""


class AddressError(Exception):
    """An address does not give the file, and asking it again would not help."""


class PassingError(AddressError):
    """An address has not given the file this time; it may after a pause."""

    def __init__(self, said: str, wanted_pause: int | None = None) -> None:
        super().__init__(said)
        self.wanted_pause = wanted_pause


def bring(remotes: Sequence[Remote], folder: Path, mirror: str | None, found_in: Sequence[Path] = ()) -> None:
    """Make `folder` hold every file, right: as it lies there already, found nearby, or downloaded."""
    base = address_of_mirror(mirror) if mirror else None
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for remote in remotes:
        try:
            bring_one(remote, folder, base, found_in)
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("\n".join(problems))


def bring_one(remote: Remote, folder: Path, mirror: str | None, found_in: Sequence[Path]) -> None:
    path = folder / remote.name
    part = folder / f".{remote.name}.part"
    if path.exists():
        if not right(path, remote):
            raise UserError(
                f"{os.path.relpath(path)}: {what_is_wrong(path, remote)}; "
                "delete it, and it is brought anew, or put the right one in its place"
            )
    elif found := find(remote, found_in):
        copy(found, path)
    else:
        download(remote, part, mirror)
        settle(part, path)
    part.unlink(missing_ok=True)  # of an earlier download, needed no more


def find(remote: Remote, folders: Sequence[Path]) -> Path | None:
    for found in (folder / remote.name for folder in folders):
        if found.exists():
            if right(found, remote):
                return found
            print(f"{os.path.relpath(found)}: {what_is_wrong(found, remote)}; passed over", file=sys.stderr)
    return None


def right(path: Path, remote: Remote) -> bool:
    """Whether a file is the one that was published, or at least holds the same."""
    assert remote.checksum or (remote.contents and remote.contents_checksum), remote.name
    if remote.checksum and checksum(path, remote) == remote.checksum:
        return True
    try:
        return remote.contents is not None and remote.contents(path) == remote.contents_checksum
    except (ValueError, OSError, EOFError, zlib.error):
        return False


def checksum(path: Path, remote: Remote) -> str:
    """As the remote's own is written, by the algorithm that it names."""
    algorithm = remote.checksum.partition(":")[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def what_is_wrong(path: Path, remote: Remote) -> str:
    """For a file that is not right: why, in a few words."""
    with path.open("rb") as file:
        if is_web_page(file.read(BEGINNING)):
            return "a web page, not the file"
    if not remote.checksum:
        return "its contents differ from what was published, or cannot be read"
    return f"its checksum differs ({short(remote.checksum)} expected, {short(checksum(path, remote))} found)"


def is_web_page(beginning: bytes) -> bool:
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"html" in beginning.lower()


def short(checksum: str) -> str:
    algorithm, _, digest = checksum.partition(":")
    return f"{algorithm} {digest[:8]}..."


def copy(source: Path, path: Path) -> None:
    draft = path.with_name(f".{path.name}.copy")
    try:
        shutil.copyfile(source, draft)
        settle(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def settle(draft: Path, path: Path) -> None:
    """Give a right file its name, once it is on the disk."""
    with draft.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)


def download(remote: Remote, part: Path, mirror: str | None) -> None:
    """Make the part whole and right, from whichever address."""
    answers = []
    for address in addresses(remote, mirror):
        try:
            return complete(part, remote, address)
        except AddressError as error:
            answers.append(f"{place(address)}: {error}")
    said = "; ".join(dict.fromkeys(answers)) or "it has no address"
    by_hand = os.path.relpath(part.parent.parent)
    raise UserError(
        f"{remote.name}: not downloaded ({said}); download it by other means and put it in {by_hand}/, "
        "or set data.mirror"
    )


def address_of_mirror(mirror: str) -> str:
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


def place(address: str) -> str:
    """What tells an address from others in an error: its host, without a password, or a local path."""
    host, _, path = address.partition("://")[2].partition("/")
    return host.rpartition("@")[2] or f"/{path}"


def complete(part: Path, remote: Remote, address: str) -> None:
    """Make of the part the whole and right file. A wrong one is deleted: it would spoil every later try."""
    for _ in range(2):
        began_at = receive_patiently(part, remote.name, address)
        if right(part, remote):
            return
        wrong = what_is_wrong(part, remote)
        part.unlink()
        if began_at == 0:  # else the fault may lie in what was there before: once more from nothing
            break
    raise AddressError(wrong)


def receive_patiently(part: Path, name: str, address: str) -> int:
    for usual_pause in PAUSES:
        try:
            return receive(part, name, address)
        except PassingError as error:
            pause(error.wanted_pause or usual_pause)
    return receive(part, name, address)


def pause(seconds: float) -> None:
    """Let a server recover. Tests put something else here."""
    time.sleep(seconds)


def receive(part: Path, name: str, address: str) -> int:
    """Add to the part what it lacks. Returns where in the file the answer began: at 0 if all was sent."""
    there = part.stat().st_size if part.exists() else 0
    for asked in dict.fromkeys((there, 0)):  # all of it, if the rest is asked for and something else is sent
        response = ask(address, asked)
        if response is None:
            return there
        with response:
            begin, length = extent(response)
            if begin in (0, asked):
                keep(part, name, response, begin, length)
                return begin
    raise AddressError("sends another part of the file than it was asked for")


def ask(address: str, start: int) -> Any:
    """The answer to a request for a file from `start` on; None if the server has no more of it."""
    headers = {"User-Agent": "hw2core", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with network():
        try:
            return urlopen(Request(address, headers=headers), timeout=TIMEOUT)
        except HTTPError as error:
            if error.code != 416 or not start:
                raise
            error.close()
            return None


def extent(response: Any) -> tuple[int, int | None]:
    """Where in the file an answer begins, and the length of the whole file if the answer tells it."""
    headers = response.headers
    if response.status != 206:
        sent = headers.get("Content-Length", "")
        return 0, int(sent) if sent.isdecimal() else None
    told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
    if not told:
        return -1, None
    begin, last, length = told.groups()
    return int(begin), int(last) + 1 if length == "*" else int(length)


def keep(part: Path, name: str, response: Any, begin: int, length: int | None) -> None:
    """Write an answer into the part, over what is there: an answer that is cut off takes nothing away."""
    from tqdm import tqdm  # here, since most runs download nothing

    with network():
        beginning = response.read(BEGINNING)
    if begin == 0 and is_web_page(beginning):
        raise AddressError("a web page, not the file")
    part.touch()
    bar = tqdm(desc=name, total=length, initial=begin, unit="B", unit_scale=True, leave=False, disable=None)
    with part.open("r+b") as file, bar:
        file.seek(begin)
        for block in chain((beginning,), blocks(response)):
            file.write(block)
            bar.update(len(block))
        if length is not None and file.tell() < length:
            raise PassingError("the connection was cut")
        file.truncate()


def blocks(response: Any) -> Iterator[bytes]:
    """What comes, as it comes: of a broken connection nothing that had arrived is lost."""
    while True:
        with network():
            block = response.read1(BLOCK)
        if not block:
            return
        yield block


@contextmanager
def network() -> Iterator[None]:
    """Tell in a few words what went wrong with an address; our own disk is not meant here."""
    try:
        yield
    except HTTPError as error:
        error.close()
        said = brief(f"{error.code} {error.reason}")
        if error.code == 429 or error.code >= 500:
            raise PassingError(said, wanted_pause(error)) from None
        raise AddressError(said) from None
    except IncompleteRead:
        raise PassingError("the connection was cut") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        said = brief(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)
        raise (PassingError if isinstance(reason, PASSING) else AddressError)(said) from None


def wanted_pause(error: HTTPError) -> int | None:
    """The seconds that a server asks for, if one can wait that long."""
    asked_for = error.headers.get("Retry-After", "")
    return int(asked_for) if re.fullmatch("[1-9][0-9]?", asked_for) else None


def brief(said: str) -> str:
    return " ".join(said.split())[:100]
