"""The embedded digit domains: reproducible from the seed, and without leaks: no handwritten sample is used for both
training and test images, in any domain."""

from pathlib import Path

import numpy as np
import pytest

from hw2core.data import standins
from hw2core.data.catalog import EMBEDDED
from hw2core.engine.images import Split
from hw2core.settings.models import Embedded

MARKED = Embedded(seed=0, train=150, test=100, faces_train=100, faces_test=100)
SETTINGS = MARKED.model_copy(update={"train": 100, "test": 60})
DOMAINS = ["handwritten", "blended", "printed"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw files of every domain, each in its own folder."""
    root = tmp_path_factory.mktemp("raw")
    for name in DOMAINS:
        (root / name).mkdir()
        EMBEDDED[name].fetch(root / name)
    return root


@pytest.fixture(scope="module")
def made(raw: Path) -> dict[str, dict[str, Split]]:
    return {name: EMBEDDED[name].make(raw / name, SETTINGS) for name in DOMAINS}


def all_bytes(splits: dict[str, Split]) -> list[bytes]:
    return [
        array.tobytes() for name in sorted(splits) for array in (splits[name].images, splits[name].labels)
    ]


@pytest.mark.parametrize("name", DOMAINS)
def test_arrays_have_the_requested_sizes(made: dict[str, dict[str, Split]], name: str) -> None:
    assert set(made[name]) == {"train", "test"}
    for split, count in (("train", 100), ("test", 60)):
        images, labels = made[name][split].images, made[name][split].labels
        assert (images.shape, images.dtype) == ((count, 28, 28, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.uint8)
        assert set(labels.tolist()) == set(range(10))


@pytest.mark.parametrize("name", DOMAINS)
def test_classes_are_balanced(made: dict[str, dict[str, Split]], name: str) -> None:
    counts = np.bincount(made[name]["train"].labels)
    assert counts.min() >= 4
    assert counts.max() <= 20


@pytest.mark.parametrize("name", DOMAINS)
def test_bytes_depend_on_the_seed_alone(raw: Path, made: dict[str, dict[str, Split]], name: str) -> None:
    assert all_bytes(EMBEDDED[name].make(raw / name, SETTINGS)) == all_bytes(made[name])
    other = EMBEDDED[name].make(raw / name, SETTINGS.model_copy(update={"seed": 1}))
    assert not set(all_bytes(other)) & set(all_bytes(made[name]))


@pytest.mark.parametrize("name", DOMAINS)
def test_all_images_differ(made: dict[str, dict[str, Split]], name: str) -> None:
    images = np.concatenate([split.images for split in made[name].values()])
    assert len({image.tobytes() for image in images}) == len(images)


@pytest.mark.parametrize("name", DOMAINS)
def test_training_images_do_not_depend_on_the_number_of_test_images(
    raw: Path, made: dict[str, dict[str, Split]], name: str
) -> None:
    more = EMBEDDED[name].make(raw / name, SETTINGS.model_copy(update={"test": 70}))
    assert (more["train"].images == made[name]["train"].images).all()


def test_only_the_handwritten_domain_is_gray(made: dict[str, dict[str, Split]]) -> None:
    def is_gray(split: Split) -> bool:
        return bool((split.images == split.images[..., :1]).all())

    assert is_gray(made["handwritten"]["train"])
    assert not is_gray(made["blended"]["train"])
    assert not is_gray(made["printed"]["train"])


SAMPLES = 90


def write_raw(root: Path, digits: np.ndarray) -> Path:
    """Raw files of both handwritten domains, each in its own folder, with black photos."""
    for domain in ("handwritten", "blended"):
        folder = root / domain
        folder.mkdir()
        np.save(folder / "digits.npy", digits)
        np.save(folder / "labels.npy", (np.arange(len(digits)) % 10).astype(np.uint8))
        for photo in standins.PHOTOS:
            np.save(folder / f"photo_{photo}.npy", np.zeros((40, 40, 3), dtype=np.uint8))
    return root


@pytest.fixture
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Raw files in which each handwritten sample encodes its index as binary ink, which no distortion changes."""
    monkeypatch.setattr(standins, "distort", lambda digit, rng: digit)
    digits = np.zeros((SAMPLES, 28, 28), dtype=np.uint8)
    for index in range(SAMPLES):
        digits[index, 0, :7] = [255 * int(bit) for bit in f"{index:07b}"]
    return write_raw(tmp_path, digits)


def samples_of(split: Split) -> list[int]:
    """Decode the sample indices from images made from `marked`."""
    return [int("".join(str(int(pixel > 127)) for pixel in image[0, :7, 0]), 2) for image in split.images]


def test_no_sample_is_used_for_training_and_test(marked: Path) -> None:
    used = {
        split: {
            sample
            for domain in ("handwritten", "blended")
            for sample in samples_of(EMBEDDED[domain].make(marked / domain, MARKED)[split])
        }
        for split in ("train", "test")
    }
    assert len(used["train"]) == round(0.7 * SAMPLES)
    assert len(used["test"]) == round(0.3 * SAMPLES)
    assert not used["train"] & used["test"]


@pytest.mark.parametrize("domain", ["handwritten", "blended"])
def test_image_has_the_label_of_its_sample(marked: Path, domain: str) -> None:
    for split in EMBEDDED[domain].make(marked / domain, MARKED).values():
        assert split.labels.tolist() == [sample % 10 for sample in samples_of(split)]


@pytest.mark.parametrize("domain", ["handwritten", "blended"])
def test_every_sample_is_used_once_before_any_is_repeated(marked: Path, domain: str) -> None:
    samples = samples_of(EMBEDDED[domain].make(marked / domain, MARKED)["train"])
    epoch = round(0.7 * SAMPLES)
    assert len(set(samples[:epoch])) == epoch
    assert samples[epoch : 2 * epoch] == samples[:epoch]


def test_first_use_of_a_sample_is_its_image_and_later_ones_are_distorted(raw: Path) -> None:
    digits = np.load(raw / "handwritten" / "digits.npy")
    more = MARKED.model_copy(update={"train": 3600})
    images = EMBEDDED["handwritten"].make(raw / "handwritten", more)["train"].images[..., 0]
    originals = {digit.tobytes() for digit in digits}
    assert [image.tobytes() in originals for image in images] == [True] * 3500 + [False] * 100


def test_blended_image_is_the_photo_inverted_under_the_digit(raw: Path, tmp_path: Path) -> None:
    """On a photo of one color, ink pixels have the inverted color."""
    for name in ("digits.npy", "labels.npy"):
        np.save(tmp_path / name, np.load(raw / "blended" / name))
    for photo in standins.PHOTOS:
        np.save(tmp_path / f"photo_{photo}.npy", np.full((30, 30, 3), (200, 30, 90), dtype=np.uint8))
    images = EMBEDDED["blended"].make(tmp_path, SETTINGS)["test"].images
    ink = (images == (55, 225, 165)).all(-1)
    paper = (images == (200, 30, 90)).all(-1)
    assert (ink ^ paper).all()
    fraction = ink.mean(axis=(1, 2))
    assert fraction.min() > 0.01
    assert fraction.max() < 0.5


def test_threshold_of_the_ink_is_127(tmp_path: Path) -> None:
    """digit > 127, on strokes with every gray value."""
    grays = np.resize(np.arange(256), (28, 28)).astype(np.uint8)
    raw = write_raw(tmp_path, np.repeat(grays[None], SAMPLES, axis=0))
    image = EMBEDDED["blended"].make(raw / "blended", SETTINGS)["test"].images[0]
    assert ((image == 255).all(-1) == (grays > 127)).all()
    assert ((image == 0).all(-1) == (grays <= 127)).all()


def test_distorted_digit_stays_upright_and_inside_the_image() -> None:
    """A vertical bar stays in the central columns."""
    bar = np.zeros((28, 28), dtype=np.uint8)
    bar[5:23, 12:16] = 255
    rng = np.random.default_rng(0)
    drawn = [standins.distort(bar, rng) for _ in range(50)]
    assert len({image.tobytes() for image in drawn}) == 50
    for image in drawn:
        assert (image[13:15].max(axis=1) > 127).all()
        assert image[:, :5].max() == 0
        assert image[:, 23:].max() == 0


def test_colors_of_a_printed_digit_have_contrast() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        ink, paper = standins.contrasting_colors(rng)
        assert abs(ink.mean() - paper.mean()) > 60


def test_fetched_fonts_are_the_rendered_ones(raw: Path) -> None:
    assert sorted(path.stem for path in (raw / "printed").iterdir()) == sorted(standins.FONTS)
