"""Flips, widths and filters of the generators, by hand."""

import pytest
import torch
from torch.nn import functional as F

from hw2core.systems.generators import blur, downsample, flip, upsample, widths


def test_each_image_is_mirrored_by_a_throw_of_its_own() -> None:
    torch.manual_seed(0)
    images = torch.arange(12.0).reshape(1, 3, 2, 2).expand(200, 3, 2, 2)
    flipped = flip(images, "horizontal")
    mirrored = [torch.equal(image, images[0].flip(2)) for image in flipped]
    straight = [torch.equal(image, images[0]) for image in flipped]
    assert all(one != other for one, other in zip(mirrored, straight, strict=True))
    assert 70 < sum(mirrored) < 130


def test_both_flips_give_four_images_and_none_gives_one() -> None:
    torch.manual_seed(0)
    images = torch.arange(12.0).reshape(1, 3, 2, 2).expand(200, 3, 2, 2)
    assert len({tuple(image.flatten().tolist()) for image in flip(images, "both")}) == 4
    assert flip(images, "none") is images


@pytest.mark.parametrize(
    ("size", "expected"), [(16, [3, 6, 12]), (32, [3, 6, 12, 24]), (128, [3, 6, 12, 24, 24, 24])]
)
def test_the_widths_double_down_to_four_pixels_up_to_the_widest(size: int, expected: list[int]) -> None:
    assert widths(size, 3, 24) == expected


def test_a_blurred_dot_is_the_kernel() -> None:
    dot = torch.zeros(1, 2, 5, 5)
    dot[0, 1, 2, 2] = 16
    assert blur(dot)[0, 0].eq(0).all()
    assert blur(dot)[0, 1, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_upsampling_is_bilinear_inside_the_frame() -> None:
    images = torch.rand(2, 3, 8, 8)
    expected = F.interpolate(images, scale_factor=2, mode="bilinear")
    assert torch.allclose(upsample(images)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-6)


def test_downsampling_weighs_one_three_three_one() -> None:
    images = torch.zeros(1, 1, 8, 8)
    images[0, 0, 4] = 64
    # A row in the upper half of its pair: 3 of 8 to the row that covers it, 1 of 8 to the one above.
    assert downsample(images)[0, 0, :, 2].tolist() == [0, 8, 24, 0]
