"""Reconstruction error: how far an autoencoder's pictures are from those it was given."""

from torch import Tensor


def squared_errors(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Each image's mean squared error, on the scale from 0 to 1 of the reference reports; both are from -1 to 1."""
    return ((images.double() - reconstructions.double()) / 2).square().flatten(1).mean(1)
