"""What the benchmarks of whole trainings share: the sides take turns in one process, and the ratio of a round is of
neighbors in time."""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import System, Watch, train
from hw2core.engine.resume import Checkpoint
from hw2core.layout import find_workspace
from hw2core.settings import Params, Training, load_params

CORES = 2  # at least: theirs has two processes that read files
OURS = "hw2core"


def parser(about: str | None, steps: int, rounds: int) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="as said above")
    options.add_argument("--steps", type=int, default=steps, help="training steps of each turn")
    options.add_argument("--rounds", type=int, default=rounds, help="turns of each, after one to warm up")
    options.add_argument("--threads", type=int, default=CORES, help="of torch, on every side")
    return options


def setting(given: argparse.Namespace) -> tuple[Params, Device]:
    """The params of this repository, and the device as asked for. On a CPU every side gets the same few cores."""
    params = load_params(find_workspace(Path(__file__).parent).params)
    wanted = {"device": given.device, "precision": given.precision, "threads": given.threads}
    device = choose_device(params.engine.model_copy(update=wanted))
    if device.kind.type == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: max(CORES, given.threads)])
    return params, device


def our_training(
    system: System, batch_at: Callable[[int], object], settings: Training, device: Device
) -> Callable[[], object]:
    """A training by the house's loop, from the first step to the last."""
    watch = Watch(settings.steps, lambda _: {}, chooses=None)
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
    """Time all sides, each `rounds` times, and print how many times as fast ours is as each of the others."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, run in sides.items():
            taken = seconds(side, run)
            if turn:  # the first turn warms up
                times[side].append(taken)
    for side, taken in times.items():
        rate = images / statistics.median(taken)
        print(f"{what}: {side} {rate:.1f} images/s{against(times[OURS], taken) if side != OURS else ''}")
    sys.stdout.flush()


def against(ours: list[float], theirs: list[float]) -> str:
    ratios = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"; ours is {statistics.median(ratios):.2f} times as fast (median of {each})"


def seconds(side: str, run: Callable[[], object]) -> float:
    """How long a turn takes. Ours alone is held to algorithms that give the same bytes at every run."""
    torch.set_deterministic_debug_mode("warn" if side == OURS else "default")
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
