"""`hw2 profile NAME`: the settings of profiles/NAME.yaml, put into params.yaml, and taken out again.

A profile is written into params.yaml rather than laid over it at run time, because DVC, and whoever reads
the file, must see the values that count. What the file was before is kept under the checksum of what it became: so it
comes back to the byte, and only while nobody has edited the file since, since an edit is never overwritten by an undo.
"""

import hashlib
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings.validation import validate
from hw2core.settings.yaml import read_yaml, write_yaml

DEFAULT = "default"  # the name that stands for the params.yaml of the last commit

WHOLE = {("pairs",), ("data", "source"), ("data", "folder", "paths")}
"""Where the keys are names of the user's choice: a profile's value replaces such a dict and is not merged into it."""

Key = tuple[str, ...]
NOT_SET: Any = object()


def apply_profile(layout: Layout, name: str) -> list[str]:
    """Write the profile into params.yaml, keeping its comments; returns a line for each changed value."""
    before = layout.params.read_bytes()
    after = with_profile(layout, name)
    lines = changed_lines(before, after)
    if lines or (name == DEFAULT and before != after):
        write_whole(kept_before(layout, after), before)
        write_whole(layout.params, after)
    return lines or [f"params.yaml already has the settings of profile {name}"]


def undo_profile(layout: Layout) -> list[str]:
    """Write params.yaml as it was before the last profile, byte for byte; returns a line for each changed value."""
    current = layout.params.read_bytes()
    kept = kept_before(layout, current)
    if not kept.is_file():
        raise UserError(
            "params.yaml: is not as a profile left it, so there is nothing to undo; "
            f"`hw2 profile {DEFAULT}` brings the settings of the last commit"
        )
    before = kept.read_bytes()
    write_whole(layout.params, before)
    kept.unlink()
    return changed_lines(current, before)


def list_profiles(layout: Layout) -> list[str]:
    """A line for each profile: its name and the first line of its comment."""
    about = {DEFAULT: "The params.yaml of the last commit."}
    for path in sorted(layout.profiles.glob("*.yaml")):
        first, *_ = [*path.read_text(encoding="utf-8").splitlines(), ""]
        about[path.stem] = first.lstrip("# ") if first.startswith("#") else ""
    width = max(map(len, about))
    return [f"{name:{width}}  {line}".rstrip() for name, line in about.items()]


def as_overrides(layout: Layout, name: str) -> str:
    """What `dvc exp run` is to be given to run with the profile: `-S key=value` for each value that it changes.

    The words are in Hydra's grammar and hold no space, since a shell splits what $(...) prints at spaces.
    """
    before, after = current(layout), plain(with_profile(layout, name))
    words = [word for key, old, new in differences(before, after) for word in override(key, old, new)]
    return " ".join(f"-S {word}" for word in words)


def with_profile(layout: Layout, name: str) -> bytes:
    """What params.yaml is to be with this profile; only `default` may be no valid params."""
    if name == DEFAULT:
        return committed(layout)
    path = layout.profiles / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in layout.profiles.glob("*.yaml")))
        raise UserError(f"unknown profile {name}; profiles/ has: {known}")
    overlay = read_yaml(path)
    if not isinstance(overlay, dict):
        raise UserError(f"profiles/{path.name}: holds no keys")
    current(layout)  # or one line on what is wrong with it
    params = YAML().load(layout.params.read_text(encoding="utf-8"))
    lay_over(params, overlay, ())
    text = io.StringIO()
    write_yaml(params, text)
    validate(YAML(typ="safe", pure=True).load(text.getvalue()), f"params.yaml with profile {name}")
    return text.getvalue().encode()


def current(layout: Layout) -> dict[str, Any]:
    params = read_yaml(layout.params)
    if not isinstance(params, dict):
        raise UserError(f"params.yaml: holds no keys; `hw2 profile {DEFAULT}` brings the last commit's back")
    return params


def committed(layout: Layout) -> bytes:
    """The params.yaml of the last commit."""
    try:
        show = subprocess.run(["git", "show", "HEAD:./params.yaml"], cwd=layout.root, capture_output=True)
    except FileNotFoundError:
        raise UserError(
            "git is not installed, and the default settings are those of the last commit"
        ) from None
    if show.returncode != 0:
        said = " ".join(show.stderr.decode(errors="replace").split())
        raise UserError(f"params.yaml: not to be had from the last commit ({said})")
    return show.stdout


def kept_before(layout: Layout, after: bytes) -> Path:
    """Where it is kept what params.yaml was before a profile made it `after`."""
    return layout.runs / "profiles" / f"{hashlib.sha256(after).hexdigest()}.yaml"


def lay_over(params: Any, overlay: dict[str, Any], path: Key) -> None:
    """Put the overlay's values into params, section by section."""
    for key, value in overlay.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(params.get(key), dict) and here not in WHOLE:
            lay_over(params[key], value, here)
        elif key not in params or params[key] != value:
            if isinstance(value, list):
                put_list(params, key, value)
            else:
                params[key] = value


def put_list(section: Any, key: str, values: list[Any]) -> None:
    """Set a list in one line. DVC, when it sets a value, leaves lists of a line for each member, with the comment
    between the key and the first of them: where there is no member any more, there would be no place for it."""
    old, comment = section.get(key), section.ca.items.get(key, [None] * 4)[2]
    if comment is None and isinstance(old, CommentedSeq) and old:
        behind_the_last = old.ca.items.get(len(old) - 1, [None])  # an empty line
        comment = behind_the_last[0]
    section[key] = CommentedSeq(values)
    section[key].fa.set_flow_style()
    if comment is not None:
        section.ca.items[key] = [None, None, comment, None]


def plain(text: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(text.decode())


def differences(before: Any, after: Any, path: Key = ()) -> Iterator[tuple[Key, Any, Any]]:
    """Each key whose value differs, with both values, in the order of `before`."""
    for key in {**before, **after}:
        here = (*path, key)
        old, new = before.get(key, NOT_SET), after.get(key, NOT_SET)
        if isinstance(old, dict) and isinstance(new, dict) and here not in WHOLE:
            yield from differences(old, new, here)
        elif old != new:
            yield here, old, new


def changed_lines(before: bytes, after: bytes) -> list[str]:
    try:
        old_params = plain(before)
    except (ValueError, YAMLError):
        old_params = None
    if not isinstance(old_params, dict):
        return ["params.yaml: could not be read, and is that of the last commit again"]
    found = differences(old_params, plain(after))
    return [
        f"{'.'.join(key)}: {'not set' if old is NOT_SET else old} -> {'not set' if new is NOT_SET else new}"
        for key, old, new in found
    ]


def override(key: Key, old: Any, new: Any) -> list[str]:
    """A change as DVC's `-S` takes it. It merges dicts, so that what is to go must be taken out by name."""
    name = ".".join(key)
    if new is NOT_SET:
        return [f"~{name}"]
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"~{name}.{below}" for below in old if below not in new]
        return gone + [
            f"++{name}.{below}={in_hydra(value, name)}"
            for below, value in new.items()
            if value != old.get(below)
        ]
    return [f"{'++' if old is NOT_SET else ''}{name}={in_hydra(new, name)}"]


def in_hydra(value: Any, name: str) -> str:
    """A value in Hydra's grammar for overrides, without a space."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{in_hydra(below, name)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(in_hydra(member, name) for member in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if re.search(r"[\s'\\$]", value):
        raise UserError(
            f"{name}: {value!r} cannot be passed on a command line; lay the profile into params.yaml"
        )
    is_word = re.fullmatch(r"[A-Za-z_]\w*", value) and value.lower() not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    )
    return value if is_word else f"'{value}'"
