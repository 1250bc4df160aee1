"""Run stage commands and record what each really imports and reads; for test_dvc_yaml.py.

    python record_stages.py COMMANDS.json RECORD.json

All commands run in this one process; hw2core is imported anew for each.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class Reader:
    """A section of the params that records each value taken from it."""

    def __init__(self, model: BaseModel, path: str, reads: set[str]) -> None:
        self._model, self._path, self._reads = model, path, reads

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}.{name}".lstrip(".")
        value = getattr(self._model, name)
        if isinstance(value, BaseModel):
            self._reads.add(f"{path}.")  # opened: whoever is given it may read any value or none
            return Reader(value, path, self._reads)
        if isinstance(value, dict):
            return Table(value, path, self._reads)
        if isinstance(value, list):
            return Names(value, path, self._reads)
        self._reads.add(path)
        return value

    def trained_by(self) -> Any:
        values = self._model.trained_by()  # type: ignore[attr-defined]
        self._reads.update(f"{self._path}.{name}" for name in values)
        return values

    def model_dump(self, **options: Any) -> Any:
        self._reads.add(self._path or "*")
        return self._model.model_dump(**options)


class Table(dict):  # type: ignore[type-arg]
    """A dict of sections. Whether it has a key is no read: DVC would not have started the stage."""

    def __init__(self, value: dict[str, Any], path: str, reads: set[str]) -> None:
        super().__init__(value)
        self._path, self._reads = path, reads

    def __getitem__(self, key: str) -> Any:
        return Reader(super().__getitem__(key), f"{self._path}.{key}", self._reads)

    def __iter__(self) -> Any:
        self._reads.add(self._path)
        return super().__iter__()


class Names(list):  # type: ignore[type-arg]
    """A list. Whether it has a name only opens it, as above. Its first member is a read of its own."""

    def __init__(self, value: list[Any], path: str, reads: set[str]) -> None:
        super().__init__(value)
        self._path, self._reads = path, reads

    def __contains__(self, value: object) -> bool:
        self._reads.add(f"{self._path}.")
        return super().__contains__(value)

    def __iter__(self) -> Any:
        self._reads.add(self._path)
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        self._reads.add(f"{self._path}[0]" if index == 0 else self._path)
        return super().__getitem__(index)


def run(command: list[str]) -> dict[str, Any]:
    for module in [name for name in sys.modules if name.split(".")[0] == "hw2core"]:
        del sys.modules[module]
    import hw2core.cli
    import hw2core.settings

    reads: set[str] = set()
    load = hw2core.settings.load_params
    hw2core.settings.load_params = lambda path: Reader(load(path), "", reads)  # type: ignore[assignment,return-value]
    sys.argv = ["hw2", *command]
    status: Any = None
    try:
        hw2core.cli.main()
    except SystemExit as end:
        status = end.code
    root = Path.cwd()
    files = {
        Path(module.__file__).resolve()
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "hw2core" and getattr(module, "__file__", None)
    }
    return {
        "status": status,
        "reads": sorted(read for read in reads if not read.endswith(".")),
        "opened": sorted(read.removesuffix(".") for read in reads if read.endswith(".")),
        "imports": sorted(str(file.relative_to(root)) for file in files),
    }


if __name__ == "__main__":
    commands, record = map(Path, sys.argv[1:])
    sys.path.insert(0, str(Path.cwd()))
    result = {name: run(command) for name, command in json.loads(commands.read_text()).items()}
    record.write_text(json.dumps(result))
