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

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from gipi.messages import _
from gipi.release.refused import Refused

DRAWS = frozenset(("normal_", "uniform_", "random_", "bernoulli_", "exponential_"))
OF_NUMBERS = frozenset(("tensor", "as_tensor"))  # what they take are no lengths
TIMES = 8  # as many bytes as the weights have may pass through a network's construction so often
TABLES = 256 << 20  # bytes more, for what it works out for itself


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

    Nothing is drawn at random: weights that are about to be replaced need no beginning.
    """

    def __init__(self, content: int):
        super().__init__()
        self.left = content
        self.seen: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in DRAWS:
            return args[0] if args else given["tensor"]  # torch.nn.init gives it by name
        if getattr(func, "__name__", "") not in OF_NUMBERS:
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
