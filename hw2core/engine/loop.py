"""The training loop. There is no other.

A system provides networks, optimizers and a step. The loop alone knows devices, precision, learning-rate schedules,
averaged weights, checkpoints, histories and progress.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hw2core.engine.device import Device
from hw2core.engine.finite import FiniteCheck, check_weights
from hw2core.engine.interruption import interruption_noted
from hw2core.engine.journal import Row
from hw2core.engine.randomness import seed_torch
from hw2core.engine.resume import Checkpoint
from hw2core.engine.system import Batch, System
from hw2core.errors import Interrupted
from hw2core.progress import Progress
from hw2core.settings.systems import Training

State = dict[str, Tensor]


@dataclass(frozen=True)
class Watch:
    """An evaluation every so many steps, each a row of the history."""

    every: int
    evaluate: Callable[[int], dict[str, float]]
    """The metrics to log at a step. The networks are in evaluation mode, with their averaged weights."""
    selects: str | None
    """The metric that selects a step, the one where it is highest; None if no step is selected."""
    show: Callable[[list[Row]], None] = lambda _: None
    """Receives the history so far after each evaluation, and when the training is resumed."""


@dataclass(frozen=True)
class Trained:
    last: State
    chosen: State
    """Empty if the watch selects no step."""
    chosen_step: int
    history: list[Row]


def train(
    system: System,
    batch_at: Callable[[int], Batch],
    settings: Training,
    watch: Watch,
    device: Device,
    checkpoint: Checkpoint,
    checkpoint_every: int,
    names: tuple[str | int, ...],
) -> Trained:
    """Train `system` on the batches `batch_at(k)`, from its checkpoint if there is one.

    `names` identifies the training, for its random numbers and its progress display. Ctrl-C and SIGTERM end it after a
    step, with a checkpoint.
    """
    device.place(system.networks)
    averaged = average(system.networks, settings.ema_decay)
    device.compile(system.networks)
    if device.bf16:
        for optimizer in system.optimizers.values():
            optimizer.register_step_post_hook(forget_casts)
    run = Run(history=[], window=[])
    if (state := checkpoint.load()) is not None:
        restore(state, system, averaged, run)
    progress = Progress(" ".join(map(str, names)), settings.steps, run.step)
    if run.history:
        watch.show(run.history)
    check = FiniteCheck(names)
    system.networks.train()
    with interruption_noted() as interruption:
        for k in range(run.step, settings.steps):
            set_learning_rates(system, settings, k)
            seed_torch(*names, "step", k)
            batch = batch_at(k)
            with device.autocast():
                losses = system.step(batch, k)
            check.add(k + 1, losses, system.grad_norms, batch)
            run.window.append({name: loss.detach() for name, loss in losses.items()})
            if averaged is not None:
                averaged.update_parameters(system.networks)
            run.step = k + 1
            finished = run.step == settings.steps
            if run.step % watch.every == 0 or finished:
                check.wait()
                log(run, system, averaged, watch)
                progress.note(run.history[-1])
            if run.step % checkpoint_every == 0 or finished or interruption.number:
                check.wait()
                check_weights(system.networks, run.step, names)
                checkpoint.save(snapshot(system, averaged, run))
            if interruption.number and not finished:
                print(f"{' '.join(map(str, names))}: stopped after step {run.step}", file=sys.stderr)
                raise Interrupted(interruption.number)
            progress.step(k)
    progress.close()
    with evaluation_mode(system.networks, averaged):
        return Trained(copy(system.networks), run.chosen, run.chosen_step, run.history)


def log(run: "Run", system: System, averaged: AveragedModel | None, watch: Watch) -> None:
    """Add a row to the history, and choose the step if it is the best so far."""
    row = {"step": run.step, "lr": learning_rate(system), **mean_losses(run)}
    with evaluation_mode(system.networks, averaged):
        row |= watch.evaluate(run.step)
        run.history.append(row)
        if watch.selects and (run.best is None or row[watch.selects] > run.best):
            run.best, run.chosen_step = row[watch.selects], run.step
            run.chosen = copy(system.networks)
    watch.show(run.history)


def forget_casts(*_: object) -> None:
    """Discard the bfloat16 copies of weights that autocast keeps for as long as a step lasts. A discriminator is updated
    before its generator in the same step, which must see the new weights."""
    torch.clear_autocast_cache()


@dataclass
class Run:
    """The state of a training besides networks and optimizers."""

    history: list[Row]
    window: list[State]
    """The losses of each step since the last row of the history."""
    step: int = 0
    best: float | None = None
    chosen_step: int = 0
    chosen: State = field(default_factory=dict)


def snapshot(system: System, averaged: AveragedModel | None, run: Run) -> dict[str, Any]:
    """The whole state of a training, for its checkpoint."""
    return {
        "networks": system.networks.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in system.optimizers.items()},
        "averaged": averaged.state_dict() if averaged is not None else None,
        "run": vars(run),
    }


def restore(state: dict[str, Any], system: System, averaged: AveragedModel | None, run: Run) -> None:
    system.networks.load_state_dict(state["networks"])
    for name, optimizer in system.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
        # Fused updates walk through memory, so a moment needs the memory layout of its weight.
        for weight, moments in optimizer.state.items():
            for key, value in moments.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    moments[key] = torch.empty_like(weight).copy_(value)
    if averaged is not None:
        averaged.load_state_dict(state["averaged"])
    vars(run).update(state["run"])


def average(networks: nn.ModuleDict, decay: float) -> AveragedModel | None:
    """Exponentially averaged weights; buffers such as batch-norm statistics are copied, not averaged."""
    if decay == 0:
        return None
    return AveragedModel(networks, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)


@contextmanager
def evaluation_mode(networks: nn.ModuleDict, averaged: AveragedModel | None) -> Iterator[None]:
    """Within, the networks are in evaluation mode and hold the averaged weights, if there are any."""
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


def set_learning_rates(system: System, settings: Training, k: int) -> None:
    """Set every optimizer's learning rate for step k."""
    factor = lr_factor(settings, k)
    for optimizer in system.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def learning_rate(system: System) -> float:
    """The rate of the first optimizer, as it is logged."""
    return float(next(iter(system.optimizers.values())).param_groups[0]["lr"])


def lr_factor(settings: Training, k: int) -> float:
    """The learning rate at step k, relative to `lr`: a linear warmup, then the schedule to the end."""
    warmup = settings.lr_schedule.warmup_steps
    if k < warmup:
        return (k + 1) / warmup
    progress = (k - warmup) / max(1, settings.steps - warmup)
    match settings.lr_schedule.kind:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2


def mean_losses(run: Run) -> dict[str, float]:
    """The losses since the last row of the history, averaged. Synchronizes with the device."""
    means = {
        name: torch.stack([losses[name] for losses in run.window]).mean().item() for name in run.window[0]
    }
    run.window = []
    return means
