"""The U-Nets: R22's have the parameters of their printed layers, and all use time step and label as documented."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hw2core.systems.unet import (
    NULL_LABEL,
    UNETS,
    Embedding,
    ResidualDoubleConv,
    SelfAttention,
    sinusoidal_embedding,
    upsample_bilinear,
)

every_unet = pytest.mark.parametrize("arch", UNETS)


def build(arch: str, width: int = 8) -> nn.Module:
    """A U-Net without layers whose weights start at zero."""
    torch.manual_seed(0)
    network = UNETS[arch](10, width)
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    return network.eval()


def inputs(count: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    images = torch.randn((count, 3, 28, 28), generator=rng)
    return images, torch.randint(1, 1001, (count,), generator=rng), torch.arange(count) % 10


def parameter_count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


# By hand, of R22's widths. A convolution of 3x3 from i to o has 9 i o weights and no bias, a norm 2 o, and a linear
# layer i o + o. Attention: the three projections and that of the output, 4 (c c + c), two layer norms, 2 x 2 c, and
# the two layers that feed forward, 2 (c c + c).
PRINTED = {
    "inc": 9 * 3 * 64 + 2 * 64 + 9 * 64 * 64 + 2 * 64,
    "down1, 64 to 128": (
        (9 * 64 * 64 + 2 * 64) * 2  # the residual DoubleConv
        + (9 * 64 * 128 + 2 * 128 + 9 * 128 * 128 + 2 * 128)
        + (256 * 128 + 128)  # time and label
        + (4 * (128 * 128 + 128) + 2 * 2 * 128 + 2 * (128 * 128 + 128))
    ),
    "down2, 128 to 256": (
        (9 * 128 * 128 + 2 * 128) * 2
        + (9 * 128 * 256 + 2 * 256 + 9 * 256 * 256 + 2 * 256)
        + (256 * 256 + 256)
        + (4 * (256 * 256 + 256) + 2 * 2 * 256 + 2 * (256 * 256 + 256))
    ),
    "down3, 256 to 256": (
        (9 * 256 * 256 + 2 * 256) * 2
        + (9 * 256 * 256 + 2 * 256) * 2
        + (256 * 256 + 256)
        + (4 * (256 * 256 + 256) + 2 * 2 * 256 + 2 * (256 * 256 + 256))
    ),
    "up1, 512 over 256 to 128": (
        (9 * 512 * 512 + 2 * 512) * 2
        + (9 * 512 * 256 + 2 * 256 + 9 * 256 * 128 + 2 * 128)
        + (256 * 128 + 128)
        + (4 * (128 * 128 + 128) + 2 * 2 * 128 + 2 * (128 * 128 + 128))
    ),
    "up2, 256 over 128 to 64": (
        (9 * 256 * 256 + 2 * 256) * 2
        + (9 * 256 * 128 + 2 * 128 + 9 * 128 * 64 + 2 * 64)
        + (256 * 64 + 64)
        + (4 * (64 * 64 + 64) + 2 * 2 * 64 + 2 * (64 * 64 + 64))
    ),
    "up3, 128 over 64 to 64": (
        (9 * 128 * 128 + 2 * 128) * 2
        + (9 * 128 * 64 + 2 * 64 + 9 * 64 * 64 + 2 * 64)
        + (256 * 64 + 64)
        + (4 * (64 * 64 + 64) + 2 * 2 * 64 + 2 * (64 * 64 + 64))
    ),
    "outc": 64 * 3 + 3,
    "labels": 10 * 256,
}
BOTTLENECK = {
    "R22a": 2 * (9 * 256 * 256 + 2 * 256) * 2,
    "R22b": (
        (9 * 256 * 512 + 2 * 512 + 9 * 512 * 512 + 2 * 512)
        + (9 * 512 * 512 + 2 * 512) * 2
        + (9 * 512 * 256 + 2 * 256 + 9 * 256 * 256 + 2 * 256)
    ),
}


@pytest.mark.parametrize(("arch", "count"), [("R22a", 15_664_515), ("R22b", 23_335_299)])
def test_r22s_networks_have_the_parameters_of_their_printed_layers(arch: str, count: int) -> None:
    assert parameter_count(UNETS[arch](10, 64)) == sum(PRINTED.values()) + BOTTLENECK[arch] == count


@every_unet
def test_the_prediction_has_the_images_size(arch: str) -> None:
    assert build(arch)(*inputs()).shape == (6, 3, 28, 28)


@every_unet
def test_the_receptive_field_of_every_pixel_is_the_whole_image(arch: str) -> None:
    network = build(arch)
    images, t, labels = inputs(1)
    images.requires_grad_()
    predicted = network(images, t, labels)
    for corner in (0, 27):
        output = predicted[0, :, corner, corner].sum()
        (gradient,) = torch.autograd.grad(output, images, retain_graph=True)
        assert (gradient[0].abs().sum(0) > 0).all()


@every_unet
@pytest.mark.parametrize("changed", ["time", "label"])
def test_the_prediction_depends_on_time_step_and_label(arch: str, changed: str) -> None:
    network = build(arch)
    images, t, labels = inputs()
    other = (images, t % 1000 + 1, labels) if changed == "time" else (images, t, (labels + 1) % 10)
    difference = (network(*other) - network(images, t, labels)).flatten(1).abs().amax(1)
    assert (difference > 1e-5).all()


@every_unet
def test_images_of_a_batch_are_independent(arch: str) -> None:
    """Guidance evaluates the conditional and the unconditional prediction in one batch."""
    network = build(arch)
    images, t, labels = inputs()
    labels[2] = NULL_LABEL
    joint = network(images, t, labels)
    for i in range(len(images)):
        alone = network(images[i : i + 1], t[i : i + 1], labels[i : i + 1])
        assert torch.allclose(alone[0], joint[i], atol=1e-5)


@every_unet
def test_every_weight_has_a_gradient(arch: str) -> None:
    network = build(arch)
    network(*inputs()).square().mean().backward()
    without_gradient = {
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all() or not weight.grad.any()
    }
    assert not without_gradient


def test_the_null_label_adds_nothing_to_the_time_embedding() -> None:
    torch.manual_seed(0)
    embedding = Embedding(10, 32)
    t = torch.tensor([3, 500])
    unlabeled = embedding(t, torch.tensor([NULL_LABEL, NULL_LABEL]))
    assert torch.equal(unlabeled, sinusoidal_embedding(t, 32))
    labeled = embedding(t, torch.tensor([4, 0]))
    assert torch.allclose(labeled - unlabeled, embedding.label.weight[[4, 0]], atol=1e-6)


def test_the_sinusoidal_embedding_is_the_transformers() -> None:
    found = sinusoidal_embedding(torch.tensor([7, 1000]), 8)
    for row, t in zip(found, (7, 1000), strict=True):
        angles = [t / 10000 ** (i / 4) for i in range(4)]
        expected = torch.tensor([*map(math.sin, angles), *map(math.cos, angles)])
        assert torch.allclose(row, expected, atol=1e-4)


def test_a_residual_pair_adds_before_its_gelu() -> None:
    torch.manual_seed(0)
    pair = ResidualDoubleConv(4)
    for weight in pair.parameters():
        nn.init.zeros_(weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.allclose(pair(x), nn.functional.gelu(x))


def test_upsampling_equals_torchs_bilinear_interpolation_with_aligned_corners() -> None:
    x = torch.randn((2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    expected = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    assert torch.allclose(upsample_bilinear(x), expected, atol=1e-6)


def test_self_attention_is_equivariant_to_flips() -> None:
    """It has no position encoding."""
    torch.manual_seed(0)
    attention = SelfAttention(8).eval()
    x = torch.randn(2, 8, 3, 4)
    assert torch.allclose(attention(x).flip(3), attention(x.flip(3)), atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@every_unet
def test_the_memory_format_changes_nothing(arch: str, memory_format: Any) -> None:
    network = build(arch)
    plain = network(*inputs())
    network.to(memory_format=memory_format)
    images, t, labels = inputs()
    assert torch.allclose(network(images.to(memory_format=memory_format), t, labels), plain, atol=1e-4)


def test_the_compact_network_starts_by_predicting_zero() -> None:
    assert not UNETS["compact"](10, 8)(*inputs()).any()
