"""SNGAN's networks against the printed ones; spectral norm and the critic's turns."""

import pytest
import torch
from small_generators import build, counts, faces
from torch import Tensor, nn

from hw2core.engine.randomness import seed_torch
from hw2core.systems.adversarial import one_centred_penalty


def test_sngan_has_the_weights_of_r22a() -> None:
    """The generator of dcgan5; the critic without its batch norm."""
    generator = [
        100 * 512 * 4 * 4 + 2 * 512 * 4 * 4,
        512 * 256 * 5 * 5 + 2 * 256,
        256 * 128 * 5 * 5 + 2 * 128,
        128 * 64 * 5 * 5 + 2 * 64,
        64 * 3 * 5 * 5 + 3,
    ]
    critic = [
        3 * 64 * 5 * 5 + 64,
        64 * 128 * 5 * 5 + 128,
        128 * 256 * 5 * 5 + 256,
        256 * 512 * 5 * 5 + 512,
        512 * 1 * 4 * 4 + 1,
    ]
    system = build("sngan", size=64, noise=100, width=64)
    assert counts(system) == {"generator": sum(generator), "critic": sum(critic)}


def test_sngan_gp_has_the_weights_of_r22b() -> None:
    """No biases; layer norm has two weights for every number of its map."""
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
    system = build("sngan_gp", size=64, noise=100, width=64)
    assert counts(system) == {"generator": sum(generator), "critic": sum(critic)}


@pytest.mark.parametrize("name", ["sngan", "sngan_gp"])
def test_every_weight_layer_of_the_critic_has_the_spectral_norm_one(name: str) -> None:
    """As a matrix of an output a row. Some steps on, the power iteration still keeps up with the weights."""
    system = build(name)
    for k in range(6):
        seed_torch("step", k)
        system.step(faces(seed=k), k)
    system.networks.eval()
    layers = [layer for layer in system.networks["critic"].modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        assert values[0].item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", ["sngan", "sngan_gp"])
def test_nothing_else_is_spectrally_normalised_and_the_critic_has_no_batch_norm(name: str) -> None:
    system = build(name)
    assert not [key for key in system.networks["generator"].state_dict() if "parametrizations" in key]
    assert not [layer for layer in system.networks["critic"].modules() if isinstance(layer, nn.BatchNorm2d)]


def test_judging_moves_no_power_iteration() -> None:
    system = build("sngan")
    system.networks.eval()
    before = {key: value.clone() for key, value in system.networks.named_buffers()}
    with torch.no_grad():
        system.verdict(faces())
    assert all(torch.equal(before[key], value) for key, value in system.networks.named_buffers())


def test_the_critics_turns_share_the_batch_out_and_the_generator_moves_once() -> None:
    system = build("sngan_gp", critic_turns=3, flips="none", augment=[])
    turns: list[str] = []
    shown: list[Tensor] = []
    turn, verdict = system.turn, system.verdict
    system.turn = lambda name, loss: (turns.append(name), turn(name, loss))[1]
    system.verdict = lambda images: (shown.append(images), verdict(images))[1]
    real = faces()
    system.step(real, 0)
    assert turns == ["critic", "critic", "critic", "generator"]
    # Of each of the critic's turns: the real images, the fakes, those between; at last the generator's fakes.
    assert torch.equal(torch.cat(shown[0:9:3]), real)
    assert [len(images) for images in shown] == [2] * 10


def test_one_turn_of_the_critic_is_wgan_gp_by_hand() -> None:
    system = build("sngan_gp", critic_turns=1, flips="none", augment=[], penalty=7.0)
    other = build("sngan_gp", critic_turns=1, flips="none", augment=[], penalty=7.0)
    real = faces()
    seed_torch("step")
    losses = system.step(real, 0)

    seed_torch("step")
    with torch.no_grad():
        fake = other.networks["generator"](torch.randn(6, 7))
    critic = other.networks["critic"]
    distance = critic(real).mean() - critic(fake).mean()
    penalty = one_centred_penalty(lambda images: critic(images).flatten(), real, fake)
    (7 * penalty - distance).backward()
    assert torch.allclose(losses["critic_loss"], -distance, atol=1e-6)
    assert torch.allclose(losses["penalty"], penalty, atol=1e-5)
    torch.optim.Adam(critic.parameters(), 3e-4, betas=(0.5, 0.99)).step()
    for one, two in zip(critic.parameters(), system.networks["critic"].parameters(), strict=True):
        assert torch.allclose(one, two, atol=2e-5)
