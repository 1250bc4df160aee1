"""Atomic writes: files and folders exist completely or not at all, whenever the process dies."""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAFT = ".draft"  # the end of the names of what is being written


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: it is never half-written, not even after a power failure."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to be written atomically and durably: it gets its name only when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    draft = path.with_name(f".{path.name}-{os.getpid()}{DRAFT}")
    try:
        with draft.open("wb") as file:
            lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_array(path: Path, array: "NDArray[Any]") -> None:
    """Write a .npy file atomically. numpy's own file writer hides the reason of an error, such as a full disk."""
    import numpy as np  # here, because `hw2 profile` does not need numpy

    array = np.asarray(array, order="C")
    with whole_file(path) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that gets its name only when the block succeeds; it replaces an existing one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    draft = Path(tempfile.mkdtemp(DRAFT, f".{folder.name}-{os.getpid()}-", folder.parent))
    handle = os.open(draft, os.O_RDONLY)
    try:
        lock(handle)
        yield draft
        draft.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    finally:
        os.close(handle)
        shutil.rmtree(draft, ignore_errors=True)


def lock(descriptor: int) -> None:
    """Hold a draft until its writer closes it or dies. Some file systems have no locks."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_running(process: str) -> bool:
    """Whether a process of this machine has this id."""
    try:
        os.kill(int(process), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def remove_abandoned(path: Path) -> None:
    """Remove the drafts of killed writers of `path`: their process is gone, and none on another machine holds a lock.

    A running process may not have locked its draft yet.
    """
    for draft in path.parent.glob(f".{glob.escape(path.name)}-*{DRAFT}"):
        writer = draft.name.removeprefix(f".{path.name}-").removesuffix(DRAFT).partition("-")[0]
        if is_running(writer):
            continue
        with contextlib.suppress(OSError):
            handle = os.open(draft, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
            finally:
                os.close(handle)
