"""Mixed precision: the losses of a training in bfloat16 are those of float32, nearly."""

import os

import pytest
import torch
from small_systems import ALL, build, step

from hw2core.engine.loop import forget_casts

TOLERANCE = 0.1
"""Largest difference of a loss, relative to its largest value in float32."""

STEPS = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 2
THRESHOLDED = {"target_loss", "mask_rate", "d_real_acc", "d_fake_acc", "d_grad_norm", "g_grad_norm"}
"""Counts of what is above a threshold, the loss of AdaMatch that depends on one, and norms of gradients, which the largest
weights dominate."""


def losses(name: str, bf16: bool) -> dict[str, torch.Tensor]:
    """Each loss (steps,) of the first steps of a training."""
    system = build(name)
    if bf16:
        for optimizer in system.optimizers.values():
            optimizer.register_step_post_hook(forget_casts)
    rows = []
    for k in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            rows.append(step(system, name, k))
    assert all(weight.dtype is torch.float32 for weight in system.networks.parameters())
    return {
        key: torch.stack([row[key].detach().float() for row in rows]) for key in rows[0].keys() - THRESHOLDED
    }


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_gives_nearly_the_losses_of_float32(name: str) -> None:
    exact, mixed = losses(name, bf16=False), losses(name, bf16=True)
    differ = {
        key: ((exact[key] - mixed[key]).abs().max() / (exact[key].abs().max() + 1e-3)).item() for key in exact
    }
    assert max(differ.values()) < TOLERANCE, differ
    assert any(differ.values()), "bfloat16 was not used"
