"""GAN losses, penalties, differentiable augmentation and health metrics, against cases computed by hand."""

import copy
import math

import pytest
import torch
from small_systems import build
from torch import nn
from torch.nn import functional as F

from hw2core.systems.adversarial import diversity, health, midpoint
from hw2core.systems.diffaugment import DIFFAUGMENT, color, cutout, translation
from hw2core.systems.losses import (
    discriminator_loss,
    gradient_penalty,
    non_saturating_loss,
    r1_penalty,
    relativistic_loss,
    wasserstein_loss,
)

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_discriminator_loss_is_cross_entropy_with_one_sided_label_smoothing(
    label_smoothing: float,
) -> None:
    by_hand = sum(
        -(1 - label_smoothing) * math.log(sigmoid(x)) - label_smoothing * math.log(1 - sigmoid(x))
        for x in (2, -1)
    )
    by_hand -= math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))
    assert discriminator_loss(REAL, FAKE, label_smoothing).item() == pytest.approx(by_hand / 2)


def test_the_non_saturating_loss() -> None:
    by_hand = -(math.log(sigmoid(0.5)) + math.log(sigmoid(-3))) / 2
    assert non_saturating_loss(FAKE).item() == pytest.approx(by_hand)
    confident = torch.tensor([-50.0], requires_grad=True)  # the discriminator recognizes the fake image
    non_saturating_loss(confident).backward()
    assert confident.grad is not None
    assert confident.grad.item() == pytest.approx(-1)


def test_the_wasserstein_loss_is_a_difference_of_means() -> None:
    assert wasserstein_loss(REAL, FAKE).item() == pytest.approx(-1.25 - 0.5)


def test_the_relativistic_loss_depends_on_differences_within_pairs() -> None:
    by_hand = -(math.log(sigmoid(1.5)) + math.log(sigmoid(2))) / 2
    assert relativistic_loss(REAL, FAKE).item() == pytest.approx(by_hand)
    assert torch.allclose(relativistic_loss(REAL + 7, FAKE + 7), relativistic_loss(REAL, FAKE))


# --- penalties --------------------------------------------------------------------------------------------------


def linear_critic() -> tuple[nn.Module, float]:
    """A critic whose gradient is its weight everywhere, and the norm of that weight."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    return critic, critic[1].weight.norm().item()


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    critic, norm = linear_critic()
    penalty = gradient_penalty(critic, torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    weight = critic[1].weight
    assert torch.allclose(weight.grad, 2 * (norm - 1) * weight / norm, rtol=1e-4)


def test_the_gradient_penalty_is_taken_at_one_random_point_per_image_between_real_and_fake() -> None:
    seen = []

    def critic(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.detach())
        return images.square().sum((1, 2, 3))

    gradient_penalty(critic, torch.zeros(50, 3, 2, 2), torch.ones(50, 3, 2, 2))
    (x_hat,) = seen
    eps = x_hat[:, 0, 0, 0]
    assert torch.equal(x_hat, eps[:, None, None, None].expand_as(x_hat))
    assert len(set(eps.tolist())) == 50
    assert 0 <= eps.min() < 0.2 < 0.8 < eps.max() <= 1


def test_r1_of_a_linear_discriminator() -> None:
    discriminator, norm = linear_critic()
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = r1_penalty(images, discriminator(images))
    assert penalty.item() == pytest.approx(norm**2, rel=1e-5)
    penalty.backward()  # d/dw |w|^2 = 2 w
    assert torch.allclose(discriminator[1].weight.grad, 2 * discriminator[1].weight, rtol=1e-5)


def test_r1_against_central_differences() -> None:
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Softplus(), nn.Flatten(), nn.Linear(16, 1)).double()
    images = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    step, squares = 1e-5, 0.0
    for index in range(images.numel()):
        move = torch.zeros(images.numel(), dtype=torch.float64)
        move[index] = step
        move = move.reshape(images.shape)
        difference = discriminator(images + move).sum() - discriminator(images - move).sum()
        squares += (difference.item() / (2 * step)) ** 2
    penalty = r1_penalty(images, discriminator(images))
    assert penalty.item() == pytest.approx(squares / 2, rel=1e-4)


# --- differentiable augmentation --------------------------------------------------------------------------------

every_augmentation = pytest.mark.parametrize("name", DIFFAUGMENT)


@every_augmentation
def test_each_image_is_augmented_by_random_numbers_of_its_own(name: str) -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 32, 32) * 2 - 1).expand(12, 3, 32, 32)
    changed = DIFFAUGMENT[name](images)
    assert changed.shape == images.shape
    assert len({tuple(image.flatten().tolist()) for image in changed}) >= 9


@every_augmentation
def test_augmentation_is_differentiable(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def augment(images: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return DIFFAUGMENT[name](images)

    assert torch.autograd.gradcheck(augment, images)
    (gradient,) = torch.autograd.grad(augment(images).square().sum(), images)
    assert gradient.flatten(1).norm(dim=1).min() > 0


def test_translation_moves_by_whole_pixels_and_fills_with_gray() -> None:
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


def test_cutout_is_a_gray_square_of_half_the_width() -> None:
    torch.manual_seed(0)
    holes = cutout(torch.ones(400, 3, 16, 16))[:, 0] == 0
    rows, columns = holes.any(2).sum(1), holes.any(1).sum(1)
    assert torch.equal(holes.sum((1, 2)), rows * columns)  # a rectangle
    assert rows.max() == columns.max() == 8
    assert rows.min() == columns.min() == 4  # half of it outside the image


def test_color_keeps_gray_images_gray_and_the_order_of_their_pixels() -> None:
    torch.manual_seed(0)
    images = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4).expand(20, 3, 4, 4)
    changed = color(images)
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)
    assert (changed.flatten(2).diff(dim=2) > 0).all()


def test_real_and_fake_images_are_separate_batches_with_the_same_augmentation() -> None:
    """A discriminator with batch norm would otherwise classify a real image by the fake ones beside it."""
    system = build("dcgan4")
    shown: list[torch.Tensor] = []
    discriminate = system.discriminate
    system.discriminate = lambda images: (shown.append(images), discriminate(images))[1]
    system.step((torch.ones(6, 3, 32, 32),), 0)
    assert [len(images) for images in shown] == [6, 6, 6]
    assert all(images.std() > 0 for images in shown)  # constant images vary by augmentation


@pytest.mark.parametrize("mover", ["generator", "discriminator"])
def test_descend_updates_one_network_alone_and_returns_its_gradient_norm(mover: str) -> None:
    system = build("dcgan4")
    other = "discriminator" if mover == "generator" else "generator"
    before = {name: copy.deepcopy(network.state_dict()) for name, network in system.networks.items()}
    norm = system.descend(mover, system.discriminate(system.fake(6)).mean())
    gradients = [weight.grad for weight in system.networks[mover].parameters()]
    assert norm.item() == pytest.approx(sum(one.square().sum().item() for one in gradients) ** 0.5, rel=1e-4)
    assert all(weight.grad is None for weight in system.networks[other].parameters())
    weights = dict(system.networks.named_parameters())
    assert all(
        torch.equal(weights[f"{name}.{key}"], before[name][key]) == (name == other)
        for name, network in system.networks.items()
        for key, _ in network.named_parameters()
    )


# --- health -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_the_discriminators_accuracies(offset: float) -> None:
    real, fake = torch.tensor([2.0, 1.0, -1.0, 3.0]) + offset, torch.tensor([-1.0, 1.0]) + offset
    images, norm = torch.rand(4, 3, 8, 8), torch.zeros(())
    assert midpoint(real, fake).item() == 0.625 + offset
    threshold = midpoint(real, fake) if offset else 0.0
    found = health(images, images, real, fake, norm, norm + 1, threshold)
    assert (found["d_real_acc"].item(), found["d_fake_acc"].item()) == (0.75, 0.5)
    assert (found["d_grad_norm"].item(), found["g_grad_norm"].item()) == (0, 1)


def test_diversity_is_one_for_the_data_itself_and_zero_for_one_image() -> None:
    images = torch.rand(10, 3, 32, 32)
    assert diversity(images, images).item() == pytest.approx(1, rel=1e-5)
    assert diversity(images / 2 + 0.3, images).item() == pytest.approx(0.5, rel=1e-5)
    assert diversity(images[:1].expand_as(images), images).item() == 0


def test_pixel_noise_is_no_diversity() -> None:
    torch.manual_seed(0)
    coarse = F.interpolate(torch.rand(50, 3, 8, 8), scale_factor=8)
    noise = torch.rand(50, 3, 64, 64)  # of the same standard deviation
    assert diversity(noise, coarse).item() == pytest.approx(1 / 8, rel=0.05)
