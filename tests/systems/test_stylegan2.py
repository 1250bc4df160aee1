"""StyleGAN2: modulated convolutions against a loop, regularizers against autograd, parameter counts by hand."""

import math

import pytest
import torch
from small_systems import build, faces, parameter_counts
from torch.nn import functional as F

from hw2core.engine.randomness import rng_for, seed_torch
from hw2core.systems.stylegan2 import Conv, Dense, Mapping, minibatch_std, modulated_conv, path_lengths


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_against_a_loop_over_images(size: int, demodulate: bool) -> None:
    """As the paper writes it: w'_ijk = s_i w_ijk, w''_ijk = w'_ijk / sqrt(sum over i, k of w'_ijk^2)."""
    torch.manual_seed(0)
    images, weight, style = torch.randn(4, 5, 6, 6), torch.randn(7, 5, size, size), torch.randn(4, 5)
    expected = []
    for image, scales in zip(images, style, strict=True):
        kernel = torch.stack([weight[:, i] * scales[i] for i in range(5)], dim=1)
        if demodulate:
            kernel = torch.stack([one / one.square().sum().sqrt() for one in kernel])
        expected.append(F.conv2d(image[None], kernel, padding=size // 2))
    assert torch.allclose(modulated_conv(images, weight, style, demodulate), torch.cat(expected), atol=1e-4)


def test_demodulation_makes_the_scale_of_a_style_irrelevant() -> None:
    torch.manual_seed(0)
    images, weight, style = torch.randn(4, 5, 6, 6), torch.randn(7, 5, 3, 3), torch.randn(4, 5)
    one, other = (modulated_conv(images, weight, factor * style, demodulate=True) for factor in (1, 50))
    assert torch.allclose(one, other, atol=1e-4)


def test_the_networks_have_the_parameters_of_their_layers() -> None:
    """32x32 with 4, 8, 16 and 16 channels, w of 7 dimensions, two mapping layers."""

    def styled(inputs: int, outputs: int) -> int:
        return (7 * inputs + inputs) + inputs * outputs * 9 + 1 + outputs  # style, kernel, noise, bias

    def to_rgb(inputs: int) -> int:
        return (7 * inputs + inputs) + inputs * 3 + 3

    generator_weights = [
        2 * (7 * 7 + 7),
        16 * 4 * 4 + styled(16, 16) + to_rgb(16),  # 4x4
        styled(16, 16) + styled(16, 16) + to_rgb(16),  # 8x8
        styled(16, 8) + styled(8, 8) + to_rgb(8),  # 16x16
        styled(8, 4) + styled(4, 4) + to_rgb(4),  # 32x32
    ]

    def down(inputs: int, outputs: int) -> int:
        return (inputs * inputs * 9 + inputs) + (inputs * outputs * 9 + outputs) + inputs * outputs

    discriminator_weights = [
        3 * 4 + 4,
        down(4, 8) + down(8, 16) + down(16, 16),
        (16 + 1) * 16 * 9 + 16,
        16 * 16 * 16 + 16,
        16 + 1,
    ]
    assert parameter_counts(build("stylegan2")) == {
        "generator": sum(generator_weights),
        "discriminator": sum(discriminator_weights),
    }


def test_layers_with_an_equalized_learning_rate_keep_the_variance() -> None:
    torch.manual_seed(0)
    values = torch.randn(2000, 64)
    assert Dense(64, 100)(values).std().item() == pytest.approx(1, rel=0.05)
    assert Dense(64, 100, lr_multiplier=0.01)(values).std().item() == pytest.approx(1, rel=0.05)
    assert Dense(64, 100, lr_multiplier=0.01).weight.std().item() == pytest.approx(100, rel=0.05)
    assert Dense(64, 10, bias=1.0).bias.tolist() == [1.0] * 10
    images = torch.randn(20, 32, 9, 9)
    assert Conv(32, 64, 3)(images)[..., 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.05)


def test_the_mapping_depends_only_on_the_direction_of_z() -> None:
    mapping = Mapping(7, 2)
    noise = torch.randn(3, 7)
    assert torch.allclose(mapping(noise), mapping(9 * noise), atol=1e-4)


def test_the_minibatch_standard_deviation_of_identical_images_is_zero() -> None:
    images = torch.randn(1, 4, 3, 3).expand(5, 4, 3, 3)
    assert minibatch_std(images).shape == (5, 5, 3, 3)
    assert minibatch_std(images)[:, 4].max().item() == pytest.approx(0, abs=1e-3)
    two = torch.stack([torch.zeros(4, 3, 3), torch.full((4, 3, 3), 6.0)])
    assert torch.allclose(minibatch_std(two)[:, 4], torch.full((2, 3, 3), 3.0))


def test_noise_is_random_in_training_and_constant_in_evaluation() -> None:
    system = build("stylegan2")
    network = system.networks["generator"]
    with torch.no_grad():
        for layer in (network.first, *network.conv0, *network.conv1):
            layer.noise_strength.fill_(1)
        noise = system.noise(2, rng_for("noise"))
        assert (network(noise) - network(noise)).abs().max() > 1e-3
        network.eval()
        assert torch.equal(network(noise), network(noise))


# --- penalties --------------------------------------------------------------------------------------------------


def test_the_path_lengths_of_a_linear_map() -> None:
    """images = ws A: the gradient at ws is A times y, the same for each size."""
    torch.manual_seed(0)
    ws = torch.randn(4, 3, 5, requires_grad=True)
    matrix = torch.randn(5, 3 * 8 * 8)
    images = (ws.sum(1) @ matrix).reshape(4, 3, 8, 8)
    seed_torch("direction")
    lengths = path_lengths(images, ws)
    seed_torch("direction")
    direction = torch.randn(4, 3, 8, 8).flatten(1) / 8
    # Each of the three sizes has the same gradient, so the mean over them is that of one.
    assert torch.allclose(lengths, (direction @ matrix.T).norm(dim=1), rtol=1e-4)


def test_the_path_length_penalty_is_the_squared_distance_from_the_running_mean() -> None:
    system = build("stylegan2")
    network = system.networks["generator"]
    assert network.pl_mean.item() == 0
    lengths = []
    for k in range(3):
        seed_torch("path", k)
        penalty = system.path_length_penalty(4)
        seed_torch("path", k)
        ws = network.ws(torch.randn(4, 7))
        lengths.append(path_lengths(network.synthesize(ws), ws).detach())
        mean = sum(0.01 * 0.99 ** (k - i) * one.mean() for i, one in enumerate(lengths))
        assert network.pl_mean.item() == pytest.approx(float(mean), rel=1e-4)
        assert penalty.item() == pytest.approx((lengths[-1] - mean).square().mean().item(), rel=1e-4)


def test_the_path_length_penalty_reaches_the_weights_of_mapping_and_convolutions() -> None:
    system = build("stylegan2")
    system.path_length_penalty(4).backward()
    network = system.networks["generator"]
    for weight in (network.mapping.layers[0].weight, network.conv0[1].weight, network.to_rgb[2].weight):
        assert weight.grad is not None
        assert weight.grad.norm() > 0


def test_lazy_penalties_are_scaled_by_their_interval() -> None:
    system = build("stylegan2", r1_every=3, pl_every=2)
    penalized = []
    for k in range(6):
        seed_torch("step", k)
        losses = system.step((faces(seed=k),), k)
        penalized.append((losses["r1"].item() > 0, losses["path_length_penalty"].item() > 0))
    assert penalized == [(k % 3 == 0, k % 2 == 0) for k in range(6)]

    lazy, eager = (
        build("stylegan2", r1_every=3, diffaugment=[]),
        build("stylegan2", r1_every=1, diffaugment=[]),
    )
    ratios = []
    for system in (lazy, eager):
        seed_torch("step")
        ratios.append(system.step((faces(),), 0)["r1"].item())
    assert ratios[0] == pytest.approx(3 * ratios[1], rel=1e-5)


def test_r1_is_the_mean_squared_gradient_at_the_real_images() -> None:
    changes = {"r1_every": 1, "diffaugment": [], "flips": "none"}
    system, other = build("stylegan2", **changes), build("stylegan2", **changes)
    r1 = system.step((faces(),), 0)["r1"].item()
    images = faces().requires_grad_()
    (gradient,) = torch.autograd.grad(other.networks["discriminator"](images).sum(), images)
    assert r1 == pytest.approx(sum(one.square().sum().item() for one in gradient) / 6, rel=1e-4)


def test_the_image_is_the_sum_of_the_rgb_outputs() -> None:
    """With zero weights in all layers to RGB but the first, it is the first one's 4x4 output, upsampled."""
    system = build("stylegan2")
    network = system.networks["generator"].eval()
    with torch.no_grad():
        for layer in network.to_rgb[1:]:
            layer.weight.zero_()
        image = network(torch.randn(2, 7, generator=torch.Generator().manual_seed(0)))
        # Upsampled three times: neighboring pixels are similar.
        assert image.shape == (2, 3, 32, 32)
        roughness = image[..., 8:-8, 8:-8].diff(dim=3).abs().max() / image[..., 8:-8, 8:-8].std()
    assert math.isfinite(roughness)
    assert roughness < 0.6
