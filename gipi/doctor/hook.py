"""A hook in somebody's network that cannot break, change or outlive anything."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class Account:
    """What hooks have in common.

    Attributes:
        seconds: That they took.
        failed: What went wrong.
    """

    seconds: float = 0.0
    failed: str = ""


class Hook:
    """A function that is told of ways through a network from which something is learned; see `looking`.

    What goes wrong in it is kept, not raised. It is silent while a program is made of the network, or a CUDA graph of
    its work, and while gradients are off. A copy of the network, or what it is kept as, has a function of Python's in
    its place that does nothing.

    Args:
        function: Of what hooks get.
        account: Where `seconds` are added up that hooks take, and `failed` says what went wrong; an `Account`, or what
        has its fields.
    """

    def __init__(self, function: Callable[..., None], account: Any):
        self.function = function
        self.account = account

    def __call__(self, *given: Any) -> None:
        if torch.compiler.is_compiling():
            return
        if not torch.is_grad_enabled() or is_recorded():
            return
        began = time.perf_counter()
        try:
            self.function(*given)
        except Exception as error:  # whatever a network of a person's own hands round: its way goes on
            self.account.failed = f"{type(error).__name__}: {error}"[:300]
        self.account.seconds += time.perf_counter() - began

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")  # takes anything, gives None, and is there without gipi


def is_recorded() -> bool:
    """Whether a program or a CUDA graph is being made of what is done: no number can be read then."""
    if torch.jit.is_tracing():  # type: ignore[reportPrivateImportUsage]
        return True
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def is_compiled(net: nn.Module) -> bool:
    """Whether calling it runs a program, which knows nothing of hooks inside."""
    return (
        getattr(net, "_compiled_call_impl", None) is not None
        or isinstance(net, torch.jit.ScriptModule)
        or type(net).__name__ == "OptimizedModule"
    )


def has_compiled() -> bool:
    """Whether this process has compiled anything: then a new hook may make it compile anew."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return dynamo is not None and sum(dynamo.counters["frames"].values()) > 0


def parts_of(net: nn.Module, is_lasting: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """The parts where a hook is called and changes nothing, each once, with its name; the network itself is the first.

    What is compiled is left out; so is a layer of a transformer that is not being trained: without hooks it takes a
    quicker way, with other bits.

    Args:
        net: The network.
        is_lasting: Hooks stay while it is judged, too: no layer of a transformer then.
    """
    left_out: set[nn.Module] = set()
    for name, part in net.named_modules():
        has_quick_way = isinstance(part, nn.TransformerEncoderLayer) and (is_lasting or not part.training)
        if part in left_out or is_compiled(part) or has_quick_way:
            left_out |= set(part.modules())
        else:
            yield name, part
