"""The rules that hold for all modules of the package: which way imports run, what systems know, sizes of files."""

import ast
from functools import cache
from pathlib import Path

import hw2core
from hw2core.settings.systems import Systems

PACKAGE = Path(hw2core.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 350, 60  # lines

BASE = {"errors", "files", "workers", "layout", "settings", "threads", "revisions"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "progress": set(),
    "threads": set(),
    "files": {"errors"},
    "workers": {"errors"},
    "layout": {"errors"},
    "revisions": {"errors", "layout"},
    "settings": {"errors", "files", "layout"},
    "engine": {"progress", *BASE},
    "fingerprint": {"engine", *BASE},
    "data": {"engine", *BASE},
    "systems": {"engine", *BASE},
    "evaluation": {"engine", "data", *BASE},
    "report": {"evaluation", "engine", *BASE},
    "gate": {"evaluation", *BASE},
    "pipeline": {"data", "engine", "progress", *BASE},
    "doctor": {"__init__", *BASE},
    "stages": {"report", "evaluation", "systems", "engine", "data", *BASE},
    "publish": {"report", "stages", "pipeline", *BASE},
    "cli": {"publish", "stages", "pipeline", "gate", "doctor", "fingerprint", "__init__", *BASE},
    "__main__": {"cli"},
}
"""Every room with the rooms that it may import besides itself."""

READ_SOURCES = {
    "hw2core.evaluation.files",
    "hw2core.pipeline.check",
    "hw2core.stages.data",
    "hw2core.stages.inception",
    "hw2core.stages.judge",
    "hw2core.stages.predict",
    "hw2core.stages.score",
}
"""What reads images or tables of users, and so imports hw2core.data. All others read data/ready, by hw2core.engine.images:
a change of a reader makes no training stale."""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """`engine` for hw2core.engine.loop."""
    return module.split(".")[1] if "." in module else "__init__"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports anywhere in it; a name imported from a package counts as a module of it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            # f"hw2core.systems.{method}": its constant parts
            (argument,) = node.args
            values = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            found.add("".join(part.value for part in values if isinstance(part, ast.Constant)) + "_")
    return frozenset(found)


def own(path: Path) -> set[str]:
    """The modules of this package that a file imports."""
    found = {module for module in imports(path) if module.split(".")[0] == "hw2core"}
    return {
        "hw2core" if module in ("hw2core.__version__", "hw2core.__file__") else module for module in found
    }


def modules_of(name: str) -> dict[str, Path]:
    """The modules of a room by their name in it."""
    return {
        name_of(path).rpartition(".")[2]: path
        for path in MODULES
        if room(name_of(path)) == name and path.name != "__init__.py"
    }


# --- imports --------------------------------------------------------------------------------------------------


def test_imports_run_one_way() -> None:
    wrong = {
        (name_of(path), module)
        for path in MODULES
        for here in [room(name_of(path)) if path != PACKAGE / "__main__.py" else "__main__"]
        for module in own(path)
        if room(module) not in {here, *MAY_IMPORT[here]}
    }
    assert not wrong


def test_the_table_of_rooms_has_no_cycle() -> None:
    reached: set[str] = set()
    for here, below in MAY_IMPORT.items():  # in this order each imports only those above it
        assert below <= reached, here
        reached.add(here)


def test_only_what_reads_images_of_users_imports_data() -> None:
    importers = {
        name_of(path)
        for path in MODULES
        if room(name_of(path)) != "data" and any(room(module) == "data" for module in own(path))
    }
    assert importers == READ_SOURCES


def test_no_system_imports_another_system() -> None:
    """A file of systems/ that is no section of params is a part that systems share."""
    files = modules_of("systems")
    sections = set(Systems.model_fields)
    assert sections <= set(files)
    wrong = {
        (name, module)
        for name, path in files.items()
        for module in own(path)
        if room(module) == "systems" and module.split(".")[2] in sections - {name}
    }
    assert not wrong
    for shared in set(files) - sections:  # each is imported by more than its own tests
        users = {
            name for name, path in files.items() if any(m.split(".")[2:3] == [shared] for m in own(path))
        }
        assert users, shared


def test_systems_and_evaluation_know_no_paths_of_the_workspace_no_dvc_and_no_command_line() -> None:
    outside = {"dvc", "typer"}
    files = {"pathlib", "os", "shutil", "io"}
    for path in modules_of("systems").values():
        assert not {module.split(".")[0] for module in imports(path)} & (outside | files), path
        calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
        assert not calls & {"open", "print", "torch.save", "torch.load"}, path
    for name in ("systems", "evaluation", "engine", "data"):
        for path in modules_of(name).values():
            assert not {module.split(".")[0] for module in imports(path)} & outside, path
            if name != "data":
                assert "hw2core.layout.Layout" not in imports(path), path


# --- promises about the text of every module -------------------------------------------------------------------


def test_nothing_is_pickled_or_unpickled() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if name_of(path) == "hw2core.evaluation.foreign":  # weights of users: nothing but weights is read
            text = text.replace('torch.load(path, map_location="cpu", weights_only=True)', "")
        for word in (
            "torch.load",
            "torch.save",
            "import pickle",
            "from pickle",
            "joblib",
            "allow_pickle=True",
        ):
            assert word not in text, (path, word)


def test_random_numbers_come_from_seeded_generators() -> None:
    """numpy's and Python's global generators depend on what was drawn before."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if text.startswith(("np.random.", "numpy.random.")):
                    assert text.split(".")[2] in ("default_rng", "Generator", "RandomState"), (path, text)
            if isinstance(node, ast.Import):
                assert "random" not in {alias.name for alias in node.names}, path


def test_only_the_loop_iterates_over_the_steps_of_a_training() -> None:
    for path in MODULES:
        loops = [ast.unparse(node.iter) for node in ast.walk(tree(path)) if isinstance(node, ast.For)]
        found = [loop for loop in loops if "steps" in loop and "range" in loop]
        assert bool(found) == (path == PACKAGE / "engine" / "loop.py"), (path, found)


def test_training_stages_draw_no_figures() -> None:
    """No training and no metric depends on how a figure looks: only these import the report."""
    importers = {
        name_of(path)
        for path in MODULES
        if room(name_of(path)) != "report" and any(room(module) == "report" for module in own(path))
    }
    stages = {f"hw2core.stages.{name}" for name in ("compare", "report", "show")}
    assert importers == {"hw2core.publish", *stages}
    drawing = {
        room(name_of(path))
        for path in MODULES
        if any(module.startswith(("matplotlib.figure", "matplotlib.pyplot")) for module in imports(path))
    }
    assert drawing <= {"report", "stages"}
    assert not [
        name
        for name, path in modules_of("stages").items()
        if any(module.startswith("matplotlib") for module in imports(path)) and name != "report"
    ]


def test_no_file_and_no_function_is_too_long() -> None:
    files = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in files.items() if lines > LONGEST_FILE} == {}
    functions = {
        f"{name_of(path)}.{node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: lines for name, lines in functions.items() if lines > LONGEST_FUNCTION} == {}


def test_every_module_has_a_docstring_and_every_room_an_init() -> None:
    assert [path for path in MODULES if not ast.get_docstring(tree(path))] == []
    assert {path.parent for path in MODULES} == {
        path.parent for path in MODULES if path.name == "__init__.py"
    }


def test_the_tests_mirror_the_package() -> None:
    """A test module lies in the folder of its room, and no two have the same name."""
    here = Path(__file__).parent
    folders = {path.name for path in here.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {path.name for path in PACKAGE.iterdir()}
    names = [path.name for path in here.rglob("test_*.py")]
    assert len(names) == len(set(names))
