"""Mutation testing: the rate of small defects in hw2core that the tests catch.

    python bench/mutants.py [--count 240] [--seed 0] [--rooms engine systems] [--jobs 1] [--out FILE.json]

Run it from the root of a repository, with the Python of its environment. A mutant is the package with one small
defect: another operator, constant, condition or bound, a missing argument or statement, a wrong return value. It is
caught if a test fails or does not end in time. Those that survive are printed.

First every test file runs once on the unchanged code. This records its time and the functions of hw2core that it
executes, in its process and in those it starts. A mutant then runs the test files that execute the changed function;
no other test can notice. The file named after the module runs first, then the rest of its folder, then the others,
in each group the fastest first, up to the first failure. Tests run in forks of a process that has imported torch.

The working tree is never written: mutants live in a temporary copy. The sample depends on the seed and the source
alone; each file gets mutants in proportion to its candidates. Some mutants change nothing that can be observed, so
100 % cannot be reached: compare rates of samples of the same size.
"""

import ast
import contextlib
import gc
import importlib.util
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from common import parser
from mutations import ROOMS, Mutant, choose, find_candidates

os.environ["OMP_NUM_THREADS"] = "1"  # before numerical libraries are imported

# These run DVC or the whole pipeline in processes of their own, for minutes.
EXCLUDED_TESTS = (
    *("test_dvc_yaml.py", "test_experiments.py", "test_repro.py", "test_scheduler.py", "test_workflows.py"),
    *("test_dependencies.py", "test_add_*.py", "test_pipeline*.py", "test_dask*.py", "test_cluster*.py"),
)
# These run every stage once. Test files that use them share one session and run last.
PIPELINE_FIXTURES = {"finished", "pipeline", "workspace"}
NOT_COPIED = {".git", ".venv", "data", "runs", "models", "build"}  # at the root
PRELOADED = (
    *("torch._dynamo", "torchvision", "safetensors.torch", "torch_fidelity", "pandas", "scipy.linalg"),
    *("sklearn.manifold", "sklearn.datasets", "pydantic", "typer", "ruamel.yaml", "hypothesis"),
)
NOT_STARTED = 99  # exit status of a child whose tests did not start
MEMORY = 16 * 2**30  # bytes of address space per test process: a mutant can ask for more than the machine has
say = partial(print, sep="\n", file=sys.stderr, flush=True)
# Notes each function of the package at its first call. As `sitecustomize` it runs in every process that a test starts.
RECORDER = """
import os, sys, threading
if path := os.environ.get("MUTANTS_RECORD"):
    package, seen, file = os.environ["MUTANTS_PACKAGE"], set(), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def note(frame, event, argument):
        code = frame.f_code
        if code.co_filename.startswith(package) and (at := (code.co_filename, code.co_firstlineno)) not in seen:
            seen.add(at)
            os.write(file, f"{at[0]}\\t{at[1]}\\n".encode())
    sys.settrace(note)
    threading.settrace(note)
"""


class Failures:
    """A plugin of pytest that writes down which tests fail."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            with self.path.open("a") as file:
                file.write(f"{report.nodeid}\n")

    pytest_collectreport = pytest_runtest_logreport


def run_pytest(
    tree: Path, options: Sequence[str], limit: float, record: Path | None = None
) -> tuple[str, list[str]]:
    """Run tests of `tree` in a fork. Return passed, failed or timeout, and the tests that fail."""
    failed, scratch = tree.with_suffix(".failed"), tree.with_suffix(".tmp")
    failed.write_text("")
    scratch.mkdir()
    if (child := os.fork()) == 0:
        status = NOT_STARTED
        try:
            status = pytest_in_child(tree, options, record)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    while (waited := os.waitpid(child, os.WNOHANG))[0] == 0 and limit > 0:
        time.sleep(0.02)
        state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0]
        limit -= 0.02 * (state != "T")  # the time in which somebody has stopped the process does not count
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what its tests left running
    shutil.rmtree(scratch, ignore_errors=True)
    if waited[0] == 0:
        os.waitpid(child, 0)
        return "timeout", []
    status = os.waitstatus_to_exitcode(waited[1])
    if status >= NOT_STARTED:
        raise SystemExit(f"the tests did not start:\n{tree.with_suffix('.log').read_text()}")
    return "passed" if status in (0, 5) else "failed", failed.read_text().splitlines()  # 5: no tests


def pytest_in_child(tree: Path, options: Sequence[str], record: Path | None) -> int:
    os.setsid()
    log = os.open(tree.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(file, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(tree)
    site, tempfile.tempdir = tree.parent / "site", None
    os.environ |= {"PYTHONPATH": f"{site}:{tree}", "TMPDIR": str(tree.with_suffix(".tmp"))}
    sys.path[:1] = [str(tree)]
    # Compiled files of the unchanged code serve all mutants; none is written for a mutant.
    os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "" if record else "1", record is None
    if record:
        os.environ |= {"MUTANTS_RECORD": str(record), "MUTANTS_PACKAGE": f"{tree / 'hw2core'}{os.sep}"}
        exec(RECORDER, {})
    found = importlib.util.find_spec("hw2core")
    if found is None or not str(found.origin).startswith(str(tree)):
        print("hw2core is imported from", found)
        return NOT_STARTED
    vars(sys.modules["__main__"]).pop("__file__")  # or processes started by a test would run it
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # of unrelated packages
    fixed = ["-q", "-p", "_hypothesis_pytestplugin", "--tb=line", "-p", "no:cacheprovider", "-o", "addopts="]
    status = pytest.main([*fixed, *options], plugins=[Failures(tree.with_suffix(".failed"))])
    sys.stdout.flush()
    return int(status)


@dataclass(frozen=True)
class TestFile:
    seconds: float
    executes: set[tuple[str, int]] | None
    """File and first line of each function it executes; None if this is unknown."""
    failing: list[str]


def find_tests(tree: Path) -> tuple[list[str], list[str]]:
    """Return the test files that need no finished pipeline, and those that do."""
    files: tuple[list[str], list[str]] = ([], [])
    for path in sorted(tree.glob("tests/**/test_*.py")):
        used = {each.arg for each in ast.walk(ast.parse(path.read_bytes())) if isinstance(each, ast.arg)}
        if not any(path.match(pattern) for pattern in EXCLUDED_TESTS):
            files[bool(used & PIPELINE_FIXTURES)].append(str(path.relative_to(tree)))
    return files


def run_unchanged(tree: Path, names: Sequence[str], executes: bool) -> dict[str, TestFile]:
    """Run test files on the unchanged code in one session."""
    start, record = time.monotonic(), tree.with_suffix(".record")
    record.write_text("")
    status, failing = run_pytest(tree, names, 1800, record if executes else None)
    seconds = (time.monotonic() - start) / len(names)
    functions = {tuple(line.split("\t")) for line in record.read_text().splitlines()}
    at = {(os.path.relpath(file, tree), int(line)) for file, line in functions} if executes else None
    if status == "timeout" or (status == "failed" and not failing):
        raise SystemExit(f"{names} on the unchanged code: {status}\n{tree.with_suffix('.log').read_text()}")
    used = [name for name in names if name not in failing]
    lines = [f"{seconds:6.1f} s  {name}{'' if name in used else '  not used'}" for name in names]
    say(*lines, *(f"  fails on the unchanged code, not used: {each}" for each in failing))
    return {name: TestFile(seconds, at, [each for each in failing if each.startswith(name)]) for name in used}


def evaluate(mutant: Mutant, folder: Path, tests: dict[str, TestFile]) -> dict[str, Any]:
    """Run the tests that can catch a mutant, until one does."""
    tree, module = folder / f"tree{os.getpid()}", Path(mutant.file)
    if not tree.exists():
        shutil.copytree(folder / "tree", tree)

    def rank(name: str) -> int:
        named = Path(name).stem == f"test_{module.stem}"
        return 0 if named else 1 if Path(name).parent.name == module.parent.name else 2

    at = (mutant.file, mutant.scope)
    names = [name for name, test in tests.items() if test.executes is None or at in test.executes]
    names.sort(key=lambda name: (rank(name), tests[name].seconds))
    failing = [f"--deselect={each}" for test in tests.values() for each in test.failing]
    path, start, by = tree / module, time.monotonic(), ""
    source = path.read_bytes()
    path.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
    for _, group in itertools.groupby(names, rank):
        files = list(group)
        limit = 60 + 5 * sum(tests[name].seconds for name in files)
        status, failed = run_pytest(tree, ["-x", *files, *failing], limit)
        if status != "passed":
            by = status if status == "timeout" else failed[0] if failed else "crash"
            break
    shutil.copy2(folder / "tree" / module, path)
    return asdict(mutant) | {"caught_by": by, "seconds": time.monotonic() - start, "test_files": len(names)}


def copy_tree(root: Path, tree: Path) -> None:
    caches = shutil.ignore_patterns("__pycache__", ".*_cache", "cache", "tmp")

    def left_out(folder: str, names: list[str]) -> set[str]:
        return caches(folder, names) | (NOT_COPIED if Path(folder) == root else set())

    shutil.copytree(root, tree, symlinks=True, ignore=left_out)


def report(results: list[dict[str, Any]], rooms: dict[str, list[Mutant]]) -> dict[str, Any]:
    """Print the mutants that survive and a table, and return both."""
    survivors = [each for each in results if not each["caught_by"]]
    for each in survivors:
        note = "" if each["test_files"] else "  (no test executes it)"
        print(f"{each['file']}:{each['line']}  {each['kind']}  {each['before']}  ->  {each['after']}{note}")
    files = {room: {each.file for each in found} for room, found in rooms.items()}
    files["total"] = {each["file"] for each in results}
    table = {}
    for room, inside in files.items():
        found = [each for each in results if each["file"] in inside]
        caught = sum(bool(each["caught_by"]) for each in found)
        early = sum(bool(each["caught_by"]) and not each["pipeline"] for each in found)
        rate = round(caught / max(1, len(found)), 4)
        table[room] = {"mutants": len(found), "caught": caught, "without_pipeline": early, "rate": rate}
        print(f"{room:20} {caught:4} of {len(found):4} caught, {early:4} without the pipeline  {rate:7.1%}")
    return {"rooms": table, "survivors": survivors}


def run_round(mutants: list[Mutant], work: Callable[[Mutant], Any], jobs: int) -> Iterator[dict[str, Any]]:
    """Evaluate mutants in processes that can start others, as Pool's cannot. The code without a change comes first."""
    control = Mutant("hw2core/__init__.py", 1, 0, "no change", "", "", "", 0, 0, 1)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        for i, result in enumerate(pool.map(work, [control, *mutants])):
            at, by = f"{result['file']}:{result['line']} {result['kind']}", result["caught_by"]
            say(f"[{i}/{len(mutants)}] {result['seconds']:.1f} s  {at}  {by or 'SURVIVES'}")
            if i > 0:
                yield result
            elif by:
                pool.shutdown(cancel_futures=True)
                raise SystemExit(f"{by} fails on the unchanged code after other tests: exclude it")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=240, help="number of mutants")
    options.add_argument("--seed", type=int, default=0, help="of the sample")
    options.add_argument(
        "--rooms", nargs="+", choices=ROOMS, default=ROOMS, metavar="ROOM", help=", ".join(ROOMS)
    )
    options.add_argument("--jobs", type=int, default=1, help="mutants that run at a time")
    options.add_argument(
        "--no-pipeline", action="store_true", help="leave out tests that need a finished pipeline"
    )
    options.add_argument("--out", type=Path, help="JSON file for every result")
    given, start = options.parse_args(), time.monotonic()
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # otherwise garbage collection in a child copies the memory of all these modules
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        folder, tree = Path(temporary).resolve(), Path(temporary).resolve() / "tree"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(RECORDER)
        copy_tree(Path.cwd(), tree)
        rooms = {room: find_candidates(tree, room) for room in given.rooms}
        left = choose(sorted(each for found in rooms.values() for each in found), given.count, given.seed)
        files, pipeline = find_tests(tree)
        results: dict[Mutant, dict[str, Any]] = {}
        for late in (False,) if given.no_pipeline else (False, True):
            runs = [pipeline] if late else [[file] for file in files]
            tests = {name: test for run in runs for name, test in run_unchanged(tree, run, not late).items()}
            work = partial(evaluate, folder=folder, tests=tests)
            for mutant, result in zip(left, run_round(left, work, given.jobs), strict=True):
                result["test_files"] += results.get(mutant, {}).get("test_files", 0)
                results[mutant] = result | {"pipeline": late}
            left = [mutant for mutant in left if not results[mutant]["caught_by"]]
            facts = {"seed": given.seed, "candidates": {room: len(found) for room, found in rooms.items()}}
            facts |= report(list(results.values()), rooms) | {"seconds": round(time.monotonic() - start)}
            facts |= {"test_seconds": {name: test.seconds for name, test in tests.items()}}
            print(f"{facts['seconds']} s")
            if given.out:
                text = json.dumps(facts | {"mutants": list(results.values())}, indent=1)
                given.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
