"""Geometry of the images: every decision about size, crop and color channels, in one place.

Digits become 28x28 and faces 64x64, in three channels. Contrast and brightness stay as they are. Resizing uses
Pillow's bilinear filter, which averages (antialiases) when it reduces.
"""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIGIT, FACE = 28, 64
MNISTM_MARGIN = 2  # pixels around the 28x28 digit in the 32x32 images of the archive

Size = tuple[int, int]  # width, height
Frame = Callable[[Image.Image], NDArray[np.uint8]]
"""Maps a gray or RGB image of any size to the pixels (height, width, 3) that the networks read."""


class UnfitError(ValueError):
    """An image that a frame does not accept; the message says why."""


def whole(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image unchanged. It must have this (width, height): images under evaluation are never resized."""
    if picture.size != size:
        raise UnfitError(f"is {picture.width}x{picture.height}, expected {size[0]}x{size[1]}")
    return color(picture)


def resize_digit(picture: Image.Image) -> NDArray[np.uint8]:
    """The whole image resized to 28x28, whatever its aspect ratio."""
    return color(picture.resize((DIGIT, DIGIT), Image.Resampling.BILINEAR))


def crop_mnistm(picture: Image.Image) -> NDArray[np.uint8]:
    """The central 28x28 pixels of a 32x32 image, which are the frame of MNIST. Other sizes are resized."""
    size = DIGIT + 2 * MNISTM_MARGIN
    if picture.size != (size, size):
        return resize_digit(picture)
    return color(picture.crop((MNISTM_MARGIN, MNISTM_MARGIN, size - MNISTM_MARGIN, size - MNISTM_MARGIN)))


def square_face(picture: Image.Image) -> NDArray[np.uint8]:
    """The largest central square, resized to 64x64.

    For the aligned 178x218 photos of CelebA this removes 20 rows at the top and at the bottom and keeps whole heads
    with some background, as in the DCGAN tutorial of PyTorch and in the faces of the course. FIDs with the tighter
    148x148 or 108x108 crops of other papers are not comparable.
    """
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return color(square.resize((FACE, FACE), Image.Resampling.BILINEAR))


def digit_frame(dataset: str) -> Frame:
    """The default frame of a dataset of digits."""
    return crop_mnistm if dataset == "mnistm" else resize_digit


def describe(frame: Frame, sizes: Collection[Size], gray: bool) -> str:
    """What a frame does to images of these sizes, for the report."""
    side = FACE if frame is square_face else DIGIT
    if set(sizes) == {(side, side)}:
        done = f"{side}x{side} as they are"
    elif frame is square_face:
        done = f"{spell(sizes)}; the largest central square, resized to {side}x{side}"
    elif frame is crop_mnistm and set(sizes) == {(side + 2 * MNISTM_MARGIN, side + 2 * MNISTM_MARGIN)}:
        done = f"{spell(sizes)}; the central {side}x{side}, which are the frame of MNIST"
    else:
        done = f"{spell(sizes)}; resized to {side}x{side}"
    return f"{done}, gray repeated in three channels" if gray else done


def spell(sizes: Collection[Size]) -> str:
    """Sizes in words: the one there is, or the smallest and the largest."""
    (width, height), *_, last = sorted(sizes, key=lambda size: size[0] * size[1]) * 2
    return f"{width}x{height}" if len(sizes) == 1 else f"{width}x{height} to {last[0]}x{last[1]}"


def color(picture: Image.Image) -> NDArray[np.uint8]:
    """The pixels in three channels; gray is repeated."""
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def frame_all(images: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Apply a frame to each of the images (n, h, w) or (n, h, w, 3)."""
    framed = np.empty((len(images), *frame(Image.fromarray(images[0])).shape), dtype=np.uint8)
    for target, image in zip(framed, images, strict=True):
        target[:] = frame(Image.fromarray(image))
    return framed
