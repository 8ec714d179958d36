"""One row, answered in a few microseconds: encoder, network and answer settled once, without a tensor on the way.

It must say what the general path says: before it is used, the two are compared on rows drawn at random, and where they
differ (or the network is no plain chain) the general path answers. Nothing here is shared between calls, so threads
may ask at the same time.

N features that go in, M members
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi.release.chain import Layer, chain
from gipi.release.single import Encoder, encoder
from gipi.tasks.single import Answer, Say, single

if TYPE_CHECKING:
    from gipi.release.model import Model

Array = np.ndarray

FEW = 32  # rows up to which each is answered by itself: as quick as together, and to the bit as when asked alone
ROWS = 16  # that are compared
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
TYPES = {torch.float32: np.float32, torch.float64: np.float64}

version = attrgetter("_version")  # torch counts each change of a tensor in place


@dataclass(frozen=True)
class Quick:
    """A model settled for single rows.

    Attributes:
        encode: `f(row) -> (N,)`, or None for a row that is out of the ordinary.
        numbers: `f(encoded) -> (answer, disagreement)`; None where the general path answers.
        say: The answer in words.
        shape: `(N,)`, of an encoded row.
        dtype: Its type, that of the networks.
        members: The networks that it was made of.
        weights: Their tensors.
        versions: How often those had been changed.
    """

    encode: Encoder | None
    numbers: Callable[[Array], tuple[list, list[float] | None]] | None
    say: Say | None
    shape: tuple[int, ...]
    dtype: np.dtype
    members: list[nn.Module]
    weights: list[Tensor]
    versions: int

    def is_of(self, members: list[nn.Module]) -> bool:
        """Whether these are its members still, with the weights that they had."""
        return self.members == members and sum(map(version, self.weights)) == self.versions


def quick(model: "Model") -> Quick:
    """Settle a model for single rows."""
    members = list(model.members)
    weights = [tensor for net in members for tensor in (*net.parameters(), *net.buffers())]
    weights = [tensor for tensor in weights if tensor.is_floating_point()]
    dtype = next(members[0].parameters()).dtype
    is_table = bool(model.schema.inputs) and not (model.schema.is_picture or model.schema.is_text)
    if not is_table or dtype not in TYPES or any(tensor.is_inference() for tensor in weights):
        return Quick(None, None, None, (), np.dtype(np.float32), members, [], 0)
    read = encoder(model.schema, TYPES[dtype])
    numbers, say = None, None
    made = None if "centers" in model.extra else single(model.task, model.schema)
    chains = [chain(net) for net in members] if made else [None]
    if made and all(chains):
        answer, say = made
        numbers = _numbers([run for run in chains if run], answer)
        if not _agrees(model, numbers, say, dtype):
            numbers = None
    shape = (model.sizes.input[0] + len(model.sizes.categories),)
    return Quick(read, numbers, say, shape, np.dtype(TYPES[dtype]), members, weights, sum(map(version, weights)))


def _numbers(chains: list[Layer], answer: Answer) -> Callable[[Array], tuple[list, list[float] | None]]:
    if len(chains) == 1:
        (run,) = chains
        return lambda x: answer([run(x).tolist()])
    return lambda x: answer([run(x).tolist() for run in chains])


def _agrees(model: "Model", numbers: Any, say: Say, dtype: torch.dtype) -> bool:
    """Whether the answers to rows drawn at random are those of the general path."""
    random = np.random.default_rng(0)
    numeric, categories = model.sizes.input[0], model.sizes.categories
    x = random.normal(size=(ROWS, numeric + len(categories))) * np.geomspace(0.1, 3, ROWS)[:, None]
    for place, count in enumerate(categories, numeric):
        x[:, place] = random.integers(0, count + 1, ROWS)
    x = x.astype(TYPES[dtype])
    expected = model.said(torch.from_numpy(x))
    try:
        with np.errstate(all="ignore"):
            found = [say(*numbers(row)) for row in x]
    except (ValueError, TypeError, IndexError, OverflowError):
        return False  # layers that do not fit each other as a chain
    return all(_alike(ours, theirs, _tolerance(model, dtype)) for ours, theirs in zip(found, expected, strict=True))


def _tolerance(model: "Model", dtype: torch.dtype) -> Callable[[float], float]:
    """How far an answer may be off: by the rounding of the network in the target's scale, and of the number itself."""
    is_class = model.task == "classify"
    scale = 0.1 if is_class else max(abs(field.scale) for field in model.schema.targets)
    center = 0.0 if is_class else max(abs(field.center) for field in model.schema.targets)
    return lambda value: CLOSE[dtype] * (scale + 0.1 * max(abs(value), center))


def _alike(ours: Any, theirs: Any, tolerance: Callable[[float], float]) -> bool:
    """The same words in the same order, and numbers that agree but for rounding."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or list(ours) != list(theirs):
        return False
    for name, value in theirs.items():
        own = ours[name]
        if type(value) is not type(own):
            return False
        if isinstance(value, dict):
            if not _alike(own, value, tolerance):
                return False
        elif type(value) is float:
            if not abs(own - value) <= tolerance(value):
                return False
        elif own != value and not _is_tie(theirs, tolerance(1.0)):
            return False
    return True


def _is_tie(answer: dict, close: float) -> bool:
    """Whether rounding may decide which class or label is said."""
    chances = sorted(answer.get("probabilities", {}).values())
    if "labels" in answer:
        return any(abs(chance - 0.5) < close for chance in chances)
    return len(chances) > 1 and chances[-1] - chances[-2] < close
