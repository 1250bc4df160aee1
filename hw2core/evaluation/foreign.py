"""Weights saved by other programs. This is the only module that unpickles, and it loads nothing but tensors."""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from hw2core.errors import UserError


def read_weights(path: Path, what: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, also if they are nested under `state_dict`.

    `what` describes the expected file in error messages.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; it should be {what}") from None
    except Exception:  # torch raises many types for a damaged file, or one that contains code
        raise UserError(
            f"{path}: damaged, or holds more than weights, and only weights are loaded; it should be {what}"
        ) from None
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("state_dict"), dict):
        checkpoint = checkpoint["state_dict"]
    tensors = checkpoint if isinstance(checkpoint, dict) else {}
    return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
