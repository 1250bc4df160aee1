"""What the training loop trains."""

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.optimizer import Optimizer

from hw2core.settings.systems import Training

Batch = tuple[Tensor, ...]
"""The tensors of one training step; each kind of system says which."""


class System(ABC):
    """Networks, their optimizers, and a step. Whatever else a training needs is the loop's."""

    settings: Training
    networks: nn.ModuleDict
    """Everything that is trained, saved and loaded, by name."""

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """By name. Created when first asked for, since a system that only predicts needs none."""
        return {"all": adam(self.networks, self.settings, self.settings.lr)}

    @cached_property
    def grad_norms(self) -> dict[str, Tensor]:
        """The norms of the last gradients, by optimizer."""
        return {}

    @abstractmethod
    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        """Train on the batch of step `k`: forward, backward, update. Returns the losses to be logged."""

    def descend(self, name: str, loss: Tensor) -> Tensor:
        """Update the parameters of one optimizer, and only those, by the gradient of `loss`.

        Returns the gradient's norm. Gradients of other parameters are neither computed nor kept.
        """
        optimizer = self.optimizers[name]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        optimizer.zero_grad()
        loss.backward(inputs=weights)
        optimizer.step()
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        self.grad_norms[name] = norm
        return norm

    @property
    def device(self) -> torch.device:
        return next(self.networks.parameters()).device


def adam(network: nn.Module, settings: Training, lr: float) -> Adam:
    return Adam(
        network.parameters(),
        lr=lr,
        betas=settings.optimizer.betas,
        weight_decay=settings.optimizer.weight_decay,
        fused=True,
    )
