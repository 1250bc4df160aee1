"""The command line: usage, exit codes, one line for each problem, and nothing half-written."""

import errno
import importlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Hw2, Outcome, Workspace, refused

from hw2core import __version__, cli
from hw2core.settings.yaml import read_yaml
from hw2core.stages import dispatch
from hw2core.stages.table import ARGUMENTS, STAGES, StageCommand

PAIR = "blended-handwritten"
NAMES = {
    "dataset": "handwritten",
    "domain": "handwritten",
    "pair": PAIR,
    "method": "dann",
    "gan": "sngan",
    "autoencoder": "vae",
    "extractor": "face_features",
    "item": "digits",
    "kind": "digits",
    "seed": "0",
}
"""A valid value of each argument of a stage."""

COMMANDS = {stage.name: [stage.name, *(NAMES[name] for name in stage.arguments)] for stage in STAGES}
"""A valid call of each stage."""

USER_COMMANDS = {
    "Run the pipeline": ["repro", "check", "status"],
    "Use a trained model": ["predict", "generate"],
    "Data": ["data"],
    "Results": ["results", "report", "publish", "compare", "score", "judge", "gate"],
    "Workspace": ["profile", "prune", "doctor"],
}
OTHERS = [
    ["repro"],
    ["profile", "smoke"],
    ["profile", "--list"],
    ["profile", "--reset"],
    ["gate"],
    ["status"],
    ["check"],
    ["prune"],
    ["results"],
]


def named(commands: list[list[str]]) -> Any:
    return pytest.mark.parametrize("command", commands, ids=" ".join)


def spawn(*arguments: str, **environment: str) -> Outcome:
    """`python -m hw2core ARGUMENTS` in the current folder."""
    done = subprocess.run(
        [sys.executable, "-m", "hw2core", *arguments],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "DVC_ROOT"} | environment,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def files(workspace: Workspace) -> dict[str, bytes]:
    return {path: content for path, content in workspace.tree().items() if content is not None}


# --- the table of stages --------------------------------------------------------------------------------------


def test_the_table_and_dvc_yaml_have_the_same_commands_with_the_same_arguments() -> None:
    called: dict[str, set[int]] = {}
    for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items():
        command = re.sub(r"\$\{[^}]*\}", "VALUE", stage.get("do", stage)["cmd"]).split()
        assert command[:3] == ["python", "-m", "hw2core"], name
        assert name.startswith(command[3]), name
        called.setdefault(command[3], set()).add(len(command) - 4)
    assert called == {stage.name: {len(stage.arguments)} for stage in STAGES}


def test_every_stage_of_the_table_is_a_function_that_takes_its_arguments() -> None:
    for stage in STAGES:
        for item in ("digits", "faces") if "{item}" in stage.module else ("",):
            module = importlib.import_module(f"hw2core.stages.{stage.module.format(item=item)}")
            parameters = list(inspect.signature(getattr(module, stage.target)).parameters.values())[2:]
            passed = [name for name in stage.arguments if not (item and name == "item")]
            assert len(parameters) == len(passed), stage
            for name, parameter in zip(passed, parameters, strict=True):
                assert parameter.annotation is (int if name == "seed" else str), stage


def test_every_argument_has_a_help_text_and_no_other_has() -> None:
    assert {name for stage in STAGES for name in stage.arguments} == set(ARGUMENTS) == set(NAMES)


# --- help ----------------------------------------------------------------------------------------------------


def test_the_help_lists_every_command_in_its_panel(hw2: Hw2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    panels: dict[str, list[str]] = {}
    for line in hw2("--help").out.splitlines():
        if title := re.match(r"╭─ (.+?) ─+╮", line):
            panels[title[1]] = []
        elif command := re.match(r"│ ([a-z][\w-]*)  ", line):
            next(reversed(panels.values())).append(command[1])
    stages = panels.pop("Single stages, which `hw2 repro` runs for you")
    assert stages == [stage.name.replace("_", "-") for stage in STAGES if stage.name != "report"]
    del panels["Options"]
    assert {title: sorted(commands) for title, commands in panels.items()} == {
        title: sorted(commands) for title, commands in USER_COMMANDS.items()
    }


def test_the_page_on_commands_has_this_help(hw2: Hw2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    printed = [line.rstrip() for line in hw2("--help").out.strip("\n").splitlines()]
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page.partition("$ hw2 --help\n")[2].partition("\n```")[0].splitlines() == printed


@named([[], ["--help"], ["-h"], ["train_classifier", "--help"], ["judge", "fid", "-h"]])
def test_help_is_printed(hw2: Hw2, command: list[str]) -> None:
    outcome = hw2(*command)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Usage: hw2" in outcome.out


def test_the_command_line_imports_no_heavy_library() -> None:
    """Typer itself imports pydantic when it runs a command."""
    heavy = {"torch", "numpy", "pydantic", "ruamel", "sklearn", "pandas", "scipy", "dvc", "PIL"}
    code = f"""
import sys
from hw2core import cli

def imported(besides=()):
    return sorted({heavy} & {{name.partition(".")[0] for name in sys.modules}} - {{*besides}})

assert not imported(), imported()
for command in (["--help"], ["train_gan", "--help"], ["nonsense"]):
    sys.argv = ["hw2", *command]
    try:
        cli.main()
    except SystemExit:
        pass
assert not imported(["pydantic"]), imported()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_is_printed(hw2: Hw2) -> None:
    assert hw2("--version").out == f"hw2core {__version__}\n"


# --- usage errors ---------------------------------------------------------------------------------------------


def test_an_unknown_command_is_refused_in_a_process_of_its_own(empty_workspace: Workspace) -> None:
    refused(spawn("train_dan", PAIR), "No such command", "train_dan", "hw2 --help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["train_classifier"], "DOMAIN"),
        (["train_classifier", "handwritten"], "SEED"),
        (["train_classifier", "handwritten", "first"], "SEED"),
        (["train_classifier", "handwritten", "0", "more"], "more"),
        (["train_adapter", "dann"], "PAIR"),
        (["train_acgan", "cats", "0"], "unknown item cats; there are: digits, faces"),
        (["evaluate_acgan", "../digits", "0"], "unknown item ../digits; there are: digits, faces"),
        (["profile"], "NAME"),
        (["profile", "--as-overrides"], "--help`"),
        (["profile", "smoke", "--list"], "NAME"),
        (["report", "more"], "more"),
        (["report", "--fast"], "--fast"),
        (["--fast"], "--fast"),
        (["generate", "--run", "vae"], "--out"),
        (["generate", "--run", "vae", "--out", "new", "-n", "0"], "-n"),
        (["judge"], "Missing command. (see `hw2 judge --help`)"),
        (["judge", "nonsense"], "nonsense"),
        (["gate", "--md", "--json"], "--md and --json: one of the two"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_refused(
    empty_workspace: Workspace, hw2: Hw2, arguments: list[str], said: str
) -> None:
    before = empty_workspace.tree()
    refused(hw2(*arguments), said)
    assert empty_workspace.tree() == before


@named([*COMMANDS.values(), *OTHERS])
def test_outside_a_workspace_a_command_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hw2: Hw2, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(hw2(*command), "no workspace here", str(tmp_path), "clone")
    assert list(tmp_path.iterdir()) == []


# --- params and names -----------------------------------------------------------------------------------------


@named(
    [COMMANDS["train_gan"], ["repro"], ["generate", "--run", "vae", "--out", "new"], ["judge", "faces", "."]]
)
def test_all_problems_of_invalid_params_are_named(
    empty_workspace: Workspace, hw2: Hw2, command: list[str]
) -> None:
    empty_workspace.change("classifier.lr", -1)
    empty_workspace.change("engine.treads", 1)
    before = empty_workspace.tree()
    outcome = hw2(*command)
    assert outcome.status == 2
    assert sorted(line.split(": ")[:3] for line in outcome.problems) == [
        ["hw2", "params.yaml", "classifier.lr"],
        ["hw2", "params.yaml", "engine.treads"],
    ]
    assert empty_workspace.tree() == before


UNKNOWN = [
    *((stage, ("nosuch",), "data.source") for stage in ("download", "preprocess")),
    *(
        (stage, ("nosuch", "0"), "unknown domain nosuch; data.domains has: handwritten, blended, printed")
        for stage in ("train_classifier", "evaluate_classifier")
    ),
    *(
        (stage, arguments, said)
        for stage, seed in (("train_adapter", ("0",)), ("evaluate", ("0",)), ("tsne", ()))
        for arguments, said in (
            (("dsn", PAIR, *seed), "unknown method dsn; adapters has: dann, adda"),
            (
                ("dann", "blended-printed", *seed),
                "unknown pair blended-printed; pairs has: blended-handwritten",
            ),
        )
    ),
    *(
        (f"{step}_{kind}", ("stylegan2", "0"), f"unknown item stylegan2; {kind}s has: ")
        for kind in ("gan", "autoencoder")
        for step in ("train", "evaluate")
    ),
    *((f"{step}_acgan", ("faces", "0"), "conditional.acgan has: ") for step in ("train", "evaluate")),
    *((f"{step}_acgan", ("digits", "0"), "conditional.acgan has: ") for step in ("train", "evaluate")),
    *((f"{step}_ddpm", ("digits", "0"), "conditional.ddpm has: ") for step in ("train", "evaluate")),
    ("sweep_ddpm", ("digits",), "conditional.ddpm has: "),
    *(
        (stage, ("inception",), "extractors.faces has: face_features")
        for stage in ("train_face_features", "evaluate_real")
    ),
]


@pytest.mark.parametrize(
    ("stage", "arguments", "said"),
    UNKNOWN,
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value.split(" ")[0],
)
def test_what_params_do_not_name_is_refused_before_anything_is_read(
    empty_workspace: Workspace, hw2: Hw2, stage: str, arguments: tuple[str, ...], said: str
) -> None:
    """Systems that exist, but that params do not select, too."""
    empty_workspace.change("adapters", ["dann", "adda"])
    empty_workspace.change("conditional", {"acgan": [], "ddpm": []})
    before = empty_workspace.tree()
    refused(hw2(stage, *arguments), said)
    assert empty_workspace.tree() == before


# --- data ----------------------------------------------------------------------------------------------------


@named([command for name, command in COMMANDS.items() if name.startswith("train_")])
def test_without_data_a_training_names_the_command_to_run(
    empty_workspace: Workspace, hw2: Hw2, command: list[str]
) -> None:
    before = empty_workspace.tree()
    refused(hw2(*command), "data/ready/", "not made yet; `hw2 repro` makes it")
    assert empty_workspace.tree() == before


Damage = Callable[[bytes], bytes | None]


def gone(content: bytes) -> None:
    return None


def empty(content: bytes) -> bytes:
    return b""


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def text(content: bytes) -> bytes:
    return b"404 not found\n"


def without_keys(content: bytes) -> bytes:
    return b"{}"


def array(content: bytes) -> Any:
    return np.load(io.BytesIO(content))


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def few(content: bytes) -> bytes:
    return npy(array(content)[:5])


def long_header(content: bytes) -> bytes:
    """One wrong byte: the header says that it is 16 kB long."""
    return content[:9] + b"\x40" + content[10:]


def packed(content: bytes) -> bytes:
    """A zip archive: numpy opens those too."""
    file = io.BytesIO()
    np.savez(file, array=array(content))
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("train_images.npy", gone),
        ("train_images.npy", few),
        ("train_images.npy", packed),
        ("test_labels.npy", half),
        ("about.json", without_keys),
    ],
)
def test_damaged_ready_data_is_refused(workspace: Workspace, hw2: Hw2, file: str, damage: Damage) -> None:
    """tests/engine/test_images.py has every other kind of damage."""
    workspace.damage(f"data/ready/handwritten/{file}", damage)
    before = workspace.tree()
    refused(hw2(*COMMANDS["train_classifier"]), "data/ready/handwritten", "delete the folder", "repro`")
    assert workspace.tree() == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("handwritten/digits.npy", gone),
        ("handwritten/digits.npy", half),
        ("handwritten/digits.npy", packed),
        ("handwritten/digits.npy", long_header),
        ("handwritten/labels.npy", empty),
        ("handwritten/labels.npy", few),
        ("blended/photo_china.npy", half),
        ("printed/cmb10.ttf", gone),
        ("printed/cmb10.ttf", text),
    ],
)
def test_damaged_raw_data_is_refused(workspace: Workspace, hw2: Hw2, file: str, damage: Damage) -> None:
    workspace.damage(f"data/raw/{file}", damage)
    before = workspace.tree()
    dataset = file.partition("/")[0]
    refused(hw2("preprocess", dataset), f"data/raw/{dataset}: not usable", "`hw2 repro` downloads it again")
    assert workspace.tree() == before


# --- trained networks ------------------------------------------------------------------------------------------

CLASSIFIER, ADAPTER = "models/train_classifier/handwritten/seed0", f"models/train_dann/{PAIR}/seed0"
FEATURES, DDPM = "models/train_face_features/faces/seed0", "models/train_ddpm/digits/seed0"
READ = [
    ("evaluate_classifier", CLASSIFIER),
    ("evaluate", ADAPTER),
    ("tsne", ADAPTER),
    ("evaluate_gan", "models/train_gan/sngan/seed0"),
    ("evaluate_gan", FEATURES),
    ("evaluate_real", FEATURES),
    ("evaluate_autoencoder", "models/train_autoencoder/vae/seed0"),
    ("evaluate_acgan", "models/train_acgan/digits/seed0"),
    ("evaluate_acgan", "models/train_classifier/blended/seed0"),
    ("evaluate_ddpm", DDPM),
    ("sweep_ddpm", DDPM),
]
"""Stages that read trained networks, and which."""


@pytest.mark.parametrize(("stage", "path"), READ)
def test_missing_weights_are_named(workspace: Workspace, hw2: Hw2, stage: str, path: str) -> None:
    workspace.damage(f"{path}.safetensors", gone)
    before = files(workspace)
    refused(hw2(*COMMANDS[stage]), f"{path}.safetensors: not there", "has not run")
    assert {file: content for file, content in files(workspace).items() if file.endswith(".json")} == {
        file: content for file, content in before.items() if file.endswith(".json")
    }


@pytest.mark.parametrize(("stage", "path"), [READ[1], READ[3], READ[5]])
def test_corrupt_weights_are_named(workspace: Workspace, hw2: Hw2, stage: str, path: str) -> None:
    workspace.damage(f"{path}.safetensors", half)
    refused(
        hw2(*COMMANDS[stage]), f"{path}.safetensors: not a readable safetensors file", "run its stage again"
    )


@pytest.mark.parametrize(("stage", "path"), [READ[1], READ[3], READ[5]])
def test_weights_of_another_architecture_are_named(
    workspace: Workspace, hw2: Hw2, stage: str, path: str
) -> None:
    other = (workspace.root / f"{READ[9][1]}.safetensors").read_bytes()
    workspace.damage(f"{path}.safetensors", lambda _: other)
    before = files(workspace)
    refused(
        hw2(*COMMANDS[stage]),
        f"{path}.safetensors: its weights are of another architecture",
        "train it again",
    )
    assert files(workspace) == before


def test_weights_of_a_seed_that_is_not_trained_are_named(workspace: Workspace, hw2: Hw2) -> None:
    refused(hw2("evaluate", "dann", PAIR, "5"), f"models/train_dann/{PAIR}/seed5.safetensors: not there")


# --- the machine ----------------------------------------------------------------------------------------------


@named(
    [COMMANDS[name] for name in ("train_classifier", "train_gan", "evaluate", "evaluate_real", "sweep_ddpm")]
)
def test_a_gpu_that_params_demand_and_that_is_missing_is_refused(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    workspace.change("engine.device", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = workspace.tree()
    refused(hw2(*command), "engine.device", "no GPU", "auto")
    assert workspace.tree() == before


FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is opened to be written lies on a disk without space: the kernel's own errors."""
    path_open = Path.open

    def open_path(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return path_open(FULL if "w" in mode else self, mode, *arguments, **options)

    def copy_file(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "open", open_path)
    monkeypatch.setattr(shutil, "copyfile", copy_file)


@needs_full_device
@named(
    [
        ["download", "printed"],
        *(command for name, command in COMMANDS.items() if name != "report"),
        ["report"],
    ]
)
def test_a_full_disk_is_reported_and_every_file_stays(
    workspace: Workspace, hw2: Hw2, full_disk: None, command: list[str]
) -> None:
    """A file that a stage wrote in any other way than files.write_whole would be empty now."""
    before = files(workspace)
    refused(hw2(*command), "the disk is full")
    assert files(workspace) == before


def test_a_folder_that_may_not_be_written_is_named(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    path_open = Path.open

    def open_path(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return path_open(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_path)
    refused(hw2(*COMMANDS["evaluate"]), "ermission denied", "stages/evaluate")


@pytest.mark.parametrize("error", [KeyboardInterrupt, cli.typer.Abort])
def test_an_interrupt_ends_with_130_and_one_line(
    empty_workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(dispatch, "run_stage", interrupt)
    outcome = hw2("download", "printed")
    assert (outcome.status, outcome.err) == (130, "hw2: interrupted\n")


@pytest.mark.parametrize(
    ("name", "module", "said"),
    [
        ("RuntimeError", "builtins", None),
        ("OutOfMemoryError", "torch", "the GPU is out of memory"),
        ("BackendCompilerFailed", "torch._dynamo.exc", "engine.compile: "),
    ],
)
def test_errors_of_torch_that_a_user_can_fix_are_one_line(name: str, module: str, said: str | None) -> None:
    found = cli.errors.explain(type(name, (Exception,), {"__module__": module})("two\nlines"))
    assert (found or "").startswith(said or "")
    assert (found is None) == (said is None)
    assert "\n" not in (found or "")


# --- calls that succeed -----------------------------------------------------------------------------------------


def test_a_stage_runs_from_any_folder_of_the_workspace(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workspace.tree()
    monkeypatch.chdir(workspace.root / "stages" / "tsne")
    assert hw2("preprocess", "handwritten").status == 0
    assert workspace.tree() == before


def test_the_threads_of_params_are_set_before_a_stage_is_imported(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}

    def note(module: str) -> Any:
        found[module] = os.environ["OMP_NUM_THREADS"]
        return importlib.import_module("hw2core.stages.inputs")

    workspace.change("engine.threads", 3)
    monkeypatch.setattr(dispatch, "importlib", SimpleNamespace(import_module=note))
    assert hw2("pair_inputs", PAIR).status == 0
    assert found == {"hw2core.stages.inputs": "3"}


def test_the_package_under_test_is_this_repositorys() -> None:
    assert Path(cli.__file__).parents[2] == ROOT


def test_a_stage_command_passes_its_arguments_on(hw2: Hw2, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of a stage may depend on its item, which its function then does not take."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(dispatch, "run_stage", lambda *arguments: calls.append(arguments))
    assert hw2("train_adapter", "dann", PAIR, "7").status == 0
    assert hw2("evaluate_acgan", "faces", "3").status == 0
    assert calls == [
        ("train_predictors", "train_adapter", "dann", PAIR, 7),
        ("evaluate_faces", "evaluate_acgan", 3),
    ]
    assert StageCommand("name", "module", "help").target == "name"
