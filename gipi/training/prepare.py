"""Where and how the arithmetic runs: device, threads, precision. Systems know nothing of it.

What is chosen here by rule stands in run.json and is replayed on resume: a choice made by stopwatch would change bits.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gipi.errors import UsageError
from gipi.messages import _
from gipi.training.player import Batch, Player, Plays
from gipi.training.tape import Tapes

SMALL = 1_000_000  # parameters: with more, finding the next kernel is nothing beside running it
LARGE = 200_000_000  # multiplications: some 20 ms of one core; below that a second core saves little and disturbs much
Precision = Literal["float32", "float64", "bf16"]


def choose_device(wanted: str) -> torch.device:
    """The device by name: auto (the GPU if there is one), cpu, cuda, cuda:1, mps.

    Raises:
        UsageError: There is no such device here.
    """
    if wanted == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        text = _("the device '{device}' is not to be had here; --device cpu always is", device=wanted)
        raise UsageError(text) from error
    return device


@dataclass(frozen=True)
class Arithmetic:
    """How it is done.

    Attributes:
        precision: Of the arithmetic; weights are kept in float32, or float64.
        channels_last: Pictures and convolutions lie in memory with their channels last.
        threads: Of the processor.
        compiled: A player's objective and its gradient are compiled (torch.compile) at its first batch of each size.
    """

    precision: Precision = "float32"
    channels_last: bool = False
    threads: int = 1
    compiled: bool = False

    def sentence(self) -> str:
        """For a person: `bf16, channels last, 2 threads`."""
        others = [_("channels last")] if self.channels_last else []
        others += [_("compiled")] if self.compiled else []
        return ", ".join([self.precision, *others, _("{count} threads", count=self.threads)])


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16; elsewhere it is imitated, and slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def peak_memory(device: torch.device) -> int:
    """Bytes that this process has held at one time: of a GPU's memory on a GPU, else of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def choose_threads(multiplications: int) -> int:
    """Threads for a step: one for a small net, where handing out the work costs more than the work; else each core.

    Args:
        multiplications: Of one batch's way forward.
    """
    if multiplications < LARGE:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads(count: int) -> Iterator[None]:
    """With so many threads for the arithmetic."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def dtype_of(precision: Precision) -> torch.dtype:
    """What the weights and the data are held in; bf16 is for the arithmetic only."""
    return torch.float64 if precision == "float64" else torch.float32


def prepared(
    players: dict[str, Plays],
    net: nn.Module,
    arithmetic: Arithmetic,
    clip: float | None,
    parts: int,
    is_ours: bool,
    count: Callable[[Batch], Any] | None = None,
) -> dict[str, Plays]:
    """The players made ready for training; one that takes no gradients is left as it is.

    Args:
        players: As the system declares them.
        net: What they play on.
        arithmetic: How it is done.
        clip: Largest norm of the gradient.
        parts: That a batch is worked through in.
        is_ours: Network and loss are gipi's, so that nothing in them is decided by values: small ones are taped, unless
            they are compiled.
        count: `batch -> how many things the loss is a mean of`, where it is not as each player has it.

    Raises:
        UsageError: A batch cannot be cut into parts, because its rows are coupled.
    """
    small = sum(param.numel() for param in net.parameters()) <= SMALL
    lasting = list(net.buffers()) if is_ours and small and not arithmetic.compiled else None
    return {
        name: _prepared(replace(player, count=count or player.count), arithmetic, clip, parts, lasting)
        if isinstance(player, Player)
        else player
        for name, player in players.items()
    }


def _prepared(
    player: Player, arithmetic: Arithmetic, clip: float | None, parts: int, lasting: list[Tensor] | None
) -> Player:
    if parts > 1 and not player.splittable:
        text = _(
            "--parts {parts} would change the result: the rows of a batch are coupled here (batch norm, or a loss that"
            " compares rows)",
            parts=parts,
        )
        raise UsageError(text)
    ready = replace(player, clip=clip, parts=parts)
    if arithmetic.precision == "bf16":
        device = player.params[0].device.type

        def objective(batch: Batch) -> Tensor:
            with torch.autocast(device, torch.bfloat16):
                return player.objective(batch)

        ready.objective = objective
    if arithmetic.compiled:
        # what is drawn (dropout) is drawn as without compiling
        ready.objective = torch.compile(ready.objective, dynamic=False, options={"fallback_random": True})
    if lasting is not None:
        ready.tapes = Tapes(ready.differentiate, lasting)
    return ready
