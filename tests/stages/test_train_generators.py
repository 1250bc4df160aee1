"""Trainings of generators and of the face features: their histories, metrics and progress pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Hw2, Workspace, refused

from hw2core.engine.device import Device
from hw2core.engine.images import UNKNOWN, open_split
from hw2core.engine.journal import read_json
from hw2core.engine.loop import lr_factor
from hw2core.engine.resume import Checkpoint
from hw2core.engine.tiles import read_tiles
from hw2core.files import write_array
from hw2core.settings import Params, load_params
from hw2core.settings.registry import ADAPTERS
from hw2core.stages import generators, job
from hw2core.stages.job import Job
from hw2core.stages.train_generators import collapsed, train_generator, write_progress

GENERATORS = ["dcgan4", "sngan", "vae", "acgan/digits", "acgan/faces", "ddpm"]
each_generator = pytest.mark.parametrize("name", GENERATORS)


def stage_folder(workspace: Workspace, name: str) -> Path:
    return workspace.layout.stage(*generators.place_of(name), 0)


@each_generator
def test_metrics_hold_the_last_losses_and_the_size_of_each_network(
    finished: Workspace, params: Params, name: str
) -> None:
    metrics = read_json(stage_folder(finished, name) / "metrics.json")
    history = pd.read_csv(stage_folder(finished, name) / "history.csv")
    assert list(history["step"]) == [3, 6, 7]
    assert history.notna().all(axis=None)
    assert metrics["final"] == history.iloc[-1].drop(["step", "lr"]).to_dict()
    networks = generators.build(params, name).networks
    assert metrics["parameters"] == {
        key: sum(weight.numel() for weight in network.parameters()) for key, network in networks.items()
    }
    assert (metrics["steps"], metrics["seed"]) == (7, 0)
    assert metrics["device"].startswith("cpu (avx2) with 1 thread, fp32")
    is_gan = "diversity" in history
    assert metrics.keys() - {"collapsed"} == {
        *("final", "progress_steps", "steps", "parameters", "seed", "device"),
    }
    assert ("collapsed" in metrics) == is_gan == (name in ("dcgan4", "sngan"))
    if is_gan:
        assert metrics["collapsed"] == (metrics["final"]["diversity"] < 0.1)


def test_the_face_features_report_the_images_they_are_trained_on(finished: Workspace) -> None:
    folder = finished.layout.stage("train_face_features", "faces", 0)
    metrics = read_json(folder / "metrics.json")
    assert metrics["images"] == 100
    assert metrics["final"] == {"contrastive_loss": pd.read_csv(folder / "history.csv").iloc[-1, 2]}
    assert not (folder / "progress.png").exists()


def test_every_history_logs_the_systems_own_learning_rate(finished: Workspace, params: Params) -> None:
    """Of a GAN that is the generator's, not the discriminator's."""
    sections: dict[str, Any] = {
        name: getattr(params, name) for name in ("classifier", *ADAPTERS, "face_features")
    }
    logged = {
        path: (sections[path.parts[-4].removeprefix("train_")], path)
        for path in finished.layout.stages.glob("train_*/*/seed0/history.csv")
        if path.parts[-4].removeprefix("train_") in sections
    }
    for name in GENERATORS:
        path = stage_folder(finished, name) / "history.csv"
        logged[path] = (generators.settings_of(params, name), path)
    assert len(logged) == len(list(finished.layout.stages.glob("train_*/*/seed0/history.csv")))
    for settings, path in logged.values():
        rates = [settings.lr * lr_factor(settings, step - 1) for step in (3, 6, 7)]
        assert list(pd.read_csv(path)["lr"]) == pytest.approx(rates, rel=1e-5), path


# --- progress pictures ---------------------------------------------------------------------------------------


@each_generator
def test_the_progress_picture_has_a_row_for_each_progress_step(finished: Workspace, name: str) -> None:
    folder = stage_folder(finished, name)
    steps = read_json(folder / "metrics.json")["progress_steps"]
    assert steps == [3, 6, 7]
    digits = name in ("acgan/digits", "ddpm")
    tiles = read_tiles(folder / "progress.png", len(steps), 10 if digits else 8)
    side = 28 if digits else 64
    assert tiles.shape[2:] == (side, side, 3)


@pytest.mark.parametrize(
    ("evaluations", "kept"),
    [
        (1, [0]),
        (3, [0, 1, 2]),
        (8, list(range(8))),
        (15, list(range(0, 15, 2))),
        (100, [0, 14, 28, 42, 57, 71, 85, 99]),
    ],
)
def test_the_progress_picture_shows_at_most_eight_evenly_spaced_steps(
    tmp_path: Path, evaluations: int, kept: list[int]
) -> None:
    """The steps are sorted as numbers: 900 before 1000."""
    for i in range(evaluations):
        image = np.full((5, 4, 4, 3), 2 * i, np.uint8)
        write_array(tmp_path / f"progress-{100 * (i + 1):08d}.npy", image)
    steps = write_progress(tmp_path, tmp_path / "progress.png")
    assert steps == [100 * (i + 1) for i in kept]
    rows = read_tiles(tmp_path / "progress.png", len(kept), 5)
    assert rows[:, 0, 0, 0, 0].tolist() == pytest.approx([2 * i for i in kept], abs=2)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Callable[[Workspace, str], Job[Any]]:
    """The job that the stage of a generator would run now."""
    found: list[Job[Any]] = []
    monkeypatch.setattr(job, "run", lambda the_job, *_: found.append(the_job))

    def job_of(workspace: Workspace, name: str) -> Job[Any]:
        train_generator(load_params(workspace.layout.params), workspace.layout, name, 0)
        return found[-1]

    return job_of


@pytest.mark.parametrize("name", ["sngan", "acgan/faces", "ddpm"])
def test_progress_images_come_from_the_same_noise_at_each_step(
    finished: Workspace, tmp_path: Path, training: Callable[[Workspace, str], Job[Any]], name: str
) -> None:
    the_job = training(finished, name)
    system = the_job.build()
    system.networks.eval()
    seen: list[tuple[Any, ...]] = []
    sample = system.sample
    system.sample = lambda noise, *others: seen.append((noise, *others)) or sample(noise, *others)
    for step in (1, 2):
        torch.manual_seed(step)
        assert the_job.evaluate(system, step, tmp_path) == {}
    (noise, *labels), (again, *_) = seen
    assert torch.equal(noise, again)
    assert len(noise.flatten(1).unique(dim=0)) == len(noise)
    expected = {"sngan": [], "acgan/faces": [0, 1] * 4, "ddpm": list(range(10))}[name]
    assert [label for y in labels[:1] for label in y.tolist()] == expected
    one, other = (np.load(tmp_path / f"progress-{step:08d}.npy") for step in (1, 2))
    assert (one == other).all()


# --- what a training depends on -------------------------------------------------------------------------------


def test_sampling_settings_are_no_part_of_a_diffusion_models_training(
    workspace: Workspace, hw2: Hw2, device: Device, training: Callable[[Workspace, str], Job[Any]]
) -> None:
    def checkpoint() -> Path:
        params = load_params(workspace.layout.params)
        return job.checkpoint_folder(training(workspace, "ddpm"), params.engine, workspace.layout, device)

    before = checkpoint()
    for key, value in (("guidance_scale", 7.0), ("sampling_steps", 4), ("sampler", "ddim"), ("eta", 0.5)):
        workspace.change(f"ddpm.{key}", value)
    assert checkpoint() == before
    workspace.change("ddpm.min_snr_gamma", 5.0)
    assert checkpoint() != before


def test_a_checkpoint_of_other_instructions_is_not_resumed(
    workspace: Workspace, device: Device, training: Callable[[Workspace, str], Job[Any]]
) -> None:
    """Also where torch's own are the same, as on a processor without AVX-512: MKL's may not be."""
    one, engine = training(workspace, "ddpm"), load_params(workspace.layout.params).engine
    native = engine.model_copy(update={"cpu_isa": "native"})
    folders = {job.checkpoint_folder(one, each, workspace.layout, device) for each in (engine, native)}
    assert len(folders) == 2


def test_sampling_settings_change_no_byte_of_a_diffusion_models_training(
    workspace: Workspace, hw2: Hw2
) -> None:
    """Not even the progress picture, for which it is sampled."""
    before = {path: content for path, content in workspace.tree().items() if path != "params.yaml"}
    for key, value in (("guidance_scale", 7.0), ("sampling_steps", 4), ("sampler", "ddim")):
        workspace.change(f"ddpm.{key}", value)
    assert hw2("train_ddpm", "digits", "0").status == 0
    assert {path: content for path, content in workspace.tree().items() if path != "params.yaml"} == before


def test_a_seed_gives_the_same_bytes_alone_and_after_others(workspace: Workspace, hw2: Hw2) -> None:
    """Seed 1 in a workspace without seed 0, and in one that has it."""
    commands = ("train_gan", "sngan", "1"), ("evaluate_gan", "sngan", "1")

    def files_of_seed_1() -> dict[str, bytes | None]:
        assert [hw2(*command).status for command in commands] == [0, 0]
        return {path: content for path, content in workspace.tree().items() if "seed1" in path}

    beside_seed_0 = files_of_seed_1()
    for path in beside_seed_0 | {path: None for path in workspace.tree() if "sngan/seed0" in path}:
        if (workspace.root / path).is_file():
            (workspace.root / path).unlink()
    assert files_of_seed_1() == beside_seed_0
    assert len([content for content in beside_seed_0.values() if content]) == 7
    samples = workspace.layout.stage("evaluate_gan", "sngan", 1) / "samples.png"
    assert samples.read_bytes() not in [
        path.read_bytes() for path in workspace.root.glob("stages/evaluate_gan/*/seed0/samples.png")
    ]


def test_an_interrupted_diffusion_model_resumes_and_leaves_the_same_bytes(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: content for path, content in workspace.tree().items() if content is not None}
    save = Checkpoint.save

    def save_and_end(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_end)
        assert hw2("train_ddpm", "digits", "0").status == 130
    assert "resumes at step 4 of 7" in hw2("train_ddpm", "digits", "0").err
    assert {path: content for path, content in workspace.tree().items() if content is not None} == before


# --- images --------------------------------------------------------------------------------------------------


def test_images_of_another_size_are_refused(workspace: Workspace, hw2: Hw2) -> None:
    workspace.change("vae.size", 32)
    refused(
        hw2("train_autoencoder", "vae", "0"), "drawn_faces: its images are 64x64, but params ask for 32x32"
    )


def test_an_attribute_that_the_faces_do_not_have_is_refused(workspace: Workspace, hw2: Hw2) -> None:
    workspace.change("acgan.faces.attribute", "bearded")
    said = "acgan.faces.attribute: drawn_faces has no bearded; it has: smiling, male"
    refused(hw2("train_acgan", "faces", "0"), said)


def test_faces_whose_attribute_is_unknown_are_left_out(workspace: Workspace, device: Device) -> None:
    folder = workspace.layout.ready("drawn_faces")
    labels = np.load(folder / "train_labels.npy")
    labels[:30] = UNKNOWN
    (folder / "train_labels.npy").unlink()
    np.save(folder / "train_labels.npy", labels)
    params = load_params(workspace.layout.params)
    known = generators.read_images(params, workspace.layout, device, "acgan/faces", "train")
    faces = open_split(folder, "train")
    assert (known.images.numpy() == faces.images[30:]).all()
    assert (known.labels.numpy() == faces.labels[30:, 3]).all()  # dark_hair is the fourth attribute


# --- collapse ------------------------------------------------------------------------------------------------


def test_a_gan_of_little_diversity_is_reported_as_collapsed(capsys: pytest.CaptureFixture[str]) -> None:
    assert collapsed("sngan seed 0", 0.1) == {"collapsed": False}
    assert capsys.readouterr().err == ""
    assert collapsed("sngan seed 0", 0.09) == {"collapsed": True}
    assert "sngan seed 0: collapsed" in capsys.readouterr().err


def test_metrics_of_all_stages_are_valid_json_without_nan(finished: Workspace) -> None:
    paths = [*finished.layout.stages.rglob("metrics.json"), *finished.layout.stages.glob("inputs/*.json")]
    assert len(paths) > 40
    for path in paths:
        json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
