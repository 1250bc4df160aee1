"""DSN's losses on cases computed by hand."""

import copy

import pytest
import torch
from torch.nn import functional as F

from hw2core.settings import Params
from hw2core.systems.dsn import Dsn, difference, reconstruction


def test_orthogonal_codes_do_not_differ_from_what_is_wanted() -> None:
    """Over four images the columns of the one are orthogonal to those of the other, and all are centered."""
    shared = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    private = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert difference(shared, private).item() == 0


def test_equal_codes_of_one_number_overlap_fully() -> None:
    """Each is 1 or -1 once scaled, so the one correlation is the number of images: 4, and 16 its square."""
    code = torch.tensor([[3.0], [1.0], [-3.0], [-1.0]])
    assert difference(code, code).item() == pytest.approx(16)


def test_equal_codes_of_two_numbers_by_hand() -> None:
    """Unit vectors along the axes, two a way: the correlations are 2 and 2 on the diagonal, 0 beside it."""
    code = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 5.0], [0.0, -5.0]])
    assert difference(code, code).item() == pytest.approx((4 + 4 + 0 + 0) / 4)


def test_the_difference_looks_at_neither_mean_nor_length() -> None:
    random = torch.Generator().manual_seed(0)
    shared, private = torch.randn((2, 30, 5), generator=random)
    assert torch.allclose(
        difference(7 * shared + 3, 0.1 * private - 5), difference(shared, private), rtol=1e-4
    )


def test_an_even_shift_of_an_image_costs_nothing_and_a_shape_does() -> None:
    image = torch.rand(1, 3, 4, 4)
    assert reconstruction(image + 0.3, image).item() == pytest.approx(0, abs=1e-6)
    checks = torch.tensor([0.5, -0.5]).repeat(24).reshape(1, 3, 4, 4)
    assert reconstruction(image + checks, image).item() == pytest.approx(0.25, rel=1e-5)


def test_the_shared_encoder_alone_gets_the_similarity_reversed(params: Params) -> None:
    """With the other weights at zero: minus `similarity` times the domain loss's gradient, beside the labels'."""
    torch.manual_seed(0)
    changes = {"reconstruction": 0.0, "difference": 0.0, "similarity": 0.25, "augment": "none"}
    system = Dsn(params.dsn.model_copy(update=changes), "R19")
    system.networks.eval()  # without dropout, and each image by itself
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


def test_images_are_drawn_again_in_their_own_size(params: Params) -> None:
    for arch in ("R19", "ResNet"):
        system = Dsn(params.dsn, arch)
        images = torch.zeros(2, 3, 28, 28)
        code = system.features(images) + system.networks["source_private"](images)
        assert system.networks["decoder"](code).shape == images.shape


def test_before_the_separation_the_task_alone_is_learned(params: Params) -> None:
    torch.manual_seed(0)
    system = Dsn(params.dsn.model_copy(update={"separate_from": 2}), "R19")
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


def test_each_domain_has_batch_norm_figures_of_its_own(params: Params) -> None:
    """The shared encoder's running figures move twice a step: by the source's batch, then by the target's."""
    torch.manual_seed(0)
    system = Dsn(params.dsn.model_copy(update={"augment": "none"}), "R19")
    convolution, norm = system.networks["extractor"][:2]
    source, target = torch.rand((2, 6, 3, 28, 28), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = [convolution(images).mean((0, 2, 3)) for images in (source, 2 * target)]
    system.step((source, torch.arange(6), 2 * target), 0)
    assert torch.allclose(norm.running_mean, 0.9 * 0.1 * seen[0] + 0.1 * seen[1], atol=1e-5)
