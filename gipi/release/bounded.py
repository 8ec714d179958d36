"""Building a network whose configuration comes from a file, with no more memory than the file's weights call for.

PyTorch's "meta" device would say the shapes for free, but half of its operations import the compiler, as tracing does;
that takes longer than opening a file. So the network is built as it will be used, and what is asked for is looked at
before it is given.
"""

import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from gipi.messages import _
from gipi.release.refused import Refused

DRAWS = frozenset(("normal_", "uniform_", "random_", "bernoulli_", "exponential_"))
OF_NUMBERS = frozenset(("tensor", "as_tensor"))  # what they take are no lengths
TIMES = 8  # as many bytes as the weights have may pass through a network's construction so often
TABLES = 256 << 20  # bytes more, for what it works out for itself
LARGEST = 1 << 30  # bytes of one tensor while it answers its examples
MOST = 8 << 30  # bytes of all of them, those that are gone again among them


@contextmanager
def bounded(tensors: int, content: int) -> Iterator[None]:
    """No more is built meanwhile, in this thread, than networks of so many weights need; nothing is drawn at random.

    Args:
        tensors: How many weights there are.
        content: Bytes that they hold.

    Raises:
        Refused: More was asked for.
    """
    with Limit(TIMES * content + TABLES), _at_most(4 * tensors + 64), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of layers without elements, which are refused a moment later
        yield


class Limit(TorchFunctionMode):
    """Tensors that are made meanwhile take no more than so many bytes, those that are gone again among them.

    Nothing is drawn at random: weights that are about to be replaced need no beginning. They are the mean, or 0.
    """

    def __init__(self, content: int):
        super().__init__()
        self.left = content
        self.seen: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = kwargs or {}
        if (name := getattr(func, "__name__", "")) in DRAWS:
            tensor = args[0] if args else given["tensor"]  # torch.nn.init gives it by name
            mean = (args[1] if len(args) > 1 else given.get("mean", 0.0)) if name == "normal_" else 0.0
            with torch.no_grad():  # trunc_normal_ draws again for as long as something lies too far out
                return tensor.fill_(mean)
        if name not in OF_NUMBERS:
            sides = [abs(side) for side in _flat((*args, *given.values())) if type(side) is int and side]
            self._check(max(math.prod(sides), *sides, 0))  # a shape or the end of a range, before there is a tensor
        made = func(*args, **given)
        for one in _flat((made,)):
            if isinstance(one, Tensor) and (memory := one.untyped_storage()).data_ptr() not in self.seen:
                self.seen.add(memory.data_ptr())
                self.left -= memory.nbytes()
        self._check(0)
        return made

    def _check(self, needed: int) -> None:
        if needed > self.left:
            raise Refused(_("its network would take too much memory"))


class Work(TorchFunctionMode):
    """A network that answers makes no tensor larger than `LARGEST`, and all together no more than `MOST`."""

    def __init__(self) -> None:
        super().__init__()
        self.left = MOST

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = kwargs or {}
        if _foreseen(getattr(func, "__name__", ""), args, given) > LARGEST:
            raise Refused(_("its network would take too much memory"))
        made = func(*args, **given)
        taken = {one.untyped_storage().data_ptr() for one in _flat((*args, *given.values())) if isinstance(one, Tensor)}
        for one in _flat((made,)):
            if type(one) is Tensor and (memory := one.untyped_storage()).data_ptr() not in taken:
                self.left -= memory.nbytes()
        if self.left < 0:
            raise Refused(_("its network would take too much memory"))
        return made


def _foreseen(name: str, args: tuple, given: dict) -> float:
    """Bytes of what a layer is about to make, or less, where few weights make much of a large input."""
    x, weight = ([*args, None, None][place] for place in range(2))
    weight = given.get("weight", weight)
    if not isinstance(x, Tensor) or not isinstance(weight, Tensor) or not x.ndim:
        return 0
    if name == "linear":
        return x.numel() // max(1, x.shape[-1]) * weight.shape[0] * x.element_size()
    if not name.startswith("conv") or weight.ndim < 3:
        return 0
    places = weight.ndim - 2
    step = given.get("stride", args[3] if len(args) > 3 else 1)
    steps = math.prod(step) if isinstance(step, list | tuple) and len(step) == places else _one(step) ** places
    each = x.numel() / max(1, x.shape[-places - 1]) * x.element_size()  # of one channel, for all rows
    channels = weight.shape[1] * given.get("groups", 1) if "transpose" in name else weight.shape[0]
    return each * channels * (steps if "transpose" in name else 1 / max(1, steps))


def _one(step: Any) -> int:
    return step[0] if isinstance(step, list | tuple) else step


def _flat(values: tuple) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """No more parameters than that are made meanwhile, in this thread."""
    thread, made = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, param: Any) -> None:
        nonlocal made
        made += threading.get_ident() == thread
        if made > count:
            raise Refused(_("the weights are not those of its network"))

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()
