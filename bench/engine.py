"""The cost of the training loop relative to a bare forward pass, backward pass and update.

    python bench/engine.py [--steps 60] [--rounds 7]

Bare: the same networks, optimizer and step, on one batch that is on the device as floats. Loop: engine/loop.py with its random
numbers, batches, color jitter, histories and progress, as the stages use it, but without evaluations and checkpoints, whose
cost depends on params. The two take turns in one process, and each ratio is of the same round. Prints the median ratio for
each system.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import parser
from rounds import NoCheckpoint

from hw2core.engine.augmentation import color_jitter
from hw2core.engine.batches import ImageSet, Shuffle
from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Watch, train
from hw2core.engine.system import Batch, System
from hw2core.layout import find_workspace
from hw2core.settings import load_params
from hw2core.settings.systems import Training
from hw2core.stages import predictors


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=60, help="steps per round")
    options.add_argument("--rounds", type=int, default=7, help="rounds, after one for warmup")
    given = options.parse_args()
    params = load_params(find_workspace(Path(__file__).parent).params)
    device = choose_device(params.engine)
    rng = np.random.default_rng(0)
    images = ImageSet(
        torch.from_numpy(rng.integers(0, 256, (2000, 28, 28, 3), dtype=np.uint8)).to(device.kind),
        torch.from_numpy(rng.integers(0, 10, 2000)).to(device.kind),
        device,
    )
    settings: Training
    for name, settings in (("classifier", params.classifier), ("dann", params.dann)):
        source, target = (Shuffle(images, settings.batch, "bench", side) for side in ("source", "target"))

        def batch_at(k: int, name: str = name, source: Shuffle = source, target: Shuffle = target) -> Batch:
            pictures, labels = source.at(k)
            labeled = (color_jitter(pictures, "bench", "jitter", k), labels)
            return (*labeled, target.at(k)[0]) if name == "dann" else labeled

        def build(name: str = name) -> System:
            return predictors.build(params, name)

        compare(name, build, settings, batch_at, device, given.steps, given.rounds)


def compare(
    name: str,
    build: Callable[[], System],
    settings: Training,
    batch_at: Callable[[int], Batch],
    device: Device,
    steps: int,
    rounds: int,
) -> None:
    bare, looped = build(), build()
    device.place(bare.networks)
    bare.networks.train()
    batch = batch_at(0)
    settings = settings.model_copy(update={"steps": steps})
    checkpoint = NoCheckpoint(Path("/nonexistent/bench"))
    watch = Watch(steps, lambda _: {"score": 0.0}, selects="score")

    def run_bare() -> None:
        for k in range(steps):
            with device.autocast():
                bare.step(batch, k)

    def run_loop() -> None:
        train(looped, batch_at, settings, watch, device, checkpoint, steps, ("bench",))

    times: dict[str, list[float]] = {"bare": [], "loop": []}
    for turn in range(rounds + 1):
        for which, run in (("bare", run_bare), ("loop", run_loop)):
            start = time.perf_counter()
            run()
            if device.kind.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first turn is warmup
                times[which].append((time.perf_counter() - start) / steps * 1e3)
    ratios = [loop / alone for loop, alone in zip(times["loop"], times["bare"], strict=True)]
    print(
        f"{name}: loop over bare {statistics.median(ratios):.3f} (median of {rounds} rounds, "
        f"{min(ratios):.3f} to {max(ratios):.3f}); bare {statistics.median(times['bare']):.2f} ms a step, "
        f"loop {statistics.median(times['loop']):.2f} ms; batch {settings.batch}, {device.about}"
    )


if __name__ == "__main__":
    main()
