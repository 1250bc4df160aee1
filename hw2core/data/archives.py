"""Random access to the members of zip and tar files through an index of byte offsets. Nothing is extracted to disk."""

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from hw2core.data.problems import FileError
from hw2core.errors import UserError

OPEN: dict[str, Callable[..., Any]] = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tar.xz": lzma.open,
}
SUFFIXES = (".zip", ".tar", *OPEN)
# The local header of a member: its signature, then the lengths of its name and of its extra field.
ZIP_HEADER = struct.Struct("<4s22x2H")
ZIP_METHODS = {zipfile.ZIP_STORED: False, zipfile.ZIP_DEFLATED: True}
ZIP_UTF8 = 0x800
ZIP_MAX_END = 22 + 65535  # bytes of the end-of-central-directory record with the longest comment
MAX_FILE = 256 << 20  # bytes of one image or table: the largest image has 50 MB of pixels
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # files that operating systems create on their own


@dataclass(frozen=True)
class Member:
    """The location of a member in its archive."""

    start: int
    length: int
    deflated: bool = False
    checksum: int | None = None  # None in a tar, which stores none


@dataclass(frozen=True)
class Archive:
    """The files of a zip or tar.

    `content` holds a decompressed tar: a compressed one allows no random access, so it is decompressed once.
    A `part` then carries the bytes of its own files, so that a worker process does not decompress the archive again.
    """

    name: str
    members: dict[str, Member]
    content: bytes | None = None

    @property
    def files(self) -> list[str]:
        return list(self.members)

    def read(self, file: str) -> bytes:
        member = self.members[file]
        if member.length > MAX_FILE:
            raise too_large(f"{self.name}/{file}")
        try:
            content = self.raw_bytes(member)
            if len(content) != member.length:
                raise ValueError("the archive is truncated")
            if member.deflated and len(content := inflate(content)) > MAX_FILE:
                raise too_large(f"{self.name}/{file}")
            if member.checksum not in (None, zlib.crc32(content)):
                raise ValueError("checksum mismatch")
        except (OSError, ValueError, zlib.error) as error:
            place = f"{self.name}/{file}"
            raise FileError(place, f"cannot be read ({reason(error)})", "copy the archive again") from None
        return content

    def raw_bytes(self, member: Member) -> bytes:
        """The bytes as stored, which may be deflated."""
        if self.content is not None:
            return self.content[member.start : member.start + member.length]
        with open(self.name, "rb") as archive:
            archive.seek(member.start)
            return archive.read(member.length)

    def part(self, files: list[str]) -> "Archive":
        chosen = {file: self.members[file] for file in files}
        if self.content is None:
            return replace(self, members=chosen)
        moved, start = {}, 0
        for file, member in chosen.items():
            moved[file] = replace(member, start=start)
            start += member.length
        return replace(self, members=moved, content=b"".join(map(self.raw_bytes, chosen.values())))


def open_archive(path: Path) -> Archive:
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise UserError(
            f"{path}: neither a folder nor an archive; give a folder or one of {', '.join(SUFFIXES)}"
        )
    content = None
    try:
        if suffix == ".zip":
            members = dict(list_zip(path))
        elif suffix == ".tar":
            with path.open("rb") as file:
                members = dict(list_tar(path, file))
        else:
            content = decompress(path, OPEN[suffix])
            members = dict(list_tar(path, io.BytesIO(content)))
    except UserError:
        raise
    except Exception as error:  # a damaged archive can raise almost anything
        raise FileError(
            str(path), f"cannot be read as a {suffix} archive ({reason(error)})", "copy it again"
        ) from None
    return Archive(str(path), dict(sorted(members.items())), content)


def decompress(path: Path, open_file: Callable[..., Any]) -> bytes:
    """The tar in a compressed file, if it takes at most half of the free memory."""
    limit = psutil.virtual_memory().available // 2
    content: bytes | None = None
    with contextlib.suppress(MemoryError), open_file(path) as file:
        content = file.read(limit + 1)
    if content is None or len(content) > limit:
        raise UserError(f"{path}: does not fit into memory; unpack it into a folder")
    return content


def inflate(content: bytes) -> bytes:
    """The bytes of a deflated member, or enough of them to show that they are too many."""
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = decompressor.decompress(content, MAX_FILE + 1)
    if not decompressor.eof and len(inflated) <= MAX_FILE:
        raise ValueError("incomplete")
    return inflated


def too_large(place: str) -> FileError:
    return FileError(place, f"is larger than {MAX_FILE >> 20} MB", "remove it")


def list_zip(path: Path) -> Iterator[tuple[str, Member]]:
    names = MemberNames(path)
    with zipfile.ZipFile(path) as archive, path.open("rb", buffering=0) as file:
        members = archive.infolist()
        check_count(file, len(members))
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise names.error(member.filename, "is a link or a device")
            if member.flag_bits & 1:
                raise names.error(member.filename, "is encrypted")
            if member.compress_type not in ZIP_METHODS:
                raise names.error(member.filename, f"is compressed by zip's method {member.compress_type}")
            start, deflated = find_start(file, member), ZIP_METHODS[member.compress_type]
            if name := names.add(member.filename, member.is_dir()):
                yield name, Member(start, member.compress_size, deflated, member.CRC)


def check_count(file: io.FileIO, count: int) -> None:
    """Compare the number of members with the count that the zip records.

    zipfile ignores that count and can silently lose members of a damaged zip.
    """
    file.seek(-min(ZIP_MAX_END, file.seek(0, io.SEEK_END)), io.SEEK_END)
    end = file.read()
    recorded = int.from_bytes(end[end.rindex(b"PK\5\6") + 10 :][:2], "little")
    if recorded not in (count % 65536, 65535):  # 65535 marks a zip64 count
        raise ValueError(f"{count} members found, {recorded} recorded")


def find_start(file: io.FileIO, member: zipfile.ZipInfo) -> int:
    """The offset of a member's bytes, after its local header; a header of another member is an error."""
    file.seek(member.header_offset)
    signature, name_length, extra_length = ZIP_HEADER.unpack(file.read(ZIP_HEADER.size))
    name = file.read(name_length).decode("utf-8" if member.flag_bits & ZIP_UTF8 else "cp437")
    if signature != b"PK\3\4" or name != member.orig_filename:
        raise ValueError(f"{member.filename} is not at its recorded offset")
    return member.header_offset + ZIP_HEADER.size + name_length + extra_length


def list_tar(path: Path, file: BinaryIO) -> Iterator[tuple[str, Member]]:
    names = MemberNames(path)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise names.error(member.name, "is a link, a device or a sparse file")
            if name := names.add(member.name, member.isdir()):
                yield name, Member(member.offset_data, member.size)
        # tarfile treats a damaged header as the end of the archive and would silently lose the members after it.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise ValueError("no end-of-archive marker")


class MemberNames:
    """The names of an archive's members. A name that is repeated or leads out of the archive is an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: set[str] = set()

    def add(self, raw: str, is_folder: bool) -> str | None:
        """The path of a member; None for folders, hidden files and junk."""
        parts = [part for part in raw.split("/") if part not in ("", ".")]
        if raw.startswith("/") or ".." in parts or "\\" in raw:
            raise self.error(raw, "is not a path inside the archive")
        name = "/".join(parts)
        if is_folder or is_junk(parts):
            return None
        if name in self.seen:
            raise self.error(raw, "is in the archive twice")
        self.seen.add(name)
        return name

    def error(self, raw: str, what: str) -> FileError:
        return FileError(f"{self.path}/{raw}", what, "repack the archive with regular files only")


def is_junk(parts: list[str]) -> bool:
    """Whether a path is, or lies below, a hidden file or junk."""
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)


def reason(error: Exception) -> str:
    """The message of an exception, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
