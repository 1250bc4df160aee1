"""params.yaml: what is right is loaded, what is wrong is said, a line for each problem."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Raw, complaint, small_raw
from hypothesis import given
from hypothesis import strategies as st

from hw2core.errors import UserError
from hw2core.settings import ADAPTERS, Params, load_params, read_yaml, validate


def problems(raw: Any) -> list[str]:
    """The lines that validation says about `raw`."""
    with pytest.raises(UserError) as error:
        validate(raw, "params.yaml")
    return str(error.value).splitlines()


def put(raw: Raw, path: str, value: Any) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        raw = raw[parent]
    raw[key] = value


def test_the_default_file_is_valid() -> None:
    assert isinstance(load_params(ROOT / "params.yaml"), Params)


def test_every_section_of_the_default_file_is_commented() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for section in Params.model_fields:
        before, _, after = text.partition(f"\n{section}:")
        assert after, section
        body = after.partition("\n\n")[0]
        assert before.splitlines()[-1].startswith("#") or "#" in body, section


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("engin", "did you mean engine?"),
        ("enginee", "did you mean engine?"),
        ("engine.thread", "did you mean engine.threads?"),
        ("data.embedded.sed", "did you mean data.embedded.seed?"),
        ("dann.reversl", "did you mean dann.reversal?"),
        ("pairs.blended-handwritten.sorce", "did you mean pairs.blended-handwritten.source?"),
        ("tsne.zzz", "known here: images, perplexity, seed"),
        ("pairs.blended-handwritten.zzz", "known here: source, target"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(raw: Raw, path: str, said: str) -> None:
    put(raw, path, 1)
    assert problems(raw) == [f"params.yaml: {path}: unknown key; {said}"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("classifier.steps", "many", "'many'"),
        ("classifier.steps", 1.5, "1.5"),
        ("classifier.steps", None, "None"),
        ("classifier.steps", [1], "[1]"),
        ("classifier.lr", "fast", "'fast'"),
        ("engine.channels_last", "perhaps", "'perhaps'"),
        ("engine", 3, "3"),
        ("seeds", 0, "0"),
        ("pairs", [], "[]"),
        ("data.domains", "handwritten", "'handwritten'"),
        ("pairs.blended-handwritten", "blended", "'blended'"),
    ],
)
def test_a_wrong_type_is_said_with_the_value(raw: Raw, path: str, value: Any, said: str) -> None:
    put(raw, path, value)
    lines = [line for line in problems(raw) if line.startswith(f"params.yaml: {path}: ")]
    assert len(lines) == 1
    assert lines[0].endswith(f"not {said}")


@pytest.mark.parametrize("path", ["classifier.steps", "classifier.lr", "engine.threads", "tsne.seed"])
def test_a_boolean_is_no_number(raw: Raw, path: str) -> None:
    put(raw, path, True)
    assert [line.split(": ")[1] for line in problems(raw)] == [path]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("engine.threads", 0, "greater than or equal to 1"),
        ("engine.evaluate_every", 0, "greater than or equal to 1"),
        ("engine.checkpoint_every", -1, "greater than or equal to 1"),
        ("data.holdout", 0, "greater than 0"),
        ("data.holdout", 0.5, "less than 0.5"),
        ("data.embedded.train", 99, "greater than or equal to 100"),
        ("classifier.steps", 0, "greater than or equal to 1"),
        ("classifier.batch", 1, "greater than or equal to 2"),
        ("classifier.lr", 0, "greater than 0"),
        ("classifier.lr", 11, "less than or equal to 10"),
        ("classifier.lr", float("nan"), "finite number"),
        ("classifier.lr", float("inf"), "finite number"),
        ("classifier.beta1", 1, "less than 1"),
        ("classifier.ema", 1.0, "less than 1"),
        ("classifier.ema", -0.1, "greater than or equal to 0"),
        ("dann.reversal", -1, "greater than or equal to 0"),
        ("tsne.perplexity", 1, "greater than or equal to 2"),
        ("tsne.perplexity", 40, "less than the 40 points"),
        ("tsne.seed", -1, "greater than or equal to 0"),
        ("seeds", [], "at least 1 item"),
        ("seeds", [2**31], "less than 2147483648"),
        ("data.domains", ["handwritten"], "at least 2 items"),
        ("pairs", {}, "at least 1 item"),
    ],
)
def test_a_value_out_of_range_is_said_with_the_bound(raw: Raw, path: str, value: Any, said: str) -> None:
    put(raw, path, value)
    lines = [line for line in problems(raw) if line.startswith(f"params.yaml: {path}")]
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("path", "value", "known"),
    [
        ("data.source", "web", "embedded"),
        ("data.public.mnistm", "new", "original or course"),
        ("dann.arch", "R99", "R19"),
        ("dann.reversal_schedule", "slow", "ganin or constant"),
        ("dann.batches", "both", "together or apart"),
        ("classifier.schedule", "step", "constant, cosine or linear"),
        ("engine.device", "gpu", "auto, cpu or cuda"),
        ("engine.precision", "fp16", "fp32 or bf16"),
    ],
)
def test_an_unknown_name_is_said_with_the_known_ones(raw: Raw, path: str, value: str, known: str) -> None:
    put(raw, path, value)
    (line,) = problems(raw)
    assert line.startswith(f"params.yaml: {path}: must be ")
    assert known in line
    assert line.endswith(f"not '{value}'")


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all single values."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key)


def test_every_key_must_be_given(raw: Raw) -> None:
    named = [path for path in leaves(raw) if isinstance(path[-1], str) and path[:2] != ("gan", "methods")]
    for path in named:
        without = json.loads(json.dumps(raw))
        section = without
        for key in path[:-1]:
            section = section[key]
        del section[path[-1]]
        full = ".".join(map(str, path))
        assert f"params.yaml: {full}: missing; every key must be given" in problems(without)


@pytest.mark.parametrize("section", list(Params.model_fields))
def test_every_section_must_be_given(raw: Raw, section: str) -> None:
    del raw[section]
    assert f"params.yaml: {section}: missing; every key must be given" in problems(raw)


def test_a_pair_is_named_by_its_domains(raw: Raw) -> None:
    raw["pairs"] = {"there": {"source": "blended", "target": "printed"}}
    assert problems(raw) == ["params.yaml: pairs.there: a pair is named by its domains, blended-printed"]


def test_a_pair_has_two_domains(raw: Raw) -> None:
    raw["pairs"] = {"blended-blended": {"source": "blended", "target": "blended"}}
    assert problems(raw) == [
        "params.yaml: pairs.blended-blended: source and target are the same domain, blended"
    ]


def test_the_domains_of_a_pair_are_among_those_made(raw: Raw) -> None:
    raw["data"]["domains"] = ["handwritten", "blended"]
    raw["pairs"] = {"blended-printed": {"source": "blended", "target": "printed"}}
    assert problems(raw) == [
        "params.yaml: pairs.blended-printed.target: printed is not among data.domains (handwritten, blended)"
    ]


def test_faces_are_no_domain(raw: Raw) -> None:
    raw["data"]["domains"].append("drawn_faces")
    (line,) = problems(raw)
    assert line == "params.yaml: data.domains: drawn_faces is of faces; a domain is of digits"


def test_each_turn_of_the_critic_sees_two_images(raw: Raw) -> None:
    raw["sngan_gp"] |= {"batch": 9, "critic_turns": 5}
    assert problems(raw) == [
        "params.yaml: sngan_gp.batch: must give each of the 5 of sngan_gp.critic_turns two images, not 9"
    ]


def test_digits_are_no_faces(raw: Raw) -> None:
    raw["data"]["faces"] = "printed"
    assert problems(raw) == ["params.yaml: data.faces: printed is of digits"]


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"biggan": "biggan"}, "gan.methods: unknown method biggan; there are: dcgan4, dcgan5, sngan"),
        ({"dcgan4": "sngan"}, "gan.methods.dcgan4: its file in systems/ is dcgan, not sngan"),
    ],
)
def test_a_gan_is_named_with_its_file(raw: Raw, methods: dict[str, str], said: str) -> None:
    raw["gan"]["methods"] = methods
    (line,) = problems(raw)
    assert line.startswith(f"params.yaml: {said}")


def test_the_domains_to_jitter_are_among_those_made(raw: Raw) -> None:
    raw["data"] |= {"domains": ["handwritten", "blended"], "jitter": ["printed"]}
    raw["pairs"] = {"blended-handwritten": {"source": "blended", "target": "handwritten"}}
    assert problems(raw) == [
        "params.yaml: data.jitter: printed is not among data.domains (handwritten, blended)"
    ]


def test_no_domain_need_be_jittered(raw: Raw) -> None:
    raw["data"]["jitter"] = []
    validate(raw, "params.yaml")


@pytest.mark.parametrize("section", ["classifier", *ADAPTERS])
def test_a_warmup_fits_into_its_training(raw: Raw, section: str) -> None:
    raw[section] |= {"steps": 7, "warmup": 7}
    validate(raw, "params.yaml")
    raw[section]["warmup"] = 8
    assert problems(raw) == [
        f"params.yaml: {section}.warmup: must be at most the 7 of {section}.steps, not 8"
    ]


def test_no_seed_and_no_domain_stands_there_twice(raw: Raw) -> None:
    raw["data"]["jitter"] = ["handwritten", "handwritten"]
    raw["seeds"] = [3, 1, 3]
    raw["data"]["domains"].append("blended")
    assert problems(raw) == [
        "params.yaml: data.domains: blended stands there twice",
        "params.yaml: seeds: 3 stands there twice",
        "params.yaml: data.jitter: handwritten stands there twice",
    ]


def test_all_problems_are_said_at_once_with_their_full_paths(raw: Raw) -> None:
    raw["seeds"] = [1, 1]
    raw["engine"]["treads"] = raw["engine"].pop("threads")
    raw["data"]["embedded"]["train"] = 5
    raw["dann"]["arch"] = "R99"
    raw["classifier"]["lr"] = "fast"
    raw["pairs"]["odd"] = {"source": "blended", "target": "printed"}
    assert {line.split(": ")[1] for line in problems(raw)} == {
        "seeds",
        "engine.threads",
        "engine.treads",
        "data.embedded.train",
        "dann.arch",
        "classifier.lr",
        "pairs.odd",
    }


@pytest.mark.parametrize("spelling", ["3e-4", "3E-4", "0.0003", "3.0e-4", '"3e-4"', "'0.0003'"])
def test_a_number_may_be_spelled_as_people_and_dvc_spell_it(tmp_path: Path, raw: Raw, spelling: str) -> None:
    raw["classifier"]["lr"] = "HERE"
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(raw).replace('"HERE"', spelling))
    assert load_params(path).classifier.lr == 3e-4


def test_every_adapter_has_a_section_of_its_own() -> None:
    assert "dann" in ADAPTERS
    assert set(ADAPTERS) <= set(Params.model_fields)


def test_values_cannot_be_changed_after_loading(params: Params) -> None:
    with pytest.raises(ValueError, match="frozen"):
        params.classifier.steps = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no keys"),
        (b"# nothing but a comment\n", "holds no keys"),
        (b"- a\n- b\n", "holds no keys"),
        (b"just words\n", "holds no keys"),
        (b"engine: {threads: 1\n", "not valid YAML"),
        (b"engine:\n\tthreads: 1\n", "line 2: not valid YAML"),
        (b"engine: 1\nengine: 2\n", "not valid YAML"),
        (b"a: *nowhere\n", "not valid YAML"),
        (b"a: !!python/object:os.system {}\n", "not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML"),
        (b"seeds: [\xff\xfe]\n", "UTF-8"),
        (b"seeds: [0]\x00\n", "not valid YAML"),
        (b"seeds: 2020-13-45\n", "not valid YAML"),
        (b"seeds: &a [*a]\n", "seeds"),
        (b"seeds: " + b"9" * 5000 + b"\n", "not valid YAML"),
    ],
    ids=[
        "empty",
        "comment",
        "list",
        "words",
        "unclosed",
        "tab",
        "key twice",
        "alias of nothing",
        "a tag that is code",
        "two documents",
        "not UTF-8",
        "a zero byte",
        "no date",
        "a list in itself",
        "an endless number",
    ],
)
def test_a_file_that_is_not_a_mapping_in_yaml_is_refused_in_lines(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_params(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith("params.yaml: ") for line in lines)
    assert any(said in line for line in lines)


def test_a_key_that_stands_there_twice_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seeds: [0]\nengine:\n  threads: 1\n  threads: 2\n")
    with pytest.raises(UserError, match=r'line 4: .*duplicate key "threads"'):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: no such file"):
        read_yaml(tmp_path / "params.yaml")


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
def test_a_problem_is_one_line_whatever_is_quoted_in_it(raw: Raw, path: str, value: Any) -> None:
    put(raw, path, value)
    assert all(line.startswith("params.yaml: ") for line in problems(raw))


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


@given(data=st.data(), value=values)
def test_any_value_anywhere_is_either_taken_or_refused_by_its_path(data: st.DataObject, value: Any) -> None:
    raw = small_raw()
    path = data.draw(st.sampled_from(list(leaves(raw))))
    section: Any = raw
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    said = complaint(lambda: validate(raw, "params.yaml"))
    if said is not None:
        lines = said.splitlines()
        assert all(line.startswith("params.yaml: ") for line in lines)
        # A list is named as a whole where its members disagree, and so is a pair.
        whole = path[:-1] if isinstance(path[-1], int) or path[0] == "pairs" else path
        assert any(".".join(map(str, whole)) in line for line in lines)


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@` \n\t01.e"), max_size=30))
def test_any_text_is_either_read_or_refused_in_one_line(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "params.yaml"
    path.write_text(text, encoding="utf-8")
    said = complaint(lambda: read_yaml(path))
    assert said is None or (said.startswith("params.yaml:") and "\n" not in said)
