"""The command line: what is wrong is said in a line a problem, with exit code 2 and nothing half-written."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Hw2, Outcome, Workspace, refused

from hw2core import __version__, cli
from hw2core.settings import ADAPTERS

PAIR = "blended-handwritten"
STAGES = [
    ["download", "handwritten"],
    ["preprocess", "handwritten"],
    ["train_classifier", "handwritten"],
    ["evaluate_classifier", "handwritten"],
    *([f"train_{method}", PAIR] for method in ADAPTERS),
    *(["evaluate", method, PAIR] for method in ADAPTERS),
    *(["tsne", method, PAIR] for method in ADAPTERS),
    *(["train_gan", "sngan"], ["train_vae"], ["train_face_features"]),
    *(["evaluate_gan", "sngan"], ["evaluate_vae"], ["evaluate_real"]),
    *([f"{do}_acgan", item] for do in ("train", "evaluate") for item in ("digits", "faces")),
    *(["train_ddpm"], ["evaluate_ddpm"], ["sweep_ddpm"]),
    ["report"],
]
TRAIN = [command for command in STAGES if command[0].startswith("train_")]
NETWORK_READERS = [
    ["evaluate_classifier", "handwritten"],
    *(["evaluate", method, PAIR] for method in ADAPTERS),
    *(["tsne", method, PAIR] for method in ADAPTERS),
]
"""The stages that read a trained network."""


def named(commands: list[list[str]]) -> Any:
    return pytest.mark.parametrize("command", commands, ids=" ".join)


def model_of(command: list[str]) -> str:
    """The model that a command of NETWORK_READERS reads."""
    if command[0] == "evaluate_classifier":
        return f"stages/train_classifier/{command[1]}/model.safetensors"
    return f"stages/train_{command[1]}/{command[2]}/model.safetensors"


def spawn(*arguments: str, **environment: str) -> Outcome:
    """`python -m hw2core ARGUMENTS` in the current folder."""
    done = subprocess.run(
        [sys.executable, "-m", "hw2core", *arguments],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "DVC_ROOT"} | environment,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


# --- usage ---------------------------------------------------------------------------------------------------


def test_every_stage_command_of_the_tests_is_one_and_there_are_no_others(hw2: Hw2) -> None:
    commands = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    own = {"repro", "profile", "gate", "lost", "doctor", "data", "predict", "score", "generate"}
    assert {command[0] for command in STAGES} | own == commands


def test_the_command_line_starts_without_the_numerical_libraries() -> None:
    code = "import sys, hw2core.cli; print(*{'torch', 'numpy', 'sklearn', 'pandas', 'dvc'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["train_classifier", "--help"]])
def test_help_is_given(hw2: Hw2, arguments: list[str]) -> None:
    outcome = hw2(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Usage: hw2" in outcome.out


def test_the_version_is_told(hw2: Hw2) -> None:
    assert hw2("--version").out == f"hw2core {__version__}\n"


def test_an_unknown_command_is_refused_in_a_process_of_its_own(empty_workspace: Workspace) -> None:
    refused(spawn("train_dan", PAIR), "No such command", "train_dan", "hw2 --help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["train_classifier"], "DOMAIN"),
        (["train_dann"], "PAIR"),
        (["evaluate"], "METHOD"),
        (["evaluate", "dann"], "PAIR"),
        (["tsne", "dann"], "PAIR"),
        (["profile"], "NAME"),
        (["report", "more"], "more"),
        (["train_classifier", "handwritten", "more"], "more"),
        (["report", "--fast"], "--fast"),
        (["--fast"], "--fast"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_refused_and_leads_to_the_help(
    empty_workspace: Workspace, hw2: Hw2, arguments: list[str], said: str
) -> None:
    before = empty_workspace.tree()
    refused(hw2(*arguments), said, "--help`")
    assert empty_workspace.tree() == before


@named(STAGES)
def test_out_of_a_workspace_a_stage_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hw2: Hw2, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(hw2(*command), "no workspace here", str(tmp_path), "clone")
    assert list(tmp_path.iterdir()) == []


@named([["profile", "smoke"], ["profile", "--list"], ["profile", "--reset"], ["gate"], ["lost"], ["repro"]])
def test_out_of_a_workspace_a_command_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hw2: Hw2, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(hw2(*command), "no workspace here", str(tmp_path))


# --- params and names ----------------------------------------------------------------------------------------


@named(STAGES)
def test_invalid_params_are_refused_by_every_stage_with_all_their_problems(
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


@named([command for command in STAGES if len(command) == 2])
def test_an_unknown_domain_or_pair_is_told_which_there_are(
    empty_workspace: Workspace, hw2: Hw2, command: list[str]
) -> None:
    before = empty_workspace.tree()
    items = {PAIR: PAIR, "sngan": "dcgan4, sngan", "digits": "digits, faces", "faces": "digits, faces"}
    known = items.get(command[1], "handwritten, blended, printed")
    refused(hw2(command[0], "nosuch"), "nosuch", known)
    assert empty_workspace.tree() == before


@pytest.mark.parametrize("stage", ["evaluate", "tsne"])
def test_an_unknown_method_or_pair_is_told_which_there_are(
    empty_workspace: Workspace, hw2: Hw2, stage: str
) -> None:
    refused(hw2(stage, "dan", PAIR), "unknown method dan", *ADAPTERS)
    refused(hw2(stage, "dann", "blended-printed"), "unknown pair blended-printed", PAIR)


# --- data ----------------------------------------------------------------------------------------------------


def test_without_raw_material_preprocess_names_the_stage_that_brings_it(
    empty_workspace: Workspace, hw2: Hw2
) -> None:
    before = empty_workspace.tree()
    refused(hw2("preprocess", "printed"), "data/raw/printed: not there", "dvc repro download@printed")
    assert empty_workspace.tree() == before


@named(TRAIN)
def test_without_data_a_training_names_the_stage_that_makes_it(
    empty_workspace: Workspace, hw2: Hw2, command: list[str]
) -> None:
    before = empty_workspace.tree()
    refused(hw2(*command), "data/ready/", "not made yet", "dvc repro preprocess@")
    assert empty_workspace.tree() == before


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


def wide(content: bytes) -> bytes:
    return npy(array(content).astype(np.int64))


def short(content: bytes) -> bytes:
    return npy(array(content)[:-1])


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


Damage = Callable[[bytes], bytes | None]


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("train_images", gone),
        ("train_images", half),
        ("train_images", wide),
        ("train_images", short),
        ("train_images", packed),
        ("train_images", long_header),
        ("train_labels", empty),
        ("train_labels", short),
        ("test_images", text),
        ("test_labels", half),
    ],
)
def test_damaged_ready_data_is_refused(workspace: Workspace, hw2: Hw2, part: str, damage: Damage) -> None:
    workspace.damage(f"data/ready/handwritten/{part}.npy", damage)
    before = workspace.tree()
    refused(hw2("train_classifier", "handwritten"), "data/ready/handwritten", "dvc repro")
    assert workspace.tree() == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"counts": {}}', b'{"counts": {"train": 3}}', b"null", b"\xff"]
)
def test_a_damaged_about_json_is_refused(workspace: Workspace, hw2: Hw2, content: bytes) -> None:
    workspace.damage("data/ready/handwritten/about.json", lambda _: content)
    before = workspace.tree()
    refused(hw2("train_classifier", "handwritten"), "data/ready/handwritten", "dvc repro")
    assert workspace.tree() == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("handwritten/digits.npy", gone),
        ("handwritten/digits.npy", half),
        ("handwritten/digits.npy", text),
        ("handwritten/digits.npy", packed),
        ("handwritten/digits.npy", long_header),
        ("handwritten/labels.npy", empty),
        ("handwritten/labels.npy", few),
        ("blended/photo_china.npy", gone),
        ("blended/photo_china.npy", half),
        ("printed/cmb10.ttf", gone),
        ("printed/cmb10.ttf", half),
        ("printed/cmb10.ttf", text),
    ],
)
def test_damaged_raw_material_is_refused(workspace: Workspace, hw2: Hw2, file: str, damage: Damage) -> None:
    workspace.damage(f"data/raw/{file}", damage)
    before = workspace.tree()
    dataset = file.partition("/")[0]
    refused(hw2("preprocess", dataset), f"data/raw/{dataset}: not usable", f"dvc repro -f download@{dataset}")
    assert workspace.tree() == before


# --- trained networks ----------------------------------------------------------------------------------------


@named(NETWORK_READERS)
def test_a_missing_network_is_named(workspace: Workspace, hw2: Hw2, command: list[str]) -> None:
    workspace.damage(model_of(command), gone)
    before = workspace.tree()
    refused(hw2(*command), f"{model_of(command)}: not there", "has not run")
    assert workspace.tree() == before


@pytest.mark.parametrize("damage", [half, empty, text])
@named(NETWORK_READERS)
def test_a_corrupt_network_is_named(
    workspace: Workspace, hw2: Hw2, command: list[str], damage: Damage
) -> None:
    workspace.damage(model_of(command), damage)
    before = workspace.tree()
    refused(hw2(*command), f"{model_of(command)}: not a readable safetensors file", "run its stage again")
    assert workspace.tree() == before


@named(NETWORK_READERS)
def test_a_network_of_another_architecture_is_named(
    workspace: Workspace, hw2: Hw2, command: list[str]
) -> None:
    import torch

    from hw2core.engine.journal import write_model

    other = {f"seed0.{which}": {"label_head.0.weight": torch.zeros(3, 3)} for which in ("last", "chosen")}
    write_model((workspace.root / model_of(command)).parent, other, {})
    before = workspace.tree()
    refused(hw2(*command), f"{model_of(command)}: its weights are of another architecture", "train it again")
    assert workspace.tree() == before


@named(NETWORK_READERS)
def test_networks_of_other_seeds_are_named(workspace: Workspace, hw2: Hw2, command: list[str]) -> None:
    workspace.change("seeds", [5])
    before = workspace.tree()
    refused(hw2(*command), f"{model_of(command)}: holds no weights named seed5", "other seeds")
    assert workspace.tree() == before


# --- the report ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("stages/evaluate_classifier/printed/metrics.json", half),
        (f"stages/train_dann/{PAIR}/history.csv", gone),
        (f"stages/train_dann/{PAIR}/history.csv", empty),
        (f"stages/train_dann/{PAIR}/history.csv", text),
        (f"stages/evaluate/dann-{PAIR}/metrics.json", gone),
        (f"stages/evaluate/dann-{PAIR}/metrics.json", without_keys),
        (f"stages/tsne/dann-{PAIR}/by_digit.png", gone),
        ("data/ready/printed/about.json", gone),
        ("data/ready/printed/test_images.npy", half),
    ],
)
def test_what_the_report_cannot_read_is_named(
    workspace: Workspace, hw2: Hw2, file: str, damage: Damage
) -> None:
    workspace.damage(file, damage)
    refused(hw2("report"), file.rpartition("/")[0])
    assert not list(workspace.root.glob("reports/report.*"))


@pytest.mark.parametrize("damage", [gone, half, without_keys])
def test_what_an_evaluation_cannot_read_of_its_training_is_named(
    workspace: Workspace, hw2: Hw2, damage: Damage
) -> None:
    file = f"stages/train_dann/{PAIR}/metrics.json"
    workspace.damage(file, damage)
    refused(hw2("evaluate", "dann", PAIR), file)


# --- the machine ---------------------------------------------------------------------------------------------


def test_a_gpu_that_was_demanded_and_is_not_there_is_refused(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.change("engine.device", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = workspace.tree()
    for command in [*TRAIN, *NETWORK_READERS]:
        refused(hw2(*command), "engine.device", "no GPU", "auto")
    assert workspace.tree() == before


def test_a_hidden_gpu_is_no_gpu_in_a_process_of_its_own(workspace: Workspace) -> None:
    workspace.change("engine.device", "cuda")
    before = workspace.tree()
    refused(spawn("train_classifier", "handwritten", CUDA_VISIBLE_DEVICES=""), "engine.device", "no GPU")
    assert workspace.tree() == before


def test_a_loss_that_is_not_finite_is_refused_with_its_step_and_the_good_checkpoint_stays(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from hw2core.systems.classifier import Classifier

    step = Classifier.step

    def diverges(self: Classifier, batch: Any, k: int) -> dict[str, torch.Tensor]:
        losses = step(self, batch, k)
        return {name: loss * float("nan") for name, loss in losses.items()} if k == 5 else losses

    model = workspace.root / "stages/train_classifier/handwritten"
    shutil.rmtree(model)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "step", diverges)
        refused(hw2("train_classifier", "handwritten"), "seed 0: label_loss is nan at step 6", "checkpoint")
    assert not model.exists()
    (checkpoint,) = (workspace.layout.runs / "train_classifier").rglob("*.safetensors")
    assert checkpoint.name == "seed0.safetensors"
    outcome = hw2("train_classifier", "handwritten")
    assert outcome.status == 0
    assert "goes on from step 4 of 7" in outcome.err


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
        ["download", "handwritten"],
        ["download", "printed"],
        ["preprocess", "handwritten"],
        *TRAIN,
        *NETWORK_READERS,
        ["report"],
    ]
)
def test_a_full_disk_is_said_and_leaves_everything_as_it_was(
    workspace: Workspace, hw2: Hw2, full_disk: None, command: list[str]
) -> None:
    before = {path: content for path, content in workspace.tree().items() if content is not None}
    outcome = hw2(*command)
    refused(outcome, "the disk is full")
    assert {path: content for path, content in workspace.tree().items() if content is not None} == before


@named([["evaluate", "dann", PAIR]])
def test_a_folder_that_may_not_be_written_is_said(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    path_open = Path.open

    def open_path(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return path_open(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_path)
    refused(hw2(*command), "ermission denied", "stages/evaluate")


def test_an_interrupt_is_no_error_of_the_users(
    empty_workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_stage", interrupt)
    outcome = hw2("report")
    assert outcome.status == 130
    assert "Traceback" not in outcome.err


# --- what goes well ------------------------------------------------------------------------------------------


def test_a_stage_can_be_called_from_any_folder_of_the_workspace(
    workspace: Workspace, hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workspace.tree()
    monkeypatch.chdir(workspace.root / "stages" / "tsne")
    assert hw2("preprocess", "handwritten").status == 0
    assert workspace.tree() == before


KILL_AND_START_AGAIN = """
import os, signal, sys
import torch
from hw2core import cli
from hw2core.engine.resume import Checkpoint

torch.optim.Adam([torch.zeros(1)])  # imports for seconds: once before there are two processes
sys.argv = ["hw2", "train_classifier", "handwritten"]
if (first := os.fork()) == 0:
    save = Checkpoint.save

    def save_and_die(self, state):
        save(self, state)
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = save_and_die
    cli.main()
assert os.waitpid(first, 0)[1] == signal.SIGKILL
assert not os.path.exists("stages/train_classifier/handwritten")
cli.main()
"""


def test_a_training_killed_and_started_again_leaves_the_same_bytes(workspace: Workspace) -> None:
    before = workspace.tree()
    shutil.rmtree(workspace.root / "stages/train_classifier/handwritten")
    done = subprocess.run([sys.executable, "-c", KILL_AND_START_AGAIN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "goes on from step 4 of 7" in done.stderr
    assert workspace.tree() == before


def test_the_package_is_the_one_of_this_repository() -> None:
    assert Path(cli.__file__).parents[1] == ROOT


def test_results_are_json_without_anything_that_is_no_number(finished: Workspace) -> None:
    paths = sorted(finished.root.glob("stages/*/*/metrics.json"))
    assert len(paths) > 5

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for path in paths:
        json.loads(path.read_text(), parse_constant=refuse)


@named(
    [
        ["RuntimeError", "builtins"],
        ["OutOfMemoryError", "torch"],
        ["BackendCompilerFailed", "torch._dynamo.exc"],
    ]
)
def test_torchs_own_errors_are_said_in_one_line_where_a_user_can_mend_them(command: list[str]) -> None:
    name, module = command
    said = cli.explain(type(name, (Exception,), {"__module__": module})("two\nlines"))
    assert (said is None) == (name == "RuntimeError")
    assert said is None or "\n" not in said
