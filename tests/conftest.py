"""What the tests share: small params, a scratch workspace, and `hw2` in this process."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from ruamel.yaml import YAML

from hw2core import cli
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, FAMILIES, Params, read_yaml, validate

ROOT = Path(__file__).parents[1]

# The same examples at every run and on every machine, however slow it is.
settings.register_profile("hw2core", derandomize=True, deadline=None, max_examples=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "hw2core"))

# Small networks are slower on several threads than on one. Libraries read this when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

Raw = dict[str, Any]


def small_raw() -> Raw:
    """The repository's params.yaml with sizes that take no time, and domains and pairs of the tests' own."""
    raw: Raw = read_yaml(ROOT / "params.yaml")
    raw["seeds"] = [0]
    raw["engine"] |= {
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        "channels_last": True,
        "compile": False,
        "evaluate_every": 3,
        "checkpoint_every": 4,
    }
    raw["data"] |= {
        "source": "embedded",
        "domains": ["handwritten", "blended", "printed"],
        "digits": "blended",
        "holdout": 0.1,
        "jitter": ["handwritten"],
    }
    raw["data"]["embedded"] |= {"seed": 0, "train": 100, "test": 100, "faces_train": 100, "faces_test": 100}
    raw["pairs"] = {
        "blended-handwritten": {"source": "blended", "target": "handwritten"},
        "handwritten-printed": {"source": "handwritten", "target": "printed"},
    }
    for section in ("classifier", *ADAPTERS):
        raw[section] |= {"steps": 7, "batch": 16, "lr": 1e-3, "warmup": 0}
    raw["dsn"]["separate_from"] = 0
    raw["gan"]["methods"] = {"dcgan4": "dcgan", "sngan": "sngan"}
    for section in (*FAMILIES, "vae"):
        raw[section] |= {"steps": 7, "batch": 12, "lr": 1e-3, "warmup": 0, "width": 4, "noise": 8}
    small_gan = {"steps": 7, "batch": 8, "warmup": 0, "noise": 8}
    for item in ("digits", "faces"):
        raw["acgan"][item] |= small_gan | {"generator_width": 4, "discriminator_width": 4}
    raw["ddpm"] |= {"steps": 7, "batch": 8, "warmup": 0, "width": 8, "times": 50, "sampling_steps": 5}
    raw["sweep"] |= {"images": 20, "sampling_steps": [2, 3], "guidance": [0, 2]}
    raw["face_features"] |= {"steps": 7, "batch": 16, "lr": 1e-3, "warmup": 0, "width": 4}
    raw["generation"] |= {"seeds": [0], "images": 40}
    raw["judges"] |= {"inception": None, "digits": {"checkpoint": None}}
    raw["tsne"] |= {"images": 20, "perplexity": 5, "seed": 0}
    return raw


def write_yaml(path: Path, value: Any) -> None:
    path.unlink(missing_ok=True)  # not into a file that another workspace shares
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(value, file)


@pytest.fixture
def raw() -> Raw:
    """Small params as plain values, to be changed at will."""
    return small_raw()


@pytest.fixture(scope="session")
def params() -> Params:
    """Small, valid params."""
    return validate(small_raw(), "params.yaml")


@dataclass
class Workspace:
    """A scratch clone: its files, and how to change its params."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def set_params(self, raw: Raw) -> None:
        write_yaml(self.root / "params.yaml", raw)

    def change(self, path: str, value: Any) -> None:
        """Set one value of params.yaml by its path."""
        raw = read_yaml(self.root / "params.yaml")
        *parents, key = path.split(".")
        section = raw
        for parent in parents:
            section = section[parent]
        section[key] = value
        self.set_params(raw)

    def damage(self, path: str, change: Callable[[bytes], bytes | None]) -> None:
        """Put something else in the place of a file, or nothing."""
        file = self.root / path
        content = change(file.read_bytes())
        file.unlink()
        if content is not None:
            file.write_bytes(content)

    def tree(self) -> dict[str, bytes | None]:
        """All that is there: each file with its content, each folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
            for path in self.root.rglob("*")
        }


def make_workspace(root: Path) -> Workspace:
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    shutil.copytree(ROOT / "profiles", root / "profiles")
    workspace = Workspace(root)
    workspace.set_params(small_raw())
    return workspace


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """What stands on stderr, beside the device that a stage names when it starts."""
        return [line for line in self.err.splitlines() if not line.startswith("device: ")]


Hw2 = Callable[..., Outcome]


def call_main(*arguments: str) -> int:
    """`hw2 ARGUMENTS` in this process; any exception but SystemExit is what a user sees as a traceback."""
    with pytest.MonkeyPatch.context() as patch:
        # A stage sets these for itself; DVC_ROOT would lead out of the scratch workspace.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(variable, "1")
        patch.delenv("DVC_ROOT", raising=False)
        patch.setattr("sys.argv", ["hw2", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def hw2(capsys: pytest.CaptureFixture[str]) -> Hw2:
    """`hw2` in this process, in the current folder."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = call_main(*arguments)
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def empty_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A scratch workspace in which no stage has run yet, as the current folder."""
    workspace = make_workspace(tmp_path / "workspace")
    monkeypatch.chdir(workspace.root)
    return workspace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which every stage but the report has run on small data. Not to be changed: see `workspace`."""
    workspace = make_workspace(tmp_path_factory.mktemp("finished") / "workspace")
    raw = small_raw()
    domains, pairs = raw["data"]["domains"], list(raw["pairs"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace.root)
        for stage in ("download", "preprocess", "train_classifier", "evaluate_classifier"):
            for domain in domains:
                assert call_main(stage, domain) == 0
        for method in ADAPTERS:
            for pair in pairs:
                assert call_main(f"train_{method}", pair) == 0
                assert call_main("evaluate", method, pair) == 0
                assert call_main("tsne", method, pair) == 0
        for stage in ("download", "preprocess"):
            assert call_main(stage, raw["data"]["faces"]) == 0
        for command in (
            *(["train_face_features"], ["train_vae"], ["evaluate_vae"], ["evaluate_real"]),
            *([stage, item] for item in ("digits", "faces") for stage in ("train_acgan", "evaluate_acgan")),
            *(["train_ddpm"], ["evaluate_ddpm"], ["sweep_ddpm"]),
            *([stage, gan] for gan in raw["gan"]["methods"] for stage in ("train_gan", "evaluate_gan")),
        ):
            assert call_main(*command) == 0
    before = workspace.tree()
    yield workspace
    assert workspace.tree() == before, "a test wrote into the files that all tests share"


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `finished`, as the current folder. Its files are links, to be replaced and never written into."""
    root = tmp_path / "workspace"
    shutil.copytree(finished.root, root, copy_function=os.link)
    monkeypatch.chdir(root)
    return Workspace(root)


@pytest.fixture(scope="session")
def device(params: Params) -> Any:
    """The device of small params: the CPU with one thread, set up for reproducible work."""
    from hw2core.engine.device import choose_device

    return choose_device(params.engine)


def complaint(call: Callable[[], object]) -> str | None:
    """What a UserError of this call says; None if it raises none. Any other exception is a failure."""
    try:
        call()
    except UserError as error:
        return str(error)
    return None


def refused(outcome: Outcome, *words: str) -> None:
    """One line that names the problem, exit code 2."""
    assert outcome.status == 2
    (line,) = outcome.problems
    assert line.startswith("hw2: ")
    for word in words:
        assert word in line, line
