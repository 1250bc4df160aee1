"""Checkpoints give back what they were given, to the bit, or say that they cannot be read."""

import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from hw2core.engine import resume
from hw2core.engine.resume import Checkpoint, forget, run_key

DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]


def same(one: Any, other: Any) -> bool:
    """Equal in kind, order and every bit."""
    if isinstance(one, Tensor):
        return (
            isinstance(other, Tensor)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and one.contiguous()
            .view(-1)
            .view(torch.uint8)
            .equal(other.contiguous().view(-1).view(torch.uint8))
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return bool(one == other)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    seed = draw(st.integers(0, 99))
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100
    return numbers.to(draw(st.sampled_from(DTYPES)))


finite = st.floats(allow_nan=False) | st.sampled_from([-0.0, 5e-324, float("inf"), 1 / 3])
ends = st.none() | st.booleans() | st.integers() | finite | st.text(max_size=5) | tensors()
keys = st.text(max_size=5) | st.integers(-5, 99)
trees = st.dictionaries(
    keys,
    st.recursive(
        ends,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=trees)
def test_a_state_is_given_back_to_the_bit(tmp_path: Path, state: dict[Any, Any]) -> None:
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save(state)
    assert same(checkpoint.load(), state)


def test_keys_that_are_the_formats_own_are_no_trouble(tmp_path: Path) -> None:
    state = {resume.TENSOR: "0", "__dict__": [1, {resume.TENSOR: torch.ones(2)}]}
    Checkpoint(tmp_path / "state").save(state)
    assert same(Checkpoint(tmp_path / "state").load(), state)


def test_tensors_in_channels_last_and_such_as_share_memory_are_given_back(tmp_path: Path) -> None:
    images = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state = {"images": images, "again": images, "part": images[:, 1], "parameter": torch.nn.Parameter(images)}
    Checkpoint(tmp_path / "state").save(state)
    loaded = Checkpoint(tmp_path / "state").load()
    assert loaded is not None
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert not loaded["parameter"].requires_grad


def test_an_optimizers_state_is_given_back(tmp_path: Path) -> None:
    network = torch.nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    network(torch.randn(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    Checkpoint(tmp_path / "state").save({"optimizer": optimizer.state_dict()})
    loaded = Checkpoint(tmp_path / "state").load()
    assert loaded is not None
    again = torch.optim.Adam(network.parameters(), fused=True)
    again.load_state_dict(loaded["optimizer"])
    assert set(again.state_dict()["state"]) == {0, 1}
    for index, moments in optimizer.state_dict()["state"].items():
        assert all(same(again.state_dict()["state"][index][key], value) for key, value in moments.items())


def test_a_state_is_saved_as_it_was_then(tmp_path: Path) -> None:
    weight = torch.zeros(3)
    Checkpoint(tmp_path / "state").save({"weight": weight})
    weight += 1
    assert same(Checkpoint(tmp_path / "state").load(), {"weight": torch.zeros(3)})


def test_a_later_state_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "runs" / "state")
    for step in (1, 2):
        checkpoint.save({"step": step})
    assert checkpoint.load() == {"step": 2}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["state"]


def test_where_nothing_was_saved_nothing_is_loaded_and_nothing_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Checkpoint(tmp_path / "state").load() is None
    assert capsys.readouterr().err == ""


def saved(path: Path) -> bytes:
    Checkpoint(path).save({"networks": {"weight": torch.arange(6.0)}, "run": {"step": 3, "history": [{}]}})
    return path.read_bytes()


def test_a_checkpoint_that_was_cut_off_anywhere_starts_afresh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    content = saved(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert Checkpoint(path).load() is None, length
        (line,) = capsys.readouterr().err.splitlines()
        assert "not a readable checkpoint" in line
        assert "training starts from step 0" in line


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_checkpoint_with_a_wrong_byte_is_read_or_refused_and_no_error(
    tmp_path: Path, at: int, byte: int
) -> None:
    path = tmp_path / "state"
    content = bytearray(saved(path))
    expected = repr(Checkpoint(path).load())
    content[at % len(content)] = byte
    path.write_bytes(content)
    assert repr(Checkpoint(path).load()) in (expected, "None")


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"\x80\x04\x95pickled"])
def test_what_is_no_checkpoint_starts_afresh(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    assert Checkpoint(tmp_path / "state").load() is None


def test_the_weights_of_a_stage_are_no_checkpoint(tmp_path: Path) -> None:
    from hw2core.engine.journal import write_model

    write_model(tmp_path / "m.safetensors", {"last": {"weight": torch.zeros(2)}}, {})
    assert Checkpoint(tmp_path / "m.safetensors").load() is None


FACTS: dict[str, Any] = {"stage": "train", "settings": {"lr": 1e-3, "steps": 5}, "data": ["abc"]}


def test_the_same_facts_have_the_same_key_in_any_order() -> None:
    assert run_key(**FACTS) == run_key(**dict(reversed(FACTS.items())))


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "other"},
        {"settings": {"lr": 1.0000001e-3, "steps": 5}},
        {"settings": {"lr": 1e-3, "steps": 6}},
        {"data": ["abd"]},
        {"data": ["abc", "abc"]},
        {"more": None},
    ],
    ids=str,
)
def test_the_key_changes_with_every_fact(change: dict[str, Any]) -> None:
    assert run_key(**FACTS | change) != run_key(**FACTS)


def test_the_key_changes_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_key(**FACTS)
    monkeypatch.setattr(torch, "__version__", "99")
    assert run_key(**FACTS) != before


def test_the_key_changes_with_the_packages_code_and_with_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_key(**FACTS)
    read_bytes = Path.read_bytes

    def edited(name: str) -> None:
        monkeypatch.setattr(Path, "read_bytes", lambda self: read_bytes(self) + b"\n" * (self.name == name))

    edited("resume.py")
    assert run_key(**FACTS) != before
    edited("nowhere.py")
    elsewhere = ModuleType("elsewhere")
    elsewhere.__file__ = __file__
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)
    assert run_key(**FACTS) == before


def test_a_finished_stage_leaves_no_resume_state(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "key" / "state").save({})
    forget(tmp_path / "key")
    forget(tmp_path / "key")  # what is gone may be forgotten again
    assert list(tmp_path.iterdir()) == []
