"""Widths and filters of the GANs, and the flips of training images."""

import pytest
import torch
from torch.nn import functional as F

from hw2core.systems.generator import flip
from hw2core.systems.layers import blur, downsample, upsample, widths


def test_each_image_is_flipped_at_random() -> None:
    torch.manual_seed(0)
    images = torch.arange(12.0).reshape(1, 3, 2, 2).expand(200, 3, 2, 2)
    flipped = flip(images, "horizontal")
    mirrored = [torch.equal(image, images[0].flip(2)) for image in flipped]
    unchanged = [torch.equal(image, images[0]) for image in flipped]
    assert all(one != other for one, other in zip(mirrored, unchanged, strict=True))
    assert 70 < sum(mirrored) < 130
    assert len({tuple(image.flatten().tolist()) for image in flip(images, "both")}) == 4
    assert flip(images, "none") is images


@pytest.mark.parametrize(
    ("size", "expected"), [(16, [3, 6, 12]), (32, [3, 6, 12, 24]), (128, [3, 6, 12, 24, 24, 24])]
)
def test_the_widths_double_down_to_4x4_up_to_a_maximum(size: int, expected: list[int]) -> None:
    assert widths(size, 3, 24) == expected


def test_a_blurred_dot_is_the_kernel() -> None:
    dot = torch.zeros(1, 2, 5, 5)
    dot[0, 1, 2, 2] = 16
    assert blur(dot)[0, 0].eq(0).all()
    assert blur(dot)[0, 1, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_upsampling_is_bilinear_except_at_the_border() -> None:
    images = torch.rand(2, 3, 8, 8)
    expected = F.interpolate(images, scale_factor=2, mode="bilinear")
    assert torch.allclose(upsample(images)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-6)


def test_downsampling_has_the_filter_1_3_3_1() -> None:
    images = torch.zeros(1, 1, 8, 8)
    images[0, 0, 4] = 64
    # Row 4 is the upper one of its pair: 3/8 of it to the row that covers it, 1/8 to the one above.
    assert downsample(images)[0, 0, :, 2].tolist() == [0, 8, 24, 0]
