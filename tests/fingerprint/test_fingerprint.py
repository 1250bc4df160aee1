"""`hw2 doctor --fingerprint`: which results this machine computes to the same bits as the committed ones."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Hw2, refused

from hw2core.engine.instructions import has_avx2
from hw2core.errors import UserError
from hw2core.fingerprint import __main__ as command
from hw2core.fingerprint import cases, compare

Reference = dict[str, Any]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Reference]:
    """A copy of the reference, made with the libraries of this environment, on a machine that computes the same."""
    content: Reference = json.loads(compare.REFERENCE.read_text(encoding="utf-8"))
    content["versions"] = compare.versions()
    computed = [(content["hashes"][case.name], case.used_by, case.name) for case in cases.CASES]
    monkeypatch.setattr(compare, "hashes", lambda cpu_isa: iter(computed))
    monkeypatch.setattr(compare, "REFERENCE", tmp_path / "reference.json")
    save(content)
    return content


def save(content: Reference) -> None:
    compare.REFERENCE.write_text(json.dumps(content), encoding="utf-8")


def test_a_machine_with_equal_hashes_reproduces_the_results(hw2: Hw2, reference: Reference) -> None:
    outcome = hw2("doctor", "--fingerprint")
    assert outcome.status == 0
    _, *lines, last = outcome.out.splitlines()
    assert len(lines) == len(cases.CASES)
    assert all(line.startswith("equal ") for line in lines)
    assert last.startswith("This machine reproduces the committed results")


def test_a_case_that_differs_is_named_with_the_results_that_use_it(hw2: Hw2, reference: Reference) -> None:
    reference["hashes"]["attention"] = "0" * 12
    save(reference)
    outcome = hw2("doctor", "--fingerprint")
    assert outcome.status == 1
    (line,) = [
        line for line in outcome.out.splitlines() if not line.startswith(("equal ", "Reference", "This"))
    ]
    assert re.fullmatch(r"differs +attention +\w{12}, reference 0{12}; used by: DDPM", line)
    assert outcome.out.splitlines()[-1] == (
        "This machine does not reproduce the committed results. Results that can differ: DDPM."
    )


def test_results_that_several_cases_affect_are_named_once() -> None:
    (line,) = compare.conclusion(["GANs, ACGAN, VAE", "DDPM", "GANs, ACGAN"], [])
    assert line.endswith(": GANs, ACGAN, VAE, DDPM.")


def test_other_versions_are_said_and_not_taken_for_another_processor(hw2: Hw2, reference: Reference) -> None:
    reference["versions"]["torch"] = "1.0.0"
    save(reference)
    equal = hw2("doctor", "--fingerprint")
    assert equal.status == 0
    assert (
        f"other versions: torch 1.0.0, here {compare.versions()['torch']}.\nThis machine reproduces"
        in equal.out
    )
    reference["hashes"]["Pillow"] = "0" * 12
    save(reference)
    different = hw2("doctor", "--fingerprint")
    assert different.status == 1
    assert "other versions: torch 1.0.0" in different.out
    assert "may be due to these versions alone" in different.out
    assert "does not reproduce" not in different.out


def test_the_committed_reference_has_a_hash_of_every_case() -> None:
    content = json.loads(compare.REFERENCE.read_text(encoding="utf-8"))
    assert list(content["hashes"]) == [case.name for case in cases.CASES]
    assert set(content["versions"]) == set(compare.LIBRARIES)


def test_every_case_gives_the_same_hash_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cases, "STEPS", 1)
    for _ in range(2):
        cases.print_hashes()
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    count = len(cases.CASES)
    assert lines[:count] == lines[count:]
    assert len({found for found, _, _ in lines}) == count
    assert all(re.fullmatch(r"[0-9a-f]{12}", found) for found, _, _ in lines)


@pytest.mark.skipif(not has_avx2(), reason="this processor has no AVX2")
def test_the_cases_run_in_a_process_with_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import torch; print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), 'x', sep='\\t')"
    monkeypatch.setattr(compare, "CASES", [sys.executable, "-c", code])
    assert list(compare.hashes("avx2")) == [("AVX2", "1", "x")]


def test_a_process_that_fails_is_no_result(hw2: Hw2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "CASES", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(UserError, match="not computed"):
        list(compare.hashes("avx2"))
    refused(hw2("doctor", "--fingerprint"), "the fingerprint was not computed")


def test_this_machine_can_become_the_reference(
    reference: Reference, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reference["hashes"]["Pillow"] = "0" * 12
    save(reference)
    for arguments, status in (([], 1), (["--write"], 0), ([], 0), (["--native"], 0)):
        monkeypatch.setattr("sys.argv", ["fingerprint", *arguments])
        assert command.main() == status, arguments
    assert "engine.cpu_isa native" in capsys.readouterr().out
