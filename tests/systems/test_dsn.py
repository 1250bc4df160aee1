"""DSN's losses on cases computed by hand, and which networks learn from which."""

import copy

import pytest
import torch
from small_systems import build
from torch.nn import functional as F

from hw2core.systems.dsn import difference, si_mse


def test_the_difference_of_orthogonal_codes_is_zero() -> None:
    """Over four images the columns of one are orthogonal to those of the other, and all are centered."""
    shared = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    private = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert difference(shared, private).item() == 0


def test_the_difference_of_equal_codes_of_one_dimension() -> None:
    """Each is 1 or -1 once scaled, so the correlation is the number of images, 4, and its square 16."""
    code = torch.tensor([[3.0], [1.0], [-3.0], [-1.0]])
    assert difference(code, code).item() == pytest.approx(16)


def test_the_difference_of_equal_codes_of_two_dimensions() -> None:
    """Unit vectors along the axes, two for each axis: correlations of 2 on the diagonal, 0 off it."""
    code = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 5.0], [0.0, -5.0]])
    assert difference(code, code).item() == pytest.approx((4 + 4 + 0 + 0) / 4)


def test_the_difference_ignores_mean_and_length() -> None:
    rng = torch.Generator().manual_seed(0)
    shared, private = torch.randn((2, 30, 5), generator=rng)
    assert torch.allclose(
        difference(7 * shared + 3, 0.1 * private - 5), difference(shared, private), rtol=1e-4
    )


def test_the_scale_invariant_error_ignores_a_constant_offset() -> None:
    image = torch.rand(1, 3, 4, 4)
    assert si_mse(image + 0.3, image).item() == pytest.approx(0, abs=1e-6)
    checks = torch.tensor([0.5, -0.5]).repeat(24).reshape(1, 3, 4, 4)
    assert si_mse(image + checks, image).item() == pytest.approx(0.25, rel=1e-5)


def test_the_shared_encoder_alone_gets_the_similarity_gradient_reversed() -> None:
    """With alpha and beta at zero: the label loss's gradient minus gamma times the domain loss's."""
    system = build("dsn", alpha=0.0, beta=0.0, gamma=0.25, augment="none")
    system.networks.eval()  # no dropout, no batch statistics
    plain = copy.deepcopy(system.networks)
    images = torch.rand((12, 3, 28, 28), generator=torch.Generator().manual_seed(1))
    labels = torch.arange(6)
    features = plain["extractor"](images)
    label_loss = F.cross_entropy(plain["label_head"](features[:6]), labels)
    domain_loss = F.cross_entropy(plain["domain_head"](features), torch.tensor([0] * 6 + [1] * 6))
    weights = list(plain["extractor"].parameters())
    of_label = torch.autograd.grad(label_loss, weights, retain_graph=True)
    of_domain = torch.autograd.grad(domain_loss, weights, retain_graph=True)
    of_head = torch.autograd.grad(domain_loss, list(plain["domain_head"].parameters()))

    system.step((images[:6], labels, images[6:]), 0)

    for weight, one, other in zip(
        system.networks["extractor"].parameters(), of_label, of_domain, strict=True
    ):
        assert torch.allclose(weight.grad, one - 0.25 * other, atol=1e-6, rtol=1e-4)
    for weight, gradient in zip(system.networks["domain_head"].parameters(), of_head, strict=True):
        assert torch.allclose(weight.grad, 0.25 * gradient, atol=1e-6, rtol=1e-4)


def test_the_total_loss_weighs_the_four_terms() -> None:
    """Gradients are linear in alpha and beta."""
    found = {}
    for alpha, beta in ((0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (0.0, 1.0), (0.0, 3.0)):
        system = build("dsn", alpha=alpha, beta=beta, gamma=0.0, augment="none")
        system.networks.eval()
        images = torch.rand((12, 3, 28, 28), generator=torch.Generator().manual_seed(1))
        system.step((images[:6], torch.arange(6), images[6:]), 0)
        found[alpha, beta] = system.networks["extractor"][0].weight.grad
    for once, thrice in (((1.0, 0.0), (3.0, 0.0)), ((0.0, 1.0), (0.0, 3.0))):
        difference = found[once] - found[0.0, 0.0]
        assert difference.any()
        assert torch.allclose(found[thrice] - found[0.0, 0.0], 3 * difference, atol=1e-6, rtol=1e-3)


def test_the_decoder_gives_images_of_the_same_size() -> None:
    for backbone in ("R19", "ResNet"):
        system = build("dsn", backbone=backbone)
        images = torch.zeros(2, 3, 28, 28)
        code = system.features(images) + system.networks["source_private"](images)
        assert system.networks["decoder"](code).shape == images.shape


def test_before_the_domain_losses_only_the_task_is_learned() -> None:
    system = build("dsn", domain_losses_from_step=2)
    before = copy.deepcopy(system.networks.state_dict())
    images = torch.rand((12, 3, 28, 28), generator=torch.Generator().manual_seed(1))
    for k, parts in enumerate([{"label_head"}, {"label_head"}, set(system.networks)]):
        system.step((images[:6], torch.arange(6), images[6:]), k)
        after = system.networks.state_dict()
        changed = {
            key.partition(".")[0]
            for key in after
            if key.endswith("weight") and not torch.equal(before[key], after[key])
        }
        assert changed == {"extractor", *parts}


def test_each_domain_has_batch_norm_statistics_of_its_own() -> None:
    """The shared encoder's running statistics move twice a step: by the source's batch, then by the target's."""
    system = build("dsn", augment="none")
    convolution, norm = system.networks["extractor"][:2]
    source, target = torch.rand((2, 6, 3, 28, 28), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = [convolution(images).mean((0, 2, 3)) for images in (source, 2 * target)]
    system.step((source, torch.arange(6), 2 * target), 0)
    assert torch.allclose(norm.running_mean, 0.9 * 0.1 * seen[0] + 0.1 * seen[1], atol=1e-5)
