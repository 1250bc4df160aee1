"""The range of every number in params.yaml: its bounds are accepted, what lies just beyond is refused."""

import copy
import math
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from conftest import Raw, small_raw
from pydantic import ValidationError

from hw2core.settings import Params

BOUNDS = {
    "[0, 1)": "*.ema_decay *.betas.0 *.betas.1 *.label_smoothing ddpm.label_dropout",
    "[0, 1]": "*.weight_decay adamatch.confidence_threshold ddpm.guidance_skip_prob ddpm.eta",
    "(0, 1)": "data.folder.test",
    "(0, 0.5)": "data.val_fraction",
    "(0, 10]": "*.lr *.discriminator_lr face_features.temperature",
    "[0, 100]": "dann.lambda_max dsn.alpha dsn.beta dsn.gamma adamatch.target_weight vae.kl_weight"
    " acgan.*.aux_weight ddpm.guidance_scale sweep.guidance_scale.*",
    "[0, 1000]": "*.r1_gamma sngan_gp.gp_weight stylegan2.pl_weight ddpm.min_snr_gamma",
    "(0, 1000]": "acgan.*.label_scale",
    "[0, 2147483647]": "seeds.0 generation.seeds.*.0 *.seed",
    "[0, inf]": "*.warmup_steps dsn.domain_losses_from_step",
    "[1, inf]": "*.steps engine.*_every data.public.celeba_train data.public.celeba_test",
    "[2, inf]": "*.batch",
    "[1, 16]": "r3gan.depth",
    "[1, 32]": "stylegan2.mapping_layers",
    "[1, 100]": "sngan_gp.n_critic",
    "[1, 1000]": "stylegan2.r1_every stylegan2.pl_every acgan.*.r1_every",
    "[1, 1024]": "engine.threads acgan.*.generator_width acgan.*.discriminator_width",
    "[1, 10000]": "*.latent_dim ddpm.sampling_steps sweep.sampling_steps.*",
    "[2, 1000]": "tsne.perplexity",
    "[2, 1024]": "dcgan4.width dcgan5.width sngan.width sngan_gp.width stylegan2.width r3gan.width vae.width",
    "[2, 4096]": "*.max_channels",
    "[2, 1000000]": "generation.images",
    "[4, 512]": "face_features.width",
    "[8, 512] in steps of 8": "ddpm.width",
    "[10, 100000]": "sweep.images",
    "[20, 100000]": "tsne.images_per_domain",
    "[50, 10000]": "ddpm.timesteps",
    "[100, 1000000]": "data.embedded.train data.embedded.test data.embedded.faces_*",
    "one of 32, 64, 128, 256": "*.size",
}


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from numbers(item, (*path, key))
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield (*path, key)


NUMBERS = list(numbers(small_raw()))


def bounds_of(path: tuple[str | int, ...]) -> list[str]:
    """The bounds whose patterns match; those that name the number without a * go first."""
    name = ".".join(map(str, path))
    exact = [bounds for bounds, patterns in BOUNDS.items() if name in patterns.split()]
    return exact or [
        bounds for bounds, patterns in BOUNDS.items() if any(fnmatchcase(name, p) for p in patterns.split())
    ]


def accepts(raw: Raw, path: tuple[str | int, ...], value: float) -> bool:
    section: Any = raw
    for key in path[:-1]:
        section = section[key]
    kept, section[path[-1]] = section[path[-1]], value
    try:
        Params.model_validate(copy.deepcopy(raw))
        return True
    except ValidationError:
        return False
    finally:
        section[path[-1]] = kept


def test_every_number_has_bounds_here() -> None:
    assert {path: found for path in NUMBERS if len(found := bounds_of(path)) != 1} == {}


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_number_keeps_to_its_bounds(raw: Raw, bounds: str) -> None:
    paths = [path for path in NUMBERS if bounds_of(path) == [bounds]]
    assert paths
    for path in paths:
        if bounds.startswith("one of"):
            values = [int(value) for value in re.findall(r"\d+", bounds)]
            assert all(accepts(raw, path, value) for value in values)
            assert not any(accepts(raw, path, value + 1) for value in values)
            continue
        match = re.fullmatch(r"([\[(])([\d.]+), ([\d.]+|inf)([\])])(?: in steps of (\d+))?", bounds)
        assert match
        low, high, step = float(match[2]), float(match[3]), int(match[5] or 1)
        integer = accepts(raw, path, int(low) + 8) and not accepts(raw, path, int(low) + 8.5)
        for bound, open_end, outwards in ((low, match[1] == "(", -1), (high, match[4] == ")", 1)):
            if bound == math.inf:
                assert accepts(raw, path, 10**9)
                continue
            value, beyond = (
                (int(bound), int(bound) + outwards * step) if integer else (bound, bound + outwards * 1e-6)
            )
            assert accepts(raw, path, value) != open_end, (path, value)
            assert not accepts(raw, path, beyond), (path, beyond)
            assert accepts(raw, path, value - outwards * (step if integer else 1e-6)), (path, value)
        if step > 1:
            assert not accepts(raw, path, int(low) + 1)
