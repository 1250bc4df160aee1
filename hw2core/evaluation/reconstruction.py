"""Reconstruction error of autoencoders."""

from torch import Tensor


def squared_errors(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Return the mean squared error of each image, for pixels scaled from [-1, 1] to [0, 1] as in the reference reports."""
    return ((images.double() - reconstructions.double()) / 2).square().flatten(1).mean(1)
