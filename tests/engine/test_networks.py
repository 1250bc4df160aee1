"""The table of layers: every parameter is counted once, and shapes are those of a training step."""

import pytest
import torch
from small_systems import ALL, batch, build
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from hw2core.engine.device import Device
from hw2core.engine.networks import layers_of
from hw2core.engine.system import System

CPU = Device(torch.device("cpu"), bf16=False, channels_last=False, compiled=False, about="")


class Nested(System):
    def __init__(self) -> None:
        inner = nn.Sequential(spectral_norm(nn.Linear(4, 3)), nn.Tanh())
        inner.register_parameter("scale", nn.Parameter(torch.ones(2)))
        self.networks = nn.ModuleDict({"first": inner, "unused": nn.Linear(3, 1)})

    def step(self, batch: tuple[torch.Tensor, ...], k: int) -> dict[str, torch.Tensor]:
        return {"loss": self.networks["first"](batch[0]).mean()}


def test_rows_have_the_module_the_shape_without_the_batch_and_the_parameters() -> None:
    rows = layers_of(Nested(), (torch.zeros(5, 7, 4),), CPU)
    linear = "(in_features=4, out_features=3, bias=True)"
    assert [tuple(row.values()) for row in rows] == [
        ("first", "", "Sequential()", "7 x 3", 2),
        ("first", "0", f"Linear{linear} with SpectralNorm", "7 x 3", 15),
        ("first", "1", "Tanh()", "7 x 3", 0),
        ("unused", "", "Linear(in_features=3, out_features=1, bias=True)", "", 4),
    ]


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_of_every_system_is_counted_once(name: str) -> None:
    system = build(name)
    rows = layers_of(system, batch(name), CPU)
    for network, module in system.networks.items():
        of_network = [row for row in rows if row["network"] == network]
        assert sum(row["parameters"] for row in of_network) == sum(p.numel() for p in module.parameters())
        if (name, network) != ("adda", "label_head"):  # its step adapts the extractor alone
            assert of_network[-1]["output"]
