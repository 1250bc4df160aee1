"""What the stages of the face generators leave, and `hw2 generate`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Hw2, Workspace, refused
from PIL import Image

from hw2core.engine.journal import read_json
from hw2core.stages.generate import sheet
from hw2core.systems.samplers import slerp


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_a_gan_leaves_its_health_and_its_progress(workspace: Workspace) -> None:
    folder = workspace.layout.stage("train_gan", "sngan")
    history = pd.read_csv(folder / "history.csv")
    assert list(history["step"]) == [3, 6, 7]
    assert {"critic_loss", "generator_loss", "real_accuracy", "fake_accuracy", "diversity"} <= set(history)
    assert history.notna().all(axis=None)
    metrics = read_json(folder / "metrics.json")
    assert metrics["parameters"].keys() == {"generator", "critic"}
    assert metrics["at_the_end"]["diversity"]["mean"] == history["diversity"].iloc[-1]
    assert size_of(folder / "progress.png")[0] > 500


def test_a_generator_that_draws_one_picture_is_said_to_have_collapsed(workspace: Workspace) -> None:
    """After seven steps all of them do."""
    for gan in ("dcgan4", "sngan"):
        metrics = read_json(workspace.layout.stage("train_gan", gan) / "metrics.json")
        fallen = metrics["at_the_end"]["diversity"]["mean"] < 0.1
        assert metrics["collapsed_seeds"] == ([0] if fallen else [])


def test_an_evaluation_says_what_was_measured_on_what(workspace: Workspace) -> None:
    folder = workspace.layout.stage("evaluate_gan", "dcgan4")
    metrics = read_json(folder / "metrics.json")
    assert metrics["fid"].startswith("not measured")
    assert metrics["fid_faces_offline"]["n"] == 1
    (by,) = metrics["by"]
    assert (by["n_fake"], by["n_real"]) == (40, 100)
    assert size_of(folder / "samples.png")[0] > 500


def test_the_ends_of_the_scale_lie_apart(workspace: Workspace) -> None:
    metrics = read_json(workspace.layout.stage("evaluate_real", "faces") / "metrics.json")
    assert metrics["test_images"]["images"] == 100
    assert metrics["test_images"]["faces_found"] >= 85
    assert metrics["noise"]["faces"]["faces_found"] == 0
    real, noise = (metrics[name]["fid_faces_offline"] for name in ("training_images", "noise"))
    assert 0 <= real < noise


def test_an_autoencoder_is_judged_by_what_it_rebuilds(workspace: Workspace) -> None:
    folder = workspace.layout.stage("evaluate_vae", "faces")
    metrics = read_json(folder / "metrics.json")
    assert 0 < metrics["reconstruction_mse"]["mean"] < 1
    assert len(metrics["reconstruction_mse_first"]) == 10
    assert metrics["reconstructed_images"] == 100
    assert (folder / "reconstructions.png").is_file()


def test_fid_is_measured_where_params_name_the_weights_and_missing_weights_stop_nothing(
    workspace: Workspace, hw2: Hw2, tmp_path: Path
) -> None:
    workspace.change("judges.inception", str(tmp_path / "none.pth"))
    assert hw2("evaluate_gan", "dcgan4").status == 0
    metrics = read_json(workspace.layout.stage("evaluate_gan", "dcgan4") / "metrics.json")
    assert metrics["fid"].startswith("not measured")
    (tmp_path / "none.pth").write_bytes(b"nonsense")
    refused(hw2("evaluate_gan", "dcgan4"), "none.pth: damaged")


@pytest.mark.parametrize("run", ["gan/sngan", "vae"])
def test_generated_images_are_the_same_bytes_every_time(workspace: Workspace, hw2: Hw2, run: str) -> None:
    for out in ("one", "other"):
        assert hw2("generate", "--run", run, "-n", "5", "--out", out, "--grid", "--interpolate").status == 0
    names = sorted(path.name for path in Path("one").iterdir())
    assert names == [f"{i:05d}.png" for i in range(1, 6)]
    pairs = [(Path("one", name), Path("other", name)) for name in names]
    pairs += [(Path(f"one-{kind}.png"), Path(f"other-{kind}.png")) for kind in ("grid", "interpolation")]
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)
    assert size_of(Path("one/00001.png")) == (64, 64)
    assert size_of(Path("one-interpolation.png")) == (8 * 64, 4 * 64)


def test_the_first_of_many_are_those_of_few_and_another_seed_draws_others(
    workspace: Workspace, hw2: Hw2
) -> None:
    for out, count, seed in (("few", "2", "0"), ("many", "4", "0"), ("others", "2", "1")):
        command = ("generate", "--run", "vae", "-n", count, "--out", out, "--seed", seed)
        assert hw2(*command).status == 0
    few, many, others = (Path(out, "00002.png").read_bytes() for out in ("few", "many", "others"))
    assert few == many != others


def test_bad_orders_are_refused(workspace: Workspace, hw2: Hw2) -> None:
    Path("there").mkdir()
    refused(hw2("generate", "--run", "vae", "--out", "there"), "there: is there already")
    Path("some-grid.png").touch()
    refused(hw2("generate", "--run", "vae", "--out", "some"), "some-grid.png: is there already")
    refused(hw2("generate", "--run", "gan/biggan", "--out", "new"), "unknown method biggan")
    refused(hw2("generate", "--run", "wgan", "--out", "new"), "--run: must be gan/METHOD, vae, acgan/digits")
    refused(hw2("train_gan", "biggan"), "unknown method biggan; gan.methods has: dcgan4, sngan")
    workspace.change("vae.size", 32)
    refused(hw2("train_vae"), "drawn_faces: its images are 64x64, but params ask for 32x32")
    assert not Path("new").exists()


def test_slerp_keeps_to_the_sphere_and_meets_its_ends() -> None:
    one, other = torch.randn((2, 3, 100), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(slerp(one, other, 0), one, atol=1e-5)
    assert torch.allclose(slerp(one, other, 1), other, atol=1e-5)
    lengths = slerp(one, other, 0.5).norm(dim=1)
    assert (lengths > 0.9 * torch.minimum(one.norm(dim=1), other.norm(dim=1))).all()


def test_a_sheet_holds_the_images_row_by_row() -> None:
    images = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    picture = sheet(images)
    assert picture.shape == (4, 24, 3)
    assert picture[0, ::3, 0].tolist() == list(range(8))
    assert picture[2, ::3, 0].tolist() == [8] + [255] * 7


def test_metrics_are_numbers_that_json_knows(workspace: Workspace) -> None:
    for stage, item in (("evaluate_gan", "dcgan4"), ("evaluate_vae", "faces"), ("evaluate_real", "faces")):
        text = (workspace.layout.stage(stage, item) / "metrics.json").read_text()
        json.loads(text, parse_constant=lambda name: pytest.fail(name))
