"""Old names: a key of version 0.1 is reported with its new name, and bench/rename_published.py renames whole runs."""

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT, Raw, small_raw
from invalid_params import get, problems, put
from ruamel.yaml import YAML

from hw2core.settings.models import Params
from hw2core.settings.registry import TRAININGS
from hw2core.settings.renamed import RENAMED, RENAMED_IN_EVERY_SYSTEM, new_name
from hw2core.settings.yaml import read_yaml, write_yaml

SECTIONS = [*TRAININGS, "acgan.digits", "acgan.faces"]


def has(raw: Raw, path: str) -> bool:
    try:
        get(raw, path)
    except (KeyError, TypeError):
        return False
    return True


def renamed_keys() -> list[tuple[str, str]]:
    """Every old path that a user can write, with its new path: those of RENAMED, and one section for each of the others."""
    raw = small_raw()
    found = {old: new for old, new in RENAMED.items() if old.rpartition(".")[0] not in RENAMED}
    for key, new in RENAMED_IN_EVERY_SYSTEM.items():
        section = next(
            name for name in SECTIONS if has(raw, f"{name}.{new}") and f"{name}.{key}" not in RENAMED
        )
        found[f"{section}.{key}"] = f"{section}.{new}"
    return list(found.items())


@pytest.mark.parametrize(("old", "new"), renamed_keys())
def test_an_old_key_is_reported_with_its_new_name_and_nothing_else(raw: Raw, old: str, new: str) -> None:
    """The new key, or the group that it is in, is not reported as missing too."""
    assert has(raw, new)
    missing = next(part for part in prefixes(new) if part not in Params.model_fields or part == new)
    *parents, key = missing.split(".")
    del (get(raw, ".".join(parents)) if parents else raw)[key]
    put(raw, old, 1)
    assert problems(raw) == [f"{old}: is called {new} now"]


def prefixes(path: str) -> list[str]:
    """a.b.c: a.b, then the whole; a key at the top: itself. The sections of acgan are not a group of keys."""
    parts = path.split(".")
    start = 3 if parts[0] == "acgan" else 2
    return [".".join(parts[:stop]) for stop in range(min(start, len(parts)), len(parts) + 1)]


def test_every_new_name_is_a_key(raw: Raw) -> None:
    assert all(has(raw, new) for new in RENAMED.values())


def test_several_old_keys_of_one_group_are_one_line_each(raw: Raw) -> None:
    del raw["dann"]["optimizer"]
    raw["dann"] |= {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0}
    assert sorted(problems(raw)) == [
        "dann.beta1: is called dann.optimizer.betas now",
        "dann.beta2: is called dann.optimizer.betas now",
        "dann.weight_decay: is called dann.optimizer.weight_decay now",
    ]


def test_a_key_that_is_missing_for_another_reason_is_still_reported(raw: Raw) -> None:
    del raw["dann"]["lambda_max"], raw["dann"]["lambda_schedule"]
    raw["dann"]["reversal"] = 1
    assert problems(raw) == [
        "dann.lambda_schedule: missing; every key must be given",
        "dann.reversal: is called dann.lambda_max now",
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [("data.folder.path", "did you mean data.folder.paths?"), ("classifier.noise", "known here: ")],
)
def test_a_key_that_its_section_never_had_is_unknown(raw: Raw, path: str, hint: str) -> None:
    put(raw, path, 1)
    (line,) = problems(raw)
    assert line.startswith(f"{path}: unknown key; {hint}")


def test_a_key_that_never_existed_has_no_new_name() -> None:
    assert new_name("dann.zzz") is None
    assert new_name("engine") is None


# --- bench/rename_published.py ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rename_published() -> ModuleType:
    path = ROOT / "bench" / "rename_published.py"
    spec = importlib.util.spec_from_file_location("rename_published", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        spec.loader.exec_module(module)
    return module


OLD_PARAMS = """\
seeds: [0]   # two would be better
data: {holdout: 0.1, jitter: [handwritten]}
classifier: {steps: 7, lr: 1e-3, beta1: 0.9, beta2: 0.999, weight_decay: 0.0, schedule: cosine, warmup: 2, ema: 0.5}
dann:
  arch: LeNet
  reversal: 0.3   # printed: 1
  reversal_schedule: ganin
  batches: apart
adamatch: {classes: even, confidence: 0.9, target: 1.0}
gan: {methods: {dcgan4: dcgan, sngan: sngan}}
dcgan4: {noise: 100, critic_lr: 4e-4, augment: [colour, cutout], smoothing: 0.1, r1: 0.0}
ddpm: {times: 1000, noise: cosine, unlabelled: 0.1, min_snr: 0.0, guidance: 2.0, skip: 0.0}
acgan:
  digits: {labels_of: both, obedience: 1.0, r1: 0.1, noise: 100}
judges: {digits: {checkpoint: null}, inception: null}
tsne: {images: 200}
generation:
  seeds: [0, 1]   # each generator
"""

NEW_PARAMS = {
    "seeds": [0],
    "adapters": ["dann", "adda", "dsn", "adamatch"],
    "autoencoders": ["vae"],
    "conditional": {"acgan": ["digits", "faces"], "ddpm": ["digits"]},
    "extractors": {"digits": ["classifier"], "faces": ["face_features"]},
    "data": {"val_fraction": 0.1, "color_jitter": ["handwritten"]},
    "backbone": "LeNet",
    "classifier": {
        "steps": 7,
        "lr": 1e-3,
        "optimizer": {"betas": [0.9, 0.999], "weight_decay": 0.0},
        "lr_schedule": {"kind": "cosine", "warmup_steps": 2},
        "ema_decay": 0.5,
    },
    "dann": {"lambda_max": 0.3, "lambda_schedule": "ganin", "batch_norm": "per_domain"},
    "adamatch": {"label_prior": "uniform", "confidence_threshold": 0.9, "target_weight": 1.0},
    "gans": ["dcgan4", "sngan"],
    "dcgan4": {
        "latent_dim": 100,
        "discriminator_lr": 4e-4,
        "diffaugment": ["color", "cutout"],
        "label_smoothing": 0.1,
        "r1_gamma": 0.0,
    },
    "ddpm": {
        "timesteps": 1000,
        "noise_schedule": "cosine",
        "label_dropout": 0.1,
        "min_snr_gamma": 0.0,
        "guidance_scale": 2.0,
        "guidance_skip_prob": 0.0,
    },
    "acgan": {
        "digits": {
            "aux_loss_on": "real_and_fake",
            "aux_weight": 1.0,
            "r1_gamma": 0.1,
            "latent_dim": 100,
            "r1_every": 8,
            "label_scale": 3.0,
        }
    },
    "evaluation": {"digits": {"checkpoint": None}, "faces": {"inception": None}},
    "tsne": {"images_per_domain": 200},
    "generation": {"seeds": {"gans": [0, 1], "autoencoders": [0, 1], "conditional": [0, 1]}},
}


def test_the_params_of_an_old_run_get_new_names(tmp_path: Path, rename_published: ModuleType) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(OLD_PARAMS)
    rename_published.rename_params_file(path)
    assert read_yaml(path) == NEW_PARAMS
    text = path.read_text()
    assert "seeds: [0]   # two would be better" in text
    assert "# each generator" in text
    assert any(line.split() == ["lambda_max:", "0.3", "#", "printed:", "1"] for line in text.splitlines())


def test_params_of_today_are_left_as_they_are(rename_published: ModuleType) -> None:
    params = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    before, after = io.StringIO(), io.StringIO()
    write_yaml(params, before)
    write_yaml(rename_published.rename_params(params), after)
    assert after.getvalue() == before.getvalue()


def test_the_metrics_of_an_old_run_get_new_names(tmp_path: Path, rename_published: ModuleType) -> None:
    gan, digits = (tmp_path / name for name in ("train_gan/dcgan4", "evaluate_ddpm/digits"))
    for folder in (gan, digits):
        folder.mkdir(parents=True)
    losses = {"critic_loss": {"mean": 0.9, "each": [0.9]}, "generator_gradient": {"mean": 2.0, "each": [2.0]}}
    (gan / "metrics.json").write_text(json.dumps({"at_the_end": losses, "steps": 100}))
    (gan / "history.csv").write_text("step,critic_loss,real_accuracy,diversity\n100,0.9,0.75,1.0\n")
    old = {"digits_read": 97.5, "fid_digits": 1.8, "by": [{"by": "LeNet", "n_fake": 10}], "judge": "LeNet"}
    (digits / "metrics.json").write_text(json.dumps(old))
    rename_published.rename_stages(tmp_path)
    assert json.loads((gan / "metrics.json").read_text()) == {
        "final": {
            "d_loss": {"mean": 0.9, "values": [0.9]},
            "g_grad_norm": {"mean": 2.0, "values": [2.0]},
        },
        "steps": 100,
    }
    assert (gan / "history.csv").read_text() == "step,d_loss,d_real_acc,diversity\n100,0.9,0.75,1.0\n"
    assert json.loads((digits / "metrics.json").read_text()) == {
        "digit_accuracy": 97.5,
        "fd_digits": 1.8,
        "extractor": [{"extractor": "LeNet", "n_fake": 10}],
        "classifier": "LeNet",
    }
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    rename_published.rename_stages(tmp_path)
    assert {path: path.read_bytes() for path in before} == before
