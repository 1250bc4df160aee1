"""Classifiers and adapters: built from params, and loaded with the weights of their training."""

import importlib

from hw2core.engine import journal
from hw2core.engine.device import Device
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.models import Pair
from hw2core.systems.backbones import BACKBONES
from hw2core.systems.predictor import Predictor


def class_of(method: str) -> type[Predictor]:
    """The class of a system: Dann of systems/dann.py for dann."""
    module = importlib.import_module(f"hw2core.systems.{method}")
    found: type[Predictor] = getattr(module, "".join(part.capitalize() for part in method.split("_")))
    return found


def build(params: Params, method: str) -> Predictor:
    """An untrained adapter or, as `classifier`, the source's or target's own classifier."""
    return class_of(method)(getattr(params, method), BACKBONES[params.backbone])


def load(
    params: Params, layout: Layout, device: Device, method: str, item: str, seed: int, which: str = "last"
) -> Predictor:
    """A trained predictor at its last or its chosen step."""
    system = build(params, method)
    journal.load_weights(system.networks, layout.model(f"train_{method}", item, seed), which)
    device.place(system.networks)
    device.compile(system.networks)
    system.networks.eval()
    return system


def check_domain(params: Params, domain: str) -> None:
    if domain not in params.data.domains:
        raise UserError(f"unknown domain {domain}; data.domains has: {', '.join(params.data.domains)}")


def check_method(params: Params, method: str) -> None:
    if method not in params.adapters:
        raise UserError(f"unknown method {method}; adapters has: {', '.join(params.adapters)}")


def get_pair(params: Params, name: str) -> Pair:
    if name not in params.pairs:
        raise UserError(f"unknown pair {name}; pairs has: {', '.join(params.pairs)}")
    return params.pairs[name]
