"""What every generator promises to the evaluation and to those who sample it."""

import copy
from typing import Any

import pytest
import torch
from small_systems import ACGANS, FACE_GENERATORS, build, step
from torch import Tensor

from hw2core.engine.randomness import rng_for
from hw2core.settings.registry import GANS
from hw2core.systems.generator import Generator

every_gan = pytest.mark.parametrize("name", GANS)


def labels_for(system: Any, count: int) -> Tensor | None:
    return torch.arange(count) % system.labels if system.labels else None


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("name", FACE_GENERATORS)
def test_samples_are_images_of_the_size_in_params(name: str, size: int) -> None:
    system = build(name, size=size)
    system.networks.eval()
    with torch.no_grad():
        images = system.sample(system.noise(3, rng_for("noise")))
    assert isinstance(system, Generator)
    assert images.shape == (3, 3, system.size, system.size) == (3, 3, size, size)
    assert images.isfinite().all()
    assert images.abs().max() <= 1


@pytest.mark.parametrize("name", [*FACE_GENERATORS, *ACGANS, "ddpm"])
def test_an_image_depends_on_its_noise_and_label_alone(name: str) -> None:
    """Not on the other images of its batch, nor on random numbers; and sampling changes nothing."""
    system, loaded = build(name), build(name, seed=1)
    step(system, name, 0)
    loaded.networks.load_state_dict(system.networks.state_dict())
    for networks in (system.networks, loaded.networks):
        networks.eval()
    before = copy.deepcopy(system.networks.state_dict())
    noise, labels = system.noise(5, rng_for("noise")), labels_for(system, 5)
    assert noise.shape == (5, *system.latent_shape)
    assert torch.equal(noise, system.noise(5, rng_for("noise")))

    def sample(system: Any, part: slice = slice(None)) -> Tensor:
        images: Tensor = system.sample(noise[part], labels if labels is None else labels[part])
        return images

    with torch.no_grad():
        images = sample(system)
        torch.rand(10)
        assert torch.equal(images, sample(system))
        assert torch.equal(images, sample(loaded))
        parts = torch.cat([sample(system, slice(2)), sample(system, slice(2, None))])
    assert torch.allclose(images, parts, atol=1e-4)
    assert not torch.equal(images[0], images[2])
    after = system.networks.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", [*FACE_GENERATORS, "ddpm"])
def test_a_longer_sequence_of_noise_starts_with_the_shorter_one(name: str) -> None:
    system = build(name)
    assert torch.equal(system.noise(5, rng_for("noise"))[:2], system.noise(2, rng_for("noise")))


@every_gan
def test_the_discriminators_loss_has_no_gradient_at_the_generator(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = build(name)
    gradients = []
    descend = system.descend

    def inspect(network: str, loss: Tensor) -> Tensor:
        if network == "discriminator":
            weights = list(system.networks["generator"].parameters())
            gradients.extend(torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True))
        norm: Tensor = descend(network, loss)
        return norm

    monkeypatch.setattr(system, "descend", inspect)
    step(system, name, 0)
    assert gradients
    assert all(gradient is None for gradient in gradients)


@every_gan
def test_a_step_returns_the_health_of_the_run(name: str) -> None:
    losses = step(build(name), name, 0)
    assert list(losses)[:2] == ["d_loss", "g_loss"]
    assert list(losses)[-5:] == ["d_real_acc", "d_fake_acc", "d_grad_norm", "g_grad_norm", "diversity"]
    assert all(0 <= losses[key] <= 1 for key in ("d_real_acc", "d_fake_acc"))
    assert losses["d_grad_norm"] > 0
    assert losses["g_grad_norm"] > 0
