"""Checks that a training stays finite: losses and gradients at every step, weights at every checkpoint."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hw2core.engine.system import Batch
from hw2core.errors import UserError

Names = tuple[str | int, ...]


class Values(NamedTuple):
    """The losses and gradient norms of a step, on their way from the device."""

    step: int
    names: list[str]
    numbers: Tensor
    arrived: "torch.cuda.Event | None"


class FiniteCheck:
    """Raises a UserError at a loss or a gradient that is not finite.

    On a GPU the values are copied while it computes on, and checked once they have arrived: no step waits.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.pending: deque[Values] = deque()

    def add(self, step: int, losses: dict[str, Tensor], grad_norms: dict[str, Tensor], batch: Batch) -> None:
        """Check the values of step `step`, counted from 1, now or when they have arrived."""
        named = losses | {f"the gradient of {name}": norm for name, norm in grad_norms.items()}
        numbers = torch.stack([value.detach().float() for value in named.values()])
        arrived = None
        if numbers.is_cuda:
            on_device, numbers = numbers, torch.empty(numbers.shape, pin_memory=True)
            numbers.copy_(on_device, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self.pending.append(Values(step, list(named), numbers, arrived))
        while self.pending and (self.pending[0].arrived is None or self.pending[0].arrived.query()):
            self.check(self.pending.popleft(), batch)

    def wait(self) -> None:
        """Check all values, after waiting for those that have not arrived yet."""
        while self.pending:
            values = self.pending.popleft()
            if values.arrived is not None:
                values.arrived.synchronize()
            self.check(values, ())

    def check(self, values: Values, batch: Iterable[Tensor]) -> None:
        finite = values.numbers.isfinite()
        if finite.all():
            return
        wrong = int((~finite).nonzero()[0])
        what = f"{values.names[wrong]} is {values.numbers[wrong].item()} at step {values.step}"
        if not all(tensor.isfinite().all() for tensor in batch):
            what += ", and so is a number of its batch"
        raise diverged(self.names, what)


def check_weights(networks: nn.Module, step: int, names: Names) -> None:
    """Raise an error at weights that are not finite: the last update can spoil them after a finite loss."""
    for name, tensor in networks.state_dict().items():
        if not tensor.isfinite().all():
            raise diverged(names, f"{name} is not finite after step {step}")


def diverged(names: Names, what: str) -> UserError:
    return UserError(
        f"{' '.join(map(str, names))}: {what}; no checkpoint was written of it; a lower lr, or precision fp32, "
        "may help"
    )
