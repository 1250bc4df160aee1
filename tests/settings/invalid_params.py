"""Helpers for tests of params.yaml: change one value, validate, and read the problems."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Raw

from hw2core.errors import UserError
from hw2core.settings.validation import validate

Path = tuple[str | int, ...]


def put(raw: Raw, path: str, value: Any) -> None:
    """Set the value at a dotted path."""
    *parents, key = path.split(".")
    for parent in parents:
        raw = raw[parent]
    raw[key] = value


def get(raw: Any, path: str) -> Any:
    for part in path.split("."):
        raw = raw[part]
    return raw


def accept(raw: Raw) -> None:
    validate(raw, "params.yaml")


def problems(raw: Any) -> list[str]:
    """The problems that validation reports, without the file's name."""
    with pytest.raises(UserError) as error:
        validate(raw, "params.yaml")
    lines = str(error.value).splitlines()
    assert all(line.startswith("params.yaml: ") for line in lines)
    return [line.removeprefix("params.yaml: ") for line in lines]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all scalars."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key)
