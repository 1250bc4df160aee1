"""Whatever a file holds is parsed within bounds, or refused in one line."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import complaint
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hw2core.settings import parsing
from hw2core.settings.parsing import MAX_DEPTH, MAX_VALUES, parse_json, parse_yaml

ALIASES = "\n".join(
    ["a0: &a0 [1, 2]", *(f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 30))]
)
CHAIN = "\n".join(["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2 * MAX_DEPTH))])
DEEP = f"more than {MAX_DEPTH} levels"


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_yaml, ALIASES, f"more than {MAX_VALUES:,} values"),
        (parse_yaml, CHAIN, DEEP),
        (parse_yaml, "seeds: [" + "0," * MAX_VALUES + "]", f"more than {MAX_VALUES:,} values"),
        (parse_yaml, "a: " + nested(1000), DEEP),
        (parse_yaml, "".join(f"{' ' * level}a:\n" for level in range(1000)), DEEP),
        (parse_yaml, "# a comment\n" * 100_000, "more than 1,000,000 bytes"),
        (parse_yaml, "a: &b {c: [*b]}", "*b contains itself"),
        (parse_yaml, "a: !!bool x", "a tag does not fit its value"),
        (parse_json, nested(200_000), DEEP),
        (parse_json, nested(MAX_DEPTH + 1), DEEP),
        (parse_json, f'{{"a": {"9" * 400}}}', "a number that is not between"),
        (parse_json, '{"a": [NaN]}', "a number that is not between"),
        (parse_json, '{"a": -1e999}', "a number that is not between"),
        (parse_json, "{", "not readable as JSON"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else value.__name__,
)
def test_what_is_beyond_the_bounds_is_refused(parse: Callable[..., Any], text: str, said: str) -> None:
    message = complaint(lambda: parse(text.encode(), "file"))
    assert message is not None
    assert message.startswith("file: ")
    assert said in message
    assert "\n" not in message


def test_what_is_within_the_bounds_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_json(nested(MAX_DEPTH).encode(), "file") is not None
    assert parse_yaml(nested(MAX_DEPTH).encode(), "file") is not None
    monkeypatch.setattr(parsing, "MAX_VALUES", 100)
    assert len(parse_yaml(f"[{', '.join('0' * 99)}]".encode(), "file")) == 99
    assert parse_yaml(b"a: &x {b: 3e-4}\nc: *x\nd: &x 1\ne: *x", "file") == {
        "a": {"b": 3e-4},
        "c": {"b": 3e-4},
        "d": 1,
        "e": 1,
    }


@given(value=st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(), st.lists))
@example(value=[[[]], [[[1]]]])
def test_plain_json_is_read_as_json_reads_it(value: Any) -> None:
    assert parse_json(json.dumps(value).encode(), "file") == value


@given(text=st.text(st.sampled_from("ab&*!-:,[]{}#'\"|>? \n09.~<"), max_size=60) | st.text(max_size=20))
@example(text="? [a]\n: &a\n- *a")
@example(text="<<: [&a {b: 1}, *a]")
def test_any_text_is_what_ruamel_reads_or_is_refused(text: str) -> None:
    """The bounds change nothing within them."""
    values = []
    message = complaint(lambda: values.append(parse_yaml(text.encode(), "file")))
    if message is None:
        assert repr(values) == repr([YAML(typ="safe", pure=True).load(text)])
    else:
        assert message.startswith("file:")
        assert "\n" not in message
