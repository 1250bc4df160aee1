"""Evaluations of generated digits, and the sweep over sampling settings."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Hw2, Workspace

from hw2core.engine.device import Device
from hw2core.engine.images import open_split
from hw2core.engine.journal import read_json
from hw2core.engine.tiles import read_tiles
from hw2core.files import sha256_of
from hw2core.settings import Params
from hw2core.settings.systems import Sampling
from hw2core.stages import generators, sweep
from hw2core.stages.evaluate_digits import reverse_process
from hw2core.stages.sweep import is_stochastic, settings_to_compare

RUNS = [("evaluate_acgan", "acgan/digits"), ("evaluate_ddpm", "ddpm")]
PALETTE = 20
"""The mean error, of 255, that a picture's 256 colors may cause. Other images are three times as far."""
each_run = pytest.mark.parametrize(("stage", "name"), RUNS)


def with_ddpm(params: Params, **changes: Any) -> Params:
    return params.model_copy(update={"ddpm": params.ddpm.model_copy(update=changes)})


@each_run
def test_generated_digits_are_read_and_compared_with_real_ones(
    finished: Workspace, stage: str, name: str
) -> None:
    metrics = read_json(finished.layout.stage(stage, "digits", 0) / "metrics.json")
    assert metrics["images"] == 100  # ten of each digit at least, for the picture
    confusion = np.array(metrics["confusion"])
    assert confusion.sum(axis=1).tolist() == [10] * 10
    assert metrics["digit_accuracy"] == np.trace(confusion)
    assert metrics["per_digit"] == {str(digit): 10.0 * confusion[digit, digit] for digit in range(10)}
    assert metrics["classifier"] == "classifier of blended, seed 0"
    assert metrics["extractor"] == [
        {
            "n_fake": 100,
            "n_real": 100,
            "extractor": "classifier of blended (R19, seed 0)",
            "extractor_sha256": sha256_of(finished.layout.model("train_classifier", "blended", 0)),
            "resize": "none",
        }
    ]
    assert metrics["fd_digits"] > 0
    assert metrics["kd_digits"].keys() == {"mean", "std", "subset"}
    assert metrics.keys() >= {"precision_digits", "recall_digits", "seed", "device"}
    assert metrics.keys().isdisjoint({"n_fake", "n_real", "resize"})


@each_run
def test_pictures_show_ten_of_each_digit_and_the_nearest_training_images(
    finished: Workspace, params: Params, device: Device, stage: str, name: str
) -> None:
    system = generators.load(params, finished.layout, device, name, 0)
    names = (*generators.place_of(name), "seed 0", "samples")
    sampling = params.ddpm if name == "ddpm" else None
    labels = torch.arange(10).repeat_interleave(10)
    images = generators.sample_labels(system, labels, sampling, *names).reshape(10, 10, 28, 28, 3)
    folder = finished.layout.stage(stage, "digits", 0)
    assert np.abs(read_tiles(folder / "samples.png", 10, 10).astype(int) - images).mean() < PALETTE
    generated, neighbors = read_tiles(folder / "neighbors.png", 2, 10).astype(int)
    assert np.abs(generated - images[:, 0]).mean() < PALETTE
    metrics = read_json(folder / "metrics.json")
    train = open_split(finished.layout.ready("blended"), "train").images.astype(float) / 255
    for i, rmse in enumerate(metrics["nearest_train_rmse_first"]):
        distances = np.sqrt(((train - images[i, 0] / 255) ** 2).mean((1, 2, 3)))
        assert rmse == pytest.approx(distances.min(), rel=1e-3)
        assert np.abs(255 * train[distances.argmin()] - neighbors[i]).mean() < PALETTE
    assert 0 < metrics["nearest_train_rmse_of_real_test_images"] < 1


def test_sampling_settings_change_the_samples(workspace: Workspace, hw2: Hw2) -> None:
    samples = workspace.layout.stage("evaluate_ddpm", "digits", 0) / "samples.png"
    before = samples.read_bytes()
    workspace.change("ddpm.guidance_scale", 7.0)
    assert hw2("evaluate_ddpm", "digits", "0").status == 0
    assert samples.read_bytes() != before


# --- the reverse process --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "steps", "timesteps"),
    [
        ("dpm_solver", 5, [50, 40, 30, 20, 10, 0]),
        ("ddpm", 50, [50, 40, 30, 20, 10, 0]),
        ("ddim", 3, [50, 33, 17, 0]),
    ],
)
def test_the_reverse_process_ends_in_the_first_sample(
    finished: Workspace, params: Params, device: Device, sampler: str, steps: int, timesteps: list[int]
) -> None:
    changed = with_ddpm(params, sampler=sampler, sampling_steps=steps)
    labels = torch.zeros(12, dtype=torch.int64)
    system = generators.load(changed, finished.layout, device, "ddpm", 0)
    names = ("train_ddpm", "digits", "seed 0", "samples")
    first = generators.sample_labels(system, labels, changed.ddpm, *names)[0]
    reverse = reverse_process(changed, finished.layout, device, labels, 0)
    assert list(reverse) == timesteps
    assert (reverse[0] == first).all()


def test_the_reverse_process_is_a_picture(finished: Workspace) -> None:
    folder = finished.layout.stage("evaluate_ddpm", "digits", 0)
    timesteps = read_json(folder / "metrics.json")["reverse_timesteps"]
    assert timesteps == [50, 40, 30, 20, 10, 0]
    assert read_tiles(folder / "reverse.png", 1, len(timesteps)).shape[2:] == (28, 28, 3)


# --- the sweep -----------------------------------------------------------------------------------------------


def test_the_sweep_measures_every_setting_once(finished: Workspace, params: Params) -> None:
    folder = finished.layout.stage("sweep_ddpm", "digits")
    table = pd.read_csv(folder / "sweep.csv")
    metrics = read_json(folder / "metrics.json")
    assert list(table) == ["sampler", "sampling_steps", "guidance_scale", "nfe", "digit_accuracy"]
    assert len(table) == 4 * 2 + 2
    assert not table.drop(columns="digit_accuracy").duplicated().any()
    factor = np.where(table["guidance_scale"] == 2, 2, 1)  # at 0 and 1 the network is evaluated once a step
    assert (table["nfe"] == table["sampling_steps"] * factor).all()
    assert metrics["settings"] == json.loads(table.to_json(orient="records"))
    assert (metrics["images"], metrics["classifier"], metrics["seed"]) == (
        20,
        "classifier of blended, seed 0",
        0,
    )
    etas, scales = metrics["etas"], params.sweep.guidance_scale
    for name, rows, columns in (
        ("eta", len(etas), 10),
        ("guidance", len(scales), 10),
        ("interpolation", 6, 8),
    ):
        assert read_tiles(folder / f"{name}.png", rows, columns).shape[2:] == (28, 28, 3)
    assert metrics["interpolations"] == ["sphere", "straight"] * 3


def test_steps_beyond_the_timesteps_are_one_setting(params: Params) -> None:
    """50 timesteps allow no more than 50 steps."""
    more = params.model_copy(
        update={"sweep": params.sweep.model_copy(update={"sampling_steps": [50, 100, 1000]})}
    )
    steps = [min(one.sampling_steps, 50) for one in settings_to_compare(more)]
    assert steps.count(50) == 4


@pytest.mark.parametrize(
    ("sampler", "eta", "stochastic"),
    [
        ("dpm_solver", 0, False),
        ("dpm_solver", 1, False),
        ("ddim", 0, False),
        ("ddim", 0.1, True),
        ("ddpm", 0, True),
        ("ddpm_posterior", 0, True),
    ],
)
def test_samplers_that_add_noise_are_known(sampler: Any, eta: float, stochastic: bool) -> None:
    sampling = Sampling(sampler=sampler, sampling_steps=5, guidance_scale=1, guidance_skip_prob=0, eta=eta)
    assert is_stochastic(sampling) == stochastic


def test_interpolations_are_deterministic_whatever_the_sampler_of_params(
    finished: Workspace, params: Params, device: Device
) -> None:
    """The ends on the sphere and on the straight line are the same images."""
    changed = with_ddpm(params, sampler="ddpm")
    system = generators.load(changed, finished.layout, device, "ddpm", 0)
    images, names = sweep.interpolations(system, changed)
    assert names == ["sphere", "straight"] * 3
    for sphere, straight in zip(images[::2], images[1::2], strict=True):
        assert np.abs(sphere[[0, -1]].astype(int) - straight[[0, -1]]).max() <= 1
        assert np.abs(sphere[4].astype(int) - straight[4]).max() > 1
