"""The device and precision of all computation. Chosen once; the reason is printed."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.settings.models import Engine


@dataclass(frozen=True)
class Device:
    """A device set up for reproducible work, and how tensors and networks get there."""

    kind: torch.device
    bf16: bool
    channels_last: bool
    compiled: bool
    about: str

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.kind.type, torch.bfloat16) if self.bf16 else nullcontext()

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, networks: nn.Module) -> None:
        """Move networks here, in this device's memory format."""
        networks.to(self.kind)
        networks.to(memory_format=self.memory_format)

    def compile(self, networks: nn.ModuleDict) -> None:
        """Compile each network, if params say so."""
        if self.compiled:
            for network in networks.children():
                network.compile()

    def images(self, batch: Tensor) -> Tensor:
        """uint8 images (n, h, w, 3) to floats (n, 3, h, w) from -1 to 1."""
        return (
            batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=self.memory_format).div_(127.5).sub_(1)
        )


def to_device(tensor: Tensor, kind: torch.device) -> Tensor:
    """A tensor of the CPU on a device, which copies it from pinned memory while it computes on."""
    if kind.type != "cuda":
        return tensor.to(kind)
    return tensor.pin_memory().to(kind, non_blocking=True)


def use_deterministic_attention() -> None:
    """Leave the plain implementation of attention alone on GPUs: the others add gradients in any order, and the debug mode
    only warns of it."""
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)


def choose_device(engine: Engine) -> Device:
    """The device that params name. Sets the threads and the determinism of this process, which results depend on."""
    found = torch.cuda.is_available()
    if engine.device == "cuda" and not found:
        raise UserError(
            "engine.device: cuda is required, but torch finds no GPU; "
            "`hw2 doctor` says more, `engine.device: auto` runs on the CPU"
        )
    kind = torch.device("cuda" if found and engine.device != "cpu" else "cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as torch.use_deterministic_algorithms(True, warn_only=True), which loads the compiler: 5 s.
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(engine.threads)
    if kind.type == "cuda":
        use_deterministic_attention()
        reason = "engine.device" if engine.device == "cuda" else "a GPU was found"
        where = "cuda"
    else:
        reason = "engine.device" if engine.device == "cpu" else "no GPU was found"
        # What torch really uses, not what params say: the processor may lack it, or torch was loaded before.
        isa = torch.backends.cpu.get_cpu_capability().lower()
        where = f"cpu ({isa}) with {engine.threads} thread{'s' if engine.threads > 1 else ''}"
    about = ", ".join(
        [where, engine.precision]
        + ["channels last"] * engine.channels_last
        + ["compiled"] * engine.compile
        + [f"torch {torch.__version__}"]
    )
    print(f"device: {about} ({reason})", file=sys.stderr)
    return Device(kind, engine.precision == "bf16", engine.channels_last, engine.compile, about)
