"""Reading and writing YAML files."""

from pathlib import Path
from typing import IO, Any

from ruamel.yaml import YAML

from hw2core.errors import UserError
from hw2core.settings.parsing import MAX_YAML, parse_yaml, read_bounded


def read_yaml(path: Path) -> Any:
    """The content of a YAML file as plain dicts, lists and scalars."""
    try:
        content = read_bounded(path, MAX_YAML)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    return parse_yaml(content, path.name)


def write_yaml(value: Any, file: IO[str]) -> None:
    """Write as a person would: short lists on one line, null spelled out. Comments read by `YAML()` are kept."""
    yaml = YAML()
    yaml.width = 120
    yaml.default_flow_style = None
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml.dump(value, file)
