"""Stateless randomness: random numbers are a function of names, usually (stage, item, seed, purpose, step).

No random state is ever stored, so a run killed at any step resumes with the numbers that it would have drawn.
"""

import hashlib

import torch


def seed_for(*names: str | int) -> int:
    """A 63-bit seed that depends on every name and on their order."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rng_for(*names: str | int) -> torch.Generator:
    """A generator on the CPU for one purpose; the same names give the same numbers on every device."""
    return torch.Generator().manual_seed(seed_for(*names))


def seed_torch(*names: str | int) -> None:
    """Seed the global generators of all devices: what initialization, dropout and torch.randn draw from."""
    seed = seed_for(*names)
    # What torch.manual_seed does, but that takes 0.1 ms to prepare for a GPU that may never be used.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
