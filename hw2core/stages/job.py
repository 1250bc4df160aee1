"""One training as a stage runs it: a system, one seed of it, and the files that it leaves."""

import fcntl
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from hw2core.engine import journal, resume
from hw2core.engine.curves import Curves
from hw2core.engine.device import Device
from hw2core.engine.images import read_about
from hw2core.engine.loop import Trained, Watch, train
from hw2core.engine.networks import layers_of
from hw2core.engine.randomness import seed_torch
from hw2core.engine.system import Batch, System
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings.models import Engine
from hw2core.settings.systems import Training

S = TypeVar("S", bound=System)
Names = tuple[str | int, ...]


@dataclass(frozen=True)
class Job(Generic[S]):
    """What is trained, on which batches, what is logged, and what its metrics.json says."""

    stage: str
    item: str
    seed: int
    settings: Training
    datasets: tuple[str, ...]
    """What it reads in data/ready."""
    build: Callable[[], S]
    batches: Callable[[Names], Callable[[int], Batch]]
    """Given the names of its random numbers, the batch of each step."""
    evaluate: Callable[[S, int, Path], dict[str, float]]
    """The metrics to log at a step; what must outlive a kill goes into the folder."""
    selects: str | None
    """The logged metric that selects a step, the one where it is highest."""
    summary: Callable[[Trained, Path], dict[str, Any]]
    """What metrics.json says of the training, given the folder that `evaluate` wrote to."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the result depends on: a checkpoint of other facts is not resumed."""

    @property
    def names(self) -> Names:
        """What its random numbers depend on."""
        return (self.stage, self.item, f"seed {self.seed}")

    @property
    def title(self) -> str:
        return " ".join(map(str, self.names))

    @property
    def section(self) -> str:
        """Where params have its settings."""
        kind = self.stage.removeprefix("train_")
        by_item = {"gan": self.item, "autoencoder": self.item, "acgan": f"acgan.{self.item}"}
        return by_item.get(kind, kind)


def run(job: Job[S], engine: Engine, layout: Layout, device: Device) -> None:
    """Train, from a checkpoint if there is one, and write weights, history, networks and metrics."""
    scratch = checkpoint_folder(job, engine, layout, device)
    with only_one(scratch.parent):
        train_and_write(job, engine, layout, device, scratch)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Wait until no other process trains the same in `folder`: it would remove what this one keeps there."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def train_and_write(job: Job[S], engine: Engine, layout: Layout, device: Device, scratch: Path) -> None:
    batches = job.batches((*job.names, "order"))
    with memory_errors(job):
        layers = layers_of(job.build(), batches(0), device)
    seed_torch(*job.names, "initial weights")
    system = job.build()
    folder = layout.stage(job.stage, job.item, job.seed)
    events = layout.runs / "tensorboard" / folder.relative_to(layout.stages) if engine.tensorboard else None
    curves = Curves(folder, scratch, events)
    with memory_errors(job):
        trained = train(
            system,
            batches,
            job.settings,
            Watch(
                engine.evaluate_every,
                lambda step: job.evaluate(system, step, scratch),
                job.selects,
                curves.show,
            ),
            device,
            resume.Checkpoint(scratch / "checkpoint.safetensors"),
            engine.checkpoint_every,
            job.names,
        )
    print(f"{job.title}: peak memory {peak_memory(device)}", file=sys.stderr)
    states = {"last": trained.last} | ({"chosen": trained.chosen} if trained.chosen else {})
    about = {"stage": job.stage, "item": job.item, "seed": job.seed, "settings": job.settings.trained_by()}
    journal.write_model(layout.model(job.stage, job.item, job.seed), states, about | dict(job.facts))
    journal.write_history(folder, trained.history)
    journal.write_networks(folder, layers)
    summary = job.summary(trained, scratch)
    journal.write_metrics(
        folder,
        {
            **summary,
            "steps": job.settings.steps,
            "parameters": {
                name: sum(weight.numel() for weight in network.parameters())
                for name, network in system.networks.items()
            },
            "seed": job.seed,
            "device": device.about,
        },
    )
    resume.forget(scratch)


@contextmanager
def memory_errors(job: Job[S]) -> Iterator[None]:
    """Say which param takes less memory, if there is too little of it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch has a class for a GPU's memory alone.
        on_cpu = isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
        if not on_cpu and not isinstance(error, torch.OutOfMemoryError):
            raise
        where = "memory" if on_cpu else "the memory of the GPU"
        raise UserError(
            f"{job.title}: does not fit into {where}; lower {job.section}.batch, which is {job.settings.batch}, or run "
            "fewer stages in parallel"
        ) from None


def peak_memory(device: Device) -> str:
    """The largest memory that this process has used."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    used = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:.0f} MB"
    if device.kind.type == "cuda":
        used += f", of the GPU {torch.cuda.max_memory_allocated() / 1e6:.0f} MB"
    return used


def checkpoint_folder(job: Job[S], engine: Engine, layout: Layout, device: Device) -> Path:
    """Where exactly this training is resumed from: its name changes with whatever its result depends on."""
    key = resume.run_key(
        stage=job.stage,
        item=job.item,
        seed=job.seed,
        device=device.about,
        cpu_isa=engine.cpu_isa,
        evaluate_every=engine.evaluate_every,
        settings=job.settings.trained_by(),
        data=[read_about(layout.ready(name))["sha256"] for name in job.datasets],
        **job.facts,
    )
    return layout.runs / job.stage / job.item / f"seed{job.seed}" / key
