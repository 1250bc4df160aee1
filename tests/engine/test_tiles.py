"""Sample images in one PNG: read back in their places."""

from pathlib import Path

import numpy as np
import pytest

from hw2core.engine.tiles import read_tiles, write_tiles
from hw2core.errors import UserError


def test_tiles_are_read_back_row_by_row(tmp_path: Path) -> None:
    """Of few colors, so that reducing them to 256 loses nothing."""
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((6, 4, 5, 3), 40, np.uint8)
    write_tiles(tmp_path / "t.png", images, columns=3)
    assert np.array_equal(read_tiles(tmp_path / "t.png", 2, 3), images.reshape(2, 3, 4, 5, 3))


def test_an_incomplete_row_is_left_out(tmp_path: Path) -> None:
    images = np.zeros((5, 4, 4, 3), np.uint8)
    write_tiles(tmp_path / "t.png", images, columns=2)
    assert read_tiles(tmp_path / "t.png", 2, 2).shape == (2, 2, 4, 4, 3)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"x", "not a readable picture"), (None, "does not hold 3 x 2")]
)
def test_a_picture_that_does_not_fit_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    write_tiles(tmp_path / "t.png", np.zeros((4, 5, 5, 3), np.uint8), columns=2)
    if content:
        (tmp_path / "t.png").write_bytes(content)
    with pytest.raises(UserError, match=f"t.png: {problem}"):
        read_tiles(tmp_path / "t.png", 3, 2)
