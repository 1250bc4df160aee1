"""The registry of systems follows from the classes of the sections of params."""

import inspect

import pytest
from conftest import ROOT

from hw2core.settings.models import Params
from hw2core.settings.registry import (
    ADAPTERS,
    AUTOENCODERS,
    CONDITIONAL,
    DATASETS,
    DRAWN_FACES,
    FACES,
    GANS,
    SAMPLERS,
    TRAININGS,
    title,
)
from hw2core.settings.systems import Adapter, Autoencoder, Gan, Section, Systems, Training

KINDS = {Adapter: ADAPTERS, Gan: GANS, Autoencoder: AUTOENCODERS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_base_of_a_section_decides_its_kind(kind: type[Training]) -> None:
    sections = {name: field.annotation for name, field in Systems.model_fields.items()}
    found = {name for name, section in sections.items() if kind in inspect.getmro(section)}  # type: ignore[arg-type]
    assert set(KINDS[kind]) == found
    assert len(KINDS[kind]) == len(found) > 0


def test_a_system_is_of_one_kind() -> None:
    assert len({*ADAPTERS, *GANS, *AUTOENCODERS}) == len(ADAPTERS) + len(GANS) + len(AUTOENCODERS)
    assert {"dann", "sngan_gp", "vae"} <= {*ADAPTERS, *GANS, *AUTOENCODERS}
    assert {"classifier", "ddpm", "face_features", *ADAPTERS, *GANS, *AUTOENCODERS} == set(TRAININGS)


@pytest.mark.parametrize("name", Systems.model_fields)
def test_a_section_has_the_name_of_its_file_and_a_title(name: str) -> None:
    assert (ROOT / "hw2core" / "systems" / f"{name}.py").is_file()
    assert title(name) not in ("", name)


def test_titles_are_different() -> None:
    titles = [title(name) for name in Systems.model_fields]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("adamatch", "AdaMatch"), ("acgan/digits", "ACGAN"), ("classifier", "source only"), ("noise", "noise")],
)
def test_a_name_is_printed_as_its_title(name: str, expected: str) -> None:
    assert title(name) == expected


def test_a_conditional_generator_is_one_of_the_sections() -> None:
    for name in CONDITIONAL:
        section, _, item = name.partition("/")
        model = Params.model_fields[section].annotation
        assert isinstance(model, type)
        assert issubclass(model, Section)
        assert not item or item in model.model_fields
    assert "dpm_solver" in SAMPLERS


def test_datasets_of_faces_have_a_source() -> None:
    assert DRAWN_FACES in DATASETS["embedded"]
    assert set(FACES) <= {name for names in DATASETS.values() for name in names}
