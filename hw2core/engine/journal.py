"""The files that a stage writes: metrics.json, history.csv, networks.csv and the weights."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.settings.parsing import MAX_JSON, parse_json, read_bounded

Row = dict[str, Any]


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    text = json.dumps(rounded(metrics), indent=2, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())


def write_history(folder: Path, rows: Sequence[Row]) -> None:
    write_csv(folder / "history.csv", rows)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    write_whole(path, f"{','.join(rows[0])}\n".encode() + csv_lines(rows))


def csv_lines(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, rows[0].keys(), lineterminator="\n").writerows(rounded(rows))
    return text.getvalue().encode()


def write_networks(folder: Path, layers: Sequence[Row]) -> None:
    write_csv(folder / "networks.csv", layers)


def write_model(path: Path, weights: Mapping[str, Mapping[str, Tensor]], about: Mapping[str, Any]) -> None:
    """One file with several states of the networks, each under its name: "last", "chosen"."""
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous()
        for name, state in weights.items()
        for key, tensor in state.items()
    }
    # One header entry: safetensors keeps several in no fixed order, and the bytes must not change.
    write_whole(path, save(tensors, metadata={"about": json.dumps(about)}))


def read_model(path: Path, name: str) -> dict[str, Tensor]:
    """The weights that `write_model` wrote under `name`."""
    try:
        with safe_open(path, framework="pt") as file:
            prefix = f"{name}."
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118
            state = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except FileNotFoundError:
        raise UserError(
            f"{path}: not there; its stage has not run, or `dvc pull` has not fetched it"
        ) from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); run its stage again") from None
    if not state:
        raise UserError(f"{path}: holds no weights named {name}; last and chosen are the names there are")
    return state


def load_weights(networks: nn.Module, path: Path, name: str) -> None:
    """Load the weights that a file has under `name`."""
    state = read_model(path, name)
    try:
        networks.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"{path}: its weights are of another architecture than params.yaml describes; train it again"
        ) from None


def read_json(path: Path) -> Any:
    try:
        content = read_bounded(path, MAX_JSON)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; its stage has not run") from None
    try:
        return parse_json(content, str(path))
    except UserError as error:
        raise UserError(f"{error}; run its stage again") from None


def rounded(value: Any) -> Any:
    """Floats rounded to six significant digits, which readers and diffs can use; NaN and infinity as null."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value
