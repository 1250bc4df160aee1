"""Frames: size, crop and color channels of images with known results."""

import numpy as np
import pytest
from PIL import Image

from hw2core.data.frames import Frame, crop_mnistm, describe, frame_all, resize_digit, square_face

RNG = np.random.default_rng(0)
FRAMES = [(resize_digit, 28), (crop_mnistm, 28), (square_face, 64)]


def noise(height: int, width: int, *, channels: int = 3) -> Image.Image:
    shape = (height, width, 3) if channels == 3 else (height, width)
    return Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize(("frame", "side"), FRAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_image_of_the_right_size_is_unchanged(frame: Frame, side: int, channels: int) -> None:
    picture = noise(side, side, channels=channels)
    pixels = np.asarray(picture).reshape(side, side, channels)
    assert (frame(picture) == np.broadcast_to(pixels, (side, side, 3))).all()


@pytest.mark.parametrize(("frame", "side"), FRAMES)
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (24, 44), (218, 178)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_one_shape(frame: Frame, side: int, size: tuple[int, int], channels: int) -> None:
    framed = frame(noise(*size, channels=channels))
    assert framed.shape == (side, side, 3)
    assert framed.dtype == np.uint8


def test_mnistm_is_cropped_and_other_sizes_are_resized() -> None:
    picture = noise(32, 32)
    assert (crop_mnistm(picture) == np.asarray(picture)[2:30, 2:30]).all()
    larger = noise(40, 40)
    assert (crop_mnistm(larger) == resize_digit(larger)).all()


def test_digit_is_resized_without_a_crop() -> None:
    """Left half black, right half white, twice as high as wide."""
    pixels = np.zeros((56, 28), np.uint8)
    pixels[:, 14:] = 255
    framed = resize_digit(Image.fromarray(pixels))
    assert (framed[:, :14] == 0).all()
    assert (framed[:, 14:] == 255).all()


def test_reduction_averages() -> None:
    """A fine checkerboard becomes uniform gray."""
    checkers = (np.indices((112, 112)).sum(axis=0) % 2 * 255).astype(np.uint8)
    framed = resize_digit(Image.fromarray(checkers)).astype(int)
    assert abs(framed - 127).max() <= 2


@pytest.mark.parametrize("upright", [True, False])
def test_central_square_of_a_face_is_kept(upright: bool) -> None:
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[20:198] = (10, 200, 30)
    framed = square_face(Image.fromarray(pixels if upright else pixels.transpose(1, 0, 2)))
    assert (framed == (10, 200, 30)).all()


def test_frame_all_applies_the_frame_to_each_image() -> None:
    images = RNG.integers(0, 256, (3, 16, 16), dtype=np.uint8)
    framed = frame_all(images, resize_digit)
    assert framed.shape == (3, 28, 28, 3)
    assert all((framed[i] == resize_digit(Image.fromarray(images[i]))).all() for i in range(3))


@pytest.mark.parametrize(
    ("frame", "sizes", "gray", "words"),
    [
        (resize_digit, {(28, 28)}, False, "28x28 as they are"),
        (resize_digit, {(16, 16)}, True, "16x16; resized to 28x28, gray repeated in three channels"),
        (resize_digit, {(24, 44), (15, 29), (135, 211)}, False, "15x29 to 135x211; resized to 28x28"),
        (crop_mnistm, {(28, 28)}, False, "28x28 as they are"),
        (crop_mnistm, {(32, 32)}, False, "32x32; the central 28x28, which are the frame of MNIST"),
        (crop_mnistm, {(32, 32), (40, 40)}, False, "32x32 to 40x40; resized to 28x28"),
        (square_face, {(64, 64)}, True, "64x64 as they are, gray repeated in three channels"),
        (square_face, {(178, 218)}, False, "178x218; the largest central square, resized to 64x64"),
    ],
)
def test_a_frame_is_described_by_what_it_does_to_these_sizes(
    frame: Frame, sizes: set[tuple[int, int]], gray: bool, words: str
) -> None:
    assert describe(frame, sizes, gray) == words
