"""Image sets that live on the device, and the order in which training reads them.

A batch is an index, a gather and a cast. There are no worker processes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hw2core.engine.device import Device
from hw2core.engine.images import Split
from hw2core.engine.randomness import generator


@dataclass(frozen=True)
class ImageSet:
    """Images (n, h, w, 3) as uint8 and labels, resident on a device."""

    images: Tensor
    labels: Tensor
    device: Device

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The images at `indices` as floats from -1 to 1 (n, 3, h, w), and their labels."""
        return self.device.images(self.images[indices]), self.labels[indices]

    def first(self, count: int) -> "ImageSet":
        return ImageSet(self.images[:count], self.labels[:count], self.device)

    def divide(self, count: int) -> tuple["ImageSet", "ImageSet"]:
        """Split off the last `count` images: (the others, the last)."""
        parts = (slice(None, -count), slice(-count, None))
        first, last = (ImageSet(self.images[part], self.labels[part], self.device) for part in parts)
        return first, last


def resident(split: Split, device: Device) -> ImageSet:
    """Copy a split to the device."""
    images = torch.from_numpy(np.array(split.images)).to(device.kind)
    return ImageSet(images, torch.from_numpy(split.labels.astype(np.int64)).to(device.kind), device)


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
        return self.images.take(pieces[0] if len(pieces) == 1 else torch.cat(pieces))

    def order(self, epoch: int) -> Tensor:
        if epoch not in self.epochs:
            self.epochs = {e: order for e, order in self.epochs.items() if e == epoch - 1}
            order = torch.randperm(len(self.images), generator=generator(*self.names, epoch))
            self.epochs[epoch] = order.to(self.images.images.device)
        return self.epochs[epoch]
