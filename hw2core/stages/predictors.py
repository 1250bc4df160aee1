"""Systems that classify images: built from params, filled with the weights that their stage saved."""

import importlib
from typing import Protocol

from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.device import Device
from hw2core.engine.loop import System
from hw2core.layout import Layout
from hw2core.params import Params


class Predictor(System, Protocol):
    """A system that classifies images by their features."""

    def features(self, images: Tensor) -> Tensor: ...

    def logits(self, images: Tensor) -> Tensor: ...


def build_classifier(params: Params) -> Predictor:
    from hw2core.systems.classifier import Classifier

    return Classifier(params.classifier, params.dann.arch)


def build_adapter(params: Params, method: str) -> Predictor:
    """An untrained system of an adaptation method: class Dann of systems/dann.py for dann."""
    module = importlib.import_module(f"hw2core.systems.{method}")
    system: Predictor = getattr(module, method.capitalize())(getattr(params, method))
    return system


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
