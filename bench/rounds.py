"""What the benchmarks of trainings share: all sides take turns in one process, and each ratio is of the same round."""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import common
import torch

from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Watch, train
from hw2core.engine.resume import Checkpoint
from hw2core.engine.system import Batch, System
from hw2core.layout import find_workspace
from hw2core.settings import Params, load_params
from hw2core.settings.systems import Training

CORES = 2  # at least: the other side has two processes that read files
OURS = "hw2core"


def parser(about: str | None, steps: int, rounds: int) -> argparse.ArgumentParser:
    options = common.parser(about)
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="of the sides named above"
    )
    options.add_argument("--steps", type=int, default=steps, help="training steps per round")
    options.add_argument("--rounds", type=int, default=rounds, help="rounds, after one for warmup")
    options.add_argument("--threads", type=int, default=CORES, help="torch threads of every side")
    return options


def setting(given: argparse.Namespace) -> tuple[Params, Device]:
    """Return the params of this repository and the device of the options. On a CPU, pin the process to a few cores."""
    params = load_params(find_workspace(Path(__file__).parent).params)
    changes = {"device": given.device, "precision": given.precision, "threads": given.threads}
    device = choose_device(params.engine.model_copy(update=changes))
    if device.kind.type == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: max(CORES, given.threads)])
    return params, device


def our_training(
    system: System, batch_at: Callable[[int], Batch], settings: Training, device: Device
) -> Callable[[], object]:
    """Return a function that runs engine/loop.py from the first step to the last."""
    watch = Watch(settings.steps, lambda _: {}, selects=None)
    checkpoint = NoCheckpoint(Path("/nonexistent/bench"))
    return lambda: train(
        system, batch_at, settings, watch, device, checkpoint, settings.steps, ("bench", OURS)
    )


class NoCheckpoint(Checkpoint):
    def load(self) -> None:
        return None

    def save(self, state: object) -> None:
        pass


def take_turns(what: str, images: int, rounds: int, sides: dict[str, Callable[[], object]]) -> None:
    """Time all sides `rounds` times. Print images per second, and the ratio of each side's time to ours."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, run in sides.items():
            taken = seconds(side, run)
            if turn:  # the first turn is warmup
                times[side].append(taken)
    for side, values in times.items():
        rate = images / statistics.median(values)
        print(f"{what}: {side} {rate:.1f} images/s{speedup(times[OURS], values) if side != OURS else ''}")
    sys.stdout.flush()


def speedup(ours: list[float], theirs: list[float]) -> str:
    ratios = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"; ours is {statistics.median(ratios):.2f} times as fast (median of {each})"


def seconds(side: str, run: Callable[[], object]) -> float:
    """Return the duration of one run. Only ours must use deterministic algorithms."""
    torch.set_deterministic_debug_mode("warn" if side == OURS else "default")
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
