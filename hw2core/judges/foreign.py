"""Weights that other programs saved: the one place where a file of torch's pickles is read, and weights alone."""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from hw2core.errors import UserError


def read_weights(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name; of one that keeps them under `state_dict`, those. `what` it should be is
    for the user to read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; it should be {what}") from None
    except Exception:  # a damaged file, or one with code in it, fails as it happens to
        raise UserError(
            f"{path}: damaged, or holds more than weights, which alone are read; it should be {what}"
        ) from None
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("state_dict"), dict):
        checkpoint = checkpoint["state_dict"]
    tensors = checkpoint if isinstance(checkpoint, dict) else {}
    return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
