"""Image sets that live on the device, or in their file if they do not fit, and the order in which training reads them.

A batch is an index, a gather and a cast. There are no worker processes.
"""

import mmap
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hw2core.engine.device import Device, to_device
from hw2core.engine.images import Split
from hw2core.engine.randomness import rng_for

MAX_RESIDENT = 1 << 30  # bytes of a set that is copied into the memory of a CPU
RELEASE_EVERY = 1 << 26
"""Bytes read from a file, after which its pages, and those around them, leave this process."""


class Pages:
    """The pages of a file of images: read ahead of their use, and given back when many have been used.

    Without the latter, all of a file that was ever read would count as memory of this process.
    """

    def __init__(self, array: np.memmap) -> None:
        # A private mapping, which torch takes for writable; nothing writes to it.
        self.array = np.memmap(array.filename, array.dtype, "c", array.offset, array.shape)  # type: ignore[call-overload]
        self.map: mmap.mmap = self.array._mmap
        self.before = array.offset % mmap.ALLOCATIONGRANULARITY  # bytes of the mapping before the first image
        self.read = 0

    def used(self, size: int) -> None:
        self.read += size
        if self.read > RELEASE_EVERY:
            self.read = 0
            self.map.madvise(mmap.MADV_DONTNEED)

    def will_use(self, rows: Tensor) -> None:
        """Let the system read these images while the device computes."""
        size = self.array[0].nbytes
        for row in rows.tolist():
            start = self.before + row * size
            page = start - start % mmap.PAGESIZE
            self.map.madvise(mmap.MADV_WILLNEED, page, start + size - page)


@dataclass(frozen=True)
class ImageSet:
    """Images (n, h, w, 3) as uint8 and labels on a device. With `pages`, the images are in a file, and are copied to the
    device batch by batch."""

    images: Tensor
    labels: Tensor
    device: Device
    pages: Pages | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The images at `indices` as floats from -1 to 1 (n, 3, h, w), and their labels."""
        images, labels = self.images[indices], self.labels
        if self.pages:
            self.pages.used(images.nbytes)
            images, indices = to_device(images, self.device.kind), to_device(indices, self.device.kind)
        return self.device.images(images), labels[indices]

    def first(self, count: int) -> "ImageSet":
        return ImageSet(self.images[:count], self.labels[:count], self.device, self.pages)

    def divide(self, count: int) -> tuple["ImageSet", "ImageSet"]:
        """Split off the last `count` images: (the others, the last)."""
        parts = (slice(None, -count), slice(-count, None))
        first, last = (
            ImageSet(self.images[part], self.labels[part], self.device, self.pages) for part in parts
        )
        return first, last


def resident(split: Split, device: Device) -> ImageSet:
    """Copy a split to the device. If it does not fit, its images stay in their file."""
    labels = torch.from_numpy(split.labels.astype(np.int64)).to(device.kind)
    if isinstance(split.images, np.memmap) and split.images.nbytes > max_resident(device):
        pages = Pages(split.images)
        return ImageSet(torch.from_numpy(pages.array), labels, device, pages)
    return ImageSet(torch.from_numpy(np.array(split.images)).to(device.kind), labels, device)


def max_resident(device: Device) -> int:
    """How many bytes of images may be copied to a device: half of what a GPU has free."""
    if device.kind.type == "cuda":
        return torch.cuda.mem_get_info(device.kind)[0] // 2
    return MAX_RESIDENT


class Shuffle:
    """Training order: a new permutation every epoch. The batch of a step depends on the names and the step alone."""

    def __init__(self, images: ImageSet, batch: int, *names: str | int) -> None:
        self.images = images
        self.batch = batch
        self.names = names
        self.epochs: dict[int, Tensor] = {}  # a cache of permutations, not a state

    def at(self, k: int) -> tuple[Tensor, Tensor]:
        """The batch of step k."""
        count = len(self.images)
        start, stop = k * self.batch, (k + 1) * self.batch
        pieces = []
        while start < stop:
            epoch, first = divmod(start, count)
            last = min(count, first + stop - start)
            pieces.append(self.order(epoch)[first:last])
            start += last - first
        if self.images.pages:  # the next batch, as far as it lies in the same epoch
            self.images.pages.will_use(self.order(epoch)[last : last + self.batch])
        return self.images.take(pieces[0] if len(pieces) == 1 else torch.cat(pieces))

    def order(self, epoch: int) -> Tensor:
        if epoch not in self.epochs:
            self.epochs = {e: order for e, order in self.epochs.items() if e == epoch - 1}
            order = torch.randperm(len(self.images), generator=rng_for(*self.names, epoch))
            self.epochs[epoch] = to_device(order, self.images.images.device)
        return self.epochs[epoch]
