"""Hash the cases on this machine and compare with the committed reference. Imports nothing heavy."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hw2core.engine.instructions import CPU_INFO, set_instructions
from hw2core.errors import UserError
from hw2core.threads import thread_variables

REFERENCE = Path(__file__).with_name("reference.json")
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pillow", "dlib-bin")
CASES = [sys.executable, "-m", "hw2core.fingerprint.cases"]


def compare(cpu_isa: str) -> int:
    """Print a line for each case, then what follows for the results. Returns 0 if every hash equals the reference."""
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    print(
        f"Reference: {reference['processor']}. This machine: {processor()}, engine.cpu_isa {cpu_isa}.",
        flush=True,
    )
    different = []
    for found, used_by, name in hashes(cpu_isa):
        expected = reference["hashes"].get(name)
        equal = found == expected
        said = found if equal else f"{found}, reference {expected}; used by: {used_by}"
        print(f"{'equal' if equal else 'differs':<7}  {name:<24} {said}", flush=True)
        if not equal:
            different.append(used_by)
    print("\n".join(conclusion(different, other_versions(reference["versions"]))))
    return 1 if different else 0


def conclusion(different: list[str], versions: list[str]) -> Iterator[str]:
    """What the hashes mean, given who uses each case that differs and the libraries of other versions."""
    if versions:
        yield f"The reference was made with other versions: {'; '.join(versions)}."
    if not different:
        yield "This machine reproduces the committed results, as far as they are computed on a CPU."
    elif versions:
        yield (
            "The results of this machine differ, which may be due to these versions alone: `make setup` installs "
            "those of the reference."
        )
    else:
        results = dict.fromkeys(result for used_by in different for result in used_by.split(", "))
        yield f"This machine does not reproduce the committed results. Results that can differ: {', '.join(results)}."


def hashes(cpu_isa: str) -> Iterator[tuple[str, str, str]]:
    """The hash of each case, which results it is used by, and its name, computed by a process with these instructions."""
    environment = dict(os.environ) | thread_variables(1)
    set_instructions(cpu_isa, environment)
    with subprocess.Popen(
        CASES, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout
        for line in process.stdout:
            found, used_by, name = line.rstrip("\n").split("\t")
            yield found, used_by, name
    if process.returncode != 0:
        raise UserError("the fingerprint was not computed: see the error above")


def other_versions(expected: dict[str, str]) -> list[str]:
    here = versions()
    return [
        f"{name} {expected[name]}, here {here[name]}" for name in expected if here[name] != expected[name]
    ]


def versions() -> dict[str, str]:
    return {name: installed(name) for name in LIBRARIES}


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, and the largest vectors that it has."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    facts = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    vectors = next(
        (name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "no AVX2"
    )
    family = "".join(f", {key} {facts[key]}" for key in ("cpu family", "model") if key in facts)
    return f"{facts.get('model name', 'unknown processor')}{family}, {vectors}"


def write_reference() -> None:
    """Make the hashes of this machine the reference, with engine.cpu_isa avx2."""
    found = {name: digest for digest, _, name in hashes("avx2")}
    reference = {"processor": processor(), "versions": versions(), "hashes": found}
    REFERENCE.write_text(json.dumps(reference, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
