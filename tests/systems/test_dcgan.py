"""DCGAN's networks against the printed ones, and its step against a game played by hand."""

import copy

import torch
from small_generators import build, counts, faces
from torch import nn
from torch.nn import functional as F

from hw2core.engine.randomness import seed_torch
from hw2core.systems.adversarial import zero_centred_penalty
from hw2core.systems.dcgan import Dcgan4


def test_dcgan4_has_the_weights_of_r19() -> None:
    """T and C without biases; two a channel for batch norm."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512,
        512 * 256 * 4 * 4 + 2 * 256,
        256 * 128 * 4 * 4 + 2 * 128,
        128 * 64 * 4 * 4 + 2 * 64,
        64 * 3 * 4 * 4,
    ]
    critic = [
        3 * 64 * 4 * 4,
        64 * 128 * 4 * 4 + 2 * 128,
        128 * 256 * 4 * 4 + 2 * 256,
        256 * 512 * 4 * 4 + 2 * 512,
        512 * 1 * 4 * 4,
    ]
    assert (sum(generator), sum(critic)) == (3_576_704, 2_765_568)  # as counted elsewhere for this network
    system = build("dcgan4", size=64, noise=100, width=64)
    assert counts(system) == {"generator": sum(generator), "critic": sum(critic)}


def test_dcgan4_has_the_weights_of_r20() -> None:
    """As R19's, from 64 numbers instead of 100."""
    system = build("dcgan4", size=64, noise=64, width=64)
    assert counts(system)["generator"] == 3_576_704 - 36 * 512 * 4 * 4


def test_dcgan5_has_the_weights_of_r22() -> None:
    """Biases in the generator's last layer and in all of the critic's."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512 * 4 * 4,
        512 * 256 * 5 * 5 + 2 * 256,
        256 * 128 * 5 * 5 + 2 * 128,
        128 * 64 * 5 * 5 + 2 * 64,
        64 * 3 * 5 * 5 + 3,
    ]
    critic = [
        3 * 64 * 5 * 5 + 64,
        64 * 128 * 5 * 5 + 128 + 2 * 128,
        128 * 256 * 5 * 5 + 256 + 2 * 256,
        256 * 512 * 5 * 5 + 512 + 2 * 512,
        512 * 1 * 4 * 4 + 1,
    ]
    system = build("dcgan5", size=64, noise=100, width=64)
    assert counts(system) == {"generator": sum(generator), "critic": sum(critic)}


def test_the_layers_come_in_the_printed_order() -> None:
    system = build("dcgan4", size=64, noise=100, width=64)
    assert [type(layer).__name__ for layer in system.networks["generator"]] == [
        "Unflatten",
        *["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4,
        *["ConvTranspose2d", "Tanh"],
    ]
    assert [type(layer).__name__ for layer in system.networks["critic"]] == [
        *["Conv2d", "LeakyReLU"],
        *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3,
        "Conv2d",
    ]
    shapes = [layer.weight.shape[:2] for layer in system.networks["critic"] if isinstance(layer, nn.Conv2d)]
    assert shapes == [(64, 3), (128, 64), (256, 128), (512, 256), (1, 512)]


def test_the_weights_start_small() -> None:
    system = build("dcgan4", size=64, noise=100, width=32)
    for layer in system.networks["generator"]:
        if isinstance(layer, nn.ConvTranspose2d):
            assert abs(layer.weight.std().item() / 0.02 - 1) < 0.1
            assert layer.bias is None


def test_a_step_is_the_game_played_by_hand() -> None:
    """The printed game with its sigmoids and R1, no augmentation: the same weights come out."""
    system = build("dcgan4", augment=[], flips="none", smoothing=0.1, r1=2.0)
    networks = copy.deepcopy(system.networks)
    generator, critic = networks["generator"], networks["critic"]
    optimisers = {
        name: torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.99))
        for (name, network), lr in zip(networks.items(), (2e-4, 3e-4), strict=True)
    }
    real = faces()
    seed_torch("noise")
    fake = generator(torch.randn(6, 7))

    images = real.clone().requires_grad_()
    logits = critic(images).flatten()
    real_loss = F.binary_cross_entropy(logits.sigmoid(), torch.full((6,), 0.9))
    fake_loss = F.binary_cross_entropy(critic(fake.detach()).flatten().sigmoid(), torch.zeros(6))
    (real_loss + fake_loss + 1.0 * zero_centred_penalty(images, logits)).backward()
    optimisers["critic"].step()
    assert all(weight.grad is None for weight in generator.parameters())

    loss = F.binary_cross_entropy(critic(fake).flatten().sigmoid(), torch.ones(6))
    loss.backward()
    optimisers["generator"].step()

    seed_torch("noise")
    losses = system.step(real, 0)
    assert torch.allclose(losses["critic_loss"], real_loss + fake_loss)
    assert torch.allclose(losses["generator_loss"], loss)
    for one, other in zip(networks.parameters(), system.networks.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-5)


def test_without_r1_no_gradient_of_the_images_is_asked_for() -> None:
    assert build("dcgan5").step(faces(), 0)["r1"].item() == 0
    assert build("dcgan4").step(faces(), 0)["r1"].item() > 0


def test_real_and_fake_have_batch_norms_figures_of_their_own() -> None:
    """A critic that saw both in one batch would judge a real image by the fakes beside it."""
    systems = build("dcgan4"), build("dcgan4")
    shown: list[list[int]] = [[], []]
    for system, sizes in zip(systems, shown, strict=True):
        assert isinstance(system, Dcgan4)
        verdict = system.verdict

        def counting(images: torch.Tensor, verdict=verdict, sizes=sizes) -> torch.Tensor:  # type: ignore[no-untyped-def]
            sizes.append(len(images))
            return verdict(images)

        system.verdict = counting  # type: ignore[method-assign]
        system.step(faces(), 0)
    assert shown == [[6, 6, 6], [6, 6, 6]]
