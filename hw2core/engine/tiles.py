"""Images of one size side by side in one PNG: how stages keep sample images. Titles and axes are the report's."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw2core.errors import UserError
from hw2core.files import write_whole


def write_tiles(path: Path, images: NDArray[np.uint8], columns: int) -> None:
    """Write images (n, height, width, 3) row by row, `columns` to a row.

    256 colors take a third of the bytes of all of them, so that git can hold the file.
    """
    count, height, width, _ = images.shape
    rows = count // columns
    sheet = images[: rows * columns].reshape(rows, columns, height, width, 3)
    picture = Image.fromarray(sheet.swapaxes(1, 2).reshape(rows * height, columns * width, 3))
    content = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(content, format="PNG", optimize=True)
    write_whole(path, content.getvalue())


def read_tiles(path: Path, rows: int, columns: int) -> NDArray[np.uint8]:
    """The images that `write_tiles` wrote: (rows, columns, height, width, 3)."""
    try:
        with Image.open(path) as picture:
            sheet = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path}: not a readable picture ({error}); run its stage again") from None
    if sheet.shape[0] % rows or sheet.shape[1] % columns:
        raise UserError(f"{path}: does not hold {rows} x {columns} images; run its stage again")
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    return sheet.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
