"""The profiles of the five reports say what the reports print: networks by their weights, steps by their epochs."""

import math
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Hw2, Workspace

from hw2core.layout import Layout
from hw2core.settings import ADAPTERS, Acgans, Params, load_params, read_yaml
from hw2core.settings.profiles import apply_profile
from hw2core.systems.acgan import Acgan
from hw2core.systems.adda import Adda
from hw2core.systems.backbones import BACKBONES
from hw2core.systems.dcgan import Dcgan4, Dcgan5
from hw2core.systems.sngan import Sngan, SnganGp
from hw2core.systems.stylegan2 import Dense, Stylegan2
from hw2core.systems.vae import Vae

REPORTS = ("R19", "R20", "R21", "R22a", "R22b")


def with_profiles(folder: Path, *names: str) -> Params:
    """The repository's params.yaml with these profiles, one on the other."""
    layout = Layout(folder)
    shutil.copyfile(ROOT / "params.yaml", layout.params)
    shutil.copytree(ROOT / "profiles", layout.profiles)
    for name in names:
        apply_profile(layout, name)
    return load_params(layout.params)


def weights(network: Any) -> int:
    return sum(weight.numel() for weight in network.parameters())


def counts(system: Any) -> tuple[int, ...]:
    return tuple(weights(network) for network in system.networks.values())


def kernels(*channels: int, size: int, biases: bool = False) -> int:
    """The weights of convolutions, one after the other."""
    return sum(inputs * outputs * size**2 + biases * outputs for inputs, outputs in pairwise(channels))


def norms(*channels: int) -> int:
    """The weights of batch norms: two a channel."""
    return 2 * sum(channels)


# The printed layers, generator and critic, encoder and decoder.
DCGAN4 = (
    kernels(100, 512, 256, 128, 64, 3, size=4) + norms(512, 256, 128, 64),
    kernels(3, 64, 128, 256, 512, 1, size=4) + norms(128, 256, 512),
)
DCGAN4_OF_64 = (DCGAN4[0] - 36 * 512 * 4 * 4, DCGAN4[1])
GENERATOR5 = (
    *(100 * 512 * 4 * 4, norms(512 * 4 * 4), kernels(512, 256, 128, 64, size=5), norms(256, 128, 64)),
    kernels(64, 3, size=5, biases=True),
)
CRITIC5 = kernels(3, 64, 128, 256, 512, size=5, biases=True) + kernels(512, 1, size=4, biases=True)
DCGAN5 = (sum(GENERATOR5), CRITIC5 + norms(128, 256, 512))
SNGAN = (sum(GENERATOR5), CRITIC5)
SNGAN_GP = (
    kernels(100, 1024, size=4) + kernels(1024, 512, 256, 128, 3, size=5) + norms(1024, 512, 256, 128),
    kernels(3, 64, 128, 256, 512, 1, size=4) + norms(128 * 16 * 16, 256 * 8 * 8, 512 * 4 * 4),
)
VAE = (
    kernels(3, 32, 128, 256, 64, size=4, biases=True) + 2 * kernels(1024, 256, size=1, biases=True),
    kernels(256, 512, 128, 32, 16, 3, size=4, biases=True),
)


def test_r19_has_its_dcgan_its_dann_and_its_addas_critic(tmp_path: Path) -> None:
    params = with_profiles(tmp_path, "R19")
    assert dict(params.gan.methods) == {"dcgan4": "dcgan"}
    assert counts(Dcgan4(params.dcgan4)) == DCGAN4
    assert weights(BACKBONES[params.dann.arch]()) == 41_040 + 88_210 + 77_102
    assert weights(Adda(params.adda, params.dann.arch).networks["critic"]) == 768 * 500 + 500 + 500 * 2 + 2
    assert weights(Adda(params.adda, "LeNet").networks["critic"]) == 500 * 500 + 500 + 500 * 2 + 2
    assert (params.dcgan4.batch, params.dcgan4.lr, params.dcgan4.beta1) == (128, 2e-4, 0.5)
    assert (params.dann.batch, params.dann.lr) == (128, 2e-4)
    assert (params.adda.lr, params.adda.beta1) == (2e-4, 0.5)
    assert params.dcgan4.steps == 50 * math.ceil(40_000 / 128)
    assert params.dann.steps == params.adda.steps == 100 * math.ceil(60_000 / 128)


def test_r20_has_its_vae_its_dcgan_its_dann_and_its_addas_critic(tmp_path: Path) -> None:
    params = with_profiles(tmp_path, "R20")
    assert dict(params.gan.methods) == {"dcgan4": "dcgan"}
    assert counts(Dcgan4(params.dcgan4)) == DCGAN4_OF_64
    assert counts(Vae(params.vae)) == VAE
    assert params.dann.arch == "R20"
    assert weights(Adda(params.adda, "LeNet").networks["critic"]) == 501 * 200 + 201 * 200 + 201 * 2
    # DANN's extractor gives 512 features
    assert weights(Adda(params.adda, "R20").networks["critic"]) == 513 * 200 + 201 * 200 + 201 * 2
    assert params.dcgan4.lr == params.vae.lr == params.dann.lr == 1e-3
    assert params.vae.flips == "both"
    assert params.dcgan4.steps == 100 * math.ceil(40_000 / params.dcgan4.batch)
    assert params.vae.steps == 50 * math.ceil(40_000 / params.vae.batch)
    assert params.dann.steps == 50 * math.ceil(60_000 / params.dann.batch)


def test_r21_has_stylegan2_at_full_width_dann_and_dsn(tmp_path: Path) -> None:
    params = with_profiles(tmp_path, "R21")
    assert dict(params.gan.methods) == {"stylegan2": "stylegan2"}
    generator = Stylegan2(params.stylegan2).networks["generator"]
    mapping = [layer for layer in generator.mapping.modules() if isinstance(layer, Dense)]
    assert [tuple(layer.weight.shape) for layer in mapping] == [(512, 512)] * 8
    assert generator.to_rgb[0].weight.shape[1] == 512
    assert generator.to_rgb[-1].weight.shape[1] == 256
    assert (params.dann.arch, params.dann.steps) == ("R21", 50_000)
    dsn = params.dsn
    assert (dsn.reconstruction, dsn.difference, dsn.similarity) == (0.015, 0.075, 0.25)
    assert (dsn.lr, dsn.beta1, dsn.beta2, dsn.batch, dsn.steps) == (1e-3, 0.9, 0.999, 32, 30_000)
    assert params.data.jitter == ["usps"]


def test_r22a_has_its_dcgan_its_sngan_and_a_network_like_vgg(tmp_path: Path) -> None:
    params = with_profiles(tmp_path, "R22a")
    assert dict(params.gan.methods) == {"dcgan5": "dcgan", "sngan": "sngan"}
    assert counts(Dcgan5(params.dcgan5)) == DCGAN5
    assert counts(Sngan(params.sngan)) == SNGAN
    assert params.dann.arch == "R21"
    assert (params.data.public.celeba_train, params.data.public.celeba_test) == (38_464, 2_025)


def test_r22b_has_its_dcgan_its_sngan_with_penalty_and_its_dann(tmp_path: Path) -> None:
    params = with_profiles(tmp_path, "R22b")
    assert dict(params.gan.methods) == {"dcgan5": "dcgan", "sngan_gp": "sngan"}
    assert counts(Dcgan5(params.dcgan5)) == DCGAN5
    assert counts(SnganGp(params.sngan_gp)) == SNGAN_GP
    assert (params.dann.arch, params.dann.batch, params.dann.lr) == ("R21", 64, 3e-4)
    assert params.dann.steps == 200 * math.ceil(44_800 / 64)
    assert params.data.public.split == "course2022"


def test_r19_has_its_acgan_of_faces_and_r21_its_own_of_digits(tmp_path: Path) -> None:
    (tmp_path / "R19").mkdir()
    (tmp_path / "R21").mkdir()
    faces = with_profiles(tmp_path / "R19", "R19").acgan.faces
    label, generator, discriminator, *heads = counts(Acgan(faces))
    assert label == 0
    assert generator == (101 * 384 + 384 + kernels(384, 192, 96, 48, 24, 3, size=4) + norms(192, 96, 48, 24))
    assert discriminator == kernels(3, 16, 32, 64, 128, 256, 512, size=3) + norms(32, 64, 128, 256, 512)
    assert heads == [12800 + 1, 12800 * 2 + 2]
    assert (faces.attribute, faces.batch, faces.lr, faces.beta1) == ("smiling", 100, 2e-4, 0.5)
    assert faces.steps == 100 * 40_000 // 100

    digits = with_profiles(tmp_path / "R21", "R21").acgan.digits
    label, generator, discriminator, *heads = counts(Acgan(digits))
    assert label == 10 * 100
    assert generator == (
        (100 * 8192 + 8192)
        + (kernels(128, 128, size=3, biases=True) + kernels(128, 64, 3, size=3, biases=True))
        + norms(128, 128, 64)
    )
    assert discriminator == kernels(3, 16, 32, 64, 128, size=3, biases=True) + norms(32, 64, 128)
    assert heads == [512 + 1, 512 * 10 + 10]
    assert faces.labels_of == digits.labels_of == "both"


@pytest.mark.parametrize(("name", "times", "bottleneck"), [("R22a", 600, "R22a"), ("R22b", 1000, "R22b")])
def test_r22_has_its_diffusion_model(tmp_path: Path, name: str, times: int, bottleneck: str) -> None:
    """How its U-Net is counted is shown in tests/systems/test_unet.py."""
    ddpm = with_profiles(tmp_path, name).ddpm
    assert (ddpm.arch, ddpm.width, ddpm.times) == (bottleneck, 64, times)
    assert (ddpm.noise, ddpm.prediction, ddpm.unlabeled) == ("linear", "epsilon", 0.1)
    assert (ddpm.batch, ddpm.lr, ddpm.steps) == (64, 3e-4, 300 * math.ceil(44_800 / 64))
    assert (ddpm.sampler, ddpm.sampling_steps) == ("ddpm", times)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_gives_every_key_of_its_systems(name: str) -> None:
    """So that it is the same over whatever params.yaml says."""
    profile = read_yaml(ROOT / "profiles" / f"{name}.yaml")
    systems = {
        "classifier",
        "dann",
        *profile["gan"]["methods"],
        *(set(profile) & {"adda", "dsn", "vae", "ddpm"}),
    }
    assert set(profile) - {"acgan"} == systems | {"seeds", "engine", "data", "pairs", "gan", "report"}
    assert profile["report"] == {"reference": name}
    for item, settings in profile.get("acgan", {}).items():
        assert set(settings) == set(Acgans.model_fields[item].annotation.model_fields)  # type: ignore[union-attr]
    for system in systems:
        model = Params.model_fields[system].annotation
        assert isinstance(model, type)
        assert set(profile[system]) == set(model.model_fields), system  # type: ignore[attr-defined]
    assert set(profile["data"]["public"]) == set(
        Params.model_fields["data"].annotation.model_fields["public"].annotation.model_fields  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("name", REPORTS)
def test_every_system_of_a_report_runs_small(workspace: Workspace, hw2: Hw2, name: str) -> None:
    """For two steps, on data that are there. The whole pipeline with a report's profile is `PROFILE=NAME .ci/run smoke`."""
    data = read_yaml(workspace.layout.params)["data"] | {"domains": ["handwritten", "blended"]}
    workspace.set_params(read_yaml(ROOT / "params.yaml"))
    for profile in (name, "smoke"):
        apply_profile(workspace.layout, profile)
    systems = read_yaml(ROOT / "profiles" / f"{name}.yaml")
    methods = systems["gan"]["methods"]
    adapters = [method for method in ADAPTERS if method in systems]
    items = list(systems.get("acgan", {}))
    pair = "blended-handwritten"
    for section in ("classifier", *adapters, *methods, "vae", "ddpm", *(f"acgan.{item}" for item in items)):
        workspace.change(f"{section}.steps", 2)
    for key, value in {
        "data": data,
        "pairs": {pair: {"source": "blended", "target": "handwritten"}},
        "seeds": [0],
        "engine.evaluate_every": 2,
        "dsn.separate_from": 0,
        "ddpm.sampling_steps": 2,
        "generation.images": 20,
    }.items():
        workspace.change(key, value)
    commands = [
        *(("train_classifier", domain) for domain in data["domains"]),
        *((f"train_{method}", pair) for method in adapters),
        *(("evaluate", method, pair) for method in adapters),
        *((stage, method) for method in methods for stage in ("train_gan", "evaluate_gan")),
        *((stage, item) for item in items for stage in ("train_acgan", "evaluate_acgan")),
        *(
            (stage,)
            for system in ("vae", "ddpm")
            if system in systems
            for stage in (f"train_{system}", f"evaluate_{system}")
        ),
    ]
    for command in commands:
        assert hw2(*command).status == 0, command


@pytest.mark.parametrize("name", REPORTS)
def test_a_reports_pairs_are_those_of_which_it_prints_figures(tmp_path: Path, name: str) -> None:
    from hw2core.report import references

    printed = {reference.pair for reference in references.REPORTS if reference.report == name}
    assert set(with_profiles(tmp_path, name).pairs) == printed


KIND = ("arch", "critic", "schedule", "flips", "augment", "reversal_schedule", "beta1", "beta2", "lr")
"""Settings of a section that say what is trained and how, not how much of it."""


@pytest.mark.parametrize("name", [*REPORTS, "paper", "public", "every_gan"])
def test_smoke_after_a_profile_is_a_small_run_of_the_same_systems(tmp_path: Path, name: str) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "small").mkdir()
    full, small = with_profiles(tmp_path / "alone", name), with_profiles(tmp_path / "small", name, "smoke")
    assert small.gan == full.gan
    systems = (
        "classifier",
        "dann",
        "adda",
        "dsn",
        "adamatch",
        *full.gan.methods,
        "vae",
        "ddpm",
        "face_features",
    )
    for system in systems:
        before, after = getattr(full, system).model_dump(), getattr(small, system).model_dump()
        assert after["steps"] == 10
        assert after["batch"] <= 20
        assert {key: after[key] for key in KIND if key in after} == {
            key: before[key] for key in KIND if key in before
        }
    assert small.data.source == "embedded"  # no download
    assert small.engine.device == "auto"
    assert (small.data.embedded.train, small.generation.images) == (200, 40)
