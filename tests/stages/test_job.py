"""One training as a stage runs it: its files, its random numbers, and when it resumes."""

import dataclasses
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Workspace
from safetensors import safe_open
from torch import Tensor, nn

from hw2core.engine import images
from hw2core.engine.device import Device
from hw2core.engine.images import ImageData, Split
from hw2core.engine.journal import read_json, read_model
from hw2core.engine.randomness import rng_for
from hw2core.engine.system import Batch, System
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import job
from hw2core.stages.job import Job, Names

ITEM = ("train_line", "points", 0)
"""Stage, item and seed of the training below."""


class Line(System):
    """A linear network that is trained on noisy inputs: it reads all random numbers that a system can read."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict({"line": nn.Linear(3, 2), "scale": nn.Linear(2, 1, bias=False)})
        self.fails_at: int | None = None

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        noisy = batch[0] + 0.1 * torch.randn_like(batch[0])
        loss = self.networks["scale"](self.networks["line"](noisy)).square().mean()
        self.descend("all", loss)
        return {"loss": loss * (float("nan") if k == self.fails_at else 1)}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A workspace with one small ready dataset."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    layout = Layout(tmp_path / "workspace")
    write_dataset(layout, 0)
    return layout


def write_dataset(layout: Layout, value: int) -> None:
    split = Split(np.full((2, 1, 1, 3), value, np.uint8), np.zeros(2, np.uint8))
    images.write(
        layout.ready("points"), ImageData({"train": split, "test": split}, "points"), {"name": "points"}
    )


def make_job(
    params: Params, interrupt_at: int | None = None, fails_at: int | None = None, **changes: Any
) -> Job[Line]:
    """A training of seven steps, evaluated after 3, 6 and 7, that Ctrl-C or a loss that is not finite may end."""

    def build() -> Line:
        line = Line(params.classifier)
        line.fails_at = fails_at
        return line

    def evaluate(system: Line, step: int, scratch: Path) -> dict[str, float]:
        if step == interrupt_at:
            raise KeyboardInterrupt
        (scratch / f"seen-{step}").parent.mkdir(parents=True, exist_ok=True)
        (scratch / f"seen-{step}").touch()
        (group,) = system.optimizers["all"].param_groups
        return {"score": -float(step), "rate": group["lr"]}

    def batches(names: Names) -> Callable[[int], Batch]:
        return lambda k: (torch.randn((4, 3), generator=rng_for(*names, k)),)

    stage, item, seed = ITEM
    values: dict[str, Any] = {
        "stage": stage,
        "item": item,
        "seed": seed,
        "settings": params.classifier,
        "datasets": ("points",),
        "build": build,
        "batches": batches,
        "evaluate": evaluate,
        "selects": "score",
        "summary": lambda trained, scratch: {
            "chosen_step": trained.chosen_step,
            "seen": sorted(path.name for path in scratch.glob("seen-*")),
        },
        "facts": {"backbone": "R19"},
    }
    return Job(**values | changes)


def run(the_job: Job[Line], params: Params, layout: Layout, device: Device) -> None:
    job.run(the_job, params.engine, layout, device)


def results(layout: Layout) -> dict[str, bytes]:
    """All files but those in runs/ and data/."""
    return {
        str(path.relative_to(layout.root)): path.read_bytes()
        for room in (layout.stages, layout.root / "models")
        for path in sorted(room.rglob("*"))
        if path.is_file()
    }


def test_a_training_leaves_weights_history_networks_and_metrics_and_no_resume_state(
    params: Params, layout: Layout, device: Device
) -> None:
    run(make_job(params), params, layout, device)
    folder = "stages/train_line/points/seed0"
    weights = "models/train_line/points/seed0.safetensors"
    assert list(results(layout)) == [
        *(f"{folder}/{name}" for name in ("history.csv", "metrics.json", "networks.csv")),
        weights,
    ]
    assert not [path for path in layout.runs.rglob("*") if path.is_file()]
    assert read_json(layout.root / folder / "metrics.json") == {
        "chosen_step": 3,
        "seen": ["seen-3", "seen-6", "seen-7"],
        "steps": 7,
        "parameters": {"line": 8, "scale": 2},
        "seed": 0,
        "device": device.about,
    }
    history = pd.read_csv(layout.root / folder / "history.csv")
    assert list(history) == ["step", "lr", "loss", "score", "rate"]
    assert list(history["step"]) == [3, 6, 7]
    assert (layout.root / folder / "networks.csv").read_text() == (
        "network,layer,module,output,parameters\n"
        'line,,"Linear(in_features=3, out_features=2, bias=True)",2,8\n'
        'scale,,"Linear(in_features=2, out_features=1, bias=False)",1,2\n'
    )
    with safe_open(layout.root / weights, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about == {
        "stage": "train_line",
        "item": "points",
        "seed": 0,
        "settings": json.loads(json.dumps(params.classifier.trained_by())),
        "backbone": "R19",
    }


def test_the_learning_rate_in_the_history_is_the_optimizers(
    params: Params, layout: Layout, device: Device
) -> None:
    run(make_job(params), params, layout, device)
    history = pd.read_csv(layout.stage(*ITEM) / "history.csv")
    assert list(history["lr"]) == list(history["rate"])
    assert history["lr"].nunique() == 3


def test_the_file_of_weights_has_a_chosen_step_only_if_a_metric_selects_one(
    params: Params, layout: Layout, device: Device
) -> None:
    run(make_job(params), params, layout, device)
    last, chosen = (read_model(layout.model(*ITEM), name) for name in ("last", "chosen"))
    assert last.keys() == chosen.keys() == {"line.weight", "line.bias", "scale.weight"}
    assert not torch.equal(last["line.weight"], chosen["line.weight"])
    run(make_job(params, selects=None), params, layout, device)
    assert torch.equal(read_model(layout.model(*ITEM), "last")["line.weight"], last["line.weight"])
    with pytest.raises(UserError, match="holds no weights named chosen"):
        read_model(layout.model(*ITEM), "chosen")


# --- random numbers ------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bytes_alone_and_after_others(
    params: Params, layout: Layout, device: Device
) -> None:
    run(make_job(params, seed=1), params, layout, device)
    alone = results(layout)
    for room in (layout.stages, layout.root / "models"):
        shutil.rmtree(room)
    for seed in (0, 1):
        run(make_job(params, seed=seed), params, layout, device)
    assert results(layout).items() >= alone.items()


@pytest.mark.parametrize("change", [{"stage": "train_other"}, {"item": "others"}, {"seed": 1}], ids=str)
def test_initial_weights_batches_and_noise_depend_on_stage_item_and_seed(
    params: Params, layout: Layout, device: Device, change: dict[str, Any]
) -> None:
    def random_numbers(**changes: Any) -> list[Tensor]:
        """The initial weights, and the batch and noise of the first step."""
        found: list[Tensor] = []

        class Noting(Line):
            def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
                if k == 0:
                    weight = self.networks["line"].weight.detach().clone()
                    found.extend([weight, batch[0], torch.randn_like(batch[0])])
                return super().step(batch, k)

        run(make_job(params, build=lambda: Noting(params.classifier), **changes), params, layout, device)
        return found[-3:]  # those before are of the step that records the layers

    pairs = list(zip(random_numbers(), random_numbers(**change), strict=True))
    assert len(pairs) == 3
    assert not any(torch.equal(one, other) for one, other in pairs)


# --- resuming ------------------------------------------------------------------------------------------------


def interrupted(params: Params, layout: Layout, device: Device) -> None:
    """A training that Ctrl-C ends after its checkpoint of step 4."""
    with pytest.raises(KeyboardInterrupt):
        run(make_job(params, interrupt_at=6), params, layout, device)


def resumes(the_job: Job[Line], params: Params, layout: Layout, device: Device, capsys: Any) -> bool:
    capsys.readouterr()
    run(the_job, params, layout, device)
    return "resumes at step 4 of 7" in capsys.readouterr().err


def test_an_interrupted_training_resumes_and_leaves_the_same_bytes(
    params: Params, layout: Layout, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `evaluate` kept before the interruption is there for the summary."""
    run(make_job(params), params, layout, device)
    uninterrupted = results(layout)
    interrupted(params, layout, device)
    partial = results(layout)
    name = next(name for name in partial if name.endswith("history.csv"))
    assert uninterrupted[name].startswith(partial[name])
    assert partial | {name: uninterrupted[name]} == uninterrupted, (
        "nothing else of the one before has changed"
    )
    for room in (layout.stages, layout.root / "models"):
        shutil.rmtree(room)
    assert resumes(make_job(params), params, layout, device, capsys)
    assert results(layout) == uninterrupted


def test_the_period_of_checkpoints_is_no_other_training(
    params: Params, layout: Layout, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(params, layout, device)
    often = params.model_copy(update={"engine": params.engine.model_copy(update={"checkpoint_every": 1})})
    assert resumes(make_job(params), often, layout, device, capsys)


CHANGES: dict[str, Callable[[Job[Line]], Job[Line]]] = {
    "stage": lambda the_job: dataclasses.replace(the_job, stage="train_other"),
    "item": lambda the_job: dataclasses.replace(the_job, item="others"),
    "seed": lambda the_job: dataclasses.replace(the_job, seed=1),
    "settings": lambda the_job: dataclasses.replace(
        the_job, settings=the_job.settings.model_copy(update={"lr": 0.02})
    ),
    "facts": lambda the_job: dataclasses.replace(the_job, facts={"backbone": "R20"}),
}


@pytest.mark.parametrize("change", [*CHANGES, "images", "device", "evaluate_every"])
def test_a_training_with_any_other_condition_starts_anew(
    params: Params, layout: Layout, device: Device, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    interrupted(params, layout, device)
    the_job = CHANGES.get(change, lambda same: same)(make_job(params))
    if change == "images":
        write_dataset(layout, 1)
    if change == "device":
        device = dataclasses.replace(device, about="another device")
    if change == "evaluate_every":
        params = params.model_copy(update={"engine": params.engine.model_copy(update={"evaluate_every": 2})})
    assert not resumes(the_job, params, layout, device, capsys)


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint_and_no_result(
    params: Params, layout: Layout, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="train_line points seed 0: loss is nan at step 6"):
        run(make_job(params, fails_at=5), params, layout, device)
    assert [Path(name).name for name in results(layout)] == ["history.csv"], "of the steps before"
    assert resumes(make_job(params), params, layout, device, capsys)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "does not fit into memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory"),
            "into memory",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), "does not fit into the memory of the GPU"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    ("stage", "item", "section"),
    [
        ("train_classifier", "usps", "classifier"),
        ("train_gan", "dcgan4", "dcgan4"),
        ("train_acgan", "faces", "acgan.faces"),
        ("train_ddpm", "digits", "ddpm"),
    ],
)
def test_without_enough_memory_the_param_to_lower_is_named(
    params: Params, error: Exception, said: str, stage: str, item: str, section: str
) -> None:
    the_job = make_job(params, stage=stage, item=item)
    with (
        pytest.raises(UserError, match=f"{said}; lower {section}.batch, which is {params.classifier.batch}"),
        job.memory_errors(the_job),
    ):
        raise error


def test_the_step_that_records_the_layers_may_need_too_much_memory(
    params: Params, layout: Layout, device: Device
) -> None:
    class Large(Line):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            raise MemoryError

    the_job = make_job(params, stage="train_classifier", build=lambda: Large(params.classifier))
    with pytest.raises(UserError, match=r"does not fit into memory; lower classifier\.batch"):
        run(the_job, params, layout, device)


def test_a_training_that_runs_twice_at_once_waits_for_the_other(
    params: Params, layout: Layout, device: Device
) -> None:
    """The first to end would remove the images that the other keeps."""
    held: list[bool] = []

    def evaluate(system: Line, step: int, scratch: Path) -> dict[str, float]:
        lock = os.open(scratch.parent, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        finally:
            os.close(lock)
        return {"score": 0.0}

    run(make_job(params, evaluate=evaluate, summary=lambda *_: {}), params, layout, device)
    assert held == [True] * 3


def test_other_errors_are_not_taken_for_a_lack_of_memory(params: Params) -> None:
    with pytest.raises(RuntimeError, match="shapes"), job.memory_errors(make_job(params)):
        raise RuntimeError("shapes differ")


def test_the_peak_memory_is_in_the_log(
    params: Params, layout: Layout, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_job(params), params, layout, device)
    found = re.search(
        r"^train_line points seed 0: peak memory (\d+) MB$", capsys.readouterr().err, re.MULTILINE
    )
    assert found
    assert 50 < int(found[1]) < 50_000


KILL_AND_START_AGAIN = """
import os, signal, sys
import torch
from hw2core import cli
from hw2core.engine.finite import FiniteCheck
from hw2core.engine.resume import Checkpoint

torch.optim.Adam([torch.zeros(1)])  # imports for seconds: once before there are two processes
sys.argv = ["hw2", "train_gan", "sngan", "0"]
if (first := os.fork()) == 0:
    save = Checkpoint.save

    def save_and_die(self, state):
        save(self, state)
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = save_and_die
    cli.main()
assert os.waitpid(first, 0)[1] == signal.SIGKILL
if (second := os.fork()) == 0:
    add = FiniteCheck.add

    def add_and_ask_to_end(self, step, *values):
        add(self, step, *values)
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    FiniteCheck.add = add_and_ask_to_end
    cli.main()
assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 128 + signal.SIGTERM
assert os.listdir("stages/train_gan/sngan/seed0") == ["history.csv"]
cli.main()
"""


def test_a_stage_killed_and_started_again_leaves_the_same_bytes(workspace: Workspace) -> None:
    """By SIGKILL and SIGTERM, in processes of its own, with the images that it keeps for the progress picture."""
    before = workspace.tree()
    shutil.rmtree(workspace.root / "stages/train_gan/sngan")
    shutil.rmtree(workspace.root / "models/train_gan/sngan")
    done = subprocess.run([sys.executable, "-c", KILL_AND_START_AGAIN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for said in (
        "resumes at step 4 of 7",
        "stopped after step 6",
        "hw2: interrupted",
        "resumes at step 6 of 7",
    ):
        assert said in done.stderr
    assert workspace.tree() == before
