"""Reading and writing YAML 1.2, in which `3e-4` is a number. PyYAML reads YAML 1.1, where it is a string."""

from pathlib import Path
from typing import IO, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hw2core.errors import UserError


def read_yaml(path: Path) -> Any:
    """The content of a YAML file as plain dicts, lists and scalars."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: not a text file in UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}:" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise UserError(f"{path.name}:{where} not valid YAML: {problem}") from None
    except (YAMLError, ValueError) as error:  # a character or a number that YAML does not allow
        raise UserError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None


def write_yaml(value: Any, file: IO[str]) -> None:
    """Write as a person would: short lists on one line, null spelled out. Comments read by `YAML()` are kept."""
    yaml = YAML()
    yaml.width = 120
    yaml.default_flow_style = None
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml.dump(value, file)
