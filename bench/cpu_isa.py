"""The cost of engine.cpu_isa: avx2, the CPU time of trainings relative to native.

    python bench/cpu_isa.py [--steps 60] [--rounds 3] [--systems classifier dann sngan ddpm]

Trains the systems of params.yaml on random images with engine/loop.py, on one thread, without evaluations and checkpoints. Each
training is a process of its own, since libraries choose their instructions when they are loaded. The two settings take turns,
and each ratio is of the same round. Prints the median ratio for each system.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import parser

from hw2core.engine.instructions import set_instructions
from hw2core.threads import thread_variables

SYSTEMS = ("classifier", "dann", "sngan", "ddpm")
SETTINGS = ("avx2", "native")
WARMUP = 5  # steps
IMAGES = 500


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=60, help="steps per training")
    options.add_argument("--rounds", type=int, default=3, help="trainings with each setting")
    options.add_argument("--systems", nargs="+", default=list(SYSTEMS), help="sections of params.yaml")
    options.add_argument("--one", help=argparse.SUPPRESS)  # what the processes of this benchmark train
    given = options.parse_args()
    if given.one:
        print(train_one(given.one, given.steps))
        return
    for system in given.systems:
        compare(system, given.steps, given.rounds)


def compare(system: str, steps: int, rounds: int) -> None:
    taken: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    for _ in range(rounds):
        for setting in SETTINGS:
            taken[setting].append(seconds(system, setting, steps))
    ratios = [limited / free for limited, free in zip(taken["avx2"], taken["native"], strict=True)]
    each = ", ".join(
        f"{setting} {statistics.median(taken[setting]) / steps * 1e3:.1f} ms" for setting in SETTINGS
    )
    print(
        f"{system}: avx2 over native {statistics.median(ratios):.3f} (median of {rounds} rounds, "
        f"{min(ratios):.3f} to {max(ratios):.3f}); CPU time of a step: {each}",
        flush=True,
    )


def seconds(system: str, setting: str, steps: int) -> float:
    """CPU seconds of one training in a process with this setting."""
    environment = dict(os.environ) | thread_variables(1)
    set_instructions(setting, environment)
    command = [sys.executable, __file__, "--one", system, "--steps", str(steps)]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(run.stdout)


def train_one(name: str, steps: int) -> float:
    """Train in this process; returns the CPU seconds, without those of a first, short training."""
    import numpy as np
    import torch
    from rounds import our_training

    from hw2core.engine.batches import ImageSet, Shuffle
    from hw2core.engine.device import choose_device
    from hw2core.engine.system import Batch
    from hw2core.layout import find_workspace
    from hw2core.settings import load_params
    from hw2core.settings.registry import ADAPTERS
    from hw2core.settings.systems import Training
    from hw2core.stages import generators, predictors

    params = load_params(find_workspace(Path(__file__).parent).params)
    device = choose_device(params.engine.model_copy(update={"device": "cpu", "threads": 1}))
    settings: Training = getattr(params, name)
    size = getattr(settings, "size", 28)
    rng = np.random.default_rng(0)
    images = ImageSet(
        torch.from_numpy(rng.integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)),
        torch.from_numpy(rng.integers(0, 10, IMAGES)),
        device,
    )
    order, target = (Shuffle(images, settings.batch, "bench", side) for side in ("order", "target"))

    def batch_at(k: int) -> Batch:
        return (*order.at(k), target.at(k)[0]) if name in ADAPTERS else order.at(k)

    builder = predictors if name in ("classifier", *ADAPTERS) else generators
    for count in (WARMUP, steps):
        schedule = settings.lr_schedule.model_copy(update={"warmup_steps": 0})
        changed = settings.model_copy(update={"steps": count, "lr_schedule": schedule})
        run = our_training(builder.build(params, name), batch_at, changed, device)
        start = time.process_time()
        run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
