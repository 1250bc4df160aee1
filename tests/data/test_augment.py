"""Augmentation: a function of the step alone, and within the colours that images have."""

import torch

from hw2core.data.augment import CONTRAST, jitter


def grey(*values: float) -> torch.Tensor:
    """An image of one row of grey pixels."""
    return torch.tensor(values).expand(1, 3, 1, -1)


def test_the_same_names_give_the_same_colours_and_others_do_not() -> None:
    images = grey(-1, 1).repeat(4, 1, 1, 1)
    assert torch.equal(jitter(images, "seed 0", 5), jitter(images, "seed 0", 5))
    assert not torch.equal(jitter(images, "seed 0", 5), jitter(images, "seed 0", 6))


def test_every_image_has_colours_of_its_own() -> None:
    images = jitter(grey(-1, 1).repeat(50, 1, 1, 1), "test")
    assert len({tuple(image.flatten().tolist()) for image in images}) == 50


def test_black_becomes_paper_and_white_ink_and_between_them_all_is_even() -> None:
    images = jitter(grey(-1, 0, 1).repeat(500, 1, 1, 1), "test")
    paper, middle, ink = images.unbind(-1)
    assert torch.allclose(middle, (paper + ink) / 2, atol=1e-6)
    assert images.min() >= -1.0001
    assert images.max() <= 1.0001


def test_ink_is_clearly_lighter_or_darker_than_its_paper() -> None:
    paper, ink = jitter(grey(-1, 1).repeat(20_000, 1, 1, 1), "test").mean(1)[:, 0].unbind(-1)
    assert (paper - ink).abs().min() >= CONTRAST - 1e-6
    assert ((paper > ink).float().mean() - 0.5).abs() < 0.05
