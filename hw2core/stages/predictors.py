"""Systems that classify images: built from params, filled with the weights that their stage saved."""

import importlib
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from hw2core.engine import journal
from hw2core.engine.device import Device
from hw2core.engine.loop import System
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import Params


class Predictor(System, Protocol):
    """A system that classifies images by their features."""

    def features(self, images: Tensor) -> Tensor: ...

    def logits(self, images: Tensor) -> Tensor: ...


@runtime_checkable
class StartsFromSource(Protocol):
    """A system that begins with the source's own classifier instead of random weights."""

    @property
    def source_classifier(self) -> nn.ModuleDict:
        """Where those weights belong."""

    def start(self) -> None:
        """Begin, now that they are there."""


def build_classifier(params: Params) -> Predictor:
    from hw2core.systems.classifier import Classifier

    return Classifier(params.classifier, params.dann.arch)


def build_adapter(params: Params, method: str) -> Predictor:
    """An untrained system of an adaptation method: class Dann of systems/dann.py for dann."""
    module = importlib.import_module(f"hw2core.systems.{method}")
    system: Predictor = getattr(module, method.capitalize())(getattr(params, method), params.dann.arch)
    return system


def start_from_source(system: StartsFromSource, layout: Layout, source: str, seed: int) -> None:
    """Give a system the weights of its source's classifier: the same seed's, at its last step."""
    path = source_model(layout, source)
    weights = journal.read_model(path.parent, f"seed{seed}.last")
    journal.load_weights(system.source_classifier, weights, path)
    system.start()


def source_model(layout: Layout, source: str) -> Path:
    """The file with the weights of a source's own classifier, or one line that says it is missing."""
    path = layout.stage("train_classifier", source) / "model.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: not there; its stage has not run, or `dvc pull` has not fetched it")
    return path


def load_classifier(params: Params, layout: Layout, device: Device, domain: str, weights: str) -> Predictor:
    """The classifier of a domain; `weights` names them, e.g. "seed0.last"."""
    return fill(build_classifier(params), layout, device, "train_classifier", domain, weights)


def load_adapter(
    params: Params, layout: Layout, device: Device, method: str, pair: str, weights: str
) -> Predictor:
    return fill(build_adapter(params, method), layout, device, f"train_{method}", pair, weights)


def fill(system: Predictor, layout: Layout, device: Device, stage: str, item: str, weights: str) -> Predictor:
    folder = layout.stage(stage, item)
    journal.load_weights(system.networks, journal.read_model(folder, weights), folder / "model.safetensors")
    device.place(system.networks)
    device.compile(system.networks)
    system.networks.eval()
    return system
