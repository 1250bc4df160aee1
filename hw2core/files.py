"""Atomic writes: files and folders exist completely or not at all, whenever the process dies."""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: it is never half-written, not even after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_array(path: Path, array: "NDArray[Any]") -> None:
    """Write a .npy file atomically. numpy's own file writer hides the reason of an error, such as a full disk."""
    import numpy as np  # here, because `hw2 profile` does not need numpy

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_whole(path, content.getvalue())


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that gets its name only when the block succeeds; it replaces an existing one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        draft.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
