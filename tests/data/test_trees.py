"""Trees: folders and archives give the same names and bytes, or one line that says what is wrong."""

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import complaint
from drawn import Files, error_of, write_folder, write_tar, write_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2core.data.problems import FileError
from hw2core.data.trees import Tree, open_tree
from hw2core.errors import UserError

FILES: Files = {
    "b/2.png": b"two",
    "b/10.png": b"ten" * 1000,
    "a.csv": b"",
    "b-c/deep/er/ü.png": bytes(range(256)),
}
LEFT_OUT: Files = dict.fromkeys(
    (".hidden", ".git/config", "b/.DS_Store", "__MACOSX/b/2.png", "b/Thumbs.db", "Desktop.ini"), b"x"
)
TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
KINDS = ("folder", ".zip", *TARS)


def write(place: Path, kind: str, files: Files) -> Path:
    if kind == "folder":
        return write_folder(place / "set", files)
    if kind == ".zip":
        return write_zip(place / "set.zip", files)
    return write_tar(place / f"set{kind}", files, TARS[kind])


every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def contents(tree: Tree) -> Files:
    return {file: tree.read(file) for file in tree.files}


@every_kind
def test_tree_lists_its_files_without_junk(here: Path, kind: str) -> None:
    path = write(here, kind, FILES | LEFT_OUT)
    tree = open_tree(path)
    assert tree.name == str(path)
    assert tree.files == sorted(FILES)
    assert contents(tree) == FILES


@every_kind
def test_tree_and_part_can_be_pickled(here: Path, kind: str) -> None:
    tree = open_tree(write(here, kind, FILES))
    assert contents(pickle.loads(pickle.dumps(tree))) == FILES
    part = tree.part(["b/2.png", "a.csv"])
    assert part.files == ["b/2.png", "a.csv"]
    sent = pickle.dumps(part)
    assert len(sent) < 1000
    again = pickle.loads(sent)
    assert again.name == tree.name
    assert contents(again) == {"b/2.png": b"two", "a.csv": b""}


def test_zip_with_stored_members_and_dotted_names(here: Path) -> None:
    with zipfile.ZipFile(here / "set.zip", "w") as archive:
        archive.mkdir("b")
        archive.writestr("./b//2.png", b"two")
    assert contents(open_tree(here / "set.zip")) == {"b/2.png": b"two"}


def test_links_in_a_folder_are_followed(here: Path) -> None:
    write_folder(here / "elsewhere", {"1.png": b"one", "more/2.png": b"two"})
    write_folder(here / "set", {"0.png": b"zero"})
    os.symlink("../elsewhere/1.png", here / "set" / "one.png")
    os.symlink("../elsewhere", here / "set" / "all")
    assert contents(open_tree(here / "set")) == {
        "0.png": b"zero",
        "one.png": b"one",
        "all/1.png": b"one",
        "all/more/2.png": b"two",
    }


def test_broken_and_circular_links_are_reported_together(here: Path) -> None:
    write_folder(here / "set", {"a/0.png": b"", "b/1.png": b""})
    os.symlink("nothing", here / "set" / "broken.png")
    os.symlink("..", here / "set" / "a" / "up")
    os.symlink("../a", here / "set" / "b" / "a")
    message = error_of(lambda: open_tree(here / "set"))
    assert sorted(message.splitlines()) == [
        "remove it",
        "set/a/up: is a link to a folder that contains it",
        "set/b/a/up: is a link to a folder that contains it",
        "set/broken.png: is a broken link",
    ]


def test_special_files_are_ignored(here: Path) -> None:
    write_folder(here / "set", {"0.png": b""})
    os.mkfifo(here / "set" / "pipe.png")
    assert open_tree(here / "set").files == ["0.png"]


def test_folder_without_permission_is_reported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(here / "set", {"secret/0.png": b""})
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    message = complaint(lambda: open_tree(here / "set"))
    assert message == "set/secret/: cannot be read (Permission denied); fix this or remove it"


@pytest.mark.parametrize("kind", ["folder", ".zip", ".tar"])
def test_file_that_has_disappeared_is_reported(here: Path, kind: str) -> None:
    path = write(here, kind, FILES)
    tree = open_tree(path)
    path.rename("elsewhere")
    with pytest.raises(FileError) as error:
        tree.read("b/2.png")
    assert str(error.value).startswith(f"{path}/b/2.png: cannot be read (No such file or directory); ")


def test_compressed_tar_is_read_once(here: Path) -> None:
    path = write(here, ".tar.gz", FILES)
    tree = open_tree(path)
    path.unlink()
    assert contents(tree) == FILES


def test_missing_path_or_other_file_is_refused(here: Path) -> None:
    write_folder(
        here, {"set.rar": b"Rar!", "set.zip": b"<html>", "set.tar.gz": b"<html>", "set.tar": b"?" * 999}
    )
    for path, what in {
        "none.zip": "does not exist; give an existing",
        "set.rar": "neither a folder nor an archive; give a folder or one of .zip, .tar, .tar.gz, .tgz",
        "set.zip": "cannot be read as a .zip archive (File is not a zip file); copy it again",
        "set.tar.gz": "cannot be read as a .tar.gz archive (Not a gzipped file (b'<h')); copy it again",
        "set.tar": "cannot be read as a .tar archive (",
    }.items():
        message = complaint(lambda path=path: open_tree(here / path))  # type: ignore[misc]
        assert message is not None
        assert message.startswith(f"{path}: {what}")
        assert "\n" not in message


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["../2.png", "a/../../2.png", "/2.png", "a\\2.png"])
def test_members_outside_the_archive_are_refused(here: Path, kind: str, name: str) -> None:
    path = write(here, kind, FILES | {name: b""})
    message = complaint(lambda: open_tree(path))
    shown = FileError(name, "", "").place
    assert (
        message
        == f"{path}/{shown}: is not a path inside the archive; repack the archive with regular files only"
    )


def test_duplicate_member_is_refused(here: Path) -> None:
    with zipfile.ZipFile(here / "set.zip", "w") as archive:
        archive.writestr("b/2.png", b"two")
        archive.writestr("./b/2.png", b"too")
    with tarfile.open(here / "set.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("b/2.png"))
        tar.addfile(tarfile.TarInfo("b/2.png"))
    for path, name in (("set.zip", "./b/2.png"), ("set.tar", "b/2.png")):
        message = complaint(lambda path=path: open_tree(here / path))  # type: ignore[misc]
        assert (
            message == f"{path}/{name}: is in the archive twice; repack the archive with regular files only"
        )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(here: Path, kind: bytes) -> None:
    with tarfile.open(here / "set.tar", "w") as archive:
        member = tarfile.TarInfo("b/odd.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    message = error_of(lambda: open_tree(here / "set.tar"))
    assert message.startswith("set.tar/b/odd.png: is a link, a device or a sparse file; ")


def zip_with(path: Path, change: str) -> None:
    """A zip with one unsupported member."""
    with zipfile.ZipFile(
        path, "w", zipfile.ZIP_BZIP2 if change == "method" else zipfile.ZIP_STORED
    ) as archive:
        member = zipfile.ZipInfo("b/odd.png")
        member.compress_type = archive.compression
        if change == "link":
            member.create_system, member.external_attr = 3, 0o120777 << 16
        archive.writestr(member, b"/etc/passwd")
    if change == "encrypted":
        content = bytearray(path.read_bytes())
        for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(signature) + flags] |= 1
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("link", "is a link or a device"),
        ("encrypted", "is encrypted"),
        ("method", "is compressed by zip's method 12"),
    ],
)
def test_unsupported_zip_members_are_refused(here: Path, change: str, what: str) -> None:
    zip_with(here / "set.zip", change)
    message = complaint(lambda: open_tree(here / "set.zip"))
    assert message == f"set.zip/b/odd.png: {what}; repack the archive with regular files only"


@pytest.mark.parametrize("kind", [*TARS])
def test_truncated_tar_is_refused(here: Path, kind: str) -> None:
    """Also between two members, where tarfile itself reports no error."""
    path = write(here, kind, FILES)
    whole = path.read_bytes()
    end = whole.rstrip(b"\0") if kind == ".tar" else whole
    for length in {0, 1, 512, 1024, 1536, len(end) // 2, len(end) - 9} & set(range(len(end))):
        path.write_bytes(whole[:length])
        message = complaint(lambda: open_tree(path))
        assert message is not None, length
        assert message.startswith(f"{path}: cannot be read as a {kind} archive (")
        assert "\n" not in message


def test_damaged_tar_header_does_not_hide_later_members(here: Path) -> None:
    path = write_tar(here / "set.tar", {f"{number}.png": b"x" for number in range(5)}, "w")
    content = bytearray(path.read_bytes())
    content[2 * 1024 + 3] ^= 255
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"^set\.tar: cannot be read as a \.tar archive \(no end-of-archive marker"
    ):
        open_tree(path)


@pytest.mark.parametrize(("at", "byte"), [(46, b"."), (50, b"/"), (28, bytes([56])), (32, bytes([51]))])
def test_damaged_zip_directory_loses_no_member(here: Path, at: int, byte: bytes) -> None:
    """The name becomes hidden or a folder, or the name or comment becomes so long that it includes the next entry."""
    path = write_zip(here / "set.zip", {f"{number}.png": b"x" for number in range(3)})
    content = path.read_bytes()
    at += content.index(b"PK\1\2")
    path.write_bytes(content[:at] + byte + content[at + 1 :])
    with pytest.raises(UserError, match=r"^set\.zip: cannot be read as a \.zip archive \("):
        open_tree(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), kind=st.sampled_from([".zip", ".tar.gz"]))
def test_damaged_archive_is_refused_or_gives_the_same_files(
    here: Path, at: int, byte: int, kind: str
) -> None:
    files = {f"{number}.png": bytes([number]) * 40 for number in range(3)}
    path = write(here, kind, files)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content)
    read: Files = {}
    message = complaint(lambda: read.update(contents(open_tree(path))))
    if message is None:
        assert list(read.values()) == list(files.values())
    else:
        assert "\n" not in message


def test_sparse_files_of_a_tar_are_refused(here: Path) -> None:
    member = tarfile.TarInfo("odd.png")
    member.type = tarfile.GNUTYPE_SPARSE
    content = io.BytesIO(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    (here / "set.tar").write_bytes(content.getvalue())
    with pytest.raises(UserError, match="is a link, a device or a sparse file"):
        open_tree(here / "set.tar")
