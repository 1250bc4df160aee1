"""The layers of a system's networks, with the shapes that a training step gives them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from hw2core.engine.device import Device
from hw2core.engine.system import Batch, System

INNER = "parametrizations"
"""Below a layer with this child are not layers but ways to compute its weights, such as a spectral norm."""


def layers_of(system: System, batch: Batch, device: Device) -> list[dict[str, Any]]:
    """A row for each layer: network, name, module, shape of the output of one image, number of parameters.

    The system trains for a step, so that it is of no use afterwards. A layer that the step does not call has no shape.
    """
    device.place(system.networks)
    shapes: dict[str, str] = {}
    for name, module in layers(system.networks):
        module.register_forward_hook(partial(note_shape, shapes, name))
    with device.autocast():
        system.step(batch, 0)
    return [
        {
            "network": name.partition(".")[0],
            "layer": name.partition(".")[2],
            "module": describe(module),
            "output": shapes.get(name, ""),
            "parameters": sum(weight.numel() for weight in own_parameters(module)),
        }
        for name, module in layers(system.networks)
    ]


def layers(networks: nn.ModuleDict) -> Iterator[tuple[str, nn.Module]]:
    """Modules without children, and those that have parameters beside their children."""
    for name, module in networks.named_modules():
        if f".{INNER}" in name:
            continue
        if not [*module.children()] or [*own_parameters(module)]:
            yield name, module


def own_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    yield from module.parameters(recurse=False)
    if hasattr(module, INNER):
        yield from getattr(module, INNER).parameters()


def describe(module: nn.Module) -> str:
    """The class and its arguments, as torch prints them."""
    text = f"{type(module).__name__.removeprefix('Parametrized')}({module.extra_repr()})"
    if hasattr(module, INNER):
        kinds = {type(each).__name__.strip("_") for each in getattr(module, INNER).modules()}
        text += f" with {', '.join(sorted(kinds - {'ModuleDict', 'ParametrizationList'}))}"
    return " ".join(text.split())


def note_shape(shapes: dict[str, str], name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    """A forward hook: note the shape of the first call's output, without the batch."""
    first = output[0] if isinstance(output, tuple) else output
    if isinstance(first, Tensor):
        shapes.setdefault(name, " x ".join(map(str, first.shape[1:])) or "1")
