"""The VAE's networks against R20's, its loss against formulas by hand."""

import math

import pytest
import torch
from small_systems import build, faces, parameter_counts

from hw2core.engine.randomness import seed_torch
from hw2core.systems.vae import kl_divergence


def test_the_vae_has_the_parameters_of_r20() -> None:
    encoder = [
        3 * 32 * 4 * 4 + 32,
        32 * 128 * 4 * 4 + 128,
        128 * 256 * 4 * 4 + 256,
        256 * 64 * 4 * 4 + 64,
        1024 * 256 + 256,  # mu
        1024 * 256 + 256,  # log_var
    ]
    decoder = [
        256 * 512 * 4 * 4 + 512,
        512 * 128 * 4 * 4 + 128,
        128 * 32 * 4 * 4 + 32,
        32 * 16 * 4 * 4 + 16,
        16 * 3 * 4 * 4 + 3,
    ]
    system = build("vae", size=64, latent_dim=256, width=32)
    assert parameter_counts(system) == {"encoder": sum(encoder), "decoder": sum(decoder)}


def test_the_kl_divergence_is_that_of_normal_distributions_per_image() -> None:
    mu, log_var = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -0.7]])
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mu, (log_var / 2).exp()), normal(0.0, 1.0))
    assert kl_divergence(mu, log_var).item() == pytest.approx(expected.sum().item(), rel=1e-5)
    assert kl_divergence(torch.zeros(3, 4), torch.zeros(3, 4)).item() == 0
    assert kl_divergence(torch.ones(3, 4), torch.zeros(3, 4)).item() == pytest.approx(4 * 1 / 2)
    assert kl_divergence(torch.zeros(3, 4), torch.full((3, 4), math.log(2))).item() == pytest.approx(
        4 * (2 - 1 - math.log(2)) / 2
    )


def test_the_reconstruction_error_is_measured_on_pixels_in_0_to_1() -> None:
    """A decoder that always gives 0.5 has a squared error of 0.25 on white images."""
    system = build("vae")
    last = system.networks["decoder"][-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    losses = system.step((torch.ones(6, 3, 32, 32),), 0)
    assert losses["reconstruction"].item() == pytest.approx(0.25)


def test_images_are_encoded_to_mu_and_decoded_to_images_in_minus_1_to_1() -> None:
    system = build("vae")
    system.networks.eval()
    images = faces(5)
    with torch.no_grad():
        mu = system.encode(images)
        reconstructed = system.reconstruct(images)
        assert mu.shape == (5, 7)
        assert reconstructed.shape == images.shape
        assert torch.equal(reconstructed, system.sample(mu))
        assert torch.equal(system.encode(images), mu)  # no sample of q(z|x)
        assert torch.equal(system.networks["decoder"](mu) * 2 - 1, reconstructed)


def test_the_kl_weight_trades_information_for_the_prior() -> None:
    """With a large weight z carries no information; without, it identifies the images."""
    kl = {}
    for kl_weight in (0.0, 1.0):
        system = build("vae", kl_weight=kl_weight, lr=2e-3, flips="none")
        for k in range(60):
            seed_torch("step", k)
            losses = system.step((faces(),), k)
        kl[kl_weight] = losses["kl"].item()
    assert kl[1.0] < 0.1 < kl[0.0]
