"""What a stage leaves to be read: metrics.json, history.csv, model.safetensors; and its progress meanwhile."""

import csv
import io
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from hw2core.errors import UserError
from hw2core.files import write_whole

Row = dict[str, Any]
PLAIN_LINE_EVERY = 10.0  # seconds between two lines of progress where there is no terminal


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    text = json.dumps(rounded(metrics), indent=2, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())


def write_history(folder: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rounded(rows))
    write_whole(folder / "history.csv", text.getvalue().encode())


def write_model(folder: Path, weights: Mapping[str, Mapping[str, Tensor]], about: Mapping[str, Any]) -> None:
    """One file with the weights of several networks, each under its name, e.g. "seed0.last"."""
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous()
        for name, state in weights.items()
        for key, tensor in state.items()
    }
    # One header entry: safetensors keeps several in no fixed order, and the bytes must not change.
    write_whole(folder / "model.safetensors", save(tensors, metadata={"about": json.dumps(about)}))


def read_model(folder: Path, name: str) -> dict[str, Tensor]:
    """The weights that `write_model` put under `name`."""
    path = folder / "model.safetensors"
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
        raise UserError(f"{path}: holds no weights named {name}; it was trained with other seeds")
    return state


def load_weights(network: Any, state: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network, or say in one line that they are another architecture's."""
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"{path}: its weights are of another architecture than params.yaml asks for; train it again"
        ) from None


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; its stage has not run") from None
    except ValueError:
        raise UserError(f"{path}: not readable as JSON; run its stage again") from None


def rounded(value: Any) -> Any:
    """Floats to six significant digits: what a reader and a diff can use."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


class Progress:
    """A bar with rate and time left on a terminal; one plain line now and then where there is none."""

    def __init__(self, title: str, steps: int, done: int) -> None:
        self.bar = tqdm(total=steps, initial=done, desc=title, unit="step", leave=False, disable=None)
        self.title, self.steps, self.first = title, steps, done
        self.started = self.spoken = time.monotonic()
        if done:
            print(f"{title}: goes on from step {done} of {steps}", file=sys.stderr)

    def step(self, k: int) -> None:
        """Step k is done."""
        if not self.bar.disable:
            self.bar.update()
        elif (now := time.monotonic()) - self.spoken > PLAIN_LINE_EVERY:
            self.spoken = now
            rate = (k + 1 - self.first) / (now - self.started)
            left = (self.steps - k - 1) / rate
            print(
                f"{self.title}: step {k + 1} of {self.steps}, {rate:.3g} a second, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        self.bar.close()
