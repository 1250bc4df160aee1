"""Which outputs are of other params or data than the present ones, by dvc.lock alone, in less than a second.

Code is not compared: results of earlier code are results, until `hw2 repro` or DVC replaces them.
"""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.targets import with_downstream
from hw2core.settings.parsing import MAX_JSON, parse_json, read_bounded
from hw2core.settings.yaml import read_yaml

ABSENT = object()

Entries = Mapping[str, Any]
"""What dvc.lock says of each stage."""


def outdated_outputs(layout: Layout) -> frozenset[str]:
    """The outputs of stages that have not run with the present params, or with what other stages wrote since."""
    lock = layout.root / "dvc.lock"
    if not lock.is_file():
        return frozenset()
    try:
        stages: Entries = YAML(typ="safe").load(lock.read_bytes())["stages"]
        values = {layout.params.name: read_yaml(layout.params)}
        for name in {file for entry in stages.values() for file in entry.get("params", {})} - {*values}:
            if (path := layout.root / name).is_file():
                values[name] = parse_json(read_bounded(path, MAX_JSON), str(path))
        return find_outdated(stages, values)
    except (YAMLError, KeyError, TypeError, AttributeError):
        raise UserError(f"{lock}: not as DVC writes it; restore it by git, or remove it") from None


def find_outdated(stages: Entries, values: Mapping[str, Any]) -> frozenset[str]:
    """`values` has the content of params.yaml and of other files whose keys stages depend on."""
    written = {
        out["path"]: (name, out.get("md5")) for name, entry in stages.items() for out in entry.get("outs", ())
    }
    upstream: dict[str, set[str]] = {}
    outdated = set()
    for name, entry in stages.items():
        deps = {dep["path"]: dep.get("md5") for dep in entry.get("deps", ()) if dep["path"] in written}
        keys = entry.get("params", {})
        upstream[name] = {written[path][0] for path in {*deps, *keys} & {*written}}
        if any(md5 != written[path][1] for path, md5 in deps.items()) or any(
            value(values[file], key) != used
            for file, of_file in keys.items()
            if file in values
            for key, used in of_file.items()
        ):
            outdated.add(name)
    outdated = with_downstream(outdated, upstream)
    return frozenset(path for path, (name, _) in written.items() if name in outdated)


def value(content: Any, key: str) -> Any:
    """The value of a key such as engine.device."""
    for part in key.split("."):
        if not isinstance(content, Mapping) or part not in content:
            return ABSENT
        content = content[part]
    return content
