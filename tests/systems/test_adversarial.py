"""Losses, penalties, augmentation and health figures of the adversarial systems, against cases done by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hw2core.systems.adversarial import (
    DIFFERENTIABLE,
    accuracies,
    between,
    colour,
    cutout,
    diversity,
    fooling_loss,
    gradient_norm,
    judging_loss,
    one_centred_penalty,
    relativistic_loss,
    translation,
    wasserstein_loss,
    zero_centred_penalty,
)

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_critics_loss_is_the_cross_entropy_of_the_printed_sigmoid() -> None:
    by_hand = -(math.log(sigmoid(2)) + math.log(sigmoid(-1))) / 2
    by_hand -= (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2
    assert judging_loss(REAL, FAKE).item() == pytest.approx(by_hand)


def test_smoothing_moves_the_real_label_alone() -> None:
    by_hand = sum(-0.9 * math.log(sigmoid(x)) - 0.1 * math.log(1 - sigmoid(x)) for x in (2, -1)) / 2
    by_hand -= (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2
    assert judging_loss(REAL, FAKE, smoothing=0.1).item() == pytest.approx(by_hand)


def test_the_generators_loss_does_not_saturate() -> None:
    by_hand = -(math.log(sigmoid(0.5)) + math.log(sigmoid(-3))) / 2
    assert fooling_loss(FAKE).item() == pytest.approx(by_hand)
    sure = torch.tensor([-50.0], requires_grad=True)  # of a fake that the critic sees through
    fooling_loss(sure).backward()
    assert sure.grad is not None
    assert sure.grad.item() == pytest.approx(-1)


def test_the_wasserstein_loss_is_a_difference_of_means() -> None:
    assert wasserstein_loss(REAL, FAKE).item() == pytest.approx(-1.25 - 0.5)


def test_the_relativistic_loss_looks_at_differences_of_pairs() -> None:
    by_hand = -(math.log(sigmoid(1.5)) + math.log(sigmoid(2))) / 2
    assert relativistic_loss(REAL, FAKE).item() == pytest.approx(by_hand)
    assert torch.allclose(relativistic_loss(REAL + 7, FAKE + 7), relativistic_loss(REAL, FAKE))


# --- penalties --------------------------------------------------------------------------------------------------


def linear_critic() -> tuple[nn.Module, float]:
    """A critic whose gradient is its weight everywhere, and that weight's norm."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    return critic, critic[1].weight.norm().item()


def test_the_one_centred_penalty_of_a_linear_critic() -> None:
    critic, norm = linear_critic()
    penalty = one_centred_penalty(critic, torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    weight = critic[1].weight
    assert torch.allclose(weight.grad, 2 * (norm - 1) * weight / norm, rtol=1e-4)


def test_the_one_centred_penalty_is_taken_between_real_and_fake_at_a_place_of_each_images_own() -> None:
    seen = []

    def critic(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.detach())
        return images.square().sum((1, 2, 3))

    one_centred_penalty(critic, torch.zeros(50, 3, 2, 2), torch.ones(50, 3, 2, 2))
    (images,) = seen
    places = images[:, 0, 0, 0]
    assert torch.equal(images, places[:, None, None, None].expand_as(images))
    assert len(set(places.tolist())) == 50
    assert 0 <= places.min() < 0.2 < 0.8 < places.max() <= 1


def test_the_zero_centred_penalty_of_a_linear_critic() -> None:
    critic, norm = linear_critic()
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = zero_centred_penalty(images, critic(images))
    assert penalty.item() == pytest.approx(norm**2, rel=1e-5)
    penalty.backward()  # d/dw |w|^2 = 2 w
    assert torch.allclose(critic[1].weight.grad, 2 * critic[1].weight, rtol=1e-5)


def test_the_zero_centred_penalty_against_differences() -> None:
    """A small network in double precision: its gradient by central differences, pixel by pixel."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Softplus(), nn.Flatten(), nn.Linear(16, 1)).double()
    images = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    step, squares = 1e-5, 0.0
    for index in range(images.numel()):
        move = torch.zeros(images.numel(), dtype=torch.float64)
        move[index] = step
        move = move.reshape(images.shape)
        difference = critic(images + move).sum() - critic(images - move).sum()
        squares += (difference.item() / (2 * step)) ** 2
    penalty = zero_centred_penalty(images, critic(images))
    assert penalty.item() == pytest.approx(squares / 2, rel=1e-4)


# --- augmentation ----------------------------------------------------------------------------------------------

every_augmentation = pytest.mark.parametrize("name", DIFFERENTIABLE)


@every_augmentation
def test_each_image_gets_a_draw_of_its_own(name: str) -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 32, 32) * 2 - 1).expand(12, 3, 32, 32)
    changed = DIFFERENTIABLE[name](images)
    assert changed.shape == images.shape
    assert len({tuple(image.flatten().tolist()) for image in changed}) >= 9


@every_augmentation
def test_gradients_flow_through_it(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def augment(images: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return DIFFERENTIABLE[name](images)

    assert torch.autograd.gradcheck(augment, images)
    (gradient,) = torch.autograd.grad(augment(images).square().sum(), images)
    assert gradient.flatten(1).norm(dim=1).min() > 0


def test_a_translation_moves_by_whole_pixels_and_fills_with_grey() -> None:
    torch.manual_seed(0)
    images = torch.rand(60, 3, 16, 16) + 0.5
    moves = set()
    for image, moved in zip(images, translation(images), strict=True):
        padded = F.pad(image, (2, 2, 2, 2))
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(moved, padded[:, 2 - down : 18 - down, 2 - right : 18 - right])
        ]
        assert len(found) == 1
        moves |= set(found)
    assert {down for down, _ in moves} == {right for _, right in moves} == {-2, -1, 0, 1, 2}


def test_a_cutout_is_a_grey_square_of_half_the_width() -> None:
    torch.manual_seed(0)
    holes = cutout(torch.ones(400, 3, 16, 16))[:, 0] == 0
    rows, columns = holes.any(2).sum(1), holes.any(1).sum(1)
    assert torch.equal(holes.sum((1, 2)), rows * columns)  # a rectangle
    assert rows.max() == columns.max() == 8
    assert rows.min() == columns.min() == 4  # half of it beyond the frame


def test_colour_changes_no_shape() -> None:
    """A grey image stays grey, and what was lighter stays lighter."""
    torch.manual_seed(0)
    images = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4).expand(20, 3, 4, 4)
    changed = colour(images)
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)
    assert (changed.flatten(2).diff(dim=2) > 0).all()


# --- health -----------------------------------------------------------------------------------------------------


def test_the_critics_accuracies() -> None:
    real, fake = torch.tensor([2.0, 1.0, -1.0, 3.0]), torch.tensor([-1.0, 1.0])
    found = accuracies(real, fake)
    assert (found["real_accuracy"].item(), found["fake_accuracy"].item()) == (0.75, 0.5)
    shifted = accuracies(real + 100, fake + 100, between(real + 100, fake + 100))
    assert between(real, fake).item() == 0.625
    assert (shifted["real_accuracy"].item(), shifted["fake_accuracy"].item()) == (0.75, 0.5)


def test_diversity_is_one_for_the_data_itself_and_zero_for_one_image() -> None:
    images = torch.rand(10, 3, 32, 32)
    assert diversity(images, images).item() == pytest.approx(1, rel=1e-5)
    assert diversity(images / 2 + 0.3, images).item() == pytest.approx(0.5, rel=1e-5)
    assert diversity(images[:1].expand_as(images), images).item() == 0


def test_noise_in_the_pixels_is_no_diversity() -> None:
    torch.manual_seed(0)
    coarse = F.interpolate(torch.rand(50, 3, 8, 8), scale_factor=8)
    noise = torch.rand(50, 3, 64, 64)  # of the same standard deviation
    assert diversity(noise, coarse).item() == pytest.approx(1 / 8, rel=0.05)


def test_the_gradient_norm_is_that_of_all_weights_together() -> None:
    one, other = (nn.Parameter(torch.zeros(shape)) for shape in (2, 1))
    one.grad, other.grad = torch.tensor([2.0, 3.0]), torch.tensor([6.0])
    assert gradient_norm([one, other]).item() == pytest.approx(7)
