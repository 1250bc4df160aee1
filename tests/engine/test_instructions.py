"""engine.cpu_isa: which instructions the numerical libraries use, on this processor and on others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Workspace

from hw2core.engine import instructions
from hw2core.engine.instructions import AVX2, DISABLED, has_avx2, set_instructions

VARIABLES = {*AVX2, DISABLED}

needs_avx2 = pytest.mark.skipif(not has_avx2(), reason="this processor has no AVX2")

ABOVE_AVX2 = ("AVX512", "X86_V4")
"""How names of numpy begin."""


def become(monkeypatch: pytest.MonkeyPatch, folder: Path, machine: str, flags: str | None) -> None:
    """Make this a processor with these flags; None: a system that does not tell them."""
    info = folder / "cpuinfo"
    if flags is not None:
        info.write_text(f"model name\t: A processor\nflags\t\t: {flags}\n\nmodel name\t: A processor\n")
    monkeypatch.setattr(instructions, "CPU_INFO", info)
    monkeypatch.setattr("platform.machine", lambda: machine)


@pytest.mark.parametrize("flags", ["fpu avx avx2 fma", "fpu fma avx2 avx512f avx512_fp16"])
def test_avx2_sets_the_same_variables_whatever_else_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str
) -> None:
    become(monkeypatch, tmp_path, "x86_64", flags)
    environment = {"ATEN_CPU_CAPABILITY": "avx512", "HOME": "/home"}
    set_instructions("avx2", environment)
    assert set(environment) == {"HOME", *VARIABLES}
    assert environment["ATEN_CPU_CAPABILITY"] == "avx2"
    assert capsys.readouterr().err == ""


def test_native_sets_nothing_and_removes_what_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    environment = dict.fromkeys(VARIABLES, "avx2") | {"HOME": "/home"}
    set_instructions("native", environment)
    assert environment == {"HOME": "/home"}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("machine", "flags"),
    [("x86_64", "fpu sse4_2 avx fma"), ("x86_64", "fpu avx2"), ("aarch64", "asimd sve"), ("x86_64", None)],
)
def test_without_avx2_the_libraries_are_left_alone_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    machine: str,
    flags: str | None,
) -> None:
    become(monkeypatch, tmp_path, machine, flags)
    environment = dict.fromkeys(VARIABLES, "avx2")
    set_instructions("avx2", environment)
    assert environment == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"device: engine.cpu_isa is avx2, which this processor ({machine}) does not have")


@pytest.mark.parametrize(
    ("numpy", "features"),
    [
        ("2.5.5", "X86_V4 AVX512_ICL AVX512_SPR"),
        ("2.4.0rc1", "X86_V4 AVX512_ICL AVX512_SPR"),
        ("2.3.9", "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"),
    ],
)
def test_numpys_features_have_the_names_of_its_version(
    monkeypatch: pytest.MonkeyPatch, numpy: str, features: str
) -> None:
    monkeypatch.setattr(instructions, "version", lambda name: numpy)
    assert instructions.numpy_features_above_avx2() == features


PROBE = """
import json, os, sys
from types import SimpleNamespace
from hw2core.cli import main
from hw2core.stages import dispatch

def report(module):
    assert not {"torch", "numpy", "scipy"} & set(sys.modules)
    import torch, scipy.linalg
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    from threadpoolctl import threadpool_info
    print(json.dumps({
        "variables": {name: os.environ.get(name) for name in json.loads(os.environ["NAMES"])},
        "torch": torch.backends.cpu.get_cpu_capability(),
        "numpy": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
        "openblas": [one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas"],
    }))
    sys.exit(0)

dispatch.importlib = SimpleNamespace(import_module=report)
sys.argv = ["hw2", "train_classifier", "handwritten", "0"]
main()
"""
"""`hw2 train_classifier` that reports what its libraries use instead of training."""


def probe(workspace: Workspace) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    run = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", PROBE],
        cwd=workspace.root,
        env=environment | {"NAMES": json.dumps(sorted(VARIABLES))},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@needs_avx2
def test_a_stage_limits_every_library_before_it_is_loaded(empty_workspace: Workspace) -> None:
    found = probe(empty_workspace)
    assert found["torch"] == "AVX2"
    assert found["numpy"]
    assert not [name for name in found["numpy"] if name.startswith(ABOVE_AVX2)]
    assert set(found["openblas"]) == {"Haswell"}
    assert None not in found["variables"].values()


def test_a_native_stage_limits_none(empty_workspace: Workspace) -> None:
    empty_workspace.change("engine.cpu_isa", "native")
    assert set(probe(empty_workspace)["variables"].values()) == {None}


@needs_avx2
def test_the_tests_themselves_run_with_avx2_on_every_processor() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    assert torch.backends.cpu.get_cpu_capability() == "AVX2"
    assert not [name for name in __cpu_dispatch__ if name.startswith(ABOVE_AVX2) and __cpu_features__[name]]
