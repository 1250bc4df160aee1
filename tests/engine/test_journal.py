"""What a stage leaves: rounded, readable, the same bytes for the same content, and refused if damaged."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Raw
from torch import nn

from hw2core.engine import journal
from hw2core.engine.journal import (
    Progress,
    load_weights,
    read_json,
    read_model,
    rounded,
    write_history,
    write_metrics,
    write_model,
)
from hw2core.errors import UserError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 / 3, 0.333333),
        (123456789.0, 123457000.0),
        (1e-20 / 3, 3.33333e-21),
        (-0.1, -0.1),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (np.float64(2 / 3), 0.666667),
        (123456789, 123456789),
        (True, True),
        (None, None),
        ("0.123456789", "0.123456789"),
        ((1 / 3, [2 / 3]), [0.333333, [0.666667]]),
        ({"a": {"b": 1 / 3}}, {"a": {"b": 0.333333}}),
    ],
    ids=str,
)
def test_floats_are_rounded_to_six_digits_and_nothing_else_is(value: object, expected: object) -> None:
    assert rounded(value) == expected
    assert type(rounded(value)) is type(expected) or isinstance(rounded(value), type(expected))


def test_metrics_are_read_back_and_hold_nothing_that_is_no_number(tmp_path: Path) -> None:
    write_metrics(tmp_path, {"accuracy": {"mean": 200 / 3, "std": math.nan}, "seeds": [0, 1]})
    metrics = read_json(tmp_path / "metrics.json")
    assert metrics == {"accuracy": {"mean": 66.6667, "std": None}, "seeds": [0, 1]}
    assert "NaN" not in (tmp_path / "metrics.json").read_text()


def test_a_history_is_a_table_with_a_line_a_row(tmp_path: Path) -> None:
    write_history(tmp_path, [{"step": 5, "loss": 1 / 3}, {"step": 10, "loss": math.inf}])
    assert (tmp_path / "history.csv").read_bytes() == b"step,loss\n5,0.333333\n10,\n"


WEIGHTS = {
    "seed0.last": {"conv.weight": torch.arange(24.0).reshape(1, 2, 3, 4), "count": torch.tensor(7)},
    "seed0.chosen": {"conv.weight": torch.ones(1, 2, 3, 4), "count": torch.tensor(8)},
    "seed10.last": {"conv.weight": torch.zeros(1, 2, 3, 4), "count": torch.tensor(9)},
}


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_weights_are_read_back_by_their_name(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, WEIGHTS, {"stage": "s"})
    state = read_model(tmp_path, name)
    assert set(state) == {"conv.weight", "count"}
    for key, tensor in WEIGHTS[name].items():
        assert state[key].dtype == tensor.dtype
        assert torch.equal(state[key], tensor)


def test_one_seeds_name_is_not_the_beginning_of_anothers(tmp_path: Path) -> None:
    write_model(tmp_path, {"seed10.last": WEIGHTS["seed10.last"]}, {})
    with pytest.raises(UserError, match="holds no weights named seed1"):
        read_model(tmp_path, "seed1")


def test_the_same_weights_give_the_same_bytes_however_they_lie_in_memory(tmp_path: Path) -> None:
    about = {"stage": "train", "seeds": [0, 1], "settings": {"lr": 1e-3, "arch": "R19"}, "item": "a-b"}
    write_model(tmp_path / "one", WEIGHTS, about)
    lying = {
        name: {key: nn.Parameter(value) if value.ndim else value for key, value in state.items()}
        for name, state in WEIGHTS.items()
    }
    for state in lying.values():
        state["conv.weight"].data = state["conv.weight"].data.to(memory_format=torch.channels_last)
    write_model(tmp_path / "other", lying, about)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other"))
    assert one == other


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    from safetensors import safe_open

    write_model(tmp_path, WEIGHTS, {"stage": "s", "seeds": [0]})
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["about"]) == {"stage": "s", "seeds": [0]}


def test_a_model_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.safetensors: not there"):
        read_model(tmp_path, "seed0.last")
    write_model(tmp_path, WEIGHTS, {})
    with pytest.raises(
        UserError, match=r"holds no weights named seed3\.last; it was trained with other seeds"
    ):
        read_model(tmp_path, "seed3.last")
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not a readable safetensors file") as error:
        read_model(tmp_path, "seed0.last")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("other", [nn.Linear(3, 5), nn.Linear(4, 3, bias=False), nn.Conv2d(4, 3, 1)], ids=str)
def test_weights_of_another_architecture_are_refused_in_one_line(other: nn.Module) -> None:
    with pytest.raises(UserError, match=r"^m\.safetensors: its weights are of another architecture") as error:
        load_weights(nn.Linear(4, 3), other.state_dict(), Path("m.safetensors"))
    assert "\n" not in str(error.value)


def test_weights_of_the_same_architecture_are_loaded() -> None:
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    load_weights(one, other.state_dict(), Path("m.safetensors"))
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.json"
    with pytest.raises(UserError, match=r"metrics\.json: not there; its stage has not run"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"metrics\.json: not readable as JSON; run its stage again"):
        read_json(path)


def test_without_a_terminal_progress_is_a_plain_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 104.0, 112.0, 113.0, 140.0])
    monkeypatch.setattr(journal.time, "monotonic", lambda: next(clock))
    progress = Progress("a b", steps=12, done=8)
    for k in range(8, 12):
        progress.step(k)
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a b: goes on from step 8 of 12",
        "a b: step 10 of 12, 0.167 a second, 12 s left",
        "a b: step 12 of 12, 0.1 a second, 0 s left",
    ]


def test_rows_of_params_are_no_part_of_the_journal(raw: Raw) -> None:
    """Rounding returns new values and leaves what it was given."""
    before = json.dumps(raw)
    rounded(raw)
    assert json.dumps(raw) == before
