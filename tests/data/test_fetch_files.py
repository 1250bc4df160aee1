"""Files around a download: local copies, checksums, mirrors, messages, and interruptions at any moment."""

import errno
import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import web_server as web
from conftest import complaint
from drawn import error_of
from web_fixtures import download_folder, fresh_server, local_only, recorded_pauses, running_server  # noqa: F401
from web_server import CONTENT, WRONG, Server, failure, is_complete, names, put, remote

from hw2core.data.fetch import Remote, fetch_files, is_valid

# Files that exist already.


def test_valid_file_is_kept(server: Server, folder: Path) -> None:
    path = put(folder / "file", CONTENT)
    put(folder / ".file.part", CONTENT[:1000])
    before = path.stat()
    fetch_files([remote(server.respond("/file", web.ranged()))], folder, None)
    assert path.stat() == before
    assert is_complete(folder)
    assert server.requests == []


def test_md5_checksums_are_verified(folder: Path) -> None:
    path = put(folder / "file", CONTENT)
    known = replace(remote(), checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert is_valid(path, known)
    put(path, WRONG)
    assert not is_valid(path, known)


@pytest.mark.parametrize(
    ("content", "problem"), [(WRONG, "wrong checksum (sha256 "), (web.PAGE, "a web page, not the file; ")]
)
def test_invalid_file_is_reported_and_kept(
    server: Server, folder: Path, content: bytes, problem: str
) -> None:
    path = put(folder / "file", content)
    message = error_of(lambda: fetch_files([remote(server.respond("/file", web.ranged()))], folder, None))
    assert message.startswith(f"data/raw/set/file: {problem}")
    assert message.endswith("; delete it to download it again, or replace it with the right file")
    assert path.read_bytes() == content
    assert server.requests == []


def test_local_file_is_copied(server: Server, folder: Path, tmp_path: Path) -> None:
    found = put(tmp_path / "data" / "raw" / "file", CONTENT)
    found.chmod(0o444)  # like files in the cache of DVC
    address = server.respond("/file", web.ranged())
    fetch_files([remote(address)], folder, None, (tmp_path / "nowhere", found.parent))
    assert is_complete(folder)
    assert server.requests == []
    assert not (folder / "file").samefile(found)
    assert found.read_bytes() == CONTENT


def test_invalid_local_file_is_reported_and_ignored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = put(tmp_path / "wrong" / "file", WRONG)
    put(tmp_path / "right" / "file", CONTENT)
    fetch_files([remote()], folder, None, [tmp_path / "wrong", tmp_path / "right"])
    assert is_complete(folder)
    assert wrong.read_bytes() == WRONG
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wrong/file: wrong checksum (")
    assert line.endswith("; ignored")


def test_failed_copy_leaves_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "near" / "file", CONTENT)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        fetch_files([remote()], folder, None, [tmp_path / "near"])
    assert names(folder) == []


# Recompressed files.


def decompressed_sha256(path: Path) -> str:
    with gzip.open(path) as file:
        return web.sha256(file.read())


PACKED, REPACKED = (gzip.compress(CONTENT, level, mtime=level) for level in (1, 9))
INVALID = {
    "other content": gzip.compress(WRONG),
    "no gzip": CONTENT,
    "truncated": REPACKED[:-100],
    "not deflated": REPACKED[:10] + b"\xff" * 100,
}


def packed(*addresses: str, published: str = web.sha256(PACKED)) -> Remote:
    return Remote("file", "group", addresses, published, decompressed_sha256, web.sha256(CONTENT))


@pytest.mark.parametrize("published", [web.sha256(PACKED), ""])
def test_recompressed_file_is_valid(server: Server, folder: Path, published: str) -> None:
    assert PACKED != REPACKED
    fetch_files([packed(server.respond("/file", web.ranged(REPACKED)), published=published)], folder, None)
    assert (folder / "file").read_bytes() == REPACKED
    fetch_files([packed(published=published)], folder, None)


def test_published_file_is_valid_without_decompression(folder: Path) -> None:
    assert is_valid(put(folder / "file", CONTENT), packed(published=web.sha256(CONTENT)))


@pytest.mark.parametrize(
    ("published", "problem"), [(web.sha256(PACKED), "wrong checksum"), ("", "its contents differ")]
)
@pytest.mark.parametrize("content", INVALID.values(), ids=INVALID)
def test_wrong_or_unreadable_contents_are_reported(
    folder: Path, content: bytes, published: str, problem: str
) -> None:
    put(folder / "file", content)
    message = error_of(lambda: fetch_files([packed(published=published)], folder, None))
    assert message.startswith(f"data/raw/set/file: {problem}")


@pytest.mark.parametrize(
    "unverifiable",
    [replace(remote(), checksum=""), replace(packed(published=""), contents_checksum="")],
    ids=["no checksum", "no checksum of the contents"],
)
def test_remote_without_any_checksum_is_a_programming_error(folder: Path, unverifiable: Remote) -> None:
    put(folder / "file", CONTENT)
    with pytest.raises(AssertionError, match="file"):
        fetch_files([unverifiable], folder, None)


# Mirrors.


@pytest.mark.parametrize(
    ("path", "content", "requests"),
    [
        ("/mirror/group/file", CONTENT, ["/mirror/file", "/mirror/group/file"]),
        ("/mirror/file", WRONG, ["/mirror/file", "/mirror/group/file", "/official"]),
    ],
)
def test_mirror_is_tried_by_name_then_by_group_then_the_official_address(
    server: Server, folder: Path, path: str, content: bytes, requests: list[str]
) -> None:
    server.respond(path, web.ranged(content))
    fetch_files([remote(server.respond("/official", web.ranged()))], folder, f"{server.url}/mirror/")
    assert is_complete(folder)
    assert [requested for requested, _ in server.requests] == requests


@pytest.mark.parametrize("inside", ["file", "group/file"])
@pytest.mark.parametrize(
    "address",
    [str, Path.as_uri, lambda path: path.name],
    ids=["absolute path", "file address", "relative path"],
)
def test_mirror_can_be_a_folder(
    folder: Path, tmp_path: Path, inside: str, address: Callable[[Path], str]
) -> None:
    mirror = tmp_path / "a mirror @ home"
    put(mirror / inside, CONTENT)
    put(folder / ".file.part", CONTENT[:1000])
    fetch_files([remote()], folder, address(mirror))
    assert is_complete(folder)
    assert (mirror / inside).read_bytes() == CONTENT


def test_file_missing_in_a_folder_is_reported(folder: Path, tmp_path: Path, pauses: list[float]) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "file").mkdir(parents=True)
    message = error_of(lambda: fetch_files([remote()], folder, str(mirror)))
    assert f"({mirror}/file: Is a directory; {mirror}/group/file: No such file or directory)" in message
    assert pauses == []


def test_file_names_are_quoted_in_addresses(server: Server, folder: Path) -> None:
    server.respond("/mirror/a%20%23%20file", web.ranged())
    fetch_files([remote(name="a # file")], folder, f"{server.url}/mirror")
    assert (folder / "a # file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "mirror", ["ftp://host/mirror", "data:,", "example.org/mirror", "no/such/folder", "http:/h"]
)
def test_mirror_that_is_neither_address_nor_folder_is_refused(folder: Path, mirror: str) -> None:
    put(folder / "file", CONTENT)
    message = complaint(lambda: fetch_files([remote()], folder, mirror))
    assert message == f"data.mirror: '{mirror}' is neither a folder nor an http(s):// or file:// address"


@pytest.mark.parametrize("mirror", ["http:///x", "http://[::1/x", "http://127.0.0.1:port", "http://a b"])
def test_invalid_address_is_reported_on_one_line(folder: Path, pauses: list[float], mirror: str) -> None:
    message = error_of(lambda: fetch_files([remote()], folder, mirror))
    assert message.startswith("file: not downloaded (")
    assert "\n" not in message
    assert pauses == []


# Messages.


def test_passwords_are_not_printed(folder: Path) -> None:
    message = error_of(lambda: fetch_files([remote()], folder, "http://me:password@127.0.0.1/mirror"))
    assert message.startswith("file: not downloaded (127.0.0.1: ")
    assert "me:" not in message


def test_message_names_each_failure_once(server: Server, folder: Path) -> None:
    addresses = (
        server.respond("/a", web.status(404)),
        server.respond("/b", web.status(503)),
        server.respond("/c", web.status(200, web.PAGE)),
        server.respond("/d", web.status(404)),
    )
    host = server.url.removeprefix("http://")
    assert failure(folder, *addresses) == (
        f"file: not downloaded ({host}: 404 Not Found; {host}: 503 Service Unavailable; "
        f"{host}: a web page, not the file); "
        "download it in another way and put it into data/raw/, or set data.mirror"
    )


def test_message_of_a_file_without_an_address(folder: Path) -> None:
    message = failure(folder)
    assert message.startswith("file: not downloaded (it has no address); download it in another way")


def test_long_messages_of_servers_are_shortened(server: Server, folder: Path) -> None:
    def talk(request: web.Request) -> None:
        request.wfile.write(b"HTTP/1.1 404 " + b"na " * 5000 + b"\r\nContent-Length: 0\r\n\r\n")

    assert len(failure(folder, server.respond("/file", talk))) < 300


def test_all_missing_files_are_reported_together(server: Server, folder: Path) -> None:
    put(folder / "altered", WRONG)
    remotes = [
        remote(server.respond("/one", web.status(404)), name="one"),
        remote(name="altered"),
        remote(server.respond("/two", web.status(403)), name="two"),
        remote(server.respond("/file", web.ranged())),
    ]
    message = error_of(lambda: fetch_files(remotes, folder, None))
    lines = message.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["one", "data/raw/set/altered", "two"]
    assert names(folder) == ["altered", "file"]
