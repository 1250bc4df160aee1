"""ACGAN: the networks are those of the reports, and the losses are free of the known mistakes."""

import copy
import math
from typing import Any

import pytest
import torch
from small_systems import batch, build, parameter_counts, uniform
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.randomness import seed_torch
from hw2core.systems.acgan_networks import DESIGNS

every_design = pytest.mark.parametrize("arch", DESIGNS)


# --- networks -------------------------------------------------------------------------------------------------

# A k x k convolution from i to o channels has k k i o parameters and, with a bias, o more; batch norm has 2 o; a linear
# layer i o + o.
R21_CONVOLUTIONS = (
    2 * 128  # BN(128)
    + (9 * 128 * 128 + 128)
    + 2 * 128
    + (9 * 128 * 64 + 64)
    + 2 * 64
    + (9 * 64 * 3 + 3)
)
R21_DISCRIMINATOR = {
    "discriminator": (
        (9 * 3 * 16 + 16)
        + (9 * 16 * 32 + 32 + 2 * 32)
        + (9 * 32 * 64 + 64 + 2 * 64)
        + (9 * 64 * 128 + 128 + 2 * 128)
    ),
    "adv_head": 512 + 1,
    "aux_head": 512 * 10 + 10,
}
COUNTS = {
    "compact": {
        "label_embedding": 0,
        # 1568 = 32 x 7 x 7; of z and ten labels
        "generator": (
            (110 * 1568 + 1568)
            + 2 * 32
            + (9 * 32 * 32 + 32 + 2 * 32)
            + (9 * 32 * 16 + 16 + 2 * 16)
            + (9 * 16 * 3 + 3)
        ),
        "discriminator": (25 * 3 * 32 + 32) + (25 * 32 * 64 + 64),
        "adv_head": 1024 + 1,  # 64 x 4 x 4
        "aux_head": 1024 * 10 + 10,
    },
    "compact_faces": {
        "label_embedding": 0,
        # of z and two labels
        "generator": (
            (102 * 256 + 256)
            + (16 * 256 * 128 + 2 * 128)
            + (16 * 128 * 64 + 2 * 64)
            + (16 * 64 * 32 + 2 * 32)
            + (16 * 32 * 16 + 2 * 16)
            + 16 * 16 * 3
        ),
        "discriminator": (
            16 * 3 * 16
            + (16 * 16 * 32 + 2 * 32)
            + (16 * 32 * 64 + 2 * 64)
            + (16 * 64 * 128 + 2 * 128)
            + (16 * 128 * 128 + 2 * 128)
        ),
        "adv_head": 512 + 1,  # 128 x 2 x 2
        "aux_head": 512 * 2 + 2,
    },
    "R21_printed": {
        "label_embedding": 10 * 100,
        "generator": (100 * 8192 + 8192) + R21_CONVOLUTIONS,  # 8192 = 128 x 8 x 8
        **R21_DISCRIMINATOR,
    },
    "R21": {
        "label_embedding": 10 * 100,
        "generator": (100 * 6272 + 6272) + R21_CONVOLUTIONS,  # 6272 = 128 x 7 x 7: 28x28 at the end
        **R21_DISCRIMINATOR,
    },
    "R19": {
        "label_embedding": 0,
        "generator": (
            (101 * 384 + 384)
            + (16 * 384 * 192 + 2 * 192)
            + (16 * 192 * 96 + 2 * 96)
            + (16 * 96 * 48 + 2 * 48)
            + (16 * 48 * 24 + 2 * 24)
            + 16 * 24 * 3
        ),
        "discriminator": (
            9 * 3 * 16
            + (9 * 16 * 32 + 2 * 32)
            + (9 * 32 * 64 + 2 * 64)
            + (9 * 64 * 128 + 2 * 128)
            + (9 * 128 * 256 + 2 * 256)
            + (9 * 256 * 512 + 2 * 512)
        ),
        "adv_head": 12800 + 1,
        "aux_head": 12800 * 2 + 2,
    },
}
WIDTHS = {
    "compact": (32, 32),
    "compact_faces": (16, 16),
    "R19": (24, 16),
    "R21": (128, 16),
    "R21_printed": (128, 16),
}


@every_design
def test_the_networks_have_the_parameters_of_the_printed_layers(arch: str) -> None:
    generator_width, discriminator_width = WIDTHS[arch]
    widths = {"generator_width": generator_width, "discriminator_width": discriminator_width}
    assert parameter_counts(build(f"acgan/{arch}", latent_dim=100, **widths)) == COUNTS[arch]


def norms(system: Any, network: str) -> list[nn.BatchNorm2d]:
    return [layer for layer in system.networks[network].modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_r21s_mistake_in_batch_norm_is_in_the_printed_network_alone(network: str) -> None:
    intended, printed = (norms(build(f"acgan/{arch}"), network) for arch in ("R21", "R21_printed"))
    affected = slice(1, None) if network == "generator" else slice(None)  # not the generator's first
    assert {(norm.eps, norm.momentum) for norm in intended[affected]} == {(1e-5, 0.2)}
    assert {(norm.eps, norm.momentum) for norm in printed[affected]} == {(0.8, 0.1)}
    assert len(intended) == len(printed) == 3


@every_design
def test_samples_are_images_that_depend_on_the_label(arch: str) -> None:
    system = build(f"acgan/{arch}")
    labels = torch.arange(6) % system.labels
    noise = system.noise(6, torch.Generator().manual_seed(0))
    system.networks.eval()
    with torch.no_grad():
        x, other = system.sample(noise, labels), system.sample(noise, (labels + 1) % system.labels)
    size, label_count = (64, 2) if arch in ("R19", "compact_faces") else (28, 10)
    assert (system.size, system.labels) == (size, label_count)
    assert x.shape == (6, 3, size, size)
    assert x.abs().max() <= 1
    assert all(not torch.equal(one, two) for one, two in zip(x, other, strict=True))


# --- losses ---------------------------------------------------------------------------------------------------


def test_the_auxiliary_loss_is_of_logits_and_as_printed_of_probabilities() -> None:
    logits, labels = torch.tensor([[20.0] + [0.0] * 9, [0.0, 3.0] + [0.0] * 8]), torch.tensor([0, 1])
    by_hand = (math.log(1 + 9 * math.exp(-20)) + math.log(1 + 9 * math.exp(-3))) / 2
    assert build("acgan/R21").aux_loss(logits, labels).item() == pytest.approx(by_hand, rel=1e-4)
    # With softmax twice, a confident and correct prediction has a loss of log(e + 9) - 1.
    printed = build("acgan/R21_printed").aux_loss(logits[:1], labels[:1]).item()
    assert printed == pytest.approx(math.log(math.e + 9) - 1, rel=1e-4)


@every_design
def test_the_discriminator_gives_logits(arch: str) -> None:
    """The heads end in neither sigmoid nor softmax: outputs are not in [0, 1] and do not sum to 1."""
    system = build(f"acgan/{arch}")
    for head in ("adv_head", "aux_head"):
        nn.init.normal_(system.networks[head].weight, std=3.0)  # type: ignore[arg-type]
    real, label = system.discriminate(torch.randn(8, 3, *[DESIGNS[arch].network_size] * 2))
    assert ((real < 0) | (real > 1)).any()
    assert not torch.allclose(label.sum(1), torch.ones(8), atol=0.1)


def in_evaluation_mode(arch: str, **changes: Any) -> Any:
    """A system without dropout and batch statistics."""
    system = build(f"acgan/{arch}", **{"r1_gamma": 0.0, "aux_loss_on": "real_and_fake"} | changes)
    system.networks.eval()
    return system


@every_design
def test_the_losses_are_those_of_the_paper_written_out(arch: str) -> None:
    """The generator's auxiliary loss is of the labels that the images were generated from, not the real batch's."""
    system = in_evaluation_mode(arch)
    plain = copy.deepcopy(system.networks)
    inputs: list[tuple[Tensor, Tensor]] = []
    system.networks["label_embedding"].register_forward_pre_hook(lambda _, given: inputs.append(given))
    images, labels = batch(f"acgan/{arch}")
    seed_torch("step", 0)
    losses = system.step((images, labels), 0)

    ((z, fake_labels),) = inputs
    assert not torch.equal(fake_labels, labels)
    assert z.std().item() == pytest.approx(1, abs=0.3)
    if arch == "R21_printed":
        images = F.interpolate(images, (32, 32), mode="bilinear", antialias=True)
    fake_images = plain["generator"](plain["label_embedding"](z, fake_labels))

    def heads(networks: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        features = networks["discriminator"](x)
        aux = networks["aux_head"](features)
        return networks["adv_head"](features), aux.softmax(1) if arch == "R21_printed" else aux

    (real, real_aux), (fake, fake_aux) = heads(plain, images), heads(plain, fake_images)
    d_adv_loss = -(F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()) / 2
    d_aux_loss = (F.cross_entropy(real_aux, labels) + F.cross_entropy(fake_aux, fake_labels)) / 2
    assert losses["d_adv_loss"].item() == pytest.approx(d_adv_loss.item(), abs=1e-5)
    assert losses["d_aux_loss"].item() == pytest.approx(d_aux_loss.item(), abs=1e-5)

    fake, fake_aux = heads(system.networks, fake_images)  # by the updated discriminator
    g_aux_loss = F.cross_entropy(fake_aux, fake_labels)
    assert losses["g_adv_loss"].item() == pytest.approx(-F.logsigmoid(fake).mean().item(), abs=1e-5)
    assert losses["g_aux_loss"].item() == pytest.approx(g_aux_loss.item(), abs=1e-5)
    assert list(losses) == ["d_adv_loss", "d_aux_loss", "r1", "g_adv_loss", "g_aux_loss"]


def test_the_auxiliary_loss_can_be_of_real_images_alone() -> None:
    system = in_evaluation_mode("compact", aux_loss_on="real")
    images, labels = batch("acgan/compact")
    with torch.no_grad():
        _, aux = system.discriminate(images)
    losses = system.step((images, labels), 0)
    assert losses["d_aux_loss"].item() == pytest.approx(F.cross_entropy(aux, labels).item(), abs=1e-5)


def test_the_generators_gradient_is_linear_in_the_auxiliary_weight() -> None:
    gradients = []
    for aux_weight in (0.0, 1.0, 3.0):
        system = in_evaluation_mode("compact", aux_weight=aux_weight)
        seed_torch("step", 0)
        system.step(batch("acgan/compact"), 0)
        gradients.append([weight.grad for weight in system.networks["generator"].parameters()])
    for none, once, thrice in zip(*gradients, strict=True):
        assert torch.allclose(thrice - none, 3 * (once - none), atol=1e-5)
        assert not torch.equal(once, none)


def test_r1_is_the_squared_gradient_at_real_images_every_r1_every_steps() -> None:
    """By hand, one image at a time: without batch norm and dropout images are independent."""
    images, labels = batch("acgan/compact")
    system = in_evaluation_mode("compact")
    squares = []
    for image in images.unbind():
        image = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(system.discriminate(image)[0].sum(), image)
        squares.append(gradient.square().sum().item())
    by_hand = sum(squares) / len(squares)

    moved = {}
    for k, r1_gamma in ((0, 0.0), (0, 5.0), (7, 0.0), (7, 5.0)):
        system = in_evaluation_mode("compact", r1_gamma=r1_gamma, r1_every=8)
        seed_torch("step", 0)
        penalty = system.step((images, labels), k)["r1"].item()
        assert penalty == (pytest.approx(8 * by_hand, rel=1e-3) if (k, r1_gamma) == (0, 5.0) else 0)
        moved[k, r1_gamma] = system.networks["discriminator"][0].weight.detach().clone()
    assert torch.equal(moved[7, 0.0], moved[7, 5.0])
    assert not torch.equal(moved[0, 0.0], moved[0, 5.0])
    assert not images.requires_grad


def test_the_compact_discriminators_features_depend_on_contrast() -> None:
    """With batch norm they would not, and fake digits could fade to gray."""
    system = build("acgan/compact")
    images = uniform(8, 28)
    system.networks["discriminator"][-1].p = 0.0
    bright, faded = (system.networks["discriminator"](x).std().item() for x in (images, images / 8))
    assert faded < bright / 2


@every_design
def test_the_two_steps_update_their_own_networks(arch: str) -> None:
    """The discriminator's step leaves no gradient at the generator: the fake images are detached."""
    system = build(f"acgan/{arch}")
    generator = {"label_embedding", "generator"}
    updated = []
    descend = system.descend

    def inspect(name: str, loss: Tensor) -> Tensor:
        before = copy.deepcopy(dict(system.networks.named_parameters()))
        if name == "discriminator":
            weights = [w for n in generator for w in system.networks[n].parameters()]
            gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            assert all(gradient is None for gradient in gradients)
        norm: Tensor = descend(name, loss)
        moved = {
            k.partition(".")[0]
            for k, w in system.networks.named_parameters()
            if not torch.equal(w, before[k])
        }
        has_weights = {n for n, network in system.networks.items() if any(True for _ in network.parameters())}
        assert moved == (has_weights & generator if name == "generator" else has_weights - generator)
        updated.append(name)
        return norm

    system.descend = inspect
    system.step(batch(f"acgan/{arch}"), 0)
    assert updated == ["discriminator", "generator"]


def test_r19_appends_the_attribute_as_0_or_1() -> None:
    z = torch.randn(2, 7)
    found = build("acgan/R19").networks["label_embedding"](z, torch.tensor([0, 1]))
    assert torch.equal(found[:, :-1], z)
    assert found[:, -1].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("arch", "labels"), [("compact", 10), ("compact_faces", 2)])
def test_the_compact_designs_append_the_scaled_one_hot_label(arch: str, labels: int) -> None:
    z = torch.randn(2, 7)
    embedding = build(f"acgan/{arch}", label_scale=2.5).networks["label_embedding"]
    found = embedding(z, torch.tensor([1, 0]))
    assert torch.equal(found[:, :7], z)
    assert found[:, 7:].tolist() == [[0, 2.5, *[0] * (labels - 2)], [2.5, 0, *[0] * (labels - 2)]]


def test_r21_multiplies_the_labels_embedding_by_the_noise() -> None:
    z = torch.randn(2, 7)
    label_embedding = build("acgan/R21").networks["label_embedding"]
    weight = label_embedding.embedding.weight
    assert torch.equal(label_embedding(z, torch.tensor([4, 0])), z * weight[[4, 0]])
