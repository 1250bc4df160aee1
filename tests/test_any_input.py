"""Whatever is handed in is accepted or refused by name: any params, profile, rules and metrics, images, tables and archives.

Examples are few here. `bench/fuzz.py` runs this file for a given time, each time with others.
"""

import copy
import io
import json
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Workspace, complaint, make_workspace, small_raw, write_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from hw2core.data.decode import decode
from hw2core.data.folder import list_splits
from hw2core.data.labels import read_attributes, read_digits, read_table
from hw2core.data.problems import Problems
from hw2core.data.trees import Folder, open_tree
from hw2core.evaluation.seeds import combine
from hw2core.gate.rules import Rules, compare
from hw2core.gate.tables import as_json, as_markdown, as_table
from hw2core.settings import profiles
from hw2core.settings.parsing import parse_json, parse_yaml
from hw2core.settings.runs import evaluated_runs, trained_runs
from hw2core.settings.validation import validate
from hw2core.systems.samplers import NOISE_SCHEDULES, choose_sampler, even_timesteps

WORDS = st.sampled_from(
    [
        "usps",
        "mnistm",
        "celeba",
        "drawn_faces",
        "embedded",
        "course",
        "folder",
        "digits",
        "faces",
        "dann",
        "ddpm",
        "R19",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | WORDS
    | st.just("")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | WORDS, inner, max_size=4)
    ),
)


def one_line(message: str | None, start: str) -> None:
    """A refusal is lines that name what they are about."""
    assert message is None or all(line.startswith(start) for line in message.splitlines()), message


def keys(raw: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values below `raw`, sections too."""
    for key in raw if isinstance(raw, dict) else range(len(raw)) if isinstance(raw, list) else ():
        yield (*path, key)
        yield from keys(raw[key], (*path, key))


SMALL = small_raw()
PATHS = list(keys(SMALL))


@st.composite
def changed_params(draw: st.DrawFn) -> Any:
    """Small params in which some keys have other values, are gone, or are new."""
    raw: Any = copy.deepcopy(SMALL)
    for _ in range(draw(st.integers(1, 5))):
        *parents, key = draw(st.sampled_from(PATHS))
        section = raw
        for parent in parents:
            try:
                section = section[parent]
            except (KeyError, IndexError, TypeError):
                break
        else:
            change = draw(st.sampled_from(["value", "value", "value", "gone", "new"]))
            if change == "new" and isinstance(section, dict):
                section[draw(st.text(max_size=5) | WORDS)] = draw(VALUES)
            elif change == "gone" and isinstance(section, dict):
                section.pop(key, None)
            elif isinstance(section, dict) or (
                isinstance(section, list) and isinstance(key, int) and key < len(section)
            ):
                section[key] = draw(VALUES)
    return raw


@given(raw=changed_params())
def test_any_params_are_valid_or_refused_by_name(raw: Any) -> None:
    runs: list[Any] = []

    def read() -> None:
        params = validate(raw, "params.yaml")
        runs.extend((*trained_runs(params), *evaluated_runs(params)))

    one_line(complaint(read), "params.yaml: ")


PARAMS = (ROOT / "params.yaml").read_bytes()
PIECES = st.sampled_from(
    [
        b"&a ",
        b"*a",
        b"!!bool ",
        b"!!set ",
        b"<<: ",
        b"- ",
        b"? ",
        b": ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\n",
        b"  ",
        b"'",
        b"|\n",
        b"\xff",
        b"2020-01-01",
    ]
)


@given(at=st.integers(0, len(PARAMS)), size=st.integers(0, 30), piece=PIECES | st.binary(max_size=4))
def test_params_with_any_other_bytes_are_valid_or_refused_by_name(at: int, size: int, piece: bytes) -> None:
    content = PARAMS[:at] + piece + PARAMS[at + size :]
    one_line(complaint(lambda: validate(parse_yaml(content, "params.yaml"), "params.yaml")), "params.yaml")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("any") / "workspace")


@settings(max_examples=settings().max_examples // 10)  # each takes half a second
@given(overlay=st.dictionaries(st.sampled_from(sorted(SMALL)) | st.text(max_size=4), VALUES, max_size=3))
def test_any_profile_is_applied_and_undone_or_refused(shared: Workspace, overlay: dict[str, Any]) -> None:
    write_yaml(shared.root / "profiles" / "any.yaml", overlay)
    before = shared.layout.params.read_bytes()

    def apply() -> None:
        profiles.as_overrides(shared.layout, "any")
        profiles.apply_profiles(shared.layout, "any")
        if shared.layout.params.read_bytes() != before:
            profiles.undo_profile(shared.layout)

    message = complaint(apply)
    assert message is None or message.strip()
    assert shared.layout.params.read_bytes() == before


RULE = st.fixed_dictionaries(
    {
        "metrics": st.sampled_from(["a/*", "a/b", "*/*", "a/[", "", "a"]) | st.text(max_size=5),
        "key": st.sampled_from(["x", "*", "x.mean", "*.*", "x.0"]) | st.text(max_size=5),
        "better": st.sampled_from(["up", "down"]),
        "absolute": st.floats() | st.integers(0, 3),
        "relative": st.floats(0, 1),
        "same": st.lists(st.sampled_from(["x", "y.0.z", "", "."]), max_size=2),
    }
)
METRICS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", 10**400, 1e99]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "mean", "std", "n", "values", "0"]), inner, max_size=5)
    ),
)


@given(rules=st.lists(RULE, max_size=3), sides=st.tuples(*2 * [st.lists(METRICS, min_size=1, max_size=3)]))
def test_the_gate_compares_any_metrics_by_any_rules_or_refuses_them(rules: Any, sides: Any) -> None:
    def judge() -> None:
        trees = [
            {"a/b": combine([parse_json(json.dumps(seed).encode(), "metrics.json") for seed in side])}
            for side in sides
        ]
        comparisons = compare(rules_of(rules), *trees)
        for write in (as_table, as_markdown, as_json):
            assert write(comparisons, "main", "0123456789")

    one_line(complaint(judge), "metrics.json")


def rules_of(raw: Any) -> Any:
    try:
        return Rules.model_validate({"rules": raw}).rules
    except ValidationError:
        return []


# --- files -------------------------------------------------------------------------------------------------------


def encoded(kind: str) -> bytes:
    content = io.BytesIO()
    pixels = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


IMAGES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "BMP", "GIF")}
EDITS = st.lists(st.tuples(st.integers(0, 10**4), st.binary(max_size=8), st.integers(0, 8)), max_size=5)


def edited(content: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
    for at, piece, size in edits:
        at %= len(content) + 1
        content = content[:at] + piece + content[at + size :]
    return content


def is_image_or_named(content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read: list[Image.Image] = []
        message = complaint(lambda: read.append(decode("a.png", content)))
    if message is None:
        assert read[0].mode in ("L", "RGB")
        assert np.asarray(read[0]).size > 0
    one_line(message, "a.png: ")


@given(content=st.sampled_from(sorted(IMAGES.values())), edits=EDITS)
def test_any_bytes_are_an_image_or_refused_by_name(content: bytes, edits: Any) -> None:
    is_image_or_named(edited(content, edits))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@given(
    header=st.tuples(*2 * [st.integers(0, 2**32 - 1) | st.integers(0, 9)], *5 * [st.integers(0, 8)]),
    rows=st.integers(0, 500),
    extra=st.lists(
        st.tuples(
            st.sampled_from([b"tRNS", b"PLTE", b"eXIf", b"acTL", b"IHDR", b"tEXt"]), st.binary(max_size=40)
        ),
        max_size=3,
    ),
)
def test_any_png_of_valid_chunks_is_an_image_or_refused_by_name(header: Any, rows: int, extra: Any) -> None:
    chunks = [
        (b"IHDR", struct.pack(">2I5B", *header)),
        *extra,
        (b"IDAT", zlib.compress(bytes(rows))),
        (b"IEND", b""),
    ]
    is_image_or_named(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks))


NAMES = st.text(st.sampled_from("ab./\\ \n'\"$(){}<>é\u202e\x00"), min_size=1, max_size=8) | st.sampled_from(
    [
        "train/0.png",
        "test/0.png",
        "train.csv",
        "test.csv",
        "../x.png",
        "/x.png",
        "$(touch x).png",
        "<script>.png",
    ]
)
FILES = st.dictionaries(
    NAMES, st.sampled_from([b"", b"image_name,label\n0.png,1\n", IMAGES["PNG"]]), max_size=4
)


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


PACK: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    ".zip": zipped,
    ".tar": lambda files: tarred(files, "w:"),
    ".tar.gz": lambda files: tarred(files, "w:gz"),
    ".tar.bz2": lambda files: tarred(files, "w:bz2"),
    ".tar.xz": lambda files: tarred(files, "w:xz"),
}


@given(files=FILES, kind=st.sampled_from(sorted(PACK)), edits=EDITS)
def test_any_archive_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], kind: str, edits: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that occur twice
        path.write_bytes(edited(PACK[kind](files), edits))

    def read() -> None:
        tree = open_tree(path)
        for file in tree.files:
            assert not os.path.isabs(file)
            assert ".." not in file.split("/")
            tree.read(file)
        list_splits(tree, 0.5)

    message = complaint(read)
    assert message is None or message.isprintable() or "\n" in message


@given(
    tables=st.lists(
        st.binary(max_size=30)
        | st.text(' ",\n\r;ab019.-' + "\x00é", max_size=60).map(
            lambda text: f"image_name,label,b\n{text}".encode()
        ),
        min_size=1,
        max_size=2,
    )
)
def test_any_tables_are_read_or_refused_by_line(
    tmp_path_factory: pytest.TempPathFactory, tables: list[bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "tables"
    folder.mkdir(exist_ok=True)
    problems, read = Problems(), []
    for number, content in enumerate(tables):
        (folder / f"{number}.csv").write_bytes(content)
        if table := read_table(Folder(str(folder), [f"{number}.csv"]), f"{number}.csv", problems):
            assert len(read_digits(table, problems)) == len(table.images)
            read.append(table)
    if read:
        names, arrays = read_attributes(read, problems)
        assert all(
            array.shape == (len(table.images), len(names)) for table, array in zip(read, arrays, strict=True)
        )
    one_line("\n".join(map(str, problems.found)) or None, str(folder))


# --- samplers ----------------------------------------------------------------------------------------------------


@given(
    schedule=st.sampled_from(sorted(NOISE_SCHEDULES)),
    timesteps=st.integers(50, 90),
    steps=st.integers(1, 90),
    sampler=st.sampled_from(["ddpm", "ddpm_posterior", "ddim", "dpm_solver"]),
    eta=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_any_sampler_goes_from_noise_to_what_a_perfect_network_predicts(
    schedule: str, timesteps: int, steps: int, sampler: str, eta: float, seed: int
) -> None:
    x_0, noise = torch.rand(2, 3, 4, 4) * 2 - 1, torch.randn(2, 3, 4, 4)
    path = even_timesteps(timesteps, min(steps, timesteps))

    def sample() -> list[tuple[int, torch.Tensor]]:
        rng = torch.Generator().manual_seed(seed)
        alpha_bars = NOISE_SCHEDULES[schedule](timesteps)
        return list(choose_sampler(sampler, eta)(lambda x, t: x_0, noise, alpha_bars, path, rng))

    visited = sample()
    assert [t for t, _ in visited] == path
    assert torch.equal(visited[0][1], noise)
    assert torch.allclose(visited[-1][1].float(), x_0, atol=1e-4)
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(visited, sample(), strict=True))
