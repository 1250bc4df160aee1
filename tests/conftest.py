"""What the tests share: small params, a scratch workspace, and `hw2` in this process."""

import fcntl
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pipeline_run import PipelineRun, load_run, run_pipeline
from ruamel.yaml import YAML

from hw2core import cli
from hw2core.engine.instructions import AVX2, DISABLED, set_instructions
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import ADAPTERS, GANS
from hw2core.settings.validation import validate
from hw2core.settings.yaml import read_yaml
from hw2core.threads import thread_variables

ROOT = Path(__file__).parents[1]

# The same examples at every run and on every machine, however slow it is.
settings.register_profile("hw2core", derandomize=True, deadline=None, max_examples=50)
# By hand: other examples each time, and many of them. bench/fuzz.py runs it for a given time.
settings.register_profile("long", deadline=None, max_examples=2000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "hw2core"))

# Small networks are slower on several threads than on one, and tests compute the same on every processor with AVX2.
# Libraries read this when they are imported, which no import above does.
os.environ["OMP_NUM_THREADS"] = "1"
set_instructions("avx2")

Raw = dict[str, Any]


def small_raw() -> Raw:
    """The repository's params.yaml with sizes that take no time, and domains and pairs of the tests' own."""
    raw: Raw = read_yaml(ROOT / "params.yaml")
    raw["seeds"] = [0]
    raw["engine"] |= {
        "device": "cpu",
        "threads": 1,
        "cpu_isa": "avx2",
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
        "val_fraction": 0.1,
        "color_jitter": ["handwritten"],
    }
    raw["data"]["embedded"] |= {"seed": 0, "train": 100, "test": 100, "faces_train": 100, "faces_test": 100}
    raw["pairs"] = {
        "blended-handwritten": {"source": "blended", "target": "handwritten"},
        "handwritten-printed": {"source": "handwritten", "target": "printed"},
    }
    raw |= {"adapters": list(ADAPTERS), "gans": ["dcgan4", "sngan"], "autoencoders": ["vae"]}
    raw |= {"extractors": {"digits": ["classifier"], "faces": ["face_features"]}}
    raw |= {"conditional": {"acgan": ["digits", "faces"], "ddpm": ["digits"]}}
    for section in ("classifier", *ADAPTERS):
        raw[section] |= {"steps": 7, "batch": 16, "lr": 1e-3}
    raw["dsn"]["domain_losses_from_step"] = 0
    raw["dann"]["batch_norm"] = "joint"
    for section in (*GANS, "vae"):
        raw[section] |= {"steps": 7, "batch": 12, "lr": 1e-3, "width": 4, "latent_dim": 8}
    small_gan = {"steps": 7, "batch": 8, "latent_dim": 8}
    for item in ("digits", "faces"):
        raw["acgan"][item] |= small_gan | {"generator_width": 4, "discriminator_width": 4}
    raw["ddpm"] |= {"steps": 7, "batch": 8, "width": 8, "timesteps": 50, "sampling_steps": 5}
    raw["ddpm"]["guidance_scale"] = 2
    raw["ddpm"]["lr_schedule"] = {"kind": "cosine", "warmup_steps": 0}
    raw["sweep"] |= {"images": 20, "sampling_steps": [2, 3], "guidance_scale": [0, 2]}
    raw["face_features"] |= {"steps": 7, "batch": 16, "lr": 1e-3, "width": 4}
    raw["generation"] |= {"seeds": {"gans": [0], "autoencoders": [0], "conditional": [0]}, "images": 40}
    raw["evaluation"] = {"digits": {"checkpoint": None}, "faces": {"inception": None}}
    raw["tsne"] |= {"images_per_domain": 20, "perplexity": 5, "seed": 0}
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
        kept = {name: os.environ[name] for name in {*AVX2, DISABLED} & set(os.environ)}
        for variable, value in (thread_variables(1) | kept).items():
            patch.setenv(variable, value)
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


FIRST = ("test_dependencies.py", "test_dvc_yaml.py", "test_add_a_system.py", "test_experiments.py")
"""The test files that take longest, in that order: with several processes they must not be what is left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def stage_commands(raw: Raw) -> list[tuple[str, ...]]:
    """The command of every stage but the report, in an order in which they can run."""
    domains, pairs, seeds = raw["data"]["domains"], list(raw["pairs"]), list(map(str, raw["seeds"]))
    adapted = [(method, pair) for method in raw["adapters"] for pair in pairs]
    return [
        *(
            (stage, dataset)
            for dataset in (*domains, raw["data"]["faces"])
            for stage in ("download", "preprocess")
        ),
        *(
            (stage, domain, seed)
            for stage in ("train_classifier", "evaluate_classifier")
            for domain in domains
            for seed in seeds
        ),
        *(("pair_inputs", pair) for pair in pairs),
        *(
            (stage, *run, seed)
            for run in adapted
            for seed in seeds
            for stage in ("train_adapter", "evaluate")
        ),
        *(("tsne", "classifier", pair) for pair in pairs if adapted),
        *(("tsne", *run) for run in adapted),
        ("train_face_features", "face_features"),
        ("evaluate_real", "face_features"),
        *(("generation_inputs", kind) for kind in ("digits", "faces")),
        *(
            (f"{step}_{stage}", item, seed)
            for stage, items, kind in (
                ("gan", raw["gans"], "gans"),
                ("autoencoder", raw["autoencoders"], "autoencoders"),
                ("acgan", raw["conditional"]["acgan"], "conditional"),
                ("ddpm", raw["conditional"]["ddpm"], "conditional"),
            )
            for item in items
            for seed in map(str, raw["generation"]["seeds"][kind])
            for step in ("train", "evaluate")
        ),
        ("sweep_ddpm", "digits"),
    ]


def refuse_to_connect(own: socket.socket, address: Any) -> None:
    """In place of socket.connect: no stage of embedded data needs a network. Processes of this machine may talk."""
    assert own.family == socket.AF_UNIX, f"a stage connects to {address}"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which every stage but the report has run on small data, shared by all test processes. Not to be
    changed: see `workspace`."""
    with shared_folder(tmp_path_factory, "finished") as (root, is_new), pytest.MonkeyPatch.context() as patch:
        if is_new:
            make_workspace(root)
            patch.chdir(root)
            patch.setattr(socket.socket, "connect", refuse_to_connect)
            for command in stage_commands(small_raw()):
                assert call_main(*command) == 0, command
    workspace = Workspace(root)
    before = workspace.tree()
    yield workspace
    assert workspace.tree() == before, "a test wrote into the files that all tests share"


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> PipelineRun:
    """Every stage of the smoke profile, run once for all test processes. Not to be changed: copy it."""
    with shared_folder(tmp_path_factory, "pipeline") as (root, is_new):
        if is_new:
            run_pipeline(root)
    return load_run(root)


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder that all test processes of this run share, and whether this process is to fill it."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = factory.getbasetemp().parent if parallel else factory.getbasetemp()
    done = base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base / name, not done.exists()
        done.touch()


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
