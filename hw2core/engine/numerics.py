"""Arithmetic that gives the same bits on every processor, where torch's own does not."""

from torch import Tensor


def exact_sqrt(x: Tensor) -> Tensor:
    """The square root of float32 numbers, correctly rounded.

    On a CPU torch.sqrt is MKL's, which starts from the processor's own approximation: its last bit can differ between processors.
    """
    return x.double().sqrt().to(x.dtype)
