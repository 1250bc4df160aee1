"""`hw2 profile NAME`: write the settings of profiles/NAME.yaml into params.yaml, and undo that.

A profile is written into the file rather than applied at run time, so that DVC and the user see the values that are used.
The previous content is kept under the checksum of the new content: undo restores it byte for byte, and never overwrites a
later edit.
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

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings.parsing import parse_yaml
from hw2core.settings.validation import validate
from hw2core.settings.yaml import read_yaml, write_yaml

DEFAULT = "default"  # selects the params.yaml of the last commit

FIRST = ("public", "course")
"""Profiles of data that the reference reports used too: the reports' own domains and pairs replace theirs."""
LAST = ("embedded", "paper", "published", "quick", "smoke")
"""Data of other names, whose domains and pairs replace a report's, and profiles that say how much is trained."""

WHOLE = {("pairs",), ("data", "source"), ("data", "folder", "paths")}
"""Dicts whose keys are chosen by the user: a profile replaces them and does not merge into them."""

Key = tuple[str, ...]
NOT_SET: Any = object()


def apply_profiles(layout: Layout, *names: str) -> list[str]:
    """Write profiles into params.yaml, keeping its comments. Returns a line for each changed value."""
    before = layout.params.read_bytes()
    after = with_profiles(layout, *names)
    lines = describe_changes(before, after)
    if lines or (DEFAULT in names and before != after):
        write_whole(backup_path(layout, after), before)
        write_whole(layout.params, after)
    return lines or [f"params.yaml already has the settings of profile {' '.join(names)}"]


def undo_profile(layout: Layout) -> list[str]:
    """Restore params.yaml as it was before the last profiles. Returns a line for each changed value."""
    after = layout.params.read_bytes()
    backup = backup_path(layout, after)
    if not backup.is_file():
        raise UserError(
            "params.yaml: is not as a profile left it, so there is nothing to undo; "
            f"`hw2 profile {DEFAULT}` brings the settings of the last commit"
        )
    before = backup.read_bytes()
    write_whole(layout.params, before)
    backup.unlink()
    return describe_changes(after, before)


def list_profiles(layout: Layout) -> list[str]:
    """Return a line for each profile: its name and the first line of its comment."""
    about = {DEFAULT: "The params.yaml of the last commit."}  # the only one that is no file
    for path in sorted(layout.profiles.glob("*.yaml")):
        first, *_ = [*path.read_text(encoding="utf-8", errors="replace").splitlines(), ""]
        about[path.stem] = first.lstrip("# ") if first.startswith("#") else ""
    width = max(map(len, about))
    return [f"{name:{width}}  {line}".rstrip() for name, line in about.items()]


def as_overrides(layout: Layout, *names: str) -> str:
    """Return the arguments with which `dvc exp run` uses the profiles: `-S key=value` for each value that it changes.

    They follow Hydra's grammar and contain no spaces within a value, since a shell splits the output of $(...) at spaces.
    """
    before, after = read_params(layout), parse(with_profiles(layout, *names))
    words = [word for key, old, new in differences(before, after) for word in override(key, old, new)]
    return " ".join(f"-S {word}" for word in words)


def with_profiles(layout: Layout, *names: str) -> bytes:
    """Return the content of params.yaml with profiles applied: those of FIRST, then others as given, then those of LAST.

    The result is validated, unless it is `default` alone.
    """
    if DEFAULT in names:
        content = committed_params(layout)
    else:
        read_params(layout)  # raises a UserError if the file is malformed
        content = layout.params.read_bytes()
    overlays = [read_profile(layout, name) for name in sorted(names, key=rank) if name != DEFAULT]
    if not overlays:
        return content
    params = YAML().load(content.decode())
    for overlay in overlays:
        merge(params, overlay)
    if not {"embedded", *FIRST} & set(names) and any("report" in overlay for overlay in overlays):
        choose_source(params)
    text = io.StringIO()
    write_yaml(params, text)
    content = text.getvalue().encode()
    validate(parse(content), f"params.yaml with profile {' '.join(names)}")
    return content


def rank(name: str) -> int:
    return -1 if name in FIRST else LAST.index(name) + 1 if name in LAST else 0


def choose_source(params: Any) -> None:
    """Where the datasets of a reference report come from, if no profile says so: from the course's folder if there is one,
    else from their public addresses."""
    if params["data"]["source"] == "embedded":
        params["data"]["source"] = "course" if params["data"]["course"]["path"] else "public"


def read_profile(layout: Layout, name: str) -> dict[str, Any]:
    known = {path.stem: path for path in sorted(layout.profiles.glob("*.yaml"))}
    if name not in known:
        raise UserError(f"unknown profile {name}; profiles/ has: {', '.join(known)}")
    path = known[name]
    overlay = read_yaml(path)
    if not isinstance(overlay, dict):
        raise UserError(f"profiles/{path.name}: holds no keys")
    return overlay


def read_params(layout: Layout) -> dict[str, Any]:
    params = read_yaml(layout.params)
    if not isinstance(params, dict):
        raise UserError(f"params.yaml: holds no keys; `hw2 profile {DEFAULT}` brings the last commit's back")
    return params


def committed_params(layout: Layout) -> bytes:
    """Return the params.yaml of the last commit."""
    try:
        show = subprocess.run(["git", "show", "HEAD:./params.yaml"], cwd=layout.root, capture_output=True)
    except FileNotFoundError:
        raise UserError(
            "git is not installed, and the default settings are those of the last commit"
        ) from None
    if show.returncode != 0:
        error = " ".join(show.stderr.decode(errors="replace").split())
        raise UserError(f"params.yaml: cannot be read from the last commit ({error})")
    return show.stdout


def backup_path(layout: Layout, after: bytes) -> Path:
    """The file that keeps the content of params.yaml from before a profile changed it to `after`."""
    return layout.runs / "profiles" / f"{hashlib.sha256(after).hexdigest()}.yaml"


def merge(params: Any, overlay: dict[str, Any], path: Key = ()) -> None:
    """Set the overlay's values in params, section by section. Comments are kept."""
    for key, value in overlay.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(params.get(key), dict) and here not in WHOLE:
            merge(params[key], value, here)
        elif key not in params or params[key] != value:
            if isinstance(value, list):
                set_list(params, key, value)
            else:
                params[key] = value


def set_list(section: Any, key: str, values: list[Any]) -> None:
    """Set a list, written on one line, and keep its comment.

    DVC rewrites lists to one line per member, with the comment between the key and the first member. An empty list would
    lose a comment in that place.
    """
    old, comment = section.get(key), section.ca.items.get(key, [None] * 4)[2]
    if comment is None and isinstance(old, CommentedSeq) and old:
        after_last = old.ca.items.get(len(old) - 1, [None])  # an empty line
        comment = after_last[0]
    section[key] = CommentedSeq(values)
    section[key].fa.set_flow_style()
    if comment is not None:
        section.ca.items[key] = [None, None, comment, None]


def parse(content: bytes) -> Any:
    """Read params as plain dicts, lists and scalars."""
    return parse_yaml(content, "params.yaml")


def differences(before: Any, after: Any, path: Key = ()) -> Iterator[tuple[Key, Any, Any]]:
    """Yield each key whose value differs, with both values, in the order of `before`."""
    for key in {**before, **after}:
        here = (*path, key)
        old, new = before.get(key, NOT_SET), after.get(key, NOT_SET)
        if isinstance(old, dict) and isinstance(new, dict) and here not in WHOLE:
            yield from differences(old, new, here)
        elif old != new:
            yield here, old, new


def describe_changes(before: bytes, after: bytes) -> list[str]:
    """Return a line for each changed value: key, old value, new value."""
    try:
        old_params = parse(before)
    except UserError:
        old_params = None
    if not isinstance(old_params, dict):
        return ["params.yaml: was not readable; it is replaced by that of the last commit"]
    return describe(old_params, parse(after))


def describe(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each key whose value differs."""
    return [
        f"{'.'.join(key)}: {'not set' if old is NOT_SET else old} -> {'not set' if new is NOT_SET else new}"
        for key, old, new in differences(before, after)
    ]


def override(key: Key, old: Any, new: Any) -> list[str]:
    """Return a change in the grammar of DVC's `-S`, which merges dicts: keys to delete are named one by one."""
    name = ".".join(key)
    if new is NOT_SET:
        return [f"~{name}"]
    if isinstance(old, dict) and isinstance(new, dict):
        deleted = [f"~{name}.{child}" for child in old if child not in new]
        return deleted + [
            f"++{name}.{child}={to_hydra(value, name)}"
            for child, value in new.items()
            if value != old.get(child)
        ]
    return [f"{'++' if old is NOT_SET else ''}{name}={to_hydra(new, name)}"]


def to_hydra(value: Any, name: str) -> str:
    """Return a value in Hydra's grammar for overrides, without spaces."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{to_hydra(child, name)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(to_hydra(member, name) for member in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if re.search(r"[\s'\\$]", value):
        raise UserError(
            f"{name}: {value!r} cannot be passed on a command line; write the profile into params.yaml with `hw2 profile`"
        )
    is_word = re.fullmatch(r"[A-Za-z_]\w*", value) and value.lower() not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    )
    return value if is_word else f"'{value}'"
