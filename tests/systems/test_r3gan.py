"""R3GAN: its networks' sizes by hand, its initial weights, and one step written out."""

import math

import pytest
import torch
from small_systems import build, faces, parameter_counts
from torch import nn

from hw2core.engine.randomness import seed_torch
from hw2core.systems.r3gan import Block


def test_the_networks_have_the_parameters_of_their_layers_and_no_normalization() -> None:
    """64x64, 8 channels at full size, then 16, 32 and twice 40; two blocks a size, of 1x1 to twice the channels,
    3x3 in groups of 16, 1x1 back."""

    def block(channels: int) -> int:
        inside = 2 * channels
        groups = inside // 16
        return (
            channels * inside + inside
            + inside * (inside // groups) * 3 * 3 + inside
            + inside * channels
        )  # fmt: skip

    blocks = 2 * (block(8) + block(16) + block(32) + 2 * block(40))
    projections = 8 * 16 + 16 * 32 + 32 * 40  # 1x1 convolutions where the channels change
    generator = 40 * 4 * 4 + 10 * 40 + blocks + projections + (8 * 3 + 3)
    discriminator = (3 * 8 + 8) + blocks + projections + 40 * 4 * 4 + 40
    system = build("r3gan", size=64, latent_dim=10, width=8, max_channels=40, depth=2)
    assert parameter_counts(system) == {"generator": generator, "discriminator": discriminator}
    assert not [layer for layer in system.networks.modules() if "Norm" in type(layer).__name__]


def test_every_block_starts_as_the_identity() -> None:
    block = Block(8, blocks=6)
    images = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(images), images)


def test_the_initial_weights_are_damped_by_the_number_of_blocks() -> None:
    """He's standard deviation for a leaky ReLU of 0.2, times blocks^(-1/4)."""
    torch.manual_seed(0)
    block = Block(256, blocks=16)
    widen, grouped = (
        layer for layer in block.path if isinstance(layer, nn.Conv2d) and layer.bias is not None
    )
    assert widen.weight.std().item() == pytest.approx(math.sqrt(2 / 1.04 / 256) / 2, rel=0.02)
    assert grouped.weight.std().item() == pytest.approx(math.sqrt(2 / 1.04 / (16 * 9)) / 2, rel=0.02)


def test_a_step_is_the_papers() -> None:
    system, other = (build("r3gan", flips="none", diffaugment=[], r1_gamma=3.0) for _ in range(2))
    real = faces().requires_grad_()
    seed_torch("step")
    losses = system.step((real.detach(),), 0)

    seed_torch("step")
    generator, discriminator = other.networks["generator"], other.networks["discriminator"]
    fake = generator(torch.randn(6, 7))
    detached = fake.detach().requires_grad_()
    difference = discriminator(real) - discriminator(detached)
    gradients = torch.autograd.grad(difference.sum(), (real, detached), create_graph=True)
    r1, r2 = (gradient.square().sum((1, 2, 3)).mean() for gradient in gradients)
    d_loss = (1 + (-difference).exp()).log().mean()
    (d_loss + 1.5 * (r1 + r2)).backward()
    torch.optim.Adam(discriminator.parameters(), 3e-4, betas=(0.5, 0.99)).step()
    g_loss = (1 + (discriminator(real) - discriminator(fake)).exp()).log().mean()
    g_loss.backward(inputs=list(generator.parameters()))

    for name, value in {"d_loss": d_loss, "r1": r1, "r2": r2, "g_loss": g_loss}.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-6), name
    # Gradients, not weights: Adam's first step is as large for a rounding error as for a true gradient.
    for one, two in zip(other.networks.parameters(), system.networks.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=1e-5, rtol=1e-2)
