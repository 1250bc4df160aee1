"""What the stages leave of systems that draw what a label says, and how `hw2 generate` asks them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Hw2, Workspace, refused
from PIL import Image

from hw2core.data.batches import ImageSet
from hw2core.engine.device import Device
from hw2core.engine.journal import read_json
from hw2core.errors import UserError
from hw2core.params import LABELLED, load_params
from hw2core.stages import generators
from hw2core.stages.evaluate_conditional import AttributeReader, some_moments

every_run = pytest.mark.parametrize("run", LABELLED)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@every_run
def test_a_training_leaves_its_history_and_its_progress(workspace: Workspace, run: str) -> None:
    folder = workspace.layout.stage(*generators.place_of(run))
    history = pd.read_csv(folder / "history.csv")
    assert list(history["step"]) == [3, 6, 7]
    assert history.notna().all(axis=None)
    metrics = read_json(folder / "metrics.json")
    assert metrics["steps"] == 7
    networks = generators.build(load_params(workspace.layout.params), run).networks
    assert sum(metrics["parameters"].values()) == sum(weight.numel() for weight in networks.parameters())
    assert pixels(folder / "progress.png").shape[1] > 500


@pytest.mark.parametrize("stage", ["evaluate_acgan", "evaluate_ddpm"])
def test_digits_are_read_compared_and_held_against_the_training_images(
    workspace: Workspace, stage: str
) -> None:
    folder = workspace.layout.stage(stage, "digits")
    metrics = read_json(folder / "metrics.json")
    assert metrics["images"] == 100  # of each digit ten at least, for the grid
    assert sum(map(sum, metrics["confusion"][0])) == 100
    right = sum(row[digit] for digit, row in enumerate(metrics["confusion"][0]))
    assert metrics["digits_read"]["mean"] == right
    assert np.mean([each["mean"] for each in metrics["per_digit"].values()]) == pytest.approx(right)
    assert metrics["judge"] == "the classifier of blended, seed0.last"
    assert metrics["by"][0]["n_fake"] == metrics["by"][0]["n_real"] == 100
    assert metrics["fid_digits"]["mean"] > 0
    assert 0 < metrics["nearest_training_image"]["mean"] < 1
    for name in ("samples.png", "neighbours.png"):
        assert pixels(folder / name).shape[1] > 500


def test_faces_are_judged_by_their_attribute_too(workspace: Workspace) -> None:
    metrics = read_json(workspace.layout.stage("evaluate_acgan", "faces") / "metrics.json")
    assert metrics["attribute"] == "dark_hair"
    assert metrics["images"] == 40
    for share, images in (("attribute_read", 40), ("attribute_read_of_real", 100)):
        read = images * float(metrics[share]["mean"] if images == 40 else metrics[share]) / 100
        assert read == pytest.approx(round(read), abs=1e-3)  # whole images
        assert 0 < read < images
    assert metrics["fid_faces_offline"]["n"] == 1


def test_an_attribute_that_anyone_sees_is_read(workspace: Workspace, device: Device) -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    images = (
        torch.randint(0, 100, (60, 64, 64, 3), generator=random) + 150 * labels[:, None, None, None]
    ).byte()
    params = load_params(workspace.layout.params)
    reader = AttributeReader(params, workspace.layout, device, ImageSet(images[:40], labels[:40], device))
    assert reader.accuracy(images[40:].numpy(), labels[40:], "bright and dark") == 100
    assert reader.accuracy(images[40:].numpy(), 1 - labels[40:], "bright and dark") == 0


def test_the_sweep_names_every_way_once(workspace: Workspace) -> None:
    folder = workspace.layout.stage("sweep_ddpm", "digits")
    table = pd.read_csv(folder / "sweep.csv")
    assert len(table) == 4 * 2 + 2
    assert not table.drop(columns="digits_read").duplicated().any()
    guided = table["guidance"] == 2
    assert (table["looks"] == table["sampling_steps"] * np.where(guided, 2, 1)).all()
    assert read_json(folder / "metrics.json")["ways"] == json.loads(table.to_json(orient="records"))


def test_guidance_and_steps_are_no_part_of_the_training(workspace: Workspace, hw2: Hw2) -> None:
    """Its bytes stay, and the samples change."""
    trained, judged = workspace.layout.stage("train_ddpm", "digits"), Path("stages/evaluate_ddpm/digits")
    before = [(trained / name).read_bytes() for name in ("model.safetensors", "progress.png")]
    samples = (judged / "samples.png").read_bytes()
    for key, value in (("guidance", 7.0), ("sampling_steps", 4), ("sampler", "ddim")):
        workspace.change(f"ddpm.{key}", value)
    assert hw2("train_ddpm").status == hw2("evaluate_ddpm").status == 0
    assert [(trained / name).read_bytes() for name in ("model.safetensors", "progress.png")] == before
    assert (judged / "samples.png").read_bytes() != samples


@pytest.mark.parametrize(("sampler", "steps"), [("dpm_solver", 5), ("ddpm", 50)])
def test_the_way_from_noise_ends_in_the_first_image_drawn(
    workspace: Workspace, device: Device, sampler: str, steps: int
) -> None:
    workspace.change("ddpm.sampler", sampler)
    workspace.change("ddpm.sampling_steps", steps)
    params = load_params(workspace.layout.params)
    system = generators.load(params, workspace.layout, device, "ddpm", 0)
    labels = torch.zeros(12, dtype=torch.int64)
    images = generators.draw_labelled(system, labels, params.ddpm, "some", "names")  # type: ignore[arg-type]
    way = generators.way(system, labels, params.ddpm, "some", "names")  # type: ignore[arg-type]
    assert (way[0] == images[0]).all()
    assert list(some_moments(way)) == [50, 40, 30, 20, 10, 0]


def test_a_way_without_even_times_is_shown_at_those_it_has() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    assert list(some_moments(dict.fromkeys((1000, 667, 333, 0), image))) == [1000, 667, 333, 0]
    assert max(some_moments(dict.fromkeys(range(100, -1, -7), image))) == 100


@every_run
def test_images_by_label_are_the_same_bytes_every_time(workspace: Workspace, hw2: Hw2, run: str) -> None:
    for out in ("one", "other"):
        assert hw2("generate", "--run", run, "--per-class", "3", "--out", out, "--grid").status == 0
    labels = LABELLED[run]
    names = sorted(path.name for path in Path("one").iterdir())
    assert names == [*(f"{label}_{i:03d}.png" for label in range(labels) for i in (1, 2, 3))]
    assert all(Path("one", name).read_bytes() == Path("other", name).read_bytes() for name in names)
    size = 64 if run == "acgan/faces" else 28
    assert pixels(Path("one/1_003.png")).shape == (size, size, 3)
    assert Path("one-grid.png").read_bytes() == Path("other-grid.png").read_bytes()
    assert pixels(Path("one-grid.png")).shape == (labels * size, 3 * size, 3)


def test_one_label_alone_in_a_way_of_its_own(workspace: Workspace, hw2: Hw2) -> None:
    order = ("generate", "--run", "ddpm", "--class", "7", "--per-class", "2", "--out")
    assert hw2(*order, "plain").status == 0
    ways = (("--sampler", "ddim"), ("--steps", "3"), ("--guidance", "0"), ("--seed", "1"))
    for i, way in enumerate(ways):
        assert hw2(*order, f"way{i}", *way).status == 0
    assert [path.name for path in sorted(Path("plain").iterdir())] == ["7_001.png", "7_002.png"]
    assert (
        len({Path(out, "7_001.png").read_bytes() for out in ("plain", "way0", "way1", "way2", "way3")}) == 5
    )


def test_what_was_drawn_says_how_fast(workspace: Workspace, hw2: Hw2) -> None:
    done = hw2("generate", "--run", "acgan/digits", "--per-class", "1", "--out", "new")
    assert done.out == "new: 10 images by acgan/digits, seed 0\n"
    assert "images a second on cpu" in done.err


def test_the_generated_digits_are_read_by_their_names(workspace: Workspace, hw2: Hw2) -> None:
    assert hw2("generate", "--run", "ddpm", "--per-class", "2", "--out", "new", "--grid").status == 0
    done = hw2("judge", "digits", "new", "--domain", "blended", "--json")
    assert json.loads(done.out)["images"] == 20


def test_bad_orders_are_refused(workspace: Workspace, hw2: Hw2) -> None:
    order = ("generate", "--out", "new", "--run")
    refused(hw2(*order, "ddpm", "-n", "5"), "--run ddpm: takes --per-class, not -n")
    refused(hw2(*order, "vae", "--per-class", "5"), "--run vae: draws without labels")
    refused(hw2(*order, "vae", "--steps", "5"), "--run vae: draws without labels")
    refused(hw2(*order, "ddpm", "--class", "10"), "--class: ddpm draws 0 to 9, not 10")
    refused(hw2(*order, "acgan/faces", "--class", "2"), "--class: acgan/faces draws 0 to 1, not 2")
    refused(hw2(*order, "acgan/digits", "--steps", "5"), "--steps: only ddpm is sampled in steps")
    refused(hw2(*order, "ddpm", "--sampler", "euler"), "--sampler: ", "dpm_solver")
    refused(hw2(*order, "ddpm", "--steps", "0"), "--steps: ", "greater than or equal to 1")
    refused(hw2("train_acgan", "cats"), "unknown item cats; there are: digits, faces")
    refused(hw2("evaluate_acgan", "cats"), "unknown item cats")
    workspace.change("acgan.faces.attribute", "bearded")
    refused(
        hw2("train_acgan", "faces"),
        "acgan.faces.attribute: drawn_faces has no bearded; it has: smiling, male",
    )
    assert not Path("new").exists()


def test_faces_of_another_size_are_refused(workspace: Workspace, device: Device) -> None:
    params = load_params(workspace.layout.params)
    with pytest.raises(UserError, match="its images are 64x64, but params ask for 32x32"):
        generators.read_images(params, workspace.layout, device, "vae", "train", 32)


def test_images_whose_attribute_is_not_known_are_left_out(workspace: Workspace, device: Device) -> None:
    folder = workspace.layout.ready("drawn_faces")
    labels = np.load(folder / "train_labels.npy")
    labels[:30] = 255
    (folder / "train_labels.npy").unlink()
    np.save(folder / "train_labels.npy", labels)
    params = load_params(workspace.layout.params)
    images = generators.read_images(params, workspace.layout, device, "acgan/faces", "train")
    assert len(images) == 70
    assert set(images.labels.unique().tolist()) <= {0, 1}
