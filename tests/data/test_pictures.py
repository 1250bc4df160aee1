"""Reading image files: exact pixels in the requested order, and one report of all problems."""

from pathlib import Path

import numpy as np
import pytest
from conftest import complaint
from drawn import (
    Files,
    error_of,
    numbered,
    pixels,
    png,
    write_folder,
    write_tar,
)
from numpy.typing import NDArray

from hw2core.data.frames import color
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import open_tree


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def read(files: Files) -> NDArray[np.uint8]:
    write_folder(Path("set"), files)
    return read_pictures(open_tree(Path("set")), list(files), color).images


def complaints(files: Files) -> list[str]:
    return (complaint(lambda: read(files)) or "").splitlines()


def test_pixels_come_unchanged_in_the_requested_order() -> None:
    files = {name: png(name) for name in ("b.png", "a.png", "deep/c.png")}
    images = read(files)
    assert images.dtype == np.uint8
    assert (images == [pixels(name) for name in files]).all()


def test_gray_images_get_three_channels() -> None:
    assert (read({"a.png": png("a.png", "L")})[0] == pixels("a.png", "L")[..., None]).all()


def test_gray_among_color_is_reported() -> None:
    files = {name: png(name, "L" if name == "00003.png" else "RGB") for name in numbered(0, 9)}
    assert complaints(files) == ["set/00003.png: is gray, 8 others are color; convert it to RGB"]


def test_color_among_gray_is_reported() -> None:
    files = {name: png(name, "RGB" if name < "00002.png" else "L") for name in numbered(0, 9)}
    assert complaints(files) == [
        "set/00000.png: is color, 7 others are gray",
        "set/00001.png: is color, 7 others are gray",
        "convert it to gray",
    ]


def test_unreadable_file_is_one_of_the_problems() -> None:
    write_folder(Path("set"), {"a.png": png("a.png"), "b.png": b""})
    tree = open_tree(Path("set"))
    Path("set/a.png").unlink()
    message = error_of(lambda: read_pictures(tree, tree.files, color))
    assert message.splitlines()[0].startswith("set/a.png: cannot be read (No such file or directory)")
    assert message.splitlines()[1].startswith("set/b.png: is empty")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Images of several chunks."""
    monkeypatch.setattr("hw2core.data.pictures.CHUNK", 3)
    return {name: png(name) for name in numbered(0, 40)}


def test_worker_processes_read_in_the_same_order(many: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a compressed tar: its parts carry their bytes to the other processes."""
    monkeypatch.setattr("hw2core.data.pictures.SERIAL", 20)
    tree = open_tree(write_tar(Path("set.tar.gz"), many))
    images = read_pictures(tree, tree.files, color).images
    assert (images == [pixels(name) for name in many]).all()


def test_problems_of_several_chunks_are_reported_in_order(many: Files) -> None:
    odd = {"00001.png": b"", "00015.png": b"?", "00020.png": png("a", "L")}
    assert complaints(many | odd) == [
        "set/00001.png: is empty (0 bytes); replace it or remove it",
        "set/00015.png: is not a png, jpeg or bmp image; convert it or remove it",
        "set/00020.png: is gray, 37 others are color; convert it to RGB",
    ]
