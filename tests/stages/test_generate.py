"""`hw2 generate`: files of images by a trained generator, the same bytes each time."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Hw2, Workspace, refused
from PIL import Image

from hw2core.settings.registry import CONDITIONAL
from hw2core.stages.generate import sheet


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.parametrize("run", ["gan/sngan", "vae"])
def test_images_of_a_seed_are_the_same_bytes_every_time(workspace: Workspace, hw2: Hw2, run: str) -> None:
    for out in ("one", "other"):
        assert hw2("generate", "--run", run, "-n", "5", "--out", out, "--grid", "--interpolate").status == 0
    names = sorted(path.name for path in Path("one").iterdir())
    assert names == [f"{i:05d}.png" for i in range(1, 6)]
    pairs = [(Path("one", name), Path("other", name)) for name in names]
    pairs += [(Path(f"one-{kind}.png"), Path(f"other-{kind}.png")) for kind in ("grid", "interpolation")]
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)
    assert size_of(Path("one/00001.png")) == (64, 64)
    assert size_of(Path("one-grid.png")) == (5 * 64, 64)
    assert size_of(Path("one-interpolation.png")) == (8 * 64, 4 * 64)


@pytest.mark.parametrize("run", CONDITIONAL)
def test_conditional_images_are_named_by_their_label(workspace: Workspace, hw2: Hw2, run: str) -> None:
    for out in ("one", "other"):
        assert hw2("generate", "--run", run, "--per-class", "3", "--out", out, "--grid").status == 0
    labels = CONDITIONAL[run]
    names = sorted(path.name for path in Path("one").iterdir())
    assert names == [*(f"{label}_{i:03d}.png" for label in range(labels) for i in (1, 2, 3))]
    assert all(Path("one", name).read_bytes() == Path("other", name).read_bytes() for name in names)
    side = 64 if run == "acgan/faces" else 28
    assert size_of(Path("one/1_003.png")) == (side, side)
    assert Path("one-grid.png").read_bytes() == Path("other-grid.png").read_bytes()
    assert size_of(Path("one-grid.png")) == (3 * side, labels * side)


def test_fewer_images_are_the_first_of_more_and_another_seed_gives_others(
    workspace: Workspace, hw2: Hw2
) -> None:
    for out, count, seed in (("few", "2", "0"), ("many", "4", "0"), ("others", "2", "1")):
        command = ("generate", "--run", "vae", "-n", count, "--out", out, "--seed", seed)
        assert hw2(*command).status == 0
    few, many, others = (Path(out, "00002.png").read_bytes() for out in ("few", "many", "others"))
    assert few == many != others


def test_one_label_is_sampled_with_the_settings_of_the_command_line(workspace: Workspace, hw2: Hw2) -> None:
    command = ("generate", "--run", "ddpm", "--class", "7", "--per-class", "2", "--out")
    options = (
        (),
        ("--sampler", "ddim"),
        ("--steps", "3"),
        ("--guidance-scale", "0"),
        ("--seed", "1"),
        ("--sampler", "ddim", "--eta", "1"),
    )
    for i, option in enumerate(options):
        assert hw2(*command, f"out{i}", *option).status == 0
        assert sorted(path.name for path in Path(f"out{i}").iterdir()) == ["7_001.png", "7_002.png"]
    assert len({Path(f"out{i}", "7_001.png").read_bytes() for i in range(len(options))}) == len(options)


def test_the_output_says_what_was_generated_and_how_fast(workspace: Workspace, hw2: Hw2) -> None:
    done = hw2("generate", "--run", "acgan/digits", "--per-class", "1", "--out", "new")
    assert done.out == "new: 10 images by acgan/digits, seed 0\n"
    assert "images/s on cpu" in done.err


def test_generated_digits_can_be_evaluated_by_their_names(workspace: Workspace, hw2: Hw2) -> None:
    """The grid beside them is no image of theirs."""
    assert hw2("generate", "--run", "ddpm", "--per-class", "2", "--out", "new", "--grid").status == 0
    done = hw2("judge", "digits", "new", "--domain", "blended", "--json")
    assert json.loads(done.out)["images"] == 20


def test_the_first_seed_of_params_generates(workspace: Workspace, hw2: Hw2) -> None:
    layout = workspace.layout
    layout.model("train_gan", "sngan", 5).hardlink_to(layout.model("train_gan", "sngan", 0))
    workspace.change("generation.seeds.gans", [5])
    assert hw2("generate", "--run", "gan/sngan", "-n", "1", "--out", "one").status == 0
    workspace.change("generation.seeds.gans", [6])
    refused(
        hw2("generate", "--run", "gan/sngan", "-n", "1", "--out", "other"), "seed6.safetensors: not there"
    )
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--run vae --out there", "there: exists"),
        ("--run vae --out some", "some-grid.png: exists"),
        ("--run ddpm --out there", "there: exists"),
        ("--run gan/biggan --out new", "unknown item biggan; gans has: dcgan4, sngan"),
        ("--run wgan --out new", "--run: must be one of gan/NAME, vae, acgan/digits"),
        ("--run ddpm --out new -n 5", "--run ddpm: takes --per-class, not -n"),
        ("--run ddpm --out new --interpolate", "--run ddpm: takes --per-class, not -n or --interpolate"),
        ("--run vae --out new --per-class 5", "--run vae: is not conditional"),
        ("--run vae --out new --class 5", "--run vae: is not conditional"),
        ("--run vae --out new --steps 5", "--run vae: is not conditional"),
        ("--run ddpm --out new --class 10", "--class: the labels of ddpm are 0 to 9, not 10"),
        ("--run acgan/faces --out new --class 2", "--class: the labels of acgan/faces are 0 to 1, not 2"),
        ("--run acgan/digits --out new --steps 5", "--steps: only ddpm is sampled in steps"),
        (
            "--run ddpm --out new --sampler euler",
            "--sampler: must be 'ddpm', 'ddpm_posterior', 'ddim' or 'dpm_solver'",
        ),
        ("--run ddpm --out new --steps 0", "--steps: must be greater than or equal to 1"),
        ("--run ddpm --out new --guidance-scale -1", "--guidance-scale: must be greater than or equal to 0"),
    ],
)
def test_bad_arguments_are_refused(empty_workspace: Workspace, hw2: Hw2, arguments: str, said: str) -> None:
    """Before anything is read: this workspace has no trained generator."""
    Path("there").mkdir()
    Path("some-grid.png").touch()
    refused(hw2("generate", *arguments.split()), said)
    assert not Path("new").exists()


def test_a_sheet_holds_the_images_row_by_row() -> None:
    images = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    picture = sheet(images)
    assert picture.shape == (4, 24, 3)
    assert picture[0, ::3, 0].tolist() == list(range(8))
    assert picture[2, ::3, 0].tolist() == [8] + [255] * 7
