"""Arithmetic that gives the same bits on every processor, where torch's own does not, and constants without a copy."""

import torch
from torch import Tensor


def exact_sqrt(x: Tensor) -> Tensor:
    """The square root of float32 numbers, correctly rounded.

    On a CPU torch.sqrt is MKL's, which starts from the processor's own approximation: its last bit can differ between processors.
    """
    return x.double().sqrt().to(x.dtype)


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Numbers (n,) on the device and of the type of `like`. torch.tensor would copy them there, and wait for that."""
    return torch.stack([like.new_full((), value) for value in values])
