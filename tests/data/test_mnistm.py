"""MNIST-M: the table of crops, and the recipe on small sets."""

import numpy as np
import official
import pytest

from hw2core.data import mnistm
from hw2core.engine.images import Split


@pytest.fixture
def photos() -> mnistm.Photos:
    return mnistm.decode([official.photo(0), official.photo(1)])


@pytest.fixture
def mnist() -> dict[str, Split]:
    """Digits of which half the pixels are 0."""
    return {
        name: Split(np.where(split.images < 128, 0, split.images).astype(np.uint8), split.labels)
        for name, split in official.mnist_splits().items()
    }


def test_table_has_a_valid_crop_for_every_image_of_the_archive() -> None:
    table = mnistm.crops_table()
    assert len(mnistm.photo_names()) == 200
    for name, count in (("train", 59001), ("test", 9001)):
        photo, y, x = (table[f"{name}_{key}"].astype(int) for key in ("photo", "y", "x"))
        assert photo.shape == y.shape == x.shape == (count,)
        assert set(photo) == set(range(200))
        assert min(y.min(), x.min()) >= 0
        # All of BSDS500's photos are 481x321 or 321x481.
        assert max(y.max(), x.max()) <= 481 - mnistm.SIZE
        assert (np.minimum(y, x) <= 321 - mnistm.SIZE).all()


def test_rebuild_inverts_the_crop_under_the_ink(
    mnist: dict[str, Split], photos: mnistm.Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnistm, "crops_table", official.crops_table)
    splits = mnistm.rebuild(mnist, photos)
    table = official.crops_table()
    for name, split in splits.items():
        assert split.images.shape == (official.COUNTS[name] - 1, 32, 32, 3)
        assert (split.labels == mnist[name].labels[:-1]).all()
        for i, image in enumerate(split.images):
            y, x = int(table[f"{name}_y"][i]), int(table[f"{name}_x"][i])
            crop = photos[int(table[f"{name}_photo"][i])][y : y + 32, x : x + 32]
            ink = np.zeros((32, 32), bool)
            ink[2:30, 2:30] = mnist[name].images[i] > 0
            assert (image == np.where(ink[..., None], 255 - crop, crop)).all()


def test_course_variant_uses_every_digit_and_depends_on_the_seed(
    mnist: dict[str, Split], photos: mnistm.Photos
) -> None:
    once, again, other = (mnistm.blend_with_seed(mnist, photos, seed) for seed in (0, 0, 1))
    for name, split in once.items():
        assert split.images.shape == (official.COUNTS[name], 28, 28, 3)
        assert (split.labels == mnist[name].labels).all()
        assert (split.images == again[name].images).all()
        assert (split.images != other[name].images).any()


def test_course_variant_crops_the_photos(photos: mnistm.Photos) -> None:
    blank = {"train": Split(np.zeros((5, 28, 28), np.uint8), np.zeros(5, np.uint8))}
    windows = {
        photo[y : y + 28, x : x + 28].tobytes()
        for photo in photos
        for y in range(photo.shape[0] - 27)
        for x in range(photo.shape[1] - 27)
    }
    for image in mnistm.blend_with_seed(blank, photos, 0)["train"].images:
        assert image.tobytes() in windows
