"""Validation of single keys: valid params load, and each problem is one line with the key's full path."""

import copy
from typing import Any

import pytest
from conftest import ROOT, Raw, complaint, small_raw
from hypothesis import given
from hypothesis import strategies as st
from invalid_params import accept, leaves, problems, put

from hw2core.settings import Params, load_params
from hw2core.settings.validation import validate

SMALL = small_raw()


def test_the_default_file_is_valid() -> None:
    assert isinstance(load_params(ROOT / "params.yaml"), Params)


def test_every_section_of_the_default_file_is_commented() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for section in Params.model_fields:
        before, _, after = text.partition(f"\n{section}:")
        assert after, section
        body = after.partition("\n\n")[0]
        assert before.splitlines()[-1].startswith("#") or "#" in body, section


def test_values_are_immutable_after_loading(params: Params) -> None:
    with pytest.raises(ValueError, match="frozen"):
        params.classifier.steps = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("engin", "did you mean engine?"),
        ("engine.thread", "did you mean engine.threads?"),
        ("data.embedded.sed", "did you mean data.embedded.seed?"),
        ("dann.lamda_max", "did you mean dann.lambda_max?"),
        ("vae.optimizer.beta", "did you mean vae.optimizer.betas?"),
        ("acgan.digits.archi", "did you mean acgan.digits.arch?"),
        ("pairs.blended-handwritten.sorce", "did you mean pairs.blended-handwritten.source?"),
        ("tsne.zzz", "known here: images_per_domain, perplexity, seed"),
        ("pairs.blended-handwritten.zzz", "known here: source, target"),
    ],
)
def test_an_unknown_key_is_reported_with_the_closest_known_key(raw: Raw, path: str, hint: str) -> None:
    put(raw, path, 1)
    assert problems(raw) == [f"{path}: unknown key; {hint}"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("classifier.steps", "many"),
        ("classifier.steps", 1.5),
        ("classifier.steps", None),
        ("classifier.steps", [1]),
        ("classifier.lr", "fast"),
        ("engine.channels_last", "perhaps"),
        ("engine", 3),
        ("seeds", 0),
        ("pairs", []),
        ("gans", {}),
        ("data.domains", "handwritten"),
        ("data.faces", []),
        ("pairs.blended-handwritten", "blended"),
    ],
)
def test_a_wrong_type_is_reported_with_the_value(raw: Raw, path: str, value: Any) -> None:
    put(raw, path, value)
    (line,) = [line for line in problems(raw) if line.startswith(f"{path}: ")]
    assert line.endswith(f"not {value!r}")


@pytest.mark.parametrize(
    "path",
    ["classifier.steps", "classifier.lr", "engine.threads", "tsne.seed", "dann.lr_schedule.warmup_steps"],
)
def test_a_boolean_is_not_a_number(raw: Raw, path: str) -> None:
    put(raw, path, True)
    assert problems(raw) == [f"{path}: must be a number, not True"]


@pytest.mark.parametrize(
    ("path", "value", "bound"),
    [
        ("engine.threads", 0, "greater than or equal to 1"),
        ("engine.evaluate_every", 0, "greater than or equal to 1"),
        ("engine.checkpoint_every", -1, "greater than or equal to 1"),
        ("data.val_fraction", 0, "greater than 0"),
        ("data.val_fraction", 0.5, "less than 0.5"),
        ("data.embedded.train", 99, "greater than or equal to 100"),
        ("classifier.steps", 0, "greater than or equal to 1"),
        ("classifier.batch", 1, "greater than or equal to 2"),
        ("classifier.lr", 0, "greater than 0"),
        ("classifier.lr", 11, "less than or equal to 10"),
        ("classifier.lr", float("nan"), "finite number"),
        ("classifier.lr", float("inf"), "finite number"),
        ("classifier.optimizer.betas", [0.9, 1], "less than 1"),
        ("classifier.ema_decay", 1.0, "less than 1"),
        ("classifier.ema_decay", -0.1, "greater than or equal to 0"),
        ("dann.lambda_max", -1, "greater than or equal to 0"),
        ("ddpm.width", 12, "multiple of 8"),
        ("generation.images", 1, "greater than or equal to 2"),
        ("tsne.perplexity", 1, "greater than or equal to 2"),
        ("tsne.seed", -1, "greater than or equal to 0"),
        ("seeds", [], "at least 1 item"),
        ("seeds", [2**31], "less than 2147483648"),
        ("generation.seeds.gans", [], "at least 1 item"),
        ("generation.seeds.autoencoders", [], "at least 1 item"),
        ("generation.seeds.conditional", [], "at least 1 item"),
        ("sweep.guidance_scale", [], "at least 1 item"),
    ],
)
def test_a_value_out_of_range_is_reported_with_the_bound(raw: Raw, path: str, value: Any, bound: str) -> None:
    put(raw, path, value)
    (line,) = problems(raw)
    assert line.startswith(path)
    assert bound in line


@pytest.mark.parametrize(
    ("path", "value", "known"),
    [
        ("data.source", "web", "embedded"),
        ("data.public.mnistm", "new", "original or course"),
        ("engine.cpu_isa", "avx512", "avx2 or native"),
        ("backbone", "R99", "R19"),
        ("dann.lambda_schedule", "slow", "ganin or constant"),
        ("dann.batch_norm", "both", "joint or per_domain"),
        ("classifier.lr_schedule.kind", "step", "constant, cosine or linear"),
        ("engine.device", "gpu", "auto, cpu or cuda"),
        ("engine.precision", "fp16", "fp32 or bf16"),
        ("report.reference", "R23", "R19, R20, R21, R22a or R22b"),
    ],
)
def test_an_unknown_choice_is_reported_with_the_known_ones(
    raw: Raw, path: str, value: str, known: str
) -> None:
    put(raw, path, value)
    (line,) = problems(raw)
    assert line.startswith(f"{path}: must be ")
    assert known in line
    assert line.endswith(f"not '{value}'")


@pytest.mark.parametrize("value", [[0], [0, 1], 0, None])
def test_seeds_of_generators_that_are_not_given_by_kind_are_one_line_with_the_form(
    raw: Raw, value: Any
) -> None:
    """Version 0.1 had one list for all."""
    put(raw, "generation.seeds", value)
    assert problems(raw) == [
        "generation.seeds: must be a list for each kind of generator, "
        f"{{gans: [0], autoencoders: [0], conditional: [0]}}, not {value}"
    ]


def test_an_unknown_item_of_a_conditional_generator_is_reported_with_the_known_ones(raw: Raw) -> None:
    raw["conditional"] = {"acgan": ["letters"], "ddpm": ["faces"]}
    assert problems(raw) == [
        "conditional.acgan.0: must be digits or faces, not 'letters'",
        "conditional.ddpm.0: must be digits, not 'faces'",
    ]


def test_every_key_is_required(raw: Raw) -> None:
    """Sections and values alike, so that no result depends on a default that DVC cannot see."""
    paths = {path[:depth] for path in leaves(raw) for depth in range(1, len(path) + 1)}
    keys = [path for path in paths if isinstance(path[-1], str) and (path[0] != "pairs" or len(path) != 2)]
    assert len(keys) > 200
    for path in keys:
        without = copy.deepcopy(SMALL)
        section: Any = without
        for key in path[:-1]:
            section = section[key]
        del section[path[-1]]
        line = f"{'.'.join(map(str, path))}: missing; every key must be given"
        assert line in problems(without)


def test_all_problems_are_reported_at_once(raw: Raw) -> None:
    """Those of single keys and those between keys."""
    raw["seeds"] = [1, 1]
    raw["engine"]["treads"] = raw["engine"].pop("threads")
    raw["data"]["embedded"]["train"] = 5
    raw["backbone"] = "R99"
    raw["classifier"]["lr"] = "fast"
    raw["pairs"]["odd"] = {"source": "blended", "target": "printed"}
    assert {line.split(": ")[0] for line in problems(raw)} == {
        "seeds",
        "engine.threads",
        "engine.treads",
        "data.embedded.train",
        "backbone",
        "classifier.lr",
        "pairs.odd",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.domains", ["two\nlines", "blended", "printed"]),
        ("seeds", ["two\nlines", "two\nlines"]),
        ("engine.two\nlines", 1),
        ("pairs.two\nlines", {"source": "blended", "target": "printed"}),
        ("classifier.lr", "two\nlines"),
    ],
)
def test_a_problem_is_one_line_even_if_the_value_has_several(raw: Raw, path: str, value: Any) -> None:
    put(raw, path, value)
    assert problems(raw)


@pytest.mark.parametrize("raw", [None, [], "words", 3])
def test_params_that_are_not_a_mapping_are_refused(raw: Any) -> None:
    (line,) = problems(raw)
    assert line.startswith("holds no keys")


def test_the_small_params_of_the_tests_are_valid() -> None:
    accept(SMALL)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "3e-5", "cpu", "blended", "a\nb", "nan", -1, 0, 1, 2**40, float("inf")])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(path=st.sampled_from(list(leaves(SMALL))), value=values)
def test_any_value_anywhere_is_accepted_or_reported_with_its_path(path: Any, value: Any) -> None:
    raw: Any = copy.deepcopy(SMALL)
    section = raw
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    message = complaint(lambda: validate(raw, "params.yaml"))
    if message is None:
        return
    lines = message.splitlines()
    assert all(line.startswith("params.yaml: ") for line in lines)
    # Checks between keys name a list or a pair as a whole, and a dataset that no source has by its source.
    whole = path[:-1] if isinstance(path[-1], int) or path[0] == "pairs" else path
    accepted = {".".join(map(str, whole)), *(["data.source"] if path[0] == "data" else [])}
    assert any(name in line for name in accepted for line in lines)
