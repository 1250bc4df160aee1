"""The training order: every epoch is a permutation, and every batch depends on the step alone."""

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw2core.engine import batches as module
from hw2core.engine.batches import ImageSet, Shuffle, resident
from hw2core.engine.device import Device
from hw2core.engine.images import Split

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")


def numbered(count: int) -> ImageSet:
    """Black images whose label and first pixel are their index."""
    images = torch.zeros((count, 2, 2, 3), dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return ImageSet(images, torch.arange(count), CPU)


counts, batches = st.integers(1, 30), st.integers(1, 50)


@given(count=counts, batch=batches)
def test_every_epoch_is_a_permutation_of_the_set(count: int, batch: int) -> None:
    shuffle = Shuffle(numbered(count), batch, "test")
    steps = -(-3 * count // batch)
    order = torch.cat([shuffle.at(k)[1] for k in range(steps)])
    for epoch in range(3):
        assert sorted(order[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))


@given(count=counts, batch=batches)
def test_every_batch_is_full(count: int, batch: int) -> None:
    shuffle = Shuffle(numbered(count), batch, "test")
    assert all(len(part) == batch for k in range(5) for part in shuffle.at(k))


@given(count=counts, batch=batches, earlier=st.lists(st.integers(0, 40), max_size=8), k=st.integers(0, 40))
def test_batch_does_not_depend_on_earlier_calls(count: int, batch: int, earlier: list[int], k: int) -> None:
    shuffle = Shuffle(numbered(count), batch, "test")
    for other in earlier:
        shuffle.at(other)
    assert torch.equal(shuffle.at(k)[1], Shuffle(numbered(count), batch, "test").at(k)[1])


def test_epochs_and_names_give_different_orders() -> None:
    def order(*names: str | int) -> list[list[int]]:
        shuffle = Shuffle(numbered(30), 30, *names)
        return [shuffle.at(k)[1].tolist() for k in range(3)]

    first, second, third = order("seed 0", "order")
    assert first != second != third != first
    assert first not in order("seed 1", "order")
    assert first not in order("order", "seed 0")


def test_images_and_labels_of_a_batch_match() -> None:
    images, labels = Shuffle(numbered(20), 8, "test").at(4)  # across the end of the second epoch
    assert images.shape == (8, 3, 2, 2)
    assert torch.equal(images[:, 0, 0, 0], labels / 127.5 - 1)
    assert (images[:, 1:] == -1).all()


@pytest.mark.parametrize("count", [1, 4, 9])
def test_divide_is_a_partition(count: int) -> None:
    first, last = numbered(10).divide(count)
    assert first.labels.tolist() == list(range(10 - count))
    assert last.labels.tolist() == list(range(10 - count, 10))
    assert len(first) + len(last) == 10


def test_first_images() -> None:
    assert numbered(10).first(3).labels.tolist() == [0, 1, 2]
    assert len(numbered(10).first(30)) == 10


def test_resident_images_are_uint8_and_labels_int64() -> None:
    split = Split(np.full((2, 4, 4, 3), 9, dtype=np.uint8), np.array([3, 1], dtype=np.uint8))
    images = resident(split, CPU)
    assert images.images.dtype == torch.uint8
    assert images.labels.dtype == torch.int64
    assert images.labels.tolist() == [3, 1]
    assert (images.images == 9).all()


def test_resident_images_are_a_copy() -> None:
    split = Split(np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros(2, dtype=np.uint8))
    images = resident(split, CPU)
    split.images[:] = 255
    assert (images.images == 0).all()


def test_a_set_that_does_not_fit_is_read_from_its_file_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 40, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    images = np.lib.format.open_memmap(tmp_path / "images.npy", mode="r")
    split = Split(images, np.arange(50, dtype=np.uint8))
    monkeypatch.setattr(module, "RELEASE_EVERY", 3 * images[0].nbytes)
    whole = resident(split, CPU)
    monkeypatch.setattr(module, "MAX_RESIDENT", images.nbytes - 1)
    mapped = resident(split, CPU)
    assert whole.pages is None
    assert mapped.pages is not None
    for one, other in zip(
        (whole, *whole.divide(7), whole.first(9)), (mapped, *mapped.divide(7), mapped.first(9)), strict=True
    ):
        for k in range(12):
            for expected, found in zip(Shuffle(one, 6, "a").at(k), Shuffle(other, 6, "a").at(k), strict=True):
                assert torch.equal(expected, found)
    assert isinstance(mapped.pages.map, mmap.mmap)


def test_an_array_in_memory_is_copied_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESIDENT", 0)
    split = Split(np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.uint8))
    assert resident(split, CPU).pages is None
