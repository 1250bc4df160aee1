"""The house keeps its order: imports run one way only, and what is promised of whole rooms is so."""

import ast
from pathlib import Path

import pytest

import hw2core

PACKAGE = Path(hw2core.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Every room with those below it that it may import; itself it may import always.
FOUNDATION = {"files", "params", "layout", "errors", "workers"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "files": {"errors"},
    "workers": {"errors"},
    "layout": {"errors"},
    "params": {"errors"},
    "engine": FOUNDATION,
    "data": {"engine", *FOUNDATION},
    "systems": {"engine", "data", *FOUNDATION},
    "judges": {"engine", "data", *FOUNDATION},
    "report": {"engine", "data", *FOUNDATION},
    "stages": {"report", "judges", "systems", "engine", "data", *FOUNDATION},
    "profiles": FOUNDATION,
    "repro": FOUNDATION,
    "gate": FOUNDATION,
    "experiments": {"repro", *FOUNDATION},
    "doctor": {"__init__", *FOUNDATION},
    "cli": {"stages", "profiles", "repro", "gate", "experiments", "doctor", "__init__", *FOUNDATION},
    "__main__": {"cli"},
}


def room(module: str) -> str:
    """`engine` for hw2core.engine.loop."""
    return module.split(".")[1] if "." in module else "__init__"


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it; a name taken from a package counts as a module of it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            # f"hw2core.systems.{method}": what is fixed of it
            (argument,) = node.args
            values = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            found.add("".join(part.value for part in values if isinstance(part, ast.Constant)) + "_")
    return found


def own(path: Path) -> set[str]:
    return {module for module in imports(path) if module.split(".")[0] == "hw2core"}


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def test_every_room_is_known() -> None:
    assert {room(name_of(path)) for path in MODULES if path.name != "__main__.py"} <= set(MAY_IMPORT)
    rooms = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert all((path / "__init__.py").is_file() for path in rooms)


def test_nothing_of_the_table_of_rooms_goes_round_in_circles() -> None:
    for start in MAY_IMPORT:
        reached, front = set(), {start}
        while front:
            front = {below for above in front for below in MAY_IMPORT[above]} - reached
            reached |= front
        assert start not in reached, start


@every_module
def test_imports_run_one_way_only(path: Path) -> None:
    here = room(name_of(path))
    wrong = {module for module in own(path) if room(module) not in {here, *MAY_IMPORT[here]}}
    assert not {module for module in wrong if module != "hw2core.__version__"}


SHARED = ("backbones", "generators", "adversarial", "unet", "samplers")
"""What several systems have in common; no system itself."""

SYSTEMS = [path for path in MODULES if room(name_of(path)) == "systems" and path.name != "__init__.py"]


@pytest.mark.parametrize("path", SYSTEMS, ids=name_of)
def test_no_system_imports_another_or_knows_of_dvc_typer_or_paths(path: Path) -> None:
    for module in imports(path):
        assert module.split(".")[0] not in {"dvc", "typer", "pathlib", "os", "shutil", "io"}, module
        assert not module.startswith(("hw2core.layout", "hw2core.files", "hw2core.stages")), module
        if module.startswith("hw2core.systems"):
            assert module.split(".")[2] in SHARED, module


@pytest.mark.parametrize("path", SYSTEMS, ids=name_of)
def test_no_system_opens_a_file(path: Path) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not calls & {"open", "print", "torch.save", "torch.load"}


@every_module
def test_nothing_is_pickled_or_unpickled(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if name_of(path) == "hw2core.evaluation.foreign":  # weights that users bring; nothing but weights is read
        text = text.replace('torch.load(path, map_location="cpu", weights_only=True)', "")
    for word in ("torch.load", "torch.save", "import pickle", "from pickle", "joblib", "allow_pickle=True"):
        assert word not in text, word


@every_module
def test_random_numbers_are_drawn_from_generators_that_someone_seeded(path: Path) -> None:
    """numpy's and Python's global generators are functions of what was drawn before."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if text.startswith(("np.random.", "numpy.random.")):
                assert text in ("np.random.default_rng", "np.random.Generator", "np.random.RandomState"), text
        if isinstance(node, ast.Import):
            assert "random" not in {alias.name for alias in node.names}


@every_module
def test_only_the_loop_trains(path: Path) -> None:
    """There is one training loop: elsewhere nobody walks through the steps of a training."""
    if path.name == "loop.py":
        return
    loops = [
        ast.unparse(node.iter)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.For)
    ]
    assert not [loop for loop in loops if "steps" in loop and "range" in loop]


@every_module
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_tests_mirror_the_package() -> None:
    """A test module of a room lies in the folder of its name, and there are no two of one name."""
    here = Path(__file__).parent
    folders = {path.name for path in here.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {path.name for path in PACKAGE.iterdir()}
    names = [path.name for path in here.rglob("test_*.py")]
    assert len(names) == len(set(names))
