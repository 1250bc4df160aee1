"""The training loop. There is no other.

A system gives it networks, optimisers and a step; the loop alone knows devices, precision, learning-rate
schedules, averaged weights, checkpoints, histories and progress.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hw2core.engine.device import Device
from hw2core.engine.journal import Progress, Row
from hw2core.engine.randomness import seed_torch
from hw2core.engine.resume import Checkpoint
from hw2core.errors import UserError
from hw2core.params import Training

State = dict[str, Tensor]


class System(Protocol):
    """What the loop trains."""

    @property
    def networks(self) -> nn.ModuleDict:
        """Everything that is trained, saved and loaded, by name."""

    @property
    def optimisers(self) -> dict[str, Optimizer]:
        """By name. Made when they are first asked for: what only predicts needs none, and torch takes seconds
        to load them."""

    def step(self, batch: Any, k: int) -> dict[str, Tensor]:
        """Learn from one batch, the k-th: forward, backward, update. Returns the losses to be watched."""


@dataclass(frozen=True)
class Watch:
    """A look at the system every so many steps."""

    every: int
    look: Callable[[int], dict[str, float]]
    """What to note in the history of this step; the networks are in evaluation mode, with their averaged weights."""
    chooses: str | None
    """Which of the noted values chooses a step, the step where it is highest; None if none is chosen."""


@dataclass(frozen=True)
class Trained:
    last: State
    chosen: State
    """Empty if the watch chooses none."""
    chosen_step: int
    history: list[Row]


def train(
    system: System,
    batch_at: Callable[[int], Any],
    settings: Training,
    watch: Watch,
    device: Device,
    checkpoint: Checkpoint,
    checkpoint_every: int,
    names: tuple[str | int, ...],
) -> Trained:
    """Train `system` on the batches `batch_at(k)`, from its checkpoint if there is one.

    `names` says which training this is, for its random numbers and its progress bar.
    """
    device.place(system.networks)
    averaged = average(system.networks, settings.ema)
    device.compile(system.networks)
    if device.bf16:
        for optimiser in system.optimisers.values():
            optimiser.register_step_post_hook(forget_casts)
    run = Run(history=[], window=[])
    if (state := checkpoint.load()) is not None:
        restore(state, system, averaged, run)
    progress = Progress(" ".join(map(str, names)), settings.steps, run.step)
    system.networks.train()
    for k in range(run.step, settings.steps):
        rate = set_learning_rates(system, settings, k)
        seed_torch(*names, "step", k)
        with device.autocast():
            losses = system.step(batch_at(k), k)
        run.window.append({name: loss.detach() for name, loss in losses.items()})
        if averaged is not None:
            averaged.update_parameters(system.networks)
        run.step = k + 1
        finished = run.step == settings.steps
        if run.step % watch.every == 0 or finished:
            row = {"step": run.step, "lr": rate, **mean_losses(run, names)}
            with judged(system.networks, averaged):
                row |= watch.look(run.step)
                run.history.append(row)
                if watch.chooses and (run.best is None or row[watch.chooses] > run.best):
                    run.best, run.chosen_step = row[watch.chooses], run.step
                    run.chosen = copy(system.networks)
        if run.step % checkpoint_every == 0 or finished:
            check_finite(run, names)
            check_weights(system.networks, run.step, names)
            checkpoint.save(snapshot(system, averaged, run))
        progress.step(k)
    progress.close()
    with judged(system.networks, averaged):
        return Trained(copy(system.networks), run.chosen, run.chosen_step, run.history)


def forget_casts(*_: object) -> None:
    """Autocast keeps the bfloat16 copies of weights as long as a step lasts. What has been updated in the middle of one,
    as a critic is before its generator learns from it, is to be read anew."""
    torch.clear_autocast_cache()


@dataclass
class Run:
    """All that changes while a training runs, beside networks and optimisers."""

    history: list[Row]
    window: list[State]
    """The losses of each step since the last line of the history."""
    step: int = 0
    best: float | None = None
    chosen_step: int = 0
    chosen: State = field(default_factory=dict)


def snapshot(system: System, averaged: AveragedModel | None, run: Run) -> dict[str, Any]:
    """The whole state of a training, for its checkpoint."""
    return {
        "networks": system.networks.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in system.optimisers.items()},
        "averaged": averaged.state_dict() if averaged is not None else None,
        "run": vars(run),
    }


def restore(state: dict[str, Any], system: System, averaged: AveragedModel | None, run: Run) -> None:
    system.networks.load_state_dict(state["networks"])
    for name, optimiser in system.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
        # The fused updates walk through memory, so a moment must lie there as its weight does.
        for weight, moments in optimiser.state.items():
            for key, value in moments.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    moments[key] = torch.empty_like(weight).copy_(value)
    if averaged is not None:
        averaged.load_state_dict(state["averaged"])
    vars(run).update(state["run"])


def average(networks: nn.ModuleDict, decay: float) -> AveragedModel | None:
    """Exponentially averaged weights; buffers such as batch norm's figures are copied, never averaged."""
    if decay == 0:
        return None
    return AveragedModel(networks, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)


@contextmanager
def judged(networks: nn.ModuleDict, averaged: AveragedModel | None) -> Iterator[None]:
    """The networks as they are judged: in evaluation mode, holding the averaged weights if there are any."""
    networks.eval()
    swap(networks, averaged)
    try:
        with torch.no_grad():
            yield
    finally:
        swap(networks, averaged)
        networks.train()


def swap(networks: nn.ModuleDict, averaged: AveragedModel | None) -> None:
    if averaged is not None:
        for weight, mean in zip(networks.parameters(), averaged.module.parameters(), strict=True):
            weight.data, mean.data = mean.data, weight.data


def copy(networks: nn.ModuleDict) -> State:
    return {name: tensor.detach().clone() for name, tensor in networks.state_dict().items()}


def set_learning_rates(system: System, settings: Training, k: int) -> float:
    """Set every optimiser's learning rate for step k; returns the factor times settings.lr."""
    factor = schedule(settings, k)
    for optimiser in system.optimisers.values():
        for group in optimiser.param_groups:
            base = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base * factor
    return settings.lr * factor


def schedule(settings: Training, k: int) -> float:
    """The learning rate at step k, relative to its setting: a linear rise, then the schedule to the end."""
    if k < settings.warmup:
        return (k + 1) / settings.warmup
    progress = (k - settings.warmup) / max(1, settings.steps - settings.warmup)
    match settings.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2


def mean_losses(run: Run, names: tuple[str | int, ...]) -> dict[str, float]:
    """The losses since the last line of the history, averaged; this waits for the device."""
    check_finite(run, names)
    means = {
        name: torch.stack([losses[name] for losses in run.window]).mean().item() for name in run.window[0]
    }
    run.window = []
    return means


def check_finite(run: Run, names: tuple[str | int, ...]) -> None:
    """Stop at a loss that is not a number, before it gets into a checkpoint."""
    first = run.step - len(run.window)
    for name in run.window[0] if run.window else ():
        values = torch.stack([losses[name] for losses in run.window])
        wrong = (~values.isfinite()).nonzero()
        if len(wrong):
            at = int(wrong[0])
            raise diverged(names, f"{name} is {values[at].item()} at step {first + at + 1}")


def check_weights(networks: nn.ModuleDict, step: int, names: tuple[str | int, ...]) -> None:
    """Stop at weights that are not numbers: the last update can spoil them after a good loss."""
    for name, tensor in networks.state_dict().items():
        if not tensor.isfinite().all():
            raise diverged(names, f"{name} is not finite after step {step}")


def diverged(names: tuple[str | int, ...], what: str) -> UserError:
    return UserError(
        f"{' '.join(map(str, names))}: {what}; it is in no checkpoint; a lower lr, or precision fp32, "
        "may help"
    )
