"""Averages of the weights along the way: often a better model than the last weights, for the price of a copy.

Exponential: Polyak & Juditsky 1992, with the warm-up of TensorFlow's ExponentialMovingAverage. Equal: stochastic weight
averaging, Izmailov 2018, https://arxiv.org/abs/1803.05407. Averaged weights need their own batch-norm statistics
(Izmailov's section 3.2): `refresh_statistics` makes them.
"""

# pyright: reportPrivateImportUsage=false
# torch's foreach kernels are private by name

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gipi.errors import UsageError, nearest
from gipi.messages import _

AVERAGES = ("ema", "swa")


class Average:
    """A running average of a network's parameters and floating buffers, on the network's device.

    Its weight for a new value is a function of the step, so all that lasts is in `tensors()`. `update` is meant for the
    loop's `after`.

    Args:
        net: What is averaged. Counters and other whole numbers are left as they are in the live network.
        kind: `ema`: exponential; `swa`: every value since `start` counts the same.
        decay: Of `ema`: how much of the old average stays, in the long run.
        start: The first step that counts; until then the average is the live weights.
        every: Steps between two updates.

    Example:
        >>> net = nn.Linear(1, 1, bias=False)
        >>> average = Average(net, "swa")
        >>> for step, value in enumerate([1.0, 2.0, 6.0]):
        ...     _ = nn.init.constant_(net.weight, value)
        ...     average.update(step)
        >>> with average.swapped():
        ...     print(net.weight.item())
        3.0
        >>> net.weight.item()
        6.0
    """

    def __init__(self, net: nn.Module, kind: str = "ema", decay: float = 0.999, start: int = 0, every: int = 1):
        if kind not in AVERAGES:
            known = ", ".join(AVERAGES)
            said = _("there is no average '{name}'; there are {known}.", name=kind, known=known)
            raise UsageError(said + nearest(kind, list(AVERAGES)))
        self.kind = kind
        self.decay = decay
        self.start = start
        self.every = every
        named = [*net.named_parameters(), *net.named_buffers()]
        self.live = {name: tensor for name, tensor in named if tensor.is_floating_point()}
        self.averaged = {name: tensor.detach().clone() for name, tensor in self.live.items()}
        self.pairs = _own_parts(self.averaged), _own_parts(self.live)

    def share(self, step: int) -> float:
        """The weight of the newest value at this step; 0: it does not count."""
        if step < self.start:
            return 1.0
        before, rest = divmod(step - self.start, self.every)
        if rest:
            return 0.0
        if self.kind == "swa":
            return 1 / (before + 1)
        return 1 - min(self.decay, before / (before + 9))  # 0 at first, .5 after nine; TensorFlow: (1 + n) / (10 + n)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they are after this step."""
        if (share := self.share(step)) and self.pairs[0]:
            torch._foreach_lerp_(*self.pairs, share)

    def tensors(self) -> dict[str, Tensor]:
        return self.averaged

    def load(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in self.averaged.items():
            tensor.copy_(tensors[name])

    @torch.no_grad()
    def swap(self) -> None:
        """The network gets the averaged weights, and this keeps the live ones until the next swap."""
        averaged, live = self.pairs
        held = [tensor.clone() for tensor in live]
        for own, used, kept in zip(averaged, live, held, strict=True):
            used.copy_(own)
            own.copy_(kept)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Inside, the network has the averaged weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()


def _own_parts(tensors: dict[str, Tensor]) -> list[Tensor]:
    """What this process holds of them, where some are cut among processes and some are not.

    The others are the tensors themselves: members that train at once get their memory from elsewhere later.
    """
    return [t.detach().to_local() if hasattr(t, "to_local") else t for t in tensors.values()]  # type: ignore[attr-defined]


def has_statistics(net: nn.Module) -> bool:
    """Whether batch norm keeps running statistics in this network."""
    return bool(_batch_norms(net))


def _batch_norms(net: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    kind = nn.modules.batchnorm._BatchNorm
    return [part for part in net.modules() if isinstance(part, kind) and part.track_running_stats]


def _statistics(norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance, counter = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None and variance is not None and counter is not None
    return mean, variance, counter


@torch.no_grad()
def refresh_statistics(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Batch norm's statistics anew, for the weights that the network has now: a mean over all rows of these batches.

    Dropout is off, and the state of the random numbers is as before, so training goes on as if this had not been.
    """
    norms = _batch_norms(net)
    if not norms:
        return
    modes = {part: part.training for part in net.modules()}
    momenta = [norm.momentum for norm in norms]
    statistics = [_statistics(norm) for norm in norms]
    counters = [counter.clone() for _mean, _variance, counter in statistics]  # they count training, not this
    devices = {p.device for p in net.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        try:
            net.eval()
            for norm, (mean, variance, _counter) in zip(norms, statistics, strict=True):
                mean.zero_()
                variance.fill_(1)
                norm.train()
            seen = 0
            for x in batches:
                seen += len(x)
                for norm in norms:
                    norm.momentum = len(x) / seen
                net(x)
            assert seen, "statistics need at least one batch"
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
            for (_mean, _variance, counter), before in zip(statistics, counters, strict=True):
                counter.copy_(before)
            for part, mode in modes.items():
                part.training = mode
