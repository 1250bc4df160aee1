"""Augmentation: a function of the step alone, and within the colors that images have."""

from collections.abc import Callable

import pytest
import torch

from hw2core.engine.augmentation import (
    AUGMENTATIONS,
    MIN_CONTRAST,
    blur_or_sharpen,
    color_jitter,
    cut_out,
    recolor,
    strong,
    warp,
    weak,
)
from hw2core.settings.systems import Dann


def gray(*values: float) -> torch.Tensor:
    """An image of one row of gray pixels."""
    return torch.tensor(values).expand(1, 3, 1, -1)


def test_the_same_names_give_the_same_colors_and_others_do_not() -> None:
    images = gray(-1, 1).repeat(4, 1, 1, 1)
    assert torch.equal(color_jitter(images, "seed 0", 5), color_jitter(images, "seed 0", 5))
    assert not torch.equal(color_jitter(images, "seed 0", 5), color_jitter(images, "seed 0", 6))


def test_every_image_has_colors_of_its_own() -> None:
    images = color_jitter(gray(-1, 1).repeat(50, 1, 1, 1), "test")
    assert len({tuple(image.flatten().tolist()) for image in images}) == 50


def test_black_becomes_paper_and_white_ink_and_between_them_all_is_even() -> None:
    images = color_jitter(gray(-1, 0, 1).repeat(500, 1, 1, 1), "test")
    paper, middle, ink = images.unbind(-1)
    assert torch.allclose(middle, (paper + ink) / 2, atol=1e-6)
    assert images.min() >= -1.0001
    assert images.max() <= 1.0001


def test_ink_is_clearly_lighter_or_darker_than_its_paper() -> None:
    paper, ink = color_jitter(gray(-1, 1).repeat(20_000, 1, 1, 1), "test").mean(1)[:, 0].unbind(-1)
    assert (paper - ink).abs().min() >= MIN_CONTRAST - 1e-6
    assert ((paper > ink).float().mean() - 0.5).abs() < 0.05


def pictures(count: int) -> torch.Tensor:
    return torch.rand((count, 3, 28, 28), generator=torch.Generator().manual_seed(0)) * 2 - 1


augmentation = pytest.mark.parametrize("augment", [weak, strong])


@augmentation
def test_augmented_images_are_images(augment: Callable[[torch.Tensor], torch.Tensor]) -> None:
    images = pictures(200)
    augmented = augment(images)
    assert augmented.shape == images.shape
    assert augmented.dtype == images.dtype
    assert augmented.abs().max() <= 1 + 1e-6


@augmentation
def test_augmentation_draws_from_torchs_own_numbers_alone(
    augment: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """The loop seeds them before each step, so that a resumed run draws what it would have drawn."""
    images, results = pictures(4), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augment(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@augmentation
def test_each_image_is_drawn_for_by_itself(augment: Callable[[torch.Tensor], torch.Tensor]) -> None:
    augmented = augment(pictures(1).repeat(20, 1, 1, 1))
    assert len({tuple(image.flatten().tolist()) for image in augmented}) == 20


def test_augmentation_changes_no_image_that_it_is_given() -> None:
    images = pictures(3)
    before = images.clone()
    strong(weak(images))
    assert torch.equal(images, before)


def test_a_warp_of_nothing_changes_nothing() -> None:
    images = pictures(3)
    assert torch.allclose(warp(images, turn=0, slant=0, scale=0, move=0), images, atol=1e-5)


def test_a_warp_moves_by_at_most_its_share_of_half_the_frame() -> None:
    """A column of ink in the middle of 28 goes at most 0.5 * 14 = 7 pixels to the side."""
    images = torch.full((300, 3, 28, 28), -1.0)
    images[:, :, :, 14] = 1
    columns = warp(images, turn=0, slant=0, scale=0, move=0.5)[:, 0, 14].argmax(1)
    assert columns.min() in (7, 8)
    assert columns.max() in (20, 21)


def test_colors_are_changed_by_straight_lines_that_keep_to_the_range() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0]).expand(400, 3, 1, 3)
    black, middle, white = recolor(images).unbind(-1)
    assert torch.allclose(middle, (black + white) / 2, atol=1e-6)
    assert torch.maximum(black.abs(), white.abs()).max() <= 1 + 1e-6
    assert (white - black).abs().min() >= 0.6 - 1e-6
    assert ((white > black).float().mean() - 0.5).abs() < 0.05


def test_even_images_are_neither_blurred_nor_sharpened() -> None:
    images = torch.full((5, 3, 28, 28), 0.4)
    assert torch.allclose(blur_or_sharpen(images), images, atol=1e-6)


def test_what_is_cut_out_is_one_rectangle_in_one_gray() -> None:
    images = torch.full((50, 3, 28, 28), 3.0)
    for image in cut_out(images):
        cut = image != 3
        assert len(image[cut].unique()) <= 1
        rows, columns = cut[0].any(1), cut[0].any(0)
        assert torch.equal(cut[0], rows[:, None] & columns[None, :])
        assert torch.equal(cut[0], cut[2])
        assert rows.sum() <= 12
        assert columns.sum() <= 12


def test_the_augmentations_that_params_know_are_there() -> None:
    assert set(AUGMENTATIONS) == set(Dann.model_fields["augment"].annotation.__args__)  # type: ignore[union-attr]
    images = pictures(2)
    assert torch.equal(AUGMENTATIONS["none"](images), images)
