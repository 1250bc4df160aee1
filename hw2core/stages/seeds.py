"""A system trained once for each seed and saved: what all train_* stages have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hw2core.data.store import read_about
from hw2core.engine import journal, resume
from hw2core.engine.device import Device
from hw2core.engine.loop import System, Trained, Watch, train
from hw2core.engine.randomness import seed_torch
from hw2core.layout import Layout
from hw2core.params import Params, Training

Built = TypeVar("Built", bound=System)


@contextmanager
def trained_seeds(
    stage: str,
    item: str,
    params: Params,
    layout: Layout,
    device: Device,
    *,
    seeds: Sequence[int],
    settings: Training,
    build: Callable[[int], Built],
    batches: Callable[..., Callable[[int], Any]],
    watch: Callable[[Built, Path], Watch],
    reads: list[str],
    facts: dict[str, Any],
) -> Iterator[tuple[dict[int, Trained], Path]]:
    """Train one system for each seed, write the stage's model and history, and hand over the trainings, for what else
    the stage has to write, and the folder of their checkpoints, in which a watch may keep what it saw.

    A seed that is done keeps its checkpoint until the stage is, so that a killed stage repeats nothing of it.
    """
    key = resume.run_key(
        stage=stage,
        item=item,
        device=device.about,
        evaluate_every=params.engine.evaluate_every,
        holdout=params.data.holdout,
        jitter=[name for name in params.data.jitter if name in reads],
        settings=settings.trained_by(),
        data=[read_about(layout.ready(name))["sha256"] for name in reads],
        **facts,
    )
    checkpoints = layout.runs / stage / item / key
    runs: dict[int, Trained] = {}
    for seed in seeds:
        names = (stage, item, f"seed {seed}")
        seed_torch(*names, "initial weights")
        system = build(seed)
        runs[seed] = train(
            system,
            batches(*names, "order"),
            settings,
            watch(system, checkpoints / f"seed{seed}"),
            device,
            resume.Checkpoint(checkpoints / f"seed{seed}.safetensors"),
            params.engine.checkpoint_every,
            names,
        )
    folder = layout.stage(stage, item)
    journal.write_model(
        folder,
        {
            f"seed{seed}.{which}": weights
            for seed, run in runs.items()
            for which, weights in (("last", run.last), ("chosen", run.chosen))
            if weights
        },
        {"stage": stage, "item": item, "seeds": list(seeds), **facts, "settings": settings.trained_by()},
    )
    journal.write_history(
        folder, [{"seed": seed, **row} for seed, run in runs.items() for row in run.history]
    )
    yield runs, checkpoints
    resume.forget(checkpoints)
