"""Validation of params.yaml: every problem on a line of its own, with the key's full path and what to do."""

import difflib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hw2core.errors import UserError
from hw2core.settings.checks import cross_checks
from hw2core.settings.models import Params
from hw2core.settings.renamed import new_name
from hw2core.settings.yaml import read_yaml

SHOWN = 30  # problems


def load_params(path: Path) -> Params:
    """The validated params of `path`, or a UserError that lists every problem."""
    return validate(read_yaml(path), path.name)


def validate(raw: Any, name: str) -> Params:
    if not isinstance(raw, dict):
        raise UserError(f"{name}: holds no keys; it must have seeds, engine, data, pairs and the systems")
    problems = [*cross_checks(raw)]
    params = None
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        problems = describe_all(error, Params) + problems
    if params is None or problems:
        # A quoted value may hold line breaks, but a problem is one line.
        lines = [f"{name}: {' '.join(problem.split())}" for problem in problems[:SHOWN]]
        more = [f"{name}: and {len(problems) - SHOWN} more problems"] if len(problems) > SHOWN else []
        raise UserError("\n".join(lines + more))
    return params


def describe_all(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A line for each of pydantic's errors. A key that is missing because it has its old name is reported once."""
    details = error.errors(include_url=False)
    renamed = {new_name(path_of(detail)) for detail in details if detail["type"] == "extra_forbidden"}
    return [
        describe(detail, model)
        for detail in details
        if not (detail["type"] == "missing" and is_renamed(path_of(detail), renamed))
    ]


def is_renamed(path: str, renamed: set[str | None]) -> bool:
    return any(new and f"{new}.".startswith(f"{path}.") for new in renamed)


def path_of(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"] if part not in ("of all", "of each"))


def describe(error: ErrorDetails, model: type[BaseModel]) -> str:
    """One line for one of pydantic's errors: the key's full path, what is wrong, what would be right."""
    path = path_of(error)
    if error["type"] == "extra_forbidden":
        if renamed := new_name(path):
            return f"{path}: is called {renamed} now"
        *parents, key = error["loc"]
        known = known_keys(parents, model)
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        meant = ".".join(map(str, [*parents, *near]))
        return f"{path}: unknown key; " + (
            f"did you mean {meant}?" if near else f"known here: {', '.join(known)}"
        )
    if error["type"] == "missing":
        return f"{path}: missing; every key must be given"
    message = (
        error["msg"].removeprefix("Value error, ").replace("Input should be", "must be").replace("'", "")
    )
    return f"{path}: {message[:1].lower()}{message[1:]}, not {shown(error['input'])}"


def known_keys(parents: list[int | str], model: type[BaseModel]) -> list[str]:
    """The keys that may stand below the section at `parents` of `model`."""
    for part in parents:
        field = model.model_fields.get(str(part))
        if field is None:  # the name of a pair, the number of a rule: all of a kind look alike
            continue
        for below in (field.annotation, *get_args(field.annotation)):
            if isinstance(below, type) and issubclass(below, BaseModel):
                model = below
    return list(model.model_fields)


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
