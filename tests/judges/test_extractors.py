"""Features: pytorch-fid's own with its network, kept by content, refused by size."""

import hashlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from conftest import complaint
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as theirs
from torch import nn
from torchvision.models.inception import Inception3

from hw2core.engine.device import choose_device
from hw2core.judges import extractors
from hw2core.judges.extractors import Extractor, compare, extract
from hw2core.judges.inception import inception
from hw2core.params import Params


def random_inception() -> dict[str, torch.Tensor]:
    """Untrained weights of pytorch-fid's network, whose features differ from image to image."""
    built = []
    with (
        patch.object(theirs, "load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(Inception3, "load_state_dict", lambda network, _: built.append(network)),
    ):
        theirs.fid_inception_v3()
    (network,) = built
    random = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=random)
    return dict(network.state_dict())


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(random_inception(), path)
    return path


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Ten pictures 40x40, smooth and of different colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (10, 5, 5, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(x).resize((40, 40), Image.Resampling.BICUBIC)) for x in coarse]
    )


@pytest.fixture
def their_inception(weights: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: state)
    return theirs.InceptionV3()


def test_features_are_pytorch_fids(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path, their_inception: nn.Module
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
    files = sorted(folder.iterdir())
    expected = fid_score.get_activations(files, their_inception, batch_size=10, device="cpu", num_workers=0)
    found = extract(inception(weights), images, choose_device(params.engine), tmp_path / "cache", "images")
    assert found.values.shape == (10, 2048)
    scale = np.abs(expected).max()
    assert np.abs(found.values.numpy() - expected).max() < 1e-5 * scale


def test_logits_are_those_of_the_last_layer_without_its_bias(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path
) -> None:
    found = extract(inception(weights), images[:2], choose_device(params.engine), tmp_path, "images")
    last = torch.load(weights, weights_only=True)["fc.weight"]
    assert found.logits is not None
    assert torch.allclose(found.logits, found.values @ last.T, rtol=1e-4, atol=1e-4)


def test_the_size_of_a_batch_changes_nothing(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, extractor = choose_device(params.engine), inception(weights)
    whole = extract(extractor, images, device, tmp_path / "one", "images").values
    monkeypatch.setattr(extractors, "BATCH", 3)
    parts = extract(extractor, images, device, tmp_path / "other", "images").values
    assert torch.allclose(whole, parts, rtol=1e-5, atol=1e-6 * whole.abs().max().item())


def test_the_published_weights_are_told_from_others(weights: Path) -> None:
    extractor = inception(weights)
    assert extractor.name == "Inception of pytorch-fid, not with the published weights"
    assert extractor.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.suffix == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nonsense", "damaged, or holds more than weights"),
        (None, "No such file"),
        ({"fc.weight": torch.zeros(1008, 2048)}, "not the weights of pytorch-fid's Inception"),
        ({"weight": torch.zeros(1)}, "not the weights of pytorch-fid's Inception"),
        ([1, 2], "not the weights of pytorch-fid's Inception"),
    ],
)
def test_other_files_are_refused_in_one_line(content: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    line = complaint(lambda: inception(path))
    assert line is not None
    assert said in line
    assert "\n" not in line
    assert "pt_inception-2015-12-05-6726825d.pth" in line


class Counting(nn.Module):
    """A network of no weights that counts what it sees: its features are each image's mean colours."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images.mean((2, 3))


def counting(sha256: str = "0", size: tuple[int, int] | None = None) -> tuple[Extractor, Counting]:
    network = Counting()
    extractor = Extractor(
        name="mean colours",
        suffix="_colours",
        sha256=sha256,
        resize="not resized",
        size=size,
        network=network,
        features=lambda images: (network(images), None),
    )
    return extractor, network


def test_what_was_extracted_once_is_kept_by_content(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, network = counting()
    first = extract(extractor, images, device, tmp_path, "images")
    again = extract(extractor, images.copy(), device, tmp_path, "other name")
    assert network.seen == 10
    assert torch.equal(first.values, again.values)
    changed = images.copy()
    changed[9, 0, 0, 0] ^= 1
    extract(extractor, changed, device, tmp_path, "images")
    assert network.seen == 20
    other, its_network = counting(sha256="1")
    extract(other, images, device, tmp_path, "images")
    assert its_network.seen == 10


def test_a_spoilt_memory_is_made_anew(params: Params, images: np.ndarray, tmp_path: Path) -> None:
    device = choose_device(params.engine)
    extractor, network = counting()
    first = extract(extractor, images, device, tmp_path, "images")
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:50])
    assert torch.equal(extract(extractor, images, device, tmp_path, "images").values, first.values)
    assert network.seen == 20


def test_another_size_or_a_single_image_is_refused(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, _ = counting(size=(28, 40))
    assert complaint(lambda: extract(extractor, images, device, tmp_path, "made")) == (
        "made: images of 40x40; mean colours takes 40x28"
    )
    extractor, _ = counting()
    assert complaint(lambda: extract(extractor, images[:1], device, tmp_path, "made")) == (
        "made: 1 image; at least 2 are needed"
    )


def test_a_comparison_names_its_figures_by_the_extractor_and_says_what_it_measured(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, _ = counting()
    fake, real = (extract(extractor, x, device, tmp_path, "x") for x in (images[:4], images))
    found = compare(extractor, fake, real)
    assert found.pop("fid_colours") > 0
    assert {"kid_colours", "precision_colours", "recall_colours"} < found.keys()
    assert not {"fid", "kid", "is", "is_colours"} & found.keys()
    assert {
        name: found[name] for name in ("n_fake", "n_real", "extractor", "extractor_sha256", "resize")
    } == {
        "n_fake": 4,
        "n_real": 10,
        "extractor": "mean colours",
        "extractor_sha256": "0",
        "resize": "not resized",
    }
