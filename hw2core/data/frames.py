"""What becomes of a picture before a network sees it: every decision about size and colour, in this one place.

Digits become 28x28 and faces 64x64, in three channels. Nothing else is done to the pixels: no normalisation, no
change of contrast. Whatever changes size does so by Pillow's bilinear filter, which averages when it reduces.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIGIT, FACE = 28, 64
MNISTM_MARGIN = 2  # pixels on each side of the digit's 28x28 frame in the archive's 32x32 images

Frame = Callable[[Image.Image], NDArray[np.uint8]]
"""What makes of a grey or colour picture of any size the pixels (height, width, 3) that the networks read."""


class UnfitError(ValueError):
    """What is wrong with a picture that a frame cannot take."""


def whole(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture as it is, which must have this width and height: what is judged is never resized."""
    if picture.size != size:
        raise UnfitError(f"is {picture.width}x{picture.height}, where {size[0]}x{size[1]} is wanted")
    return colour(picture)


def resize_digit(picture: Image.Image) -> NDArray[np.uint8]:
    """The whole picture at 28x28, whatever its proportions were."""
    return colour(picture.resize((DIGIT, DIGIT), Image.Resampling.BILINEAR))


def crop_mnistm(picture: Image.Image) -> NDArray[np.uint8]:
    """MNIST's own 28x28 frame in the middle of the archive's 32x32 pixels. The course's images have it already."""
    size = DIGIT + 2 * MNISTM_MARGIN
    if picture.size != (size, size):
        return resize_digit(picture)
    return colour(picture.crop((MNISTM_MARGIN, MNISTM_MARGIN, size - MNISTM_MARGIN, size - MNISTM_MARGIN)))


def square_face(picture: Image.Image) -> NDArray[np.uint8]:
    """The largest square in the middle, at 64x64.

    Of CelebA's aligned 178x218 photos that is all but 20 rows above and below: whole heads with some background,
    as DCGAN's well-known tutorials cut them and as the faces of the course look, rather than the tighter
    148x148 or 108x108 of other papers, whose FIDs compare with none of the reference reports'.
    """
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return colour(square.resize((FACE, FACE), Image.Resampling.BILINEAR))


def digit_frame(dataset: str) -> Frame:
    """What is done to a dataset's digits where nothing else is said."""
    return crop_mnistm if dataset == "mnistm" else resize_digit


DECISIONS: dict[Frame, str] = {
    resize_digit: "resized to 28x28, grey repeated in three channels",
    crop_mnistm: "of 32x32 pixels the middle 28x28, MNIST's own frame of the digit",
    square_face: "the largest square in the middle, resized to 64x64",
}
"""The same in words, for the report."""


def colour(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def frame_all(images: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Images (n, h, w) or (n, h, w, 3), each framed."""
    framed = np.empty((len(images), *frame(Image.fromarray(images[0])).shape), dtype=np.uint8)
    for place, image in zip(framed, images, strict=True):
        place[:] = frame(Image.fromarray(image))
    return framed
