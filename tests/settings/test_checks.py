"""Checks between keys: lists without repetitions, known systems, pairs of known domains, and counts that fit."""

from typing import Any

import pytest
from conftest import Raw
from invalid_params import accept, get, problems, put

from hw2core.settings.registry import ADAPTERS, AUTOENCODERS, GANS

LISTS = (
    *("data.domains", "data.color_jitter", "seeds", "adapters", "gans", "autoencoders"),
    *("generation.seeds.gans", "generation.seeds.autoencoders", "generation.seeds.conditional"),
    *("conditional.acgan", "conditional.ddpm", "extractors.digits", "extractors.faces"),
)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_names_nothing_twice(raw: Raw, path: str) -> None:
    first = get(raw, path)[0]
    get(raw, path).append(first)
    assert problems(raw) == [f"{path}: {first} is listed twice"]


# --- lists that select what runs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "adapters",
        "gans",
        "autoencoders",
        "conditional.acgan",
        "conditional.ddpm",
        "pairs",
        "data.color_jitter",
    ],
)
def test_nothing_of_a_kind_need_run(raw: Raw, path: str) -> None:
    put(raw, path, {} if path == "pairs" else [])
    accept(raw)


def test_no_faces_need_be_generated(raw: Raw) -> None:
    """Then the extractor of faces is not needed, and neither is the dataset."""
    raw |= {"gans": [], "autoencoders": []}
    raw["conditional"]["acgan"] = ["digits"]
    accept(raw)
    raw["extractors"]["faces"] = []
    raw["data"]["faces"] = "celeba"
    accept(raw)


def test_no_digits_need_be_generated(raw: Raw) -> None:
    raw["conditional"] = {"acgan": ["faces"], "ddpm": []}
    accept(raw)
    raw["extractors"]["digits"] = []
    raw["data"]["digits"] = "svhn"
    accept(raw)


def test_no_domain_is_needed_if_only_faces_are_generated(raw: Raw) -> None:
    raw["conditional"] = {"acgan": ["faces"], "ddpm": []}
    raw |= {"adapters": [], "pairs": {}}
    raw["extractors"]["digits"] = []
    raw["data"] |= {"domains": [], "color_jitter": []}
    accept(raw)


@pytest.mark.parametrize(
    "generated",
    [{"gans": ["sngan"]}, {"autoencoders": ["vae"]}, {"conditional": {"acgan": ["faces"], "ddpm": []}}],
)
def test_generated_faces_need_an_extractor(raw: Raw, generated: Raw) -> None:
    raw |= {"gans": [], "autoencoders": [], "conditional": {"acgan": [], "ddpm": []}} | generated
    raw["extractors"] = {"digits": [], "faces": []}
    assert problems(raw) == [
        "extractors.faces: must name face_features, since gans, autoencoders or conditional generate faces"
    ]


@pytest.mark.parametrize(
    "conditional", [{"acgan": ["digits"], "ddpm": []}, {"acgan": [], "ddpm": ["digits"]}]
)
def test_generated_digits_need_an_extractor(raw: Raw, conditional: Raw) -> None:
    raw["conditional"] = conditional
    raw["extractors"]["digits"] = []
    assert problems(raw) == ["extractors.digits: must name classifier, since conditional generates digits"]


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("adapters", "vae", ADAPTERS),
        ("gans", "biggan", GANS),
        ("gans", "dann", GANS),
        ("autoencoders", "dcgan4", AUTOENCODERS),
    ],
)
def test_an_unknown_system_is_reported_with_the_known_ones(
    raw: Raw, path: str, name: str, known: tuple[str, ...]
) -> None:
    raw[path] = [name]
    assert problems(raw) == [f"{path}: unknown system {name}; there are: {', '.join(known)}"]


# --- datasets and pairs -----------------------------------------------------------------------------------------


def test_a_domain_is_a_dataset_of_digits(raw: Raw) -> None:
    raw["data"]["domains"].append("drawn_faces")
    assert problems(raw) == ["data.domains: drawn_faces is of faces; a domain is of digits"]


def test_faces_are_a_dataset_of_faces(raw: Raw) -> None:
    raw["data"]["faces"] = "printed"
    assert problems(raw) == ["data.faces: printed is of digits"]


@pytest.mark.parametrize(("path", "value"), [("data.color_jitter", ["printed"]), ("data.digits", "printed")])
def test_what_is_said_of_a_domain_is_said_of_one_that_is_used(raw: Raw, path: str, value: Any) -> None:
    raw["data"]["domains"] = ["handwritten", "blended"]
    raw["pairs"] = {}
    put(raw, path, value)
    assert problems(raw) == [f"{path}: printed is not among data.domains (handwritten, blended)"]


@pytest.mark.parametrize(
    ("name", "source", "target", "problem"),
    [
        ("there", "blended", "handwritten", "there: a pair is named by its domains, blended-handwritten"),
        (
            "blended-blended",
            "blended",
            "blended",
            "blended-blended: source and target are the same domain, blended",
        ),
        (
            "blended-printed",
            "blended",
            "printed",
            "blended-printed.target: printed is not among data.domains (handwritten, blended)",
        ),
        (
            "svhn-blended",
            "svhn",
            "blended",
            "svhn-blended.source: svhn is not among data.domains (handwritten, blended)",
        ),
    ],
)
def test_a_pair_is_named_by_two_different_domains(
    raw: Raw, name: str, source: str, target: str, problem: str
) -> None:
    raw["data"]["domains"] = ["handwritten", "blended"]
    raw["pairs"] = {name: {"source": source, "target": target}}
    assert problems(raw) == [f"pairs.{problem}"]


def test_drawn_faces_need_no_source_of_their_own(raw: Raw) -> None:
    """They are made on this machine wherever the digits come from."""
    for source in ("public", {"mnistm": "public", "usps": "public"}):
        raw["data"] |= {"source": source, "domains": ["mnistm", "usps"], "digits": "usps", "color_jitter": []}
        raw["pairs"] = {"mnistm-usps": {"source": "mnistm", "target": "usps"}}
        accept(raw)


def test_every_dataset_that_is_used_has_a_source(raw: Raw) -> None:
    """What each source has is tested in tests/data/test_catalog.py."""
    raw["data"]["source"] = {"handwritten": "public", "blended": "embedded", "utkface": "folder"}
    raw["data"]["faces"] = "utkface"
    assert problems(raw) == [
        "data.source: public has no handwritten, only mnist, mnistm, usps, svhn, celeba; handwritten needs embedded",
        "data.source: does not say where printed comes from",
        "data.folder.paths: must name the folder that utkface comes from",
    ]
    raw["data"]["source"] |= {"handwritten": "embedded", "printed": "embedded"}
    raw["data"]["folder"]["paths"] = {"utkface": "~/utkface"}
    accept(raw)


# --- counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["classifier", "adamatch", "sngan", "vae", "acgan.faces", "ddpm", "face_features"]
)
def test_a_warmup_is_not_longer_than_its_training(raw: Raw, name: str) -> None:
    section = get(raw, name)
    section["steps"] = section["lr_schedule"]["warmup_steps"] = 7
    accept(raw)
    section["lr_schedule"]["warmup_steps"] = 8
    assert problems(raw) == [f"{name}.lr_schedule.warmup_steps: must be at most the 7 of {name}.steps, not 8"]


def test_each_step_of_the_critic_has_two_images(raw: Raw) -> None:
    raw["sngan_gp"] |= {"batch": 10, "n_critic": 5}
    accept(raw)
    raw["sngan_gp"]["batch"] = 9
    assert problems(raw) == ["sngan_gp.batch: must give each of the 5 of sngan_gp.n_critic two images, not 9"]


def test_the_perplexity_is_less_than_the_number_of_points(raw: Raw) -> None:
    raw["tsne"] |= {"images_per_domain": 20, "perplexity": 39}
    accept(raw)
    raw["tsne"]["perplexity"] = 40
    assert problems(raw) == [
        "tsne.perplexity: must be less than the 40 points, 2 x tsne.images_per_domain, not 40"
    ]


def test_a_wrong_type_elsewhere_hides_no_check(raw: Raw) -> None:
    raw |= {"engine": 3, "gans": "sngan", "seeds": [1, 1]}
    raw["data"]["folder"] = None
    lines = problems(raw)
    assert "seeds: 1 is listed twice" in lines
    assert {line.split(": ")[0] for line in lines} == {"engine", "gans", "data.folder", "seeds"}
