"""What a stage leaves: rounded, readable, the same bytes for the same content, and refused if damaged."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Raw
from torch import nn

from hw2core import progress as display
from hw2core.engine.journal import (
    load_weights,
    read_json,
    read_model,
    rounded,
    write_history,
    write_metrics,
    write_model,
)
from hw2core.errors import UserError
from hw2core.progress import Progress


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
    "last": {"conv.weight": torch.arange(24.0).reshape(1, 2, 3, 4), "count": torch.tensor(7)},
    "chosen": {"conv.weight": torch.ones(1, 2, 3, 4), "count": torch.tensor(8)},
    "last_but_one": {"conv.weight": torch.zeros(1, 2, 3, 4), "count": torch.tensor(9)},
}


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_weights_are_read_back_by_their_name(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "m.safetensors", WEIGHTS, {"stage": "s"})
    state = read_model(tmp_path / "m.safetensors", name)
    assert set(state) == {"conv.weight", "count"}
    for key, tensor in WEIGHTS[name].items():
        assert state[key].dtype == tensor.dtype
        assert torch.equal(state[key], tensor)


def test_the_same_weights_give_the_same_bytes_in_any_memory_layout(tmp_path: Path) -> None:
    about = {"stage": "train", "seeds": [0, 1], "settings": {"lr": 1e-3, "arch": "R19"}, "item": "a-b"}
    write_model(tmp_path / "one", WEIGHTS, about)
    channels_last = {
        name: {key: nn.Parameter(value) if value.ndim else value for key, value in state.items()}
        for name, state in WEIGHTS.items()
    }
    for state in channels_last.values():
        state["conv.weight"].data = state["conv.weight"].data.to(memory_format=torch.channels_last)
    write_model(tmp_path / "other", channels_last, about)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    from safetensors import safe_open

    write_model(tmp_path / "m.safetensors", WEIGHTS, {"stage": "s", "seed": 0})
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["about"]) == {"stage": "s", "seed": 0}


def test_a_model_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(UserError, match=r"m\.safetensors: not there"):
        read_model(path, "last")
    write_model(path, WEIGHTS, {})
    with pytest.raises(UserError, match="holds no weights named first; last and chosen"):
        read_model(path, "first")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not a readable safetensors file") as error:
        read_model(path, "last")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("other", [nn.Linear(3, 5), nn.Linear(4, 3, bias=False), nn.Conv2d(4, 3, 1)], ids=str)
def test_weights_of_another_architecture_are_refused_in_one_line(tmp_path: Path, other: nn.Module) -> None:
    write_model(tmp_path / "m.safetensors", {"last": other.state_dict()}, {})
    with pytest.raises(UserError, match=r"m\.safetensors: its weights are of another architecture") as error:
        load_weights(nn.Linear(4, 3), tmp_path / "m.safetensors", "last")
    assert "\n" not in str(error.value)


def test_weights_of_the_same_architecture_are_loaded(tmp_path: Path) -> None:
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    write_model(tmp_path / "m.safetensors", {"last": other.state_dict()}, {})
    load_weights(one, tmp_path / "m.safetensors", "last")
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
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    progress = Progress("a b", steps=12, done=8)
    for k in range(8, 12):
        progress.step(k)
        progress.note({"step": k + 1, "loss": 0.25, "score": 1 / (k + 1)})
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a b: resumes at step 8 of 12",
        "a b: step 10 of 12, 0.167 steps/s, score 0.1111, 12 s left",
        "a b: step 12 of 12, 0.1 steps/s, score 0.09091, 0 s left",
    ]


def test_rows_of_params_are_no_part_of_the_journal(raw: Raw) -> None:
    """Rounding returns new values and leaves what it was given."""
    before = json.dumps(raw)
    rounded(raw)
    assert json.dumps(raw) == before
