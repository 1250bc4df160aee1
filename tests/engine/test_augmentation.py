"""Augmentation: reproducible from its names or the seed, and within the range of images."""

from collections.abc import Callable

import pytest
import torch

from hw2core.engine import augmentation
from hw2core.engine.augmentation import (
    AUGMENTATIONS,
    MIN_CONTRAST,
    add_texture,
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


def test_colors_depend_on_the_names() -> None:
    images = gray(-1, 1).repeat(4, 1, 1, 1)
    assert torch.equal(color_jitter(images, "seed 0", 5), color_jitter(images, "seed 0", 5))
    assert not torch.equal(color_jitter(images, "seed 0", 5), color_jitter(images, "seed 0", 6))


def test_colors_differ_between_images() -> None:
    images = color_jitter(gray(-1, 1).repeat(50, 1, 1, 1), "test")
    assert len({tuple(image.flatten().tolist()) for image in images}) == 50


def test_color_jitter_is_linear() -> None:
    images = color_jitter(gray(-1, 0, 1).repeat(500, 1, 1, 1), "test")
    paper, middle, ink = images.unbind(-1)
    assert torch.allclose(middle, (paper + ink) / 2, atol=1e-6)
    assert images.min() >= -1.0001
    assert images.max() <= 1.0001


def test_ink_and_paper_have_contrast() -> None:
    paper, ink = color_jitter(gray(-1, 1).repeat(20_000, 1, 1, 1), "test").mean(1)[:, 0].unbind(-1)
    assert (paper - ink).abs().min() >= MIN_CONTRAST - 1e-6
    assert ((paper > ink).float().mean() - 0.5).abs() < 0.05


def pictures(count: int) -> torch.Tensor:
    return torch.rand((count, 3, 28, 28), generator=torch.Generator().manual_seed(0)) * 2 - 1


both = pytest.mark.parametrize("augment", [weak, strong])


@both
def test_augmented_images_keep_shape_type_and_range(augment: Callable[[torch.Tensor], torch.Tensor]) -> None:
    images = pictures(200)
    augmented = augment(images)
    assert augmented.shape == images.shape
    assert augmented.dtype == images.dtype
    assert augmented.abs().max() <= 1 + 1e-6


@both
def test_augmentation_depends_on_the_global_seed_alone(
    augment: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """The loop seeds torch before each step, so that a resumed run repeats the same augmentation."""
    images, results = pictures(4), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augment(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@both
def test_augmentation_differs_between_images(augment: Callable[[torch.Tensor], torch.Tensor]) -> None:
    augmented = augment(pictures(1).repeat(20, 1, 1, 1))
    assert len({tuple(image.flatten().tolist()) for image in augmented}) == 20


def test_augmentation_does_not_modify_its_input() -> None:
    images = pictures(3)
    before = images.clone()
    strong(weak(images))
    assert torch.equal(images, before)


def test_identity_warp() -> None:
    images = pictures(3)
    assert torch.allclose(warp(images, turn=0, slant=0, scale=0, move=0), images, atol=1e-5)


def test_warp_translates_by_at_most_half_the_image_times_move() -> None:
    """A column in the center of 28 moves by at most 0.5 * 14 = 7 pixels."""
    images = torch.full((300, 3, 28, 28), -1.0)
    images[:, :, :, 14] = 1
    columns = warp(images, turn=0, slant=0, scale=0, move=0.5)[:, 0, 14].argmax(1)
    assert columns.min() in (7, 8)
    assert columns.max() in (20, 21)


def test_recolor_is_linear_and_keeps_the_range() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0]).expand(400, 3, 1, 3)
    black, middle, white = recolor(images).unbind(-1)
    assert torch.allclose(middle, (black + white) / 2, atol=1e-6)
    assert torch.maximum(black.abs(), white.abs()).max() <= 1 + 1e-6
    assert (white - black).abs().min() >= 0.6 - 1e-6
    assert ((white > black).float().mean() - 0.5).abs() < 0.05


def test_blur_keeps_constant_images() -> None:
    images = torch.full((5, 3, 28, 28), 0.4)
    assert torch.allclose(blur_or_sharpen(images), images, atol=1e-6)


def test_textures_are_parts_of_the_given_images_without_their_mean() -> None:
    """Of images of one gray nothing is left. A magnified half-black, half-white image adds at most 1.2 to each side."""
    images = torch.zeros(300, 3, 28, 28)
    assert torch.allclose(add_texture(images, torch.full((2, 3, 28, 28), 0.5)), images, atol=1e-5)
    halves = torch.ones(1, 3, 28, 28)
    halves[..., :14] = -1
    added = add_texture(images, halves)
    assert torch.allclose(added.mean((2, 3)), torch.zeros(300, 3), atol=1e-5)
    assert 1.2 < added.abs().max() <= 2.4
    assert len({tuple(image.flatten().tolist()) for image in added}) > 250


def test_half_of_the_strongly_augmented_images_get_a_texture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "add_texture", lambda images, textures: images + textures)
    monkeypatch.setattr(augmentation, "cut_out", lambda images: images)
    images = strong(torch.zeros(1000, 3, 28, 28), torch.full((1000, 3, 28, 28), 100.0))
    assert 0.45 < (images == 1).all(dim=(1, 2, 3)).float().mean() < 0.55


def test_cutout_is_one_rectangle_of_one_gray() -> None:
    images = torch.full((50, 3, 28, 28), 3.0)
    for image in cut_out(images):
        cut = image != 3
        assert len(image[cut].unique()) <= 1
        rows, columns = cut[0].any(1), cut[0].any(0)
        assert torch.equal(cut[0], rows[:, None] & columns[None, :])
        assert torch.equal(cut[0], cut[2])
        assert rows.sum() <= 12
        assert columns.sum() <= 12


def test_every_augmentation_of_params_exists() -> None:
    assert set(AUGMENTATIONS) == set(Dann.model_fields["augment"].annotation.__args__)  # type: ignore[union-attr]
    images = pictures(2)
    assert torch.equal(AUGMENTATIONS["none"](images), images)
