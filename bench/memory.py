"""Memory and time of a training whose images do not fit into memory.

    python bench/memory.py [--gigabytes 20] [--steps 300]

Trains SNGAN, in a process of its own each time, on 64x64 images in a sparse file: the peak memory with --gigabytes of images after
--steps steps and after ten times as many, and the time of a step relative to the same images (0.5 GB) copied into memory. One thread.
"""

import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import ROOT, parser

from hw2core.engine import batches
from hw2core.engine.batches import Shuffle, resident
from hw2core.engine.device import Device
from hw2core.engine.images import Split
from hw2core.engine.randomness import seed_torch
from hw2core.settings import load_params
from hw2core.systems.sngan import Sngan

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
IMAGE = 64 * 64 * 3
ROUNDS = 3


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--gigabytes", type=float, default=20)
    options.add_argument("--steps", type=int, default=300)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        for steps in (given.steps, 10 * given.steps):
            peak, _ = alone(path, given.gigabytes, steps, True)
            print(f"{given.gigabytes:g} GB in a file, {steps} steps: peak memory {peak:.0f} MB", flush=True)
        ratios = []
        for _ in range(ROUNDS):
            _, mapped = alone(path, 0.5, given.steps, True)
            peak, copied = alone(path, 0.5, given.steps, False)
            ratios.append(mapped / copied)
        print(
            f"0.5 GB, in a file relative to in memory: {np.median(ratios):.2f} times the time of a step, the median of "
            f"{ROUNDS} rounds ({min(ratios):.2f} to {max(ratios):.2f}); {1000 * copied:.1f} ms a step in memory"
        )


def alone(path: Path, gigabytes: float, steps: int, mapped: bool) -> tuple[float, float]:
    """The peak memory in MB, and the seconds of a step, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(train, (path, gigabytes, steps, mapped))


def train(path: Path, gigabytes: float, steps: int, mapped: bool) -> tuple[float, float]:
    torch.set_num_threads(1)
    batches.MAX_RESIDENT = 0 if mapped else 1 << 60
    shape = (int(gigabytes * 1e9) // IMAGE, 64, 64, 3)
    # A new file has holes alone: it takes no space on the disk, but all the memory of one that has bytes.
    np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    images = np.lib.format.open_memmap(path, "r")
    seed_torch("bench")
    settings = load_params(ROOT / "params.yaml").sngan
    system = Sngan(settings)
    CPU.place(system.networks)
    data = resident(Split(images, np.zeros(len(images), np.uint8)), CPU)
    order = Shuffle(data, settings.batch, "bench")
    system.step(order.at(0), 0)
    start = time.monotonic()
    for k in range(1, steps + 1):
        system.step(order.at(k), k)
    seconds = (time.monotonic() - start) / steps
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, seconds


if __name__ == "__main__":
    main()
