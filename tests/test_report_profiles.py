"""The profiles of the five reports say what the reports print: networks by their weights, steps by their epochs."""

import math
import os
import shutil
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Hw2, Raw, Workspace, stage_commands

from hw2core.engine import images
from hw2core.engine.images import ImageData, Split
from hw2core.layout import Layout
from hw2core.settings import Params, load_params
from hw2core.settings.profiles import apply_profiles
from hw2core.settings.registry import TRAININGS
from hw2core.settings.yaml import read_yaml
from hw2core.systems.acgan import Acgan
from hw2core.systems.adda import Adda
from hw2core.systems.backbones import BACKBONES
from hw2core.systems.dcgan4 import Dcgan4
from hw2core.systems.dcgan5 import Dcgan5
from hw2core.systems.sngan import Sngan
from hw2core.systems.sngan_gp import SnganGp
from hw2core.systems.stylegan2 import Dense, Stylegan2
from hw2core.systems.vae import Vae

REPORTS = ("R19", "R20", "R21", "R22a", "R22b")


@cache
def with_profiles(*names: str) -> Params:
    """The repository's params.yaml with these profiles, one on top of the other."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        shutil.copyfile(ROOT / "params.yaml", layout.params)
        shutil.copytree(ROOT / "profiles", layout.profiles)
        apply_profiles(layout, *names)
        return load_params(layout.params)


# --- networks and settings --------------------------------------------------------------------------------------


def weights(network: Any) -> int:
    return sum(weight.numel() for weight in network.parameters())


def counts(system: Any) -> tuple[int, ...]:
    return tuple(weights(network) for network in system.networks.values())


def kernels(*channels: int, size: int, biases: bool = False) -> int:
    """The weights of consecutive convolutions."""
    return sum(inputs * outputs * size**2 + biases * outputs for inputs, outputs in pairwise(channels))


def norms(*channels: int) -> int:
    """The weights of batch norms: two per channel."""
    return 2 * sum(channels)


# The printed layers: generator and discriminator, encoder and decoder.
DCGAN4 = (
    kernels(100, 512, 256, 128, 64, 3, size=4) + norms(512, 256, 128, 64),
    kernels(3, 64, 128, 256, 512, 1, size=4) + norms(128, 256, 512),
)
DCGAN4_OF_64 = (DCGAN4[0] - 36 * 512 * 4 * 4, DCGAN4[1])
GENERATOR5 = (
    *(100 * 512 * 4 * 4, norms(512 * 4 * 4), kernels(512, 256, 128, 64, size=5), norms(256, 128, 64)),
    kernels(64, 3, size=5, biases=True),
)
DISCRIMINATOR5 = kernels(3, 64, 128, 256, 512, size=5, biases=True) + kernels(512, 1, size=4, biases=True)
DCGAN5 = (sum(GENERATOR5), DISCRIMINATOR5 + norms(128, 256, 512))
SNGAN = (sum(GENERATOR5), DISCRIMINATOR5)
SNGAN_GP = (
    kernels(100, 1024, size=4) + kernels(1024, 512, 256, 128, 3, size=5) + norms(1024, 512, 256, 128),
    kernels(3, 64, 128, 256, 512, 1, size=4) + norms(128 * 16 * 16, 256 * 8 * 8, 512 * 4 * 4),
)
VAE = (
    kernels(3, 32, 128, 256, 64, size=4, biases=True) + 2 * kernels(1024, 256, size=1, biases=True),
    kernels(256, 512, 128, 32, 16, 3, size=4, biases=True),
)


def adda_discriminator(params: Params, backbone: str) -> int:
    return weights(Adda(params.adda, BACKBONES[backbone]).networks["discriminator"])


def backbone_weights(name: str) -> int:
    backbone = BACKBONES[name]
    return sum(weights(build()) for build in (backbone.extractor, backbone.label_head, backbone.domain_head))


def test_r19_has_its_dcgan_dann_and_adda_discriminator() -> None:
    params = with_profiles("R19")
    assert params.gans == ["dcgan4"]
    assert counts(Dcgan4(params.dcgan4)) == DCGAN4
    assert backbone_weights(params.backbone) == 41_040 + 88_210 + 77_102
    assert adda_discriminator(params, params.backbone) == 768 * 500 + 500 + 500 * 2 + 2
    assert adda_discriminator(params, "LeNet") == 500 * 500 + 500 + 500 * 2 + 2
    assert (params.dcgan4.batch, params.dcgan4.lr, params.dcgan4.optimizer.betas[0]) == (128, 2e-4, 0.5)
    assert (params.dann.batch, params.dann.lr) == (128, 2e-4)
    assert (params.adda.lr, params.adda.optimizer.betas[0]) == (2e-4, 0.5)
    assert params.dcgan4.steps == 50 * math.ceil(40_000 / 128)
    assert params.dann.steps == params.adda.steps == 100 * math.ceil(60_000 / 128)


def test_r20_has_its_vae_dcgan_dann_and_adda_discriminator() -> None:
    params = with_profiles("R20")
    assert (params.gans, params.autoencoders, params.backbone) == (["dcgan4"], ["vae"], "R20")
    assert counts(Dcgan4(params.dcgan4)) == DCGAN4_OF_64
    assert counts(Vae(params.vae)) == VAE
    assert adda_discriminator(params, "LeNet") == 501 * 200 + 201 * 200 + 201 * 2
    # DANN's extractor has 512 features
    assert adda_discriminator(params, "R20") == 513 * 200 + 201 * 200 + 201 * 2
    assert params.dcgan4.lr == params.vae.lr == params.dann.lr == 1e-3
    assert params.vae.flips == "both"
    assert params.dcgan4.steps == 100 * math.ceil(40_000 / params.dcgan4.batch)
    assert params.vae.steps == 50 * math.ceil(40_000 / params.vae.batch)
    assert params.dann.steps == 50 * math.ceil(60_000 / params.dann.batch)


def test_r21_has_stylegan2_at_full_width_dann_and_dsn() -> None:
    params = with_profiles("R21")
    assert (params.gans, params.adapters) == (["stylegan2"], ["dann", "dsn"])
    generator: Any = Stylegan2(params.stylegan2).networks["generator"]
    mapping = [layer for layer in generator.mapping.modules() if isinstance(layer, Dense)]
    assert [tuple(layer.weight.shape) for layer in mapping] == [(512, 512)] * 8
    assert generator.to_rgb[0].weight.shape[1] == 512
    assert generator.to_rgb[-1].weight.shape[1] == 256
    assert (params.backbone, params.dann.steps) == ("R21", 50_000)
    dsn = params.dsn
    assert (dsn.alpha, dsn.beta, dsn.gamma) == (0.015, 0.075, 0.25)
    assert (dsn.lr, dsn.optimizer.betas, dsn.batch, dsn.steps) == (1e-3, (0.9, 0.999), 32, 30_000)
    assert params.data.color_jitter == ["usps"]


def test_r22a_has_its_dcgan_sngan_and_a_network_like_vgg() -> None:
    params = with_profiles("R22a")
    assert (params.gans, params.backbone) == (["dcgan5", "sngan"], "R21")
    assert counts(Dcgan5(params.dcgan5)) == DCGAN5
    assert counts(Sngan(params.sngan)) == SNGAN
    assert (params.data.public.celeba_train, params.data.public.celeba_test) == (38_464, 2_025)


def test_r22b_has_its_dcgan_sngan_with_penalty_and_dann() -> None:
    params = with_profiles("R22b")
    assert (params.gans, params.backbone) == (["dcgan5", "sngan_gp"], "R21")
    assert counts(Dcgan5(params.dcgan5)) == DCGAN5
    assert counts(SnganGp(params.sngan_gp)) == SNGAN_GP
    assert (params.dann.batch, params.dann.lr) == (64, 3e-4)
    assert params.dann.steps == 200 * math.ceil(44_800 / 64)
    assert params.data.public.split == "course2022"


def test_r19_has_its_acgan_of_faces() -> None:
    faces = with_profiles("R19").acgan.faces
    label, generator, discriminator, *heads = counts(Acgan(faces))
    assert label == 0
    assert generator == (101 * 384 + 384 + kernels(384, 192, 96, 48, 24, 3, size=4) + norms(192, 96, 48, 24))
    assert discriminator == kernels(3, 16, 32, 64, 128, 256, 512, size=3) + norms(32, 64, 128, 256, 512)
    assert heads == [12800 + 1, 12800 * 2 + 2]
    assert (faces.attribute, faces.batch, faces.lr, faces.optimizer.betas[0]) == ("smiling", 100, 2e-4, 0.5)
    assert (faces.steps, faces.aux_loss_on) == (100 * 40_000 // 100, "real_and_fake")


def test_r21_has_its_acgan_of_digits() -> None:
    digits = with_profiles("R21").acgan.digits
    label, generator, discriminator, *heads = counts(Acgan(digits))
    assert label == 10 * 100
    assert generator == (
        (100 * 8192 + 8192)
        + (kernels(128, 128, size=3, biases=True) + kernels(128, 64, 3, size=3, biases=True))
        + norms(128, 128, 64)
    )
    assert discriminator == kernels(3, 16, 32, 64, 128, size=3, biases=True) + norms(32, 64, 128)
    assert heads == [512 + 1, 512 * 10 + 10]
    assert digits.aux_loss_on == "real_and_fake"


@pytest.mark.parametrize(("name", "timesteps"), [("R22a", 600), ("R22b", 1000)])
def test_r22_has_its_diffusion_model(name: str, timesteps: int) -> None:
    """The weights of its U-Net are counted in tests/systems/test_unet.py."""
    ddpm = with_profiles(name).ddpm
    assert (ddpm.arch, ddpm.width, ddpm.timesteps) == (name, 64, timesteps)
    assert (ddpm.noise_schedule, ddpm.prediction, ddpm.label_dropout) == ("linear", "epsilon", 0.1)
    assert (ddpm.batch, ddpm.lr, ddpm.steps) == (64, 3e-4, 300 * math.ceil(44_800 / 64))
    assert (ddpm.sampler, ddpm.sampling_steps) == ("ddpm", timesteps)


# --- what a profile names ---------------------------------------------------------------------------------------


def keys(section: Raw, path: str = "") -> set[str]:
    """The paths of all keys of a section."""
    return {
        name
        for key, value in section.items()
        for name in (keys(value, f"{path}{key}.") if isinstance(value, dict) else {path + key})
    }


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_sets_every_key_of_its_systems(name: str) -> None:
    """So that it is the same on top of any params.yaml."""
    profile, default = (read_yaml(ROOT / path) for path in (f"profiles/{name}.yaml", "params.yaml"))
    lists = ("adapters", "gans", "autoencoders", "conditional", "extractors")
    others = {"seeds", "engine", "data", "pairs", "backbone", "generation", "report", *lists}
    conditional = [system for system, items in profile["conditional"].items() if items]
    systems = {"classifier", *profile["adapters"], *profile["gans"], *profile["autoencoders"], *conditional}
    assert set(profile) == systems | others
    assert profile["report"] == {"reference": name}
    assert keys(profile["conditional"]) == keys(default["conditional"])
    assert keys(profile["extractors"]) == keys(default["extractors"])
    assert keys(profile["generation"]["seeds"]) == keys(default["generation"]["seeds"])
    assert keys(profile["data"]["public"]) == keys(default["data"]["public"])
    for system in systems - {"acgan"}:
        assert keys(profile[system]) == keys(default[system]), system
    for item in profile["conditional"]["acgan"]:
        assert keys(profile["acgan"][item]) == keys(default["acgan"][item]), item
    assert list(profile.get("acgan", [])) == profile["conditional"]["acgan"]


@pytest.mark.parametrize("name", REPORTS)
def test_the_pairs_of_a_report_are_those_with_printed_accuracies(name: str) -> None:
    from hw2core.report import references

    printed = {reference.pair for reference in references.REPORTS if reference.report == name}
    assert set(with_profiles(name).pairs) == printed


SIZES = {
    *("arch", "steps", "batch", "lr_schedule.warmup_steps", "domain_losses_from_step"),
    *(
        "width",
        "latent_dim",
        "generator_width",
        "discriminator_width",
        "max_channels",
        "mapping_layers",
        "depth",
    ),
    *("timesteps", "sampling_steps"),
}
"""The settings of a system that say how much is trained and sampled, not what and how."""


@pytest.mark.parametrize("others", [*((name,) for name in REPORTS), ("public", "paper"), ("everything",)])
def test_smoke_makes_everything_tiny_and_the_systems_stay(others: tuple[str, ...]) -> None:
    full, small = with_profiles(*others).model_dump(), with_profiles(*others, "smoke").model_dump()
    for key in ("adapters", "gans", "autoencoders", "conditional", "extractors", "pairs", "evaluation"):
        assert small[key] == full[key]
    assert small["data"] | {"embedded": None} == full["data"] | {"embedded": None}
    tiny = with_profiles("everything", "smoke").model_dump()
    for system in (*TRAININGS, "acgan"):
        items = ((full[system], small[system], tiny[system]),)
        if system == "acgan":
            items = tuple(
                (full[system][item], small[system][item], tiny[system][item]) for item in full[system]
            )
        for before, after, least in items:
            assert after["steps"] == 10
            assert after["batch"] <= 20
            assert {key: value_at(after, key) for key in SIZES & keys(after)} == {
                key: value_at(least, key) for key in SIZES & keys(least)
            }
            changed = {key for key in keys(before) if value_at(before, key) != value_at(after, key)}
            assert changed <= SIZES, system
    assert small["backbone"] == "LeNet"
    assert small["engine"]["device"] == "auto"
    assert (small["data"]["embedded"]["train"], small["generation"]["images"]) == (200, 40)


def value_at(section: Raw, path: str) -> Any:
    for key in path.split("."):
        section = section[key]
    return section


# --- a run in the smallest size ---------------------------------------------------------------------------------

PAIR = "blended-handwritten"
EVALUATED = {
    "R19": ("evaluate", "evaluate_acgan"),
    "R20": ("evaluate_autoencoder",),
    "R21": ("evaluate_acgan",),
    "R22a": ("evaluate_ddpm",),
    "R22b": ("evaluate_gan",),
}
"""Each evaluation with the networks of one report: of faces, of digits, of samples and of reconstructions. That all systems
train, and that generators sample while they train, is tested for each report."""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with random images."""
    root = tmp_path_factory.mktemp("ready")
    rng = np.random.default_rng(0)
    for name, size in (("blended", 28), ("handwritten", 28), ("drawn_faces", 64)):
        attributes = ["dark_hair", "glasses"] if size == 64 else None
        splits = {}
        for split, count in (("train", 24), ("test", 12)):
            pictures = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
            labels = np.arange(count, dtype=np.uint8) % 10
            if attributes:
                labels = np.stack([labels % 2, labels // 2 % 2], axis=1)
            splits[split] = Split(pictures, labels)
        images.write(Layout(root).ready(name), ImageData(splits, "random", attributes), {"name": name})
    return root / "data"


def smallest(name: str) -> Raw:
    """The params of a report in the smoke size with its own architectures, then even smaller."""
    raw: Raw = with_profiles(name, "embedded", "smoke").model_dump(mode="json")
    printed = with_profiles(name).model_dump(mode="json")
    raw["backbone"] = printed["backbone"]
    for section, whole in (
        (raw["ddpm"], printed["ddpm"]),
        *((raw["acgan"][item], printed["acgan"][item]) for item in raw["acgan"]),
    ):
        section["arch"] = whole["arch"]
    raw["data"] |= {"domains": ["blended", "handwritten"], "digits": "blended"}
    raw |= {"seeds": [0], "pairs": {PAIR: {"source": "blended", "target": "handwritten"}}}
    raw["engine"] |= {"device": "cpu", "evaluate_every": 1, "checkpoint_every": 1}
    raw["dsn"]["domain_losses_from_step"] = 0
    raw["generation"]["images"] = 20
    raw["tsne"] |= {"images_per_domain": 20, "perplexity": 2}
    for section in (*(raw[system] for system in TRAININGS), *raw["acgan"].values()):
        section |= {"steps": 1, "batch": 4}
        section["lr_schedule"]["warmup_steps"] = 0
    raw["sngan_gp"]["n_critic"] = 2
    raw["ddpm"]["sampling_steps"] = 1
    return raw


@pytest.mark.parametrize("name", REPORTS)
def test_every_system_of_a_report_runs(empty_workspace: Workspace, hw2: Hw2, ready: Path, name: str) -> None:
    """On random images. The whole pipeline with a report's profile is `PROFILE=NAME .ci/run smoke`."""
    shutil.copytree(ready, empty_workspace.root / "data", copy_function=os.link)
    raw = smallest(name)
    empty_workspace.set_params(raw)
    for command in stage_commands(raw):
        target = command[:2] == ("train_classifier", "handwritten")  # no system starts from it
        if not target and (command[0].startswith("train_") or command[0] in EVALUATED[name]):
            assert hw2(*command).status == 0, command
