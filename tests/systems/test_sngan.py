"""SNGAN's networks against the printed ones, spectral normalization, and the step of WGAN-GP."""

import pytest
import torch
from small_systems import build, faces, parameter_counts, step
from torch import Tensor, nn

from hw2core.engine.randomness import seed_torch
from hw2core.systems.losses import gradient_penalty

both = pytest.mark.parametrize("name", ["sngan", "sngan_gp"])


def test_sngan_has_the_parameters_of_r22a() -> None:
    """The generator of dcgan5; its discriminator without batch norm."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512 * 4 * 4,
        512 * 256 * 5 * 5 + 2 * 256,
        256 * 128 * 5 * 5 + 2 * 128,
        128 * 64 * 5 * 5 + 2 * 64,
        64 * 3 * 5 * 5 + 3,
    ]
    discriminator = [
        3 * 64 * 5 * 5 + 64,
        64 * 128 * 5 * 5 + 128,
        128 * 256 * 5 * 5 + 256,
        256 * 512 * 5 * 5 + 512,
        512 * 1 * 4 * 4 + 1,
    ]
    system = build("sngan", size=64, latent_dim=100, width=64)
    assert parameter_counts(system) == {"generator": sum(generator), "discriminator": sum(discriminator)}


def test_sngan_gp_has_the_parameters_of_r22b() -> None:
    """No biases; layer norm has two parameters for every element of its feature map."""
    generator = [
        100 * 1024 * 4 * 4 + 2 * 1024,
        1024 * 512 * 5 * 5 + 2 * 512,
        512 * 256 * 5 * 5 + 2 * 256,
        256 * 128 * 5 * 5 + 2 * 128,
        128 * 3 * 5 * 5,
    ]
    critic = [
        3 * 64 * 4 * 4,
        64 * 128 * 4 * 4 + 2 * 128 * 16 * 16,
        128 * 256 * 4 * 4 + 2 * 256 * 8 * 8,
        256 * 512 * 4 * 4 + 2 * 512 * 4 * 4,
        512 * 1 * 4 * 4,
    ]
    system = build("sngan_gp", size=64, latent_dim=100, width=64)
    assert parameter_counts(system) == {"generator": sum(generator), "discriminator": sum(critic)}


@both
def test_every_weight_of_the_discriminator_and_no_other_has_spectral_norm_one(name: str) -> None:
    """Also after some steps, since the power iteration follows the weights; evaluation does not move it."""
    system = build(name)
    for k in range(6):
        step(system, name, k)
    system.networks.eval()
    discriminator = system.networks["discriminator"]
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        assert values[0].item() == pytest.approx(1, abs=0.02)
    before = {key: value.clone() for key, value in discriminator.named_buffers()}
    with torch.no_grad():
        system.discriminate(faces())
    assert all(torch.equal(before[key], value) for key, value in discriminator.named_buffers())
    assert not [key for key in system.networks["generator"].state_dict() if "parametrizations" in key]
    assert not [layer for layer in discriminator.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_the_critics_steps_divide_the_batch_and_the_generator_takes_one() -> None:
    system = build("sngan_gp", n_critic=3, flips="none", diffaugment=[])
    steps: list[str] = []
    shown: list[Tensor] = []
    descend, discriminate = system.descend, system.discriminate
    system.descend = lambda name, loss: (steps.append(name), descend(name, loss))[1]
    system.discriminate = lambda images: (shown.append(images), discriminate(images))[1]
    real = faces()
    system.step((real,), 0)
    assert steps == ["discriminator", "discriminator", "discriminator", "generator"]
    # In each of the critic's steps real, fake and interpolated images; at last the generator's fake ones.
    assert torch.equal(torch.cat(shown[0:9:3]), real)
    assert [len(images) for images in shown] == [2] * 10


def test_a_step_of_the_critic_is_that_of_wgan_gp() -> None:
    system, other = (
        build("sngan_gp", n_critic=1, flips="none", diffaugment=[], gp_weight=7.0) for _ in range(2)
    )
    real = faces()
    seed_torch("step")
    losses = system.step((real,), 0)

    seed_torch("step")
    with torch.no_grad():
        fake = other.networks["generator"](torch.randn(6, 7))
    critic = other.networks["discriminator"]
    distance = critic(real).mean() - critic(fake).mean()
    penalty = gradient_penalty(lambda images: critic(images).flatten(), real, fake)
    (7 * penalty - distance).backward()
    assert torch.allclose(losses["d_loss"], -distance, atol=1e-6)
    assert torch.allclose(losses["gradient_penalty"], penalty, atol=1e-5)
    torch.optim.Adam(critic.parameters(), 3e-4, betas=(0.5, 0.99)).step()
    for one, two in zip(critic.parameters(), system.networks["discriminator"].parameters(), strict=True):
        assert torch.allclose(one, two, atol=2e-5)
