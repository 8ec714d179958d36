"""The generators of random numbers that a whole process shares: torch's, NumPy's and Python's.

What gipi draws outside the arithmetic comes from generators of its own (data/stream.py). These are what dropout draws
from, and whatever a person's own module, loss or stream calls. A run seeds them, keeps their states in its checkpoints,
and gives them back as the person had left them.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Begin all of them from this seed, a whole number from 0."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """With all of them seeded; afterwards they are as the person had left them."""
    before = json_state()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        try:
            seed_all(seed)
            yield
        finally:
            set_json_state(before)


def tensors() -> dict[str, Tensor]:
    """The states of torch's generators."""
    held = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        held["cuda"] = torch.cuda.get_rng_state()
    return held


def set_tensors(held: dict[str, Tensor]) -> None:
    torch.set_rng_state(held["cpu"])
    if "cuda" in held and torch.cuda.is_available():
        torch.cuda.set_rng_state(held["cuda"])


def json_state() -> dict[str, Any]:
    """The states of NumPy's and Python's generators."""
    kind, keys, *rest = np.random.get_state()
    version, internal, gauss = random.getstate()
    return {"numpy": [kind, np.asarray(keys).tolist(), *rest], "python": [version, list(internal), gauss]}


def set_json_state(held: dict[str, Any]) -> None:
    kind, keys, *rest = held["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    version, internal, gauss = held["python"]
    random.setstate((version, tuple(internal), gauss))
