"""Where the arithmetic runs: as params say, or a line that says why not."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from hw2core.engine.device import Device, choose_device
from hw2core.errors import UserError
from hw2core.settings import Params


def engine(params: Params, **changes: Any) -> Any:
    return params.engine.model_copy(update=changes)


def cpu(**changes: Any) -> Device:
    kind = {"bf16": False, "channels_last": True, "compiled": False, "about": "cpu"}
    return Device(torch.device("cpu"), **kind | changes)


@pytest.mark.parametrize("channels_last", [True, False])
def test_bytes_become_numbers_from_minus_one_to_one(channels_last: bool) -> None:
    batch = torch.tensor([0, 255, 51, 204, 127, 128], dtype=torch.uint8).reshape(1, 1, 2, 3)
    images = cpu(channels_last=channels_last).images(batch)
    assert images.dtype == torch.float32
    assert images.shape == (1, 3, 1, 2)
    assert images[0, :, 0, 0].tolist() == [-1, 1, pytest.approx(-0.6)]
    assert images[0, :, 0, 1].tolist() == pytest.approx([0.6, -1 / 255, 1 / 255], abs=1e-6)
    assert batch.flatten().tolist() == [0, 255, 51, 204, 127, 128]


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_networks_lie_in_memory_as_params_say(channels_last: bool) -> None:
    device = cpu(channels_last=channels_last)
    images = device.images(torch.zeros((2, 5, 4, 3), dtype=torch.uint8))
    network = nn.Conv2d(3, 4, 3)
    device.place(network)
    for tensor in (images, network.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == channels_last
        assert tensor.is_contiguous() != channels_last


KERNELS = ("flash", "mem_efficient", "cudnn")


@pytest.fixture(autouse=True)
def attention() -> Iterator[dict[str, bool]]:
    """Whether torch uses its kernels of attention, which are switches of the whole process."""
    before = {name: getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in KERNELS}
    yield before
    for name, enabled in before.items():
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(enabled)


def test_attention_on_a_gpu_is_deterministic(
    params: Params, monkeypatch: pytest.MonkeyPatch, attention: dict[str, bool]
) -> None:
    assert any(attention.values())
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    choose_device(engine(params, device="cuda"))
    assert not any(getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in KERNELS)
    assert torch.backends.cuda.math_sdp_enabled()


def test_a_gpu_that_is_demanded_must_be_there(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"^engine\.device: .*no GPU"):
        choose_device(engine(params, device="cuda"))


@pytest.mark.parametrize(
    ("asked", "found", "kind", "reason"),
    [
        ("auto", False, "cpu", "no GPU was found"),
        ("auto", True, "cuda", "a GPU was found"),
        ("cpu", False, "cpu", "engine.device"),
        ("cpu", True, "cpu", "engine.device"),
        ("cuda", True, "cuda", "engine.device"),
    ],
)
def test_the_device_is_chosen_and_the_reason_said(
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    found: bool,
    kind: str,
    reason: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: found)
    device = choose_device(engine(params, device=asked))
    assert device.kind.type == kind
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"device: {kind}")
    assert line.endswith(f"({reason})")


def test_everything_that_changes_a_result_is_part_of_what_a_device_says_of_itself(params: Params) -> None:
    """Its description is in every metrics.json, and in the key of what is resumed."""
    variants = [
        {},
        {"threads": 2},
        {"precision": "bf16"},
        {"channels_last": False},
        {"compile": True},
    ]
    abouts = {choose_device(engine(params, **changes)).about for changes in variants}
    assert len(abouts) == len(variants)
    assert all(f"torch {torch.__version__}" in about for about in abouts)
    choose_device(params.engine)


@pytest.mark.parametrize("capability", ["AVX2", "AVX512", "DEFAULT"])
def test_a_cpu_names_the_instructions_that_torch_really_uses(
    params: Params, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    """Whatever engine.cpu_isa says: the processor may lack them, or torch was loaded before they were set."""
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert choose_device(params.engine).about.startswith(f"cpu ({capability.lower()}) with 1 thread, fp32")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_device(engine(params, device="cuda")).about.startswith("cuda, fp32")


def test_the_process_is_set_up_for_reproducible_work(params: Params) -> None:
    torch.set_num_threads(2)
    choose_device(params.engine)
    assert torch.get_num_threads() == params.engine.threads == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


def test_bf16_changes_the_precision_of_products_and_keeps_weights_in_fp32() -> None:
    network, images = nn.Linear(30, 30), torch.randn(4, 30)
    exact = network(images)
    with cpu(bf16=True).autocast():
        rough = network(images)
    with cpu().autocast():
        assert torch.equal(network(images), exact)
    assert rough.dtype == torch.bfloat16
    assert network.weight.dtype == torch.float32
    assert not torch.equal(rough.float(), exact)
    assert torch.allclose(rough.float(), exact, atol=0.05)


@pytest.mark.parametrize("compiled", [True, False])
def test_networks_are_compiled_if_params_wish_it_and_keep_their_names(
    monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    seen: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: seen.append(self))
    networks = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    names = list(networks.state_dict())
    cpu(compiled=compiled).compile(networks)
    assert seen == (list(networks.children()) if compiled else [])
    assert list(networks.state_dict()) == names
