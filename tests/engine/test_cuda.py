"""GPUs on machines without one: every system on fake CUDA tensors, which have a device, a type and a shape, but no content.

A tensor of the CPU among those of the GPU is an error there as on a GPU. The autograd engine alone needs a real one, so
that gradients are replaced by zeros here; the real backward pass runs on the meta device.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_systems import ACGANS, ALL, FACE_GENERATORS, PREDICTORS, batch, build
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hw2core.engine.augmentation import color_jitter
from hw2core.engine.batches import ImageSet, Shuffle
from hw2core.engine.device import Device
from hw2core.systems.samplers import NOISE_SCHEDULES, choose_sampler

CUDA = Device(torch.device("cuda"), bf16=True, channels_last=True, compiled=False, about="cuda")
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

COPIES = ("aten._to_copy.default", "aten.copy_.default")
WAITS = ("aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default")
CONVERSIONS = (
    "tensor",
    "as_tensor",
    "new_tensor",
    "item",
    "tolist",
    "numpy",
    "__bool__",
    "__float__",
    "__int__",
)


class Number(float):
    """An entry of a schedule on the CPU, which samplers read."""

    def item(self) -> float:
        return float(self)


SCHEDULE: Any = [Number(number) for number in NOISE_SCHEDULES["cosine"](50).tolist()]

every_system = pytest.mark.parametrize("name", ALL)


class Waits(TorchDispatchMode):
    """Counts the operations for which the CPU waits for the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        devices = {
            each.device.type for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)
        }
        copied = func.__str__() in COPIES and devices == {"cpu", "cuda"} and not kwargs.get("non_blocking")
        if copied or (func.__str__() in WAITS and "cuda" in devices):
            self.count[str(func)] += 1
        return result


class Conversions(TorchFunctionMode):
    """Counts the functions that move numbers between Python and a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in CONVERSIONS:
            self.count[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    def backward(loss: Tensor, inputs: list[Tensor]) -> None:
        assert loss.device.type == "cuda"
        for weight in inputs:
            weight.grad = torch.zeros_like(weight)

    def grad(loss: Tensor, inputs: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        assert create_graph
        return (loss * torch.ones_like(inputs),)

    monkeypatch.setattr(Tensor, "backward", backward)
    # A copy of a network belongs to the same mode.
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, raising=False)
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)  # fake tensors cannot
    monkeypatch.setattr(torch.autograd, "grad", grad)
    with FakeTensorMode() as mode:
        yield mode


def on_cuda(name: str) -> tuple[Any, tuple[Tensor, ...]]:
    """A system and a batch of it."""
    shapes = [(each.shape, each.dtype) for each in batch(name)]
    with torch.device("cuda"):
        return build(name), tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in shapes)


@every_system
def test_a_step_stays_on_the_gpu_and_waits_for_nothing(fake: FakeTensorMode, name: str) -> None:
    """The first step, which has all lazy regularizers."""
    system, images = on_cuda(name)
    assert system.optimizers
    with Conversions() as conversions, Waits() as waits:
        losses = system.step(images, 0)
    assert not waits.count + conversions.count
    assert {loss.device.type for loss in losses.values()} == {"cuda"}
    assert {tensor.device.type for tensor in system.networks.state_dict().values()} == {"cuda"}


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_predicts_on_the_gpu(fake: FakeTensorMode, name: str) -> None:
    system, images = on_cuda(name)
    assert system.logits(images[0]).device.type == "cuda"


@pytest.mark.parametrize("name", [*FACE_GENERATORS, *ACGANS])
def test_a_generator_samples_on_the_gpu_from_noise_of_the_cpu(fake: FakeTensorMode, name: str) -> None:
    system, _ = on_cuda(name)
    noise, labels = torch.zeros(4, *system.latent_shape), torch.zeros(4, dtype=torch.int64)
    images = system.sample(noise, labels) if name in ACGANS else system.sample(noise)
    assert (images.device.type, images.shape) == ("cuda", (4, 3, system.size, system.size))


@pytest.mark.parametrize("sampler", ["ddpm", "ddpm_posterior", "ddim", "dpm_solver"])
def test_every_sampler_stays_on_the_gpu(fake: FakeTensorMode, sampler: str) -> None:
    """The schedule is known on the CPU: no sampler reads a number of the GPU."""
    noise = torch.zeros(2, 3, 28, 28, device="cuda")
    steps = choose_sampler(sampler, 0.5)(lambda x, t: x.clamp(-1, 1), noise, SCHEDULE, [50, 30, 10, 0], None)
    assert {x.device.type for _, x in steps} == {"cuda"}


def test_the_ddpm_predicts_on_the_gpu(fake: FakeTensorMode) -> None:
    system, (images, labels) = on_cuda("ddpm")
    system.alpha_bars = SCHEDULE
    with Waits() as waits:
        assert system.predict_x0(images, 5, labels, 2.0).device.type == "cuda"
    assert not waits.count


def test_batches_reach_the_gpu_without_a_wait(fake: FakeTensorMode) -> None:
    images = ImageSet(
        torch.zeros(20, 4, 4, 3, dtype=torch.uint8, device="cuda"),
        torch.zeros(20, dtype=torch.int64, device="cuda"),
        CUDA,
    )
    order = Shuffle(images, 6, "test")
    with Waits() as waits:
        for k in range(7):
            pictures, labels = order.at(k)
            assert color_jitter(pictures, "test", k).device.type == labels.device.type == "cuda"
    assert not waits.count


@every_system
def test_the_backward_pass_runs_on_the_meta_device(name: str) -> None:
    shapes = [(each.shape, each.dtype) for each in batch(name)]
    with torch.device("meta"):
        system = build(name)
        images = tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in shapes)
    for optimizer in system.optimizers.values():
        for group in optimizer.param_groups:
            group["fused"] = False  # fused updates have no meta kernel
    losses = system.step(images, 0)
    assert {loss.device.type for loss in losses.values()} == {"meta"}
