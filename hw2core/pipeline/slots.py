"""How many stages run in parallel, and on which GPUs."""

import os
import re
import subprocess

from hw2core.errors import UserError
from hw2core.workers import usable_cores


def count_slots(jobs: str, threads: int, gpus: list[str]) -> int:
    """Return the number of stages that run in parallel. `auto` is one per GPU, else the cores divided by the threads.

    The threads of a stage are a param, not the machine's cores divided by the jobs: the number of threads changes the
    last bits of sums, and with them every result.
    """
    if jobs == "auto":
        return len(gpus) or max(1, usable_cores() // threads)
    if re.fullmatch("0*[1-9][0-9]{0,3}", jobs):
        return int(jobs)
    raise UserError(f"--jobs: must be auto or a number of stages from 1 to 9999, not {jobs!r}")


def visible_gpus() -> list[str]:
    """Return the GPUs in the form of CUDA_VISIBLE_DEVICES. It avoids importing torch, which takes seconds."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = listing.stdout.splitlines() if listing.returncode == 0 else []
    return [str(index) for index, _ in enumerate(line for line in lines if line.startswith("GPU "))]


def assign_gpus(gpus: list[str], slots: int) -> list[list[str]]:
    """Return the GPUs of each slot: several GPUs per slot, or one GPU for several slots if there are fewer GPUs."""
    if len(gpus) >= slots:
        return [gpus[slot::slots] for slot in range(slots)]
    return [[gpus[slot % len(gpus)]] if gpus else [] for slot in range(slots)]
