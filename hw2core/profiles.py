"""`hw2 profile NAME`: the settings of profiles/NAME.yaml, put into params.yaml.

A profile is written into params.yaml rather than laid over it at run time, because DVC, and whoever reads
the file, must see the values that count.
"""

import io
from typing import Any

from ruamel.yaml import YAML

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.params import read_yaml, validate, write_yaml


def apply_profile(layout: Layout, name: str) -> list[str]:
    """Write the profile into params.yaml, keeping its comments; returns a line for each changed value."""
    path = layout.profiles / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in layout.profiles.glob("*.yaml")))
        raise UserError(f"unknown profile {name}; profiles/ has: {known}")
    overlay = read_yaml(path)
    if not isinstance(overlay, dict):
        raise UserError(f"profiles/{path.name}: holds no keys")
    if not isinstance(read_yaml(layout.params), dict):
        raise UserError("params.yaml: holds no keys; `git checkout params.yaml` brings the default back")
    params = YAML().load(layout.params.read_text(encoding="utf-8"))
    changes = list(lay_over(params, overlay, ()))
    text = io.StringIO()
    write_yaml(params, text)
    validate(YAML(typ="safe", pure=True).load(text.getvalue()), f"params.yaml with profile {name}")
    write_whole(layout.params, text.getvalue().encode())
    return changes or [f"params.yaml already has the settings of profile {name}"]


def lay_over(params: Any, overlay: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Put the overlay's values into params: sections are merged, but `pairs` is one value."""
    changes = []
    for key, value in overlay.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(params.get(key), dict) and here != ("pairs",):
            changes += lay_over(params[key], value, here)
        elif key not in params or params[key] != value:
            changes.append(f"{'.'.join(here)}: {params.get(key, 'not set')} -> {value}")
            if isinstance(value, list) and isinstance(params.get(key), list):
                params[key][:] = value  # keeps the list in one line, if it was
            else:
                params[key] = value
    return changes
