"""The VAE's networks against R20's, its loss against formulas by hand."""

import math

import pytest
import torch
from small_generators import build, counts, faces

from hw2core.engine.randomness import seed_torch
from hw2core.systems.vae import divergence


def test_the_vae_has_the_weights_of_r20() -> None:
    encoder = [
        3 * 32 * 4 * 4 + 32,
        32 * 128 * 4 * 4 + 128,
        128 * 256 * 4 * 4 + 256,
        256 * 64 * 4 * 4 + 64,
        1024 * 256 + 256,  # the means
        1024 * 256 + 256,  # the log-variances
    ]
    decoder = [
        256 * 512 * 4 * 4 + 512,
        512 * 128 * 4 * 4 + 128,
        128 * 32 * 4 * 4 + 32,
        32 * 16 * 4 * 4 + 16,
        16 * 3 * 4 * 4 + 3,
    ]
    system = build("vae", size=64, noise=256, width=32)
    assert counts(system) == {"encoder": sum(encoder), "decoder": sum(decoder)}


def test_the_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -0.7]])
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0))
    assert divergence(mean, log_variance).item() == pytest.approx(expected.sum().item(), rel=1e-5)
    assert divergence(torch.zeros(3, 4), torch.zeros(3, 4)).item() == 0


def test_the_divergence_is_of_an_image_averaged_over_the_batch() -> None:
    """Mean 1 and variance 1 in each of 4 numbers: 4 x 1/2."""
    assert divergence(torch.ones(3, 4), torch.zeros(3, 4)).item() == pytest.approx(2)
    assert divergence(torch.zeros(3, 4), torch.full((3, 4), math.log(2))).item() == pytest.approx(
        4 * (2 - 1 - math.log(2)) / 2
    )


def test_errors_are_measured_on_pixels_from_zero_to_one() -> None:
    """With a decoder that gives half grey always, white images are wrong by a half: 0.25."""
    system = build("vae")
    last = system.networks["decoder"][-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    losses = system.step(torch.ones(6, 3, 32, 32), 0)
    assert losses["reconstruction"].item() == pytest.approx(0.25)


def test_images_are_encoded_decoded_and_drawn_from_minus_one_to_one() -> None:
    system = build("vae")
    system.networks.eval()
    images = faces(5)
    with torch.no_grad():
        codes = system.encode(images)
        drawn = system.reconstruct(images)
        assert codes.shape == (5, 7)
        assert drawn.shape == images.shape
        assert torch.equal(drawn, system.sample(codes))
        assert torch.equal(system.encode(images), codes)  # the middle, not a throw
        assert torch.equal(system.networks["decoder"](codes) * 2 - 1, drawn)


def test_the_weight_of_the_divergence_is_felt() -> None:
    """With a heavy weight the codes say nothing; without, they keep the images apart."""
    spreads = {}
    for kl in (0.0, 1.0):
        system = build("vae", kl=kl, lr=2e-3, flips="none")
        for k in range(60):
            seed_torch("step", k)
            losses = system.step(faces(), k)
        spreads[kl] = losses["kl"].item()
    assert spreads[1.0] < 0.1 < spreads[0.0]
