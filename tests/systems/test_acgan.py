"""ACGAN: the networks are those of the reports, and none of the known mistakes is in its losses."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.device import Device
from hw2core.engine.loop import Trained, Watch, train
from hw2core.engine.randomness import generator, seed_torch
from hw2core.engine.resume import Checkpoint
from hw2core.settings import Acgan as Settings
from hw2core.systems.acgan import DESIGNS, R1_EVERY, Acgan

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
every_design = pytest.mark.parametrize("arch", DESIGNS)


def settings(arch: str, **changes: Any) -> Settings:
    values = {
        "steps": 5,
        "batch": 4,
        "lr": 1e-3,
        "beta1": 0.5,
        "beta2": 0.999,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0,
        "ema": 0.0,
        "arch": arch,
        "discriminator_lr": 1e-3,
        "labels_of": "both",
        "obedience": 1.0,
        "r1": 0.0,
        "noise": 12,
        "generator_width": 4,
        "discriminator_width": 4,
    }
    return Settings(**values | changes)


def build(arch: str, **changes: Any) -> Acgan:
    seed_torch("initial weights")
    return Acgan(settings(arch, **changes))


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(arch: str, count: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    size, labels = DESIGNS[arch].size, DESIGNS[arch].labels
    images = torch.rand((count, 3, size, size), generator=random(seed)) * 2 - 1
    return images, torch.randint(labels, (count,), generator=random(seed + 100))


# --- networks -------------------------------------------------------------------------------------------------

# By hand: a convolution of k x k from i to o has k k i o weights and, where it has a bias, o more; a batch norm 2 o;
# a linear layer i o + o.
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
    "real_head": 512 + 1,
    "label_head": 512 * 10 + 10,
}
COUNTS = {
    "compact": {
        "label": 0,
        # 1568 = 32 x 7 x 7; noise and ten digits come in
        "generator": (
            (110 * 1568 + 1568)
            + 2 * 32
            + (9 * 32 * 32 + 32 + 2 * 32)
            + (9 * 32 * 16 + 16 + 2 * 16)
            + (9 * 16 * 3 + 3)
        ),
        "discriminator": (25 * 3 * 32 + 32) + (25 * 32 * 64 + 64),
        "real_head": 1024 + 1,  # 64 x 4 x 4
        "label_head": 1024 * 10 + 10,
    },
    "compact_faces": {
        "label": 0,
        # of noise and two labels
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
        "real_head": 512 + 1,  # 128 x 2 x 2
        "label_head": 512 * 2 + 2,
    },
    "R21_printed": {
        "label": 10 * 100,
        "generator": (100 * 8192 + 8192) + R21_CONVOLUTIONS,  # 8192 = 128 x 8 x 8
        **R21_DISCRIMINATOR,
    },
    "R21": {
        "label": 10 * 100,
        "generator": (100 * 6272 + 6272) + R21_CONVOLUTIONS,  # 6272 = 128 x 7 x 7: 28x28 at the end
        **R21_DISCRIMINATOR,
    },
    "R19": {
        "label": 0,
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
        "real_head": 12800 + 1,
        "label_head": 12800 * 2 + 2,
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
def test_the_networks_have_as_many_weights_as_the_printed_layers(arch: str) -> None:
    generator_width, discriminator_width = WIDTHS[arch]
    system = build(arch, noise=100, generator_width=generator_width, discriminator_width=discriminator_width)
    found = {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in system.networks.items()
    }
    assert found == COUNTS[arch]


def norms(system: Acgan, network: str) -> list[nn.BatchNorm2d]:
    return [layer for layer in system.networks[network].modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_r21s_slip_in_batch_norm_is_in_the_printed_network_alone(network: str) -> None:
    mended, printed = (norms(build(arch), network) for arch in ("R21", "R21_printed"))
    slipped = (
        slice(1, None) if network == "generator" else slice(None)
    )  # the generator's first is as it should be
    assert {(norm.eps, norm.momentum) for norm in mended[slipped]} == {(1e-5, 0.2)}
    assert {(norm.eps, norm.momentum) for norm in printed[slipped]} == {(0.8, 0.1)}
    assert len(mended) == len(printed) == 3


@every_design
def test_samples_are_images_of_the_right_size(arch: str) -> None:
    system = build(arch)
    labels = torch.arange(6) % DESIGNS[arch].labels
    noise = system.noise(6, random())
    assert noise.shape == (6, 12)
    system.networks.eval()
    with torch.no_grad():
        x = system.sample(noise, labels)
        again = system.sample(system.noise(6, random()), labels)
        other = system.sample(noise, (labels + 1) % DESIGNS[arch].labels)
    size = 64 if arch in ("R19", "compact_faces") else 28
    assert x.shape == (6, 3, size, size)
    assert x.abs().max() <= 1
    assert torch.equal(x, again)
    assert all(not torch.equal(one, two) for one, two in zip(x, other, strict=True))


# --- losses ---------------------------------------------------------------------------------------------------


def test_the_auxiliary_loss_reads_logits_and_as_printed_probabilities() -> None:
    logits, labels = torch.tensor([[20.0] + [0.0] * 9, [0.0, 3.0] + [0.0] * 8]), torch.tensor([0, 1])
    by_hand = (math.log(1 + 9 * math.exp(-20)) + math.log(1 + 9 * math.exp(-3))) / 2
    assert build("R21").aux_loss(logits, labels).item() == pytest.approx(by_hand, rel=1e-4)
    # Twice through a softmax a certain and right answer still costs log(e + 9) - 1.
    printed = build("R21_printed").aux_loss(logits[:1], labels[:1]).item()
    assert printed == pytest.approx(math.log(math.e + 9) - 1, rel=1e-4)


@every_design
def test_the_discriminator_gives_logits(arch: str) -> None:
    """Neither sigmoid nor softmax ends the heads: their outputs leave 0 to 1, and do not sum to 1."""
    system = build(arch)
    for head in ("real_head", "label_head"):
        nn.init.normal_(system.networks[head].weight, std=3.0)  # type: ignore[arg-type]
    real, label = system.discriminate(torch.randn(8, 3, *[DESIGNS[arch].works_at] * 2))
    assert real.min() < 0 < 1 < real.max()
    assert not torch.allclose(label.sum(1), torch.ones(8), atol=0.1)


def still(arch: str) -> tuple[Acgan, list[tuple[Tensor, Tensor]]]:
    """A system without dropout, each image by itself, that writes down what its generator is asked for."""
    system = build(arch)
    system.networks.eval()
    asked: list[tuple[Tensor, Tensor]] = []
    system.networks["label"].register_forward_pre_hook(lambda _, given: asked.append(given))
    return system, asked


@every_design
def test_the_losses_are_those_of_the_paper_written_out(arch: str) -> None:
    """The generator's auxiliary loss is about the labels that the images were drawn from, not the real batch's."""
    system, asked = still(arch)
    plain = copy.deepcopy(system.networks)
    for name in ("label", "generator"):
        plain[name]._forward_pre_hooks.clear()
    images, labels = batch(arch)
    seed_torch("step", 0)
    losses = system.step((images, labels), 0)

    ((noise, wanted),) = asked
    assert not torch.equal(wanted, labels)
    assert noise.std().item() == pytest.approx(1, abs=0.3)
    if arch == "R21_printed":
        images = F.interpolate(images, (32, 32), mode="bilinear", antialias=True)
    drawn = plain["generator"](plain["label"](noise, wanted))

    def heads(networks: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        features = networks["discriminator"](x)
        read = networks["label_head"](features)
        return networks["real_head"](features), read.softmax(1) if arch == "R21_printed" else read

    (real, real_read), (fake, fake_read) = heads(plain, images), heads(plain, drawn)
    told = -(F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()) / 2
    read = (F.cross_entropy(real_read, labels) + F.cross_entropy(fake_read, wanted)) / 2
    assert losses["d_adv_loss"].item() == pytest.approx(told.item(), abs=1e-5)
    assert losses["d_aux_loss"].item() == pytest.approx(read.item(), abs=1e-5)

    fake, fake_read = heads(system.networks, drawn)  # the discriminator has learned already
    assert losses["fooling_loss"].item() == pytest.approx(-F.logsigmoid(fake).mean().item(), abs=1e-5)
    assert losses["g_aux_loss"].item() == pytest.approx(F.cross_entropy(fake_read, wanted).item(), abs=1e-5)


def test_labels_can_be_learned_from_real_images_alone() -> None:
    system, _ = still("compact")
    system.settings = settings("compact", labels_of="real")
    images, labels = batch("compact")
    with torch.no_grad():
        _, read = system.discriminate(images)
    seed_torch("step", 0)
    losses = system.step((images, labels), 0)
    assert losses["d_aux_loss"].item() == pytest.approx(F.cross_entropy(read, labels).item(), abs=1e-5)


def test_obedience_weighs_the_label_in_what_the_generator_learns() -> None:
    """Its gradient is one part that wants to fool, and so many times another that wants to obey."""
    gradients = []
    for obedience in (0.0, 1.0, 3.0):
        system, _ = still("compact")
        system.settings = settings("compact", obedience=obedience)
        seed_torch("step", 0)
        system.step(batch("compact"), 0)
        gradients.append([weight.grad for weight in system.networks["generator"].parameters()])
    for none, once, thrice in zip(*gradients, strict=True):
        assert torch.allclose(thrice - none, 3 * (once - none), atol=1e-5)
        assert not torch.equal(once, none)


def test_r1_is_the_squared_gradient_at_real_images_and_asked_for_at_every_eighth_step() -> None:
    """By hand each image's gradient is taken alone: without batch norm and dropout no image moves another's verdict."""
    images, labels = batch("compact")
    system, _ = still("compact")
    squares = []
    for image in images.unbind():
        image = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(system.discriminate(image)[0].sum(), image)
        squares.append(gradient.square().sum().item())
    by_hand = sum(squares) / len(squares)

    moved = {}
    for k, r1 in ((0, 0.0), (0, 5.0), (7, 0.0), (7, 5.0)):
        system, _ = still("compact")
        system.settings = settings("compact", r1=r1)
        seed_torch("step", 0)
        penalty = system.step((images, labels), k)["r1"].item()
        assert penalty == (pytest.approx(R1_EVERY * by_hand, rel=1e-3) if (k, r1) == (0, 5.0) else 0)
        moved[k, r1] = system.networks["discriminator"][0].weight.detach().clone()
    assert torch.equal(moved[7, 0.0], moved[7, 5.0])
    assert not torch.equal(moved[0, 0.0], moved[0, 5.0])
    assert not images.requires_grad


def test_the_compact_discriminator_sees_that_drawn_digits_fade() -> None:
    """Batch norm would give a batch of drawn images the contrast of a real one, whatever its own."""
    system = build("compact")
    images, _ = batch("compact")
    system.networks["discriminator"][-1].p = 0.0
    bright, faded = (system.networks["discriminator"](x).std().item() for x in (images, images / 8))
    assert faded < bright / 2


@every_design
def test_each_optimizer_moves_its_own_networks_by_its_own_loss(
    arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the discriminator steps, the generator has neither moved nor been given a gradient: the drawn images
    were detached. When the generator steps, the discriminator stands still."""
    system = build(arch)
    drawing = list(system.networks["label"].parameters()) + list(system.networks["generator"].parameters())
    judging = [weight for weight in system.networks.parameters() if not any(weight is w for w in drawing)]
    steps = []
    for name, others in (("discriminator", drawing), ("generator", judging)):
        optimizer = system.optimizers[name]
        owned = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        assert owned.isdisjoint({id(weight) for weight in others})
        assert len(owned) + len(others) == len(drawing) + len(judging)

        def step(name: str = name, others: list[Any] = others, original: Any = optimizer.step) -> None:
            before = [weight.detach().clone() for weight in others]
            if name == "discriminator":
                assert all(weight.grad is None for weight in others)
            original()
            assert all(torch.equal(one, other) for one, other in zip(before, others, strict=True))
            steps.append(name)

        monkeypatch.setattr(optimizer, "step", step)
    seed_torch("step", 0)
    system.step(batch(arch), 0)
    assert steps == ["discriminator", "generator"]


@every_design
def test_a_few_steps_move_every_network_by_finite_losses(arch: str) -> None:
    system = build(arch)
    before = copy.deepcopy(system.networks.state_dict())
    for k in range(3):
        seed_torch("step", k)
        losses = system.step(batch(arch, seed=k), k)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    after = system.networks.state_dict()
    weights = [name for name, weight in system.networks.named_parameters() if weight.ndim > 1]
    assert not [name for name in weights if torch.equal(before[name], after[name])]


def test_an_attribute_is_0_or_1_behind_the_noise() -> None:
    system = build("R19")
    noise = system.noise(2, random())
    given = system.networks["label"](noise, torch.tensor([0, 1]))
    assert torch.equal(given[:, :-1], noise)
    assert given[:, -1].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("arch", "labels"), [("compact", 10), ("compact_faces", 2)])
def test_a_label_is_one_loud_number_behind_the_noise(arch: str, labels: int) -> None:
    noise = torch.randn(2, 12)
    found = build(arch).networks["label"](noise, torch.tensor([1, 0]))
    assert torch.equal(found[:, :12], noise)
    assert found[:, 12:].tolist() == [[0, 3, *[0] * (labels - 2)], [3, 0, *[0] * (labels - 2)]]


def test_a_digit_is_multiplied_into_the_noise() -> None:
    system = build("R21")
    noise = system.noise(2, random())
    label = system.networks["label"]
    embedding = label.embedding.weight  # type: ignore[union-attr]
    assert torch.equal(label(noise, torch.tensor([4, 0])), noise * embedding[[4, 0]])  # type: ignore[index]


def test_every_optimizer_has_the_settings_of_params() -> None:
    system = build("R21", lr=0.004, discriminator_lr=0.002, beta1=0.7, beta2=0.98, weight_decay=0.03)
    rates = {"generator": 0.004, "discriminator": 0.002}
    for name, optimizer in system.optimizers.items():
        for group in optimizer.param_groups:
            assert (group["lr"], *group["betas"], group["weight_decay"]) == (rates[name], 0.7, 0.98, 0.03)


# --- as the loop trains it ------------------------------------------------------------------------------------


class Killed(BaseException):
    """A process that ends here and now."""


def run(folder: Path, options: Settings, killed_at: int | None = None) -> Trained:
    seed_torch("initial weights")
    system = Acgan(options)

    def batch_at(k: int) -> tuple[Tensor, Tensor]:
        if k == killed_at:
            raise Killed
        return batch(options.arch, options.batch, seed=k)

    def look(step: int) -> dict[str, float]:
        noise = system.noise(4, generator("look"))
        return {"mean": system.sample(noise, torch.tensor([0, 1, 0, 1])).mean().item()}

    watch = Watch(2, look, chooses="mean")
    return train(system, batch_at, options, watch, CPU, Checkpoint(folder / "state"), 2, ("acgan", "seed 0"))


@pytest.mark.parametrize("ema", [0.0, 0.9])
@every_design
def test_a_killed_training_ends_in_the_very_same_bytes(tmp_path: Path, arch: str, ema: float) -> None:
    options = settings(arch, ema=ema)
    whole = run(tmp_path / "whole", options)
    with pytest.raises(Killed):
        run(tmp_path / "cut", options, killed_at=3)
    resumed = run(tmp_path / "cut", options)
    assert whole.history == resumed.history
    assert all(torch.equal(whole.last[name], resumed.last[name]) for name in whole.last)
