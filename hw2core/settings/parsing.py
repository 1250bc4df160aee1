"""YAML and JSON that people hand in: parsed within bounds, or refused in one line.

A few hundred bytes can describe a value that takes hours to build: by nesting, which exhausts the stack, or by YAML's
aliases, which multiply. So size, nesting and the number of values are bounded while the text is parsed, before anything
is built from it.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
)
from ruamel.yaml.parser import Parser

from hw2core.errors import UserError

MAX_YAML, MAX_JSON = 1_000_000, 50_000_000  # bytes
MAX_DEPTH = 50
MAX_VALUES = 10_000  # of YAML, with those that aliases repeat
MAX_NUMBER = 1e100  # of JSON: the square of a metric, or the sum of several, is a number too


class TooLargeError(ValueError):
    """A value beyond the bounds."""


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file, or as much of it as shows that it is too long. A pipe can have no end."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def parse_yaml(content: bytes, name: str) -> Any:
    """YAML 1.2, in which `3e-4` is a number: PyYAML reads YAML 1.1, where it is a string."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = BoundedParser
    try:
        if len(content) > MAX_YAML:
            raise TooLargeError(f"has more than {MAX_YAML:,} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an anchor that is used twice, which is valid
            return yaml.load(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{name}: not a text file in UTF-8") from None
    except TooLargeError as error:
        raise UserError(f"{name}: {error}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}:" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise UserError(f"{name}:{where} not valid YAML: {problem}") from None
    except (YAMLError, ValueError) as error:  # a character or a number that YAML does not allow
        raise UserError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except Exception as error:  # a wrong value of a tag, such as `!!bool x`, can raise almost anything
        raise UserError(f"{name}: not valid YAML: a tag does not fit its value ({error!r})") from None


def parse_json(content: bytes, name: str) -> Any:
    try:
        if len(content) > MAX_JSON:
            raise TooLargeError(f"has more than {MAX_JSON:,} bytes")
        value = json.loads(
            content, parse_int=bounded_int, parse_float=bounded_float, parse_constant=bounded_float
        )
        check_depth(value)
    except (TooLargeError, RecursionError) as error:
        what = error if isinstance(error, TooLargeError) else f"is nested more than {MAX_DEPTH} levels deep"
        raise UserError(f"{name}: {what}") from None
    except ValueError:
        raise UserError(f"{name}: not readable as JSON") from None
    return value


def bounded_float(text: str) -> float:
    number = float(text)
    if not abs(number) <= MAX_NUMBER:  # NaN, too
        raise TooLargeError(f"has a number that is not between -{MAX_NUMBER:g} and {MAX_NUMBER:g}")
    return number


def bounded_int(text: str) -> int:
    bounded_float(text)
    return int(text)


def check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [below for each in level for below in members(each)]
        if not level:
            return
    raise TooLargeError(f"is nested more than {MAX_DEPTH} levels deep")


def members(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class BoundedParser(Parser):
    """Counts values and nesting as the parser meets them; an alias counts as all that its anchor holds."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self.open: list[tuple[str | None, int, int]] = []  # anchor, values before it, deepest level below it
        self.anchors: dict[str, tuple[int, int]] = {}  # values and levels of what is complete
        self.values = 0

    def get_event(self) -> Event:
        event: Event = super().get_event()
        if isinstance(event, AliasEvent):
            self.add(*self.anchors.get(event.anchor, (1, 1)))
            if any(anchor == event.anchor for anchor, *_ in self.open):
                raise TooLargeError(f"*{event.anchor} contains itself")
        elif isinstance(event, CollectionStartEvent):
            self.add(1, 1)
            self.open.append((event.anchor, self.values - 1, 1))
        elif isinstance(event, CollectionEndEvent):
            anchor, before, levels = self.open.pop()
            if anchor:
                self.anchors[anchor] = (self.values - before, levels)
            if self.open:
                self.deepen(levels + 1)
        elif isinstance(event, NodeEvent):
            self.add(1, 1)
            if event.anchor:
                self.anchors[event.anchor] = (1, 1)
        return event

    def add(self, values: int, levels: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise TooLargeError(f"has more than {MAX_VALUES:,} values")
        if len(self.open) + levels > MAX_DEPTH:
            raise TooLargeError(f"is nested more than {MAX_DEPTH} levels deep")
        if self.open:
            self.deepen(levels + 1)

    def deepen(self, levels: int) -> None:
        """Note that the innermost open collection has so many levels, itself included."""
        anchor, before, deepest = self.open[-1]
        self.open[-1] = (anchor, before, max(deepest, levels))
