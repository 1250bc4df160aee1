"""Checkpoints of unfinished trainings: one file, replaced atomically, with no code in it.

A state is a tree of dicts and lists whose leaves are tensors and plain values. The tensors go into a safetensors file,
the rest into its header as JSON. Python writes floats so that they are read back bit for bit.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from hw2core.files import write_whole

FORMAT = 2
TENSOR = "__tensor__"


def run_key(**facts: Any) -> str:
    """A name for exactly one training: it changes with the params, the data, the code and torch's version.

    Only a checkpoint of the same key is resumed, so that no model is trained partly with other settings.
    """
    package = Path(__file__).parents[1]
    code = {
        str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).hexdigest()
        for module in list(sys.modules.values())
        if (path := Path(getattr(module, "__file__", None) or os.devnull)).is_relative_to(package)
    }
    text = json.dumps([FORMAT, torch.__version__, code, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Checkpoint:
    """The saved state of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state. Whenever the process dies, the old or the new one is complete on disk."""
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_pack(state, tensors))
        write_whole(self.path, save(tensors, metadata={"state": tree, "sha256": _checksum(tree, tensors)}))

    def load(self) -> dict[str, Any] | None:
        """The saved state with its tensors on the CPU; None if there is no readable one."""
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                tree, checksum = file.metadata()["state"], file.metadata()["sha256"]
                if checksum != _checksum(tree, tensors):
                    raise ValueError("its checksum is wrong")
                state: dict[str, Any] = _unpack(json.loads(tree), tensors)
                return state
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file can raise almost anything
            print(
                f"{self.path}: not a readable checkpoint ({error}); training starts from step 0",
                file=sys.stderr,
            )
            return None


def forget(folder: Path) -> None:
    """Remove the checkpoints of a stage that has finished."""
    shutil.rmtree(folder, ignore_errors=True)


def _checksum(tree: str, tensors: dict[str, Tensor]) -> str:
    """Of all that a checkpoint holds: training must not go on from bits that have changed on the disk."""
    digest = hashlib.sha256(tree.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _pack(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        name = str(len(tensors))
        # A copy, since safetensors refuses tensors that share memory.
        tensors[name] = node.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: name}
    if isinstance(node, dict):
        # JSON's keys are strings, an optimizer's are numbers: keep keys as values.
        return {"__dict__": [[key, _pack(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return [_pack(value, tensors) for value in node]
    return node


def _unpack(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, dict):
        if TENSOR in node:
            return tensors[node[TENSOR]]
        return {key: _unpack(value, tensors) for key, value in node["__dict__"]}
    if isinstance(node, list):
        return [_unpack(value, tensors) for value in node]
    return node
