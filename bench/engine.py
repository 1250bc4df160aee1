"""The cost of the training loop relative to a bare forward pass, backward pass and update, for each system.

    python bench/engine.py [SYSTEM...] [--params params.yaml] [--device auto] [--steps 60] [--rounds 5] [--sample 1000]

Bare: the same networks, optimizer and step, on one batch that is on the device as floats. Loop: engine/loop.py with its random
numbers, batches, color jitter, histories and progress, as the stages use it, but without evaluations and checkpoints, whose
cost depends on params. The two take turns in one process, and each ratio is of the same round. Prints for each system the median
ratio, the duration of a step and, from this, of the training that params describe. --sample: how many images each digit
generator then draws with its sampler, also timed.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import ROOT, parser
from rounds import NoCheckpoint

from hw2core.engine.augmentation import color_jitter
from hw2core.engine.batches import ImageSet, Shuffle
from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Watch, train
from hw2core.engine.system import Batch, System
from hw2core.settings import Params, load_params
from hw2core.settings.registry import ADAPTERS, CONDITIONAL, TRAININGS
from hw2core.settings.systems import Training
from hw2core.stages import generators, predictors

PREDICTORS = ("classifier", *ADAPTERS)
GENERATORS = [name for name in TRAININGS if name not in (*PREDICTORS, "face_features")]
SYSTEMS = (*PREDICTORS, *(name for name in GENERATORS if name != "ddpm"), *CONDITIONAL)
IMAGES = 2000


def main() -> None:
    options = parser(__doc__)
    options.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}")
    options.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: that of params")
    options.add_argument("--steps", type=int, default=60, help="steps per round")
    options.add_argument("--rounds", type=int, default=5, help="rounds, after one for warmup")
    options.add_argument("--sample", type=int, default=0, help="images that a digit generator draws")
    given = options.parse_args()
    params = load_params(given.params)
    engine = params.engine.model_copy(update={"device": given.device} if given.device else {})
    device = choose_device(engine)
    if device.kind.type == "cuda":
        print(torch.cuda.get_device_name())
    for name in given.systems or SYSTEMS:
        settings = generators.settings_of(params, name)
        batch_at = batches(params, name, settings, device)
        compare(name, partial(build, params, name), settings, batch_at, device, given.steps, given.rounds)
        if given.sample and name in ("acgan/digits", "ddpm"):
            time_sampling(params, name, device, given.sample)


def build(params: Params, name: str) -> System:
    return predictors.build(params, name) if name in PREDICTORS else generators.build(params, name)


def batches(params: Params, name: str, settings: Training, device: Device) -> Callable[[int], Batch]:
    size = getattr(settings, "size", 28)
    rng = np.random.default_rng(0)
    images = ImageSet(
        torch.from_numpy(rng.integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)).to(device.kind),
        torch.from_numpy(rng.integers(0, CONDITIONAL.get(name, 10), IMAGES)).to(device.kind),
        device,
    )
    source, target = (Shuffle(images, settings.batch, "bench", side) for side in ("source", "target"))
    if name not in PREDICTORS:
        return source.at

    def labeled(k: int) -> Batch:
        pictures, labels = source.at(k)
        return color_jitter(pictures, "bench", "jitter", k), labels

    return labeled if name == "classifier" else lambda k: (*labeled(k), target.at(k)[0])


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
    whole, settings = settings.steps, settings.model_copy(update={"steps": steps})
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
            taken = seconds(run, device)
            if turn:  # the first turn is warmup
                times[which].append(taken / steps)
    ratios = [loop / alone for loop, alone in zip(times["loop"], times["bare"], strict=True)]
    step = statistics.median(times["loop"])
    print(
        f"{name}: loop over bare {statistics.median(ratios):.3f} (median of {rounds} rounds, "
        f"{min(ratios):.3f} to {max(ratios):.3f}); bare {statistics.median(times['bare']) * 1e3:.2f} ms a step, "
        f"loop {step * 1e3:.2f} ms, {whole} steps {step * whole:.0f} s; batch {settings.batch}, {device.about}",
        flush=True,
    )


def time_sampling(params: Params, name: str, device: Device, count: int) -> None:
    system = generators.build(params, name)
    device.place(system.networks)
    system.networks.eval()
    labels = torch.arange(count) % CONDITIONAL[name]
    for _ in range(2):  # the first is warmup
        taken = seconds(lambda: generators.sample_labels(system, labels, None, "bench"), device)
    print(f"{name}: {count} images in {taken:.1f} s", flush=True)


def seconds(run: Callable[[], object], device: Device) -> float:
    start = time.perf_counter()
    run()
    if device.kind.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
