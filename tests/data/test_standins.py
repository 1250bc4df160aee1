"""The embedded digit domains: the same for a seed on every machine, and fair: no test image shares its handwriting
sample with a training image of any domain."""

from pathlib import Path

import numpy as np
import pytest

from hw2core.data import standins
from hw2core.data.catalog import EMBEDDED
from hw2core.data.store import Split
from hw2core.params import DATASETS, Embedded

SETTINGS = Embedded(seed=0, train=150, test=100, faces_train=100, faces_test=100)
DOMAINS = ["handwritten", "blended", "printed"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw material of every domain, each in a folder of its name."""
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


def test_every_domain_that_params_know_is_in_the_catalog() -> None:
    assert set(EMBEDDED) == set(DATASETS["embedded"])
    assert {*DOMAINS, "drawn_faces"} == set(EMBEDDED)


@pytest.mark.parametrize("name", DOMAINS)
def test_images_and_labels_are_as_many_and_of_the_kind_that_was_asked(
    made: dict[str, dict[str, Split]], name: str
) -> None:
    assert set(made[name]) == {"train", "test"}
    for split, count in (("train", 150), ("test", 100)):
        images, labels = made[name][split].images, made[name][split].labels
        assert (images.shape, images.dtype) == ((count, 28, 28, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.uint8)
        assert set(labels.tolist()) == set(range(10))


@pytest.mark.parametrize("name", DOMAINS)
def test_the_classes_are_about_as_frequent(made: dict[str, dict[str, Split]], name: str) -> None:
    counts = np.bincount(made[name]["train"].labels)
    assert counts.min() >= 5
    assert counts.max() <= 30


@pytest.mark.parametrize("name", DOMAINS)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    raw: Path, made: dict[str, dict[str, Split]], name: str
) -> None:
    assert all_bytes(EMBEDDED[name].make(raw / name, SETTINGS)) == all_bytes(made[name])
    other = EMBEDDED[name].make(raw / name, SETTINGS.model_copy(update={"seed": 1}))
    assert not set(all_bytes(other)) & set(all_bytes(made[name]))


@pytest.mark.parametrize("name", DOMAINS)
def test_no_image_is_in_both_splits_or_twice(made: dict[str, dict[str, Split]], name: str) -> None:
    images = np.concatenate([split.images for split in made[name].values()])
    assert len({image.tobytes() for image in images}) == len(images)


@pytest.mark.parametrize("name", DOMAINS)
def test_more_test_images_change_no_training_image(
    raw: Path, made: dict[str, dict[str, Split]], name: str
) -> None:
    more = EMBEDDED[name].make(raw / name, SETTINGS.model_copy(update={"test": 120}))
    assert (more["train"].images == made[name]["train"].images).all()


def test_the_handwritten_domain_is_grey_and_the_others_are_not(made: dict[str, dict[str, Split]]) -> None:
    def is_grey(split: Split) -> bool:
        return bool((split.images == split.images[..., :1]).all())

    assert is_grey(made["handwritten"]["train"])
    assert not is_grey(made["blended"]["train"])
    assert not is_grey(made["printed"]["train"])


SAMPLES = 90


def write_raw(root: Path, digits: np.ndarray) -> Path:
    """Raw material of both handwriting domains, each in a folder of its own, with dark photos."""
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
    """Raw material in which every handwriting sample can be told by its image: its number in binary, as ink."""

    def draw_number(digit: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
        strokes = np.zeros((28, 28), dtype=np.uint8)
        strokes[0, :7] = [255 * bit for bit in map(int, f"{digit[0, 0]:07b}")]
        return strokes

    monkeypatch.setattr(standins, "shake", draw_number)
    digits = np.zeros((SAMPLES, 8, 8), dtype=np.uint8)
    digits[:, 0, 0] = np.arange(SAMPLES)
    return write_raw(tmp_path, digits)


def samples_of(split: Split) -> list[int]:
    """The numbers that `marked` drew into the images, read from the finished images."""
    return [int("".join(str(int(pixel > 127)) for pixel in image[0, :7, 0]), 2) for image in split.images]


def test_no_handwriting_sample_is_used_by_both_training_and_test_of_any_domain(marked: Path) -> None:
    used = {
        split: {
            sample
            for domain in ("handwritten", "blended")
            for sample in samples_of(EMBEDDED[domain].make(marked / domain, SETTINGS)[split])
        }
        for split in ("train", "test")
    }
    assert len(used["train"]) == round(0.7 * SAMPLES)
    assert len(used["test"]) == round(0.3 * SAMPLES)
    assert not used["train"] & used["test"]


@pytest.mark.parametrize("domain", ["handwritten", "blended"])
def test_an_image_has_the_label_of_its_handwriting_sample(marked: Path, domain: str) -> None:
    for split in EMBEDDED[domain].make(marked / domain, SETTINGS).values():
        assert split.labels.tolist() == [sample % 10 for sample in samples_of(split)]


@pytest.mark.parametrize("domain", ["handwritten", "blended"])
def test_every_sample_is_drawn_once_before_any_is_drawn_again(marked: Path, domain: str) -> None:
    samples = samples_of(EMBEDDED[domain].make(marked / domain, SETTINGS)["train"])
    turn = round(0.7 * SAMPLES)
    assert len(set(samples[:turn])) == turn
    assert samples[turn : 2 * turn] == samples[:turn]


def test_a_blended_image_is_the_photo_inverted_by_its_digit(raw: Path, tmp_path: Path) -> None:
    """On a photo of one colour the ink can be read back: its colour is the paper's, inverted."""
    for name in ("digits.npy", "labels.npy"):
        np.save(tmp_path / name, np.load(raw / "blended" / name))
    for photo in standins.PHOTOS:
        np.save(tmp_path / f"photo_{photo}.npy", np.full((30, 30, 3), (200, 30, 90), dtype=np.uint8))
    images = EMBEDDED["blended"].make(tmp_path, SETTINGS)["test"].images
    ink = (images == (55, 225, 165)).all(-1)
    paper = (images == (200, 30, 90)).all(-1)
    assert (ink ^ paper).all()
    share = ink.mean(axis=(1, 2))
    assert share.min() > 0.02
    assert share.max() < 0.5


def test_what_is_inverted_is_the_darker_half_of_the_strokes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe's own limit, digit > 127, on strokes of every grey."""
    greys = np.resize(np.arange(256), (28, 28)).astype(np.uint8)
    monkeypatch.setattr(standins, "shake", lambda *arguments: greys)
    raw = write_raw(tmp_path, np.zeros((SAMPLES, 8, 8), dtype=np.uint8))
    image = EMBEDDED["blended"].make(raw / "blended", SETTINGS)["test"].images[0]
    assert ((image == 255).all(-1) == (greys > 127)).all()
    assert ((image == 0).all(-1) == (greys <= 127)).all()


def test_a_digit_is_shaken_but_stays_upright_and_in_the_frame() -> None:
    """A bar of ink down the middle stays one: the middle holds it, the sides do not."""
    bar = np.zeros((8, 8), dtype=np.uint8)
    bar[1:7, 3:5] = 16
    rng = np.random.default_rng(0)
    drawn = [standins.shake(bar, 0.95, rng) for _ in range(50)]
    assert len({image.tobytes() for image in drawn}) == 50
    for image in drawn:
        assert (image[13:15].max(axis=1) > 127).all()
        assert image[:, :5].max() == 0
        assert image[:, 23:].max() == 0


def test_ink_and_paper_of_a_printed_digit_differ_clearly() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        ink, paper = standins.contrasting_colours(rng)
        assert abs(ink.mean() - paper.mean()) > 60


def test_the_fonts_that_are_fetched_are_those_that_are_drawn(raw: Path) -> None:
    assert sorted(path.stem for path in (raw / "printed").iterdir()) == sorted(standins.FONTS)
