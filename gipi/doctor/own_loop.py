"""The probes of a person's own loop: what they would be in a job of gipi's, as far as it can be known there.

Without a word from the person: what the network gives, which parameters a gradient reaches. By the loss: which
function it is, as the tensor knows how it was made, or as only few functions give this number for these outputs and
targets. With that, or with a `loss_function`, what is tried in a job can be tried here as well; what takes time waits
until findings are asked for.

K classes
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from gipi.doctor.alignment import aligned, aligned_tokens, order
from gipi.doctor.by_heart import memorised
from gipi.doctor.hook import is_compiled
from gipi.doctor.listening import Look
from gipi.doctor.probes import PLAIN, first, kind_of, shuffled, tried
from gipi.doctor.reach import FEW, connected, held_still
from gipi.doctor.statistics import untouched
from gipi.doctor.told import Rows, inputs_and_target
from gipi.doctor.trends import handed_back
from gipi.doctor.wanted import chance_of, recognised, reduction, wants

TRIES = 8  # steps whose loss is compared with what is known
STEPS_BACK = 40  # of what a loss was made by that are looked at
ROOM = 4 << 20  # bytes of a batch that is kept for trying
MOST_ROWS = 64  # of it
MOST_COPIED = 256 << 20  # bytes of a network that is copied for a while
SECONDS = 1.0  # for learning a few rows by heart
KNOWN: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "cross_entropy of softmax": functional.cross_entropy,  # of what the network gives, which is probabilities
    "cross_entropy of sigmoid": functional.cross_entropy,
    "nll of scores": functional.nll_loss,
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "bce": functional.binary_cross_entropy_with_logits,
    "bce of sigmoid": functional.binary_cross_entropy_with_logits,
    "bce of probabilities": functional.binary_cross_entropy,
}
MADE_BY = {
    "NllLoss": "nll of scores",
    "MseLoss": "mse",
    "L1Loss": "mae",
    "BinaryCrossEntropyWithLogits": "bce",
    "BinaryCrossEntropy": "bce of probabilities",
}
BEFORE = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Log": "log"}


class Probing:
    """What is found out of a loop, bit by bit.

    Args:
        nets: The networks by name.
        optimizers: Theirs.
        loss_function: `f(output, y) -> scalar` if the person gave it.

    Attributes:
        wants: Whether losses and batches of single steps are still of use.
        shape: Of the network's output.
    """

    def __init__(self, nets: Mapping[str, nn.Module], optimizers: Sequence[Optimizer], loss_function: Any):
        self.nets = nets
        self.optimizers = optimizers
        self.is_given = loss_function is not None
        self.loss: Any = loss_function
        self.wants = True
        self.is_begun = False
        self.none: dict[str, list[str]] = {}  # parameters without gradient
        self.sizes: dict[str, int] = {}
        self.tries = 0
        self.found: dict[str, Any] = {}
        self.shape: list[int] = []
        self.like: Tensor | None = None  # outputs of the first look
        self.reference: tuple[Tensor, Tensor] | None = None
        self._values: dict[str, tuple[int, Any]] = {}  # output, target, loss: of which step

    # --- what comes while it trains ------------------------------------------------------------------------------

    def begin(self, look: Look, seen: dict[str, Any]) -> None:
        """The first step of all."""
        self.is_begun = True
        self.none = none_given(look, seen["order"])
        self.sizes = {name: weight.numel() for name, weight in look.weights.items()}
        self.found["connected"] = held_still_of(look, self.nets)
        self.found["connected"]["back"] = handed_back(seen)
        self._put(self.none)
        if seen["output"] and look.output is not None:
            some = look.output.double()
            is_one = len(some) > 1 and bool((some.sum(0) - 1).abs().max() < 1e-4)
            low, high = some.min().item(), some.max().item()
            more = {"end": look.ending, "columns": is_one and low >= 0, "low": low, "high": high}
            self.found["output"] = seen["output"] | more

    def _put(self, none: Mapping[str, Sequence[str]]) -> None:
        held = self.found["connected"]
        for kind, names in none.items():
            held[kind] = [*names[:FEW]]
            held["share"][kind] = sum(self.sizes[name] for name in names) / max(1, held["count"])

    def look(self, look: Look) -> None:
        """Each look."""
        self.shape = look.shape or self.shape
        if look.whole is not None:
            self.like = look.whole if self.like is None else self.like
            if self.wants:
                self._take("output", look.step, look.whole)

    def take_loss(self, step: int, loss: Any) -> None:
        """A loss of training, of one step."""
        if isinstance(loss, Tensor) and loss.grad_fn is not None and "recognised" not in self.found:
            self._recognise(made_by(loss.grad_fn))
        self._take("loss", step, loss.detach() if isinstance(loss, Tensor) else loss)

    def take_batch(self, step: int, batch: Any, is_first: bool) -> None:
        """A batch; `is_first`: nothing has been learned yet."""
        x, y = inputs_and_target(batch)
        if x is None or y is None or not y.ndim or len(x) != len(y):
            return
        self._take("target", step, y.detach())
        if self.reference is None:
            rows = min(MOST_ROWS, ROOM // max(1, x[:1].numel() * x.element_size()))
            self.reference = (x.detach()[:rows].clone(), y.detach()[:rows].clone()) if rows >= 2 else None
            net = self._net()
            if is_first and self.is_given and self.reference and net:
                batch = self._on(net)
                self.found |= tried("first", lambda: first(net, self.loss, [batch], self._kind()))

    def _take(self, what: str, step: int, value: Any) -> None:
        self._values[what] = step, value
        if len(self._values) < 3 or len({step for step, _ in self._values.values()}) > 1:
            return
        self.tries += 1
        values = {name: one for name, (_step, one) in self._values.items()}
        self._values = {}
        if self.wants:
            try:
                target = values["target"].to(values["output"].device)
                name = recognised(float(values["loss"]), values["output"], target)
                self._recognise(name)
                self.wants = not name
            except (RuntimeError, TypeError, ValueError, IndexError):
                pass  # outputs and targets of some other form
        self.wants = self.wants and self.tries < TRIES

    def _recognise(self, name: str) -> None:
        if name:
            self.found["recognised"] = name
            self.loss = self.loss or KNOWN.get(name)

    # --- what is asked for ---------------------------------------------------------------------------------------

    def try_more(self, rows: Mapping[str, Rows]) -> None:
        """What takes ways of its own through the network."""
        net = self._net()
        if net is None or self.reference is None or self.loss is None:
            return
        with untouched(net):
            batch, kind = self._on(net), self._kind()
            if "tried" not in self.found:
                self.found["tried"] = True
                if pair := self._pair():
                    self.found |= tried("reduction", lambda: reduction(self.loss, pair[0], pair[1:]))
                    self.found |= tried("wanted", lambda: wants(self.loss, pair[0], pair[1:], kind))
                if sum(one.nbytes for one in net.parameters()) <= MOST_COPIED:
                    self.found |= tried(
                        "memorised", lambda: memorised(copy.deepcopy(net), self.loss, batch, kind, seconds=SECONDS)
                    )
                self._tell_apart(net, batch)
            source = rows.get("valid") or rows.get("train")
            if source and (last := source.last()):
                device = batch[0].device
                self.found |= tried("shuffled", lambda: shuffled(net, self.loss, [one.to(device) for one in last]))

    def _tell_apart(self, net: nn.Module, batch: Sequence[Tensor]) -> None:
        """Of parameters without gradient those that the loss is not made from, and those whose gradient is cut off."""
        none = [name for names in self.none.values() for name in names]
        if none:
            seen = tried("connected", lambda: connected(net, lambda rows: self.loss(net(rows[0]), *rows[1:]), batch))
            unused = set(seen["connected"].get("unused", ()))
            self._put({"cut": [n for n in none if n not in unused], "unused": [n for n in none if n in unused]})

    def probes(self, losses: Mapping[str, list[float]], rows: Mapping[str, Rows]) -> dict[str, Any]:
        """All that is known, with what the rows say that were kept."""
        found = {name: one for name, one in self.found.items() if name != "tried"}
        end = found.get("output", {}).get("end")
        if end and str(found.get("recognised")).endswith(
            f" of {end}"
        ):  # the network's own end, not the loss's beginning
            found["recognised"] = found["recognised"].removesuffix(f" of {end}")
        if "first" not in found and len(losses) == 1:
            found |= tried("first", lambda: self._first(next(iter(losses.values()))))
        if "train" in rows:
            found |= tried("order", lambda: order(rows["train"].targets()))
            x, y = rows["train"].arrays()
            if x is not None and y is not None and x.dtype.kind in "iu" and x.ndim == y.ndim == 2:
                found |= tried("tokens", lambda: aligned_tokens(x, y))
            elif x is not None and y is not None:
                found |= tried("aligned", lambda: aligned(x, y, self._kind()))
        return found

    def _first(self, losses: list[float]) -> dict[str, Any] | None:
        """By the losses that were told before anything was learned."""
        name = self.found.get("recognised", "")
        if not losses or not all(map(math.isfinite, losses)) or not len(self.shape) > 1:
            return None
        classes = self.shape[1] if len(self.shape) == 4 else self.shape[-1]
        if self.loss is not None and (pair := self._pair()):
            expected, constant = chance_of(self.loss, pair[0], pair[1:], self._kind())
        elif name.startswith(("cross_entropy", "nll")) and classes > 1:
            expected, constant = math.log(classes), None
        elif name.startswith("bce"):
            expected, constant = math.log(2), None
        else:
            return None
        scale = None
        if self.reference and self.reference[0].is_floating_point():
            scale = self.reference[0].double().square().mean().sqrt().item()
        return {
            "loss": sum(losses) / len(losses),
            "expected": expected,
            "constant": constant,
            "rows": len(losses) * self.shape[0],
            "kind": self._kind(),
            "classes": classes if name.startswith(("cross_entropy", "nll")) else None,
            "scale": scale,
        }

    def _net(self) -> nn.Module | None:
        """The network, if there is one that can be called."""
        nets = [getattr(net, "_orig_mod", net) for net in self.nets.values()]
        if len(nets) != 1 or any(is_compiled(part) for part in nets[0].modules()):
            return None
        return nets[0]

    def _on(self, net: nn.Module) -> tuple[Tensor, ...]:
        """The batch that is kept, where the network is."""
        assert self.reference
        device = next((one.device for one in net.parameters()), torch.device("cpu"))
        return tuple(one.to(device) for one in self.reference)

    def _pair(self) -> tuple[Tensor, Tensor] | None:
        """Outputs and targets, as many of each."""
        if self.like is None or self.reference is None:
            return None
        y = self.reference[1].to(self.like.device)
        rows = min(len(self.like), len(y))
        return self.like[:rows], y[:rows]

    def _kind(self) -> str:
        return kind_of(*pair) if (pair := self._pair()) else ""


def none_given(look: Look, called: Sequence[str]) -> dict[str, list[str]]:
    """The parameters that an optimizer holds and that got no gradient: `cut` off, as all before them, or `unused`."""
    learned = look.learned()
    none = [name for name in look.weights if name in learned and look.gradients.get(name) is None]
    if len(none) == len(learned):
        return {"cut": none, "unused": []}
    first = next((place for place, layer in enumerate(called) if f"{layer}.weight" not in none), len(called))
    cut = [name for name in none if name.rpartition(".")[0] in called[:first]]
    return {"cut": cut, "unused": [name for name in none if name not in cut]}


def held_still_of(look: Look, nets: Mapping[str, nn.Module]) -> dict[str, Any]:
    """`reach.held_still` of all networks together."""
    learned = {id(look.weights[name]) for name in look.learned()}
    found: dict[str, Any] = {"frozen": [], "left": [], "outside": [], "share": {}, "count": 0, "names": 0}
    for net_name, net in nets.items():
        own = held_still(getattr(net, "_orig_mod", net), learned)
        start = f"{net_name}." if len(nets) > 1 else ""
        for kind in ("frozen", "left", "outside"):
            found[kind] += [start + name for name in own[kind]]
        for kind, share in own["share"].items():
            found["share"][kind] = found["share"].get(kind, 0.0) + share * own["count"]
        found["count"] += own["count"]
        found["names"] += own["names"]
    found["share"] = {kind: size / max(1, found["count"]) for kind, size in found["share"].items()}
    return found


def made_by(node: Any) -> str:
    """Which loss it is, by the graph that it was made by, in the words of `wanted.recognised`; "" if none of them."""
    nodes = [node]
    for node in nodes:
        if (name := MADE_BY.get(_name(node), "")) or len(nodes) > STEPS_BACK:
            break
        nodes += [one for one, _place in node.next_functions if one is not None]
    else:
        return ""
    within, below = _below(node)
    if name == "nll of scores" and within == "log_softmax":
        bent = _below(below)[0]
        return "cross_entropy" + (f" of {bent}" if bent in ("softmax", "sigmoid") else "")
    if name == "nll of scores" and within == "log":
        return "nll of probabilities"
    return "bce of sigmoid" if name == "bce" and within == "sigmoid" else name


def _below(node: Any) -> tuple[str, Any]:
    """What made the first input of this step, past what only moves numbers."""
    for _hop in range(8):
        node = next((one for one, _place in node.next_functions if one is not None), None) if node else None
        if node is None or not _name(node).startswith(PLAIN) or _name(node) in BEFORE:
            break
    return BEFORE.get(_name(node), "") if node else "", node


def _name(node: Any) -> str:
    return node.name().rstrip("0123456789").removesuffix("Backward").removesuffix("2D").lstrip("_")
