"""Feature extraction, its cache, and the names of metrics."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import complaint
from official import untrained_inception
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid
from torch import nn

from hw2core.engine.device import choose_device
from hw2core.evaluation import extractors
from hw2core.evaluation.distances import Gaussian, frechet
from hw2core.evaluation.extractors import Extractor, Features, compare, extract
from hw2core.evaluation.inception import inception
from hw2core.settings import Params


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(untrained_inception(), path)
    return path


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Ten smooth images of 40x40 pixels in different colors."""
    coarse = np.random.default_rng(0).integers(0, 256, (10, 5, 5, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(x).resize((40, 40), Image.Resampling.BICUBIC)) for x in coarse]
    )


@pytest.fixture
def original_inception(weights: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: state)
    return pytorch_fid.InceptionV3()


def test_features_equal_those_of_pytorch_fid(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path, original_inception: nn.Module
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(images[:4]):
        Image.fromarray(image).save(folder / f"{i}.png")
    files = sorted(folder.iterdir())
    expected = fid_score.get_activations(
        files, original_inception, batch_size=10, device="cpu", num_workers=0
    )
    found = extract(
        inception(weights), images[:4], choose_device(params.engine), tmp_path / "cache", "images"
    )
    assert found.values.shape == (4, 2048)
    scale = np.abs(expected).max()
    assert np.abs(found.values.numpy() - expected).max() < 1e-5 * scale


def test_logits_are_the_last_layer_without_bias(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path
) -> None:
    found = extract(inception(weights), images[:2], choose_device(params.engine), tmp_path, "images")
    last = torch.load(weights, weights_only=True)["fc.weight"]
    assert found.logits is not None
    assert torch.allclose(found.logits, found.values @ last.T, rtol=1e-4, atol=1e-4)


def test_features_do_not_depend_on_the_batch_size(
    params: Params, weights: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, extractor = choose_device(params.engine), inception(weights)
    whole = extract(extractor, images[:4], device, tmp_path / "one", "images").values
    monkeypatch.setattr(extractors, "BATCH", 3)
    parts = extract(extractor, images[:4], device, tmp_path / "other", "images").values
    assert torch.allclose(whole, parts, rtol=1e-5, atol=1e-6 * whole.abs().max().item())


def test_weights_that_differ_from_the_published_ones_are_named_so(weights: Path) -> None:
    extractor = inception(weights)
    assert extractor.name == "Inception of pytorch-fid, not with the published weights"
    assert extractor.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.suffix == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"garbage", "damaged, or holds more than weights"),
        (None, "No such file"),
        ({"fc.weight": torch.zeros(1008, 2048)}, "not the weights of pytorch-fid's Inception"),
        ({"weight": torch.zeros(1)}, "not the weights of pytorch-fid's Inception"),
        ([1, 2], "not the weights of pytorch-fid's Inception"),
    ],
)
def test_other_files_are_rejected_in_one_line(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    line = complaint(lambda: inception(path))
    assert line is not None
    assert message in line
    assert "\n" not in line
    assert "pt_inception-2015-12-05-6726825d.pth" in line


class Counting(nn.Module):
    """A network without weights whose features are the mean colors of each image. It counts its inputs."""

    count = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.count += len(images)
        return images.mean((2, 3))


def counting(sha256: str = "0", size: tuple[int, int] | None = None) -> tuple[Extractor, Counting]:
    network = Counting()
    extractor = Extractor(
        name="mean colors",
        suffix="colors",
        sha256=sha256,
        resize="not resized",
        size=size,
        network=network,
        features=lambda images: (network(images), None),
    )
    return extractor, network


def test_features_are_cached_by_images_and_weights(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, network = counting()
    first = extract(extractor, images, device, tmp_path, "images")
    again = extract(extractor, images.copy(), device, tmp_path, "other name")
    assert network.count == 10
    assert torch.equal(first.values, again.values)
    changed = images.copy()
    changed[9, 0, 0, 0] ^= 1
    extract(extractor, changed, device, tmp_path, "images")
    assert network.count == 20
    other, other_network = counting(sha256="1")
    extract(other, images, device, tmp_path, "images")
    assert other_network.count == 10


def test_a_damaged_cache_file_is_extracted_again(params: Params, images: np.ndarray, tmp_path: Path) -> None:
    device = choose_device(params.engine)
    extractor, network = counting()
    first = extract(extractor, images, device, tmp_path, "images")
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(cached.read_bytes()[:50])
    assert torch.equal(extract(extractor, images, device, tmp_path, "images").values, first.values)
    assert network.count == 20


def test_wrong_sizes_and_single_images_are_rejected(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, _ = counting(size=(28, 40))
    assert complaint(lambda: extract(extractor, images, device, tmp_path, "fake")) == (
        "fake: images of 40x40; mean colors takes 40x28"
    )
    extractor, _ = counting()
    assert complaint(lambda: extract(extractor, images[:1], device, tmp_path, "fake")) == (
        "fake: 1 image; at least 2 are needed"
    )


def test_metrics_of_other_extractors_have_a_suffix_and_are_not_called_fid_or_kid(
    params: Params, images: np.ndarray, tmp_path: Path
) -> None:
    device = choose_device(params.engine)
    extractor, _ = counting()
    fake, real = (extract(extractor, x, device, tmp_path, "x") for x in (images[:4], images))
    found = compare(extractor, fake, real)
    assert found["fd_colors"] > 0
    assert set(found) == {
        *("fd_colors", "kd_colors", "precision_colors", "recall_colors"),
        *("n_fake", "n_real", "extractor", "extractor_sha256", "resize"),
    }
    assert {
        name: found[name] for name in ("n_fake", "n_real", "extractor", "extractor_sha256", "resize")
    } == {
        "n_fake": 4,
        "n_real": 10,
        "extractor": "mean colors",
        "extractor_sha256": "0",
        "resize": "not resized",
    }


def test_metrics_of_inception_features_have_their_published_names() -> None:
    """With logits the Inception score is among them."""
    extractor, _ = counting()
    rng = torch.Generator().manual_seed(0)
    fake, real = (
        Features(torch.randn((20, 4), generator=rng), torch.randn((20, 5), generator=rng)) for _ in "ab"
    )
    found = compare(replace(extractor, suffix=""), fake, real)
    assert list(found)[:5] == ["fid", "kid", "precision", "recall", "is"]
    assert found["fid"] == frechet(Gaussian.of(fake.values), Gaussian.of(real.values))
    assert set(found["kid"]) == {"mean", "std", "subset"}
