"""Arithmetic that does not depend on the processor."""

import numpy as np
import torch

from hw2core.engine.numerics import exact_sqrt


def test_the_square_root_is_correctly_rounded() -> None:
    """numpy's is: it is one instruction, whose result IEEE 754 defines."""
    x = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
    assert exact_sqrt(x).dtype == torch.float32
    assert np.array_equal(exact_sqrt(x).numpy(), np.sqrt(x.numpy()))


def test_its_gradient_is_that_of_the_square_root() -> None:
    x = torch.tensor([0.25, 4.0], requires_grad=True)
    exact_sqrt(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.25]
