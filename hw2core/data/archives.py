"""Archives read member by member, where they lie: an index of where each member's bytes are, nothing extracted."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hw2core.data.problems import FileError
from hw2core.errors import UserError

UNPACK = {
    ".tar.gz": gzip.decompress,
    ".tgz": gzip.decompress,
    ".tar.bz2": bz2.decompress,
    ".tar.xz": lzma.decompress,
}
SUFFIXES = (".zip", ".tar", *UNPACK)
ZIP_HEADER = struct.Struct(
    "<4s22x2H"
)  # a member's own: signature, then the lengths of its name and extra field
ZIP_METHODS = {zipfile.ZIP_STORED: False, zipfile.ZIP_DEFLATED: True}
ZIP_UTF8 = 0x800
ZIP_LONGEST_END = 22 + 65535  # bytes of a zip's last record with the longest comment
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # what systems leave behind by themselves


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie, and what is known of them."""

    start: int
    length: int
    deflated: bool = False
    checksum: int | None = None  # tar keeps none


@dataclass(frozen=True)
class Archive:
    """The files of a zip or tar.

    `content` is a compressed tar, unpacked: it can be read from its beginning only, so it is read once and kept.
    A part carries the bytes of its own files with it, for to unpack it again in every process would cost each
    the whole archive.
    """

    name: str
    members: dict[str, Member]
    content: bytes | None = None

    @property
    def files(self) -> list[str]:
        return list(self.members)

    def read(self, file: str) -> bytes:
        member = self.members[file]
        try:
            content = self.take(member)
            if len(content) != member.length:
                raise ValueError("the archive is cut short")
            if member.deflated:
                content = zlib.decompress(content, -zlib.MAX_WBITS)
            if member.checksum not in (None, zlib.crc32(content)):
                raise ValueError("its checksum differs")
        except (OSError, ValueError, zlib.error) as error:
            place = f"{self.name}/{file}"
            raise FileError(place, f"cannot be read ({reason(error)})", "bring the archive anew") from None
        return content

    def take(self, member: Member) -> bytes:
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
        return replace(self, members=moved, content=b"".join(map(self.take, chosen.values())))


def open_archive(path: Path) -> Archive:
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise UserError(f"{path}: neither a folder nor an archive; give one of these ({', '.join(SUFFIXES)})")
    content = None
    try:
        if suffix == ".zip":
            members = dict(list_zip(path))
        elif suffix == ".tar":
            with path.open("rb") as file:
                members = dict(list_tar(path, file))
        else:
            content = UNPACK[suffix](path.read_bytes())
            members = dict(list_tar(path, io.BytesIO(content)))
    except UserError:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as its headers have fields
        raise FileError(
            str(path), f"cannot be read as a {suffix} archive ({reason(error)})", "bring it anew"
        ) from None
    return Archive(str(path), dict(sorted(members.items())), content)


def list_zip(path: Path) -> Iterator[tuple[str, Member]]:
    names = Names(path)
    with zipfile.ZipFile(path) as archive, path.open("rb", buffering=0) as file:
        members = archive.infolist()
        check_count(file, len(members))
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise names.refuse(member.filename, "is a link or a device")
            if member.flag_bits & 1:
                raise names.refuse(member.filename, "is encrypted")
            if member.compress_type not in ZIP_METHODS:
                raise names.refuse(member.filename, f"is compressed by zip's method {member.compress_type}")
            start, deflated = find_start(file, member), ZIP_METHODS[member.compress_type]
            if name := names.take(member.filename, member.is_dir()):
                yield name, Member(start, member.compress_size, deflated, member.CRC)


def check_count(file: io.FileIO, count: int) -> None:
    """zipfile does not look at how many members a zip says it has, and so could lose some of a damaged one."""
    file.seek(-min(ZIP_LONGEST_END, file.seek(0, io.SEEK_END)), io.SEEK_END)
    end = file.read()
    said = int.from_bytes(end[end.rindex(b"PK\5\6") + 10 :][:2], "little")
    if said not in (count % 65536, 65535):  # which stands for more than two bytes can say
        raise ValueError(f"{count} members where there should be {said}")


def find_start(file: io.FileIO, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind a header of its own, which must be the right one."""
    file.seek(member.header_offset)
    signature, name_length, extra_length = ZIP_HEADER.unpack(file.read(ZIP_HEADER.size))
    name = file.read(name_length).decode("utf-8" if member.flag_bits & ZIP_UTF8 else "cp437")
    if signature != b"PK\3\4" or name != member.orig_filename:
        raise ValueError(f"{member.filename} is not where it should be")
    return member.header_offset + ZIP_HEADER.size + name_length + extra_length


def list_tar(path: Path, file: BinaryIO) -> Iterator[tuple[str, Member]]:
    names = Names(path)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise names.refuse(member.name, "is a link, a device or a sparse file")
            if name := names.take(member.name, member.isdir()):
                yield name, Member(member.offset_data, member.size)
        # tarfile takes a damaged header for the end of the archive, and so would lose what follows.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise ValueError("no end of the archive where it should be")


class Names:
    """The names of an archive's members, none of which may lead out of it or come twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: set[str] = set()

    def take(self, raw: str, is_folder: bool) -> str | None:
        """The path of a member; None if it is not one of the tree's files."""
        parts = [part for part in raw.split("/") if part not in ("", ".")]
        if raw.startswith("/") or ".." in parts or "\\" in raw:
            raise self.refuse(raw, "is no path below the archive")
        name = "/".join(parts)
        if is_folder or left_out(parts):
            return None
        if name in self.taken:
            raise self.refuse(raw, "is in the archive twice")
        self.taken.add(name)
        return name

    def refuse(self, raw: str, what: str) -> FileError:
        return FileError(f"{self.path}/{raw}", what, "pack the plain image files anew")


def left_out(parts: list[str]) -> bool:
    """Whether a path leads to or through a hidden file or what some system left behind."""
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)


def reason(error: Exception) -> str:
    """What an exception says, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
