"""DCGAN's networks against the printed ones, and its step against one written out."""

import copy

import torch
from small_systems import build, faces, parameter_counts
from torch import nn
from torch.nn import functional as F

from hw2core.engine.randomness import seed_torch
from hw2core.systems.losses import r1_penalty


def test_dcgan4_has_the_parameters_of_r19_and_r20() -> None:
    """No biases; two parameters a channel for batch norm. R20's latent vector has 64 dimensions instead of 100."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512,
        512 * 256 * 4 * 4 + 2 * 256,
        256 * 128 * 4 * 4 + 2 * 128,
        128 * 64 * 4 * 4 + 2 * 64,
        64 * 3 * 4 * 4,
    ]
    discriminator = [
        3 * 64 * 4 * 4,
        64 * 128 * 4 * 4 + 2 * 128,
        128 * 256 * 4 * 4 + 2 * 256,
        256 * 512 * 4 * 4 + 2 * 512,
        512 * 1 * 4 * 4,
    ]
    assert (sum(generator), sum(discriminator)) == (3_576_704, 2_765_568)  # published for this network
    r19 = build("dcgan4", size=64, latent_dim=100, width=64)
    assert parameter_counts(r19) == {"generator": sum(generator), "discriminator": sum(discriminator)}
    r20 = build("dcgan4", size=64, latent_dim=64, width=64)
    assert parameter_counts(r20)["generator"] == sum(generator) - 36 * 512 * 4 * 4


def test_dcgan5_has_the_parameters_of_r22() -> None:
    """Biases in the generator's last layer and in all layers of the discriminator."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512 * 4 * 4,
        512 * 256 * 5 * 5 + 2 * 256,
        256 * 128 * 5 * 5 + 2 * 128,
        128 * 64 * 5 * 5 + 2 * 64,
        64 * 3 * 5 * 5 + 3,
    ]
    discriminator = [
        3 * 64 * 5 * 5 + 64,
        64 * 128 * 5 * 5 + 128 + 2 * 128,
        128 * 256 * 5 * 5 + 256 + 2 * 256,
        256 * 512 * 5 * 5 + 512 + 2 * 512,
        512 * 1 * 4 * 4 + 1,
    ]
    system = build("dcgan5", size=64, latent_dim=100, width=64)
    assert parameter_counts(system) == {"generator": sum(generator), "discriminator": sum(discriminator)}


def test_the_layers_are_in_the_printed_order_with_the_papers_initial_weights() -> None:
    networks = build("dcgan4", size=64, latent_dim=100, width=64).networks
    assert [type(layer).__name__ for layer in networks["generator"]] == [
        "Unflatten",
        *["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4,
        *["ConvTranspose2d", "Tanh"],
    ]
    assert [type(layer).__name__ for layer in networks["discriminator"]] == [
        *["Conv2d", "LeakyReLU"],
        *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3,
        "Conv2d",
    ]
    shapes = [layer.weight.shape[:2] for layer in networks["discriminator"] if isinstance(layer, nn.Conv2d)]
    assert shapes == [(64, 3), (128, 64), (256, 128), (512, 256), (1, 512)]
    for layer in networks["generator"]:
        if isinstance(layer, nn.ConvTranspose2d):
            assert abs(layer.weight.std().item() / 0.02 - 1) < 0.1
            assert layer.bias is None


def test_a_step_is_the_printed_one() -> None:
    """Written out with sigmoids and R1, without augmentation, it gives the same weights."""
    system = build("dcgan4", diffaugment=[], flips="none", label_smoothing=0.1, r1_gamma=2.0)
    networks = copy.deepcopy(system.networks)
    generator, discriminator = networks["generator"], networks["discriminator"]
    optimizers = {
        name: torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.99))
        for (name, network), lr in zip(networks.items(), (2e-4, 3e-4), strict=True)
    }
    real = faces()
    seed_torch("noise")
    fake = generator(torch.randn(6, 7))

    images = real.clone().requires_grad_()
    logits = discriminator(images).flatten()
    real_loss = F.binary_cross_entropy(logits.sigmoid(), torch.full((6,), 0.9))
    fake_loss = F.binary_cross_entropy(discriminator(fake.detach()).flatten().sigmoid(), torch.zeros(6))
    (real_loss + fake_loss + 1.0 * r1_penalty(images, logits)).backward()
    optimizers["discriminator"].step()
    assert all(weight.grad is None for weight in generator.parameters())

    loss = F.binary_cross_entropy(discriminator(fake).flatten().sigmoid(), torch.ones(6))
    loss.backward()
    optimizers["generator"].step()

    seed_torch("noise")
    losses = system.step((real,), 0)
    assert torch.allclose(losses["d_loss"], real_loss + fake_loss)
    assert torch.allclose(losses["g_loss"], loss)
    for one, other in zip(networks.parameters(), system.networks.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-5)


def test_r1_is_optional_in_dcgan_and_no_column_of_sngan() -> None:
    assert build("dcgan5", r1_gamma=0.0).step((faces(),), 0)["r1"].item() == 0
    assert build("dcgan5", r1_gamma=1.0).step((faces(),), 0)["r1"].item() > 0
    assert "r1" not in build("sngan").step((faces(),), 0)
