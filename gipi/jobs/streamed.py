"""A stream of a person's own: batches from any object with `__next__`, for a network and a loss of their own.

A batch is `(x, *target)`: the network sees x, the loss `loss(network(x), *target)`. If the stream has `state_dict`
(JSON) and `load_state_dict`, a killed run goes on with the batch after the last one that it learned from.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gipi import losses
from gipi.algorithms.schedules import schedule
from gipi.data.schema import Schema, Sizes
from gipi.errors import RunError, TrainingError, UsageError
from gipi.jobs.job import Job, Outcome, Setting, evaluating, layers_of
from gipi.messages import _
from gipi.release.model import Model
from gipi.release.own import own_net
from gipi.tasks.intervals import Metric
from gipi.training.member import Member, Plan, Progress
from gipi.training.prepare import dtype_of

LAST = 100  # steps, about, whose mean loss is a line of the history; the last line is the run's figure
REMEMBERED, FEW = 256, 64  # batches and rows of each, whose targets tell whether they are drawn at random


class Batches(Iterator[tuple[Tensor, ...]]):
    """The stream, its batches brought to a device; the first may be looked at before it is learned from."""

    def __init__(self, source: Any, device: torch.device, dtype: torch.dtype):
        self.source = source
        self.device = device
        self.dtype = dtype
        self.count = 0  # batches that were learned from
        self.targets: list[Tensor] = []  # of the first ones, for the doctor
        self.waiting: tuple[tuple[Tensor, ...], dict] | None = None  # looked at, and the state before it was taken

    @property
    def can_resume(self) -> bool:
        return hasattr(self.source, "state_dict") and hasattr(self.source, "load_state_dict")

    def look(self) -> tuple[Tensor, ...]:
        """The next batch, which stays the next."""
        if self.waiting is None:
            before = self.state_dict()
            self.waiting = (self._take(), before)
        return self.waiting[0]

    def __next__(self) -> tuple[Tensor, ...]:
        batch = self.waiting[0] if self.waiting else self._take()
        self.waiting = None
        self.count += 1
        return batch

    def _take(self) -> tuple[Tensor, ...]:
        try:
            batch = next(self.source)
        except StopIteration:
            text = _(
                "the stream ended after {count} batches; ask for as many steps, or give one that goes on",
                count=self.count,
            )
            raise TrainingError(text) from None
        if not isinstance(batch, (tuple, list)) or not batch or not all(isinstance(part, Tensor) for part in batch):
            came = type(batch).__name__
            if isinstance(batch, (tuple, list)):
                came += f" ({', '.join(type(part).__name__ for part in batch)})"
            raise UsageError(_("a batch must be a tuple of tensors, (x, target); the stream gives a {came}", came=came))
        if not batch[0].ndim:
            raise UsageError(_("a batch must have an axis for its rows; the stream gives single numbers"))
        if len(batch) > 1 and len(self.targets) < REMEMBERED:
            self.targets.append(batch[1][:FEW].detach().cpu().clone())
        return tuple(
            part.to(self.device, self.dtype) if part.is_floating_point() else part.to(self.device) for part in batch
        )

    def state_dict(self) -> dict:
        if self.waiting is not None:
            return self.waiting[1]
        return {"count": self.count, "source": self.source.state_dict() if self.can_resume else None}

    def load_state_dict(self, state: dict) -> None:
        if not self.can_resume:
            raise RunError(
                _("the stream has no load_state_dict, so the run cannot go on where it was; begin a new one")
            )
        self.waiting = None
        self.count = state["count"]
        self.source.load_state_dict(state["source"])


class Streamed(Job):
    """A stream, a network and a loss; see Job. Nothing is set aside: only the stream knows what is in it."""

    members = 1
    is_repeatable = False  # what was taken from the stream is gone

    def __init__(self, source: Any, setting: Setting):
        options, own = setting.options, setting.own
        self.setting = setting
        self.name = type(source).__name__
        if own.loss is None and options.loss is None:
            raise UsageError(_("a stream needs loss, a function of what the network gives and of the target"))
        if options.steps is None:
            raise UsageError(_("a stream needs steps: how long to learn from it"))
        self.loss = own.loss or losses.named(options.loss or "")
        self.dtype = dtype_of(setting.arithmetic.precision)
        self.batches = Batches(source, setting.device, self.dtype)
        self._check_state()
        first = self.batches.look()
        self.batch_size = len(first[0])
        self.takes_floats, self.shape = first[0].is_floating_point(), list(first[0].shape[1:])
        looks = max(1, options.steps // LAST)
        self.plan = Plan(options.steps, -(-options.steps // looks))
        weights = setting.weights and setting.weights.sha256
        self.record = {"task": "stream", "data": None, "split": None, "weights": weights}
        shapes = ", ".join(str(tuple(part.shape)) for part in first)
        self.facts = [_("a stream of batches of shapes {shapes}", shapes=shapes)]
        self.loss_name = options.loss or getattr(own.loss, "__name__", type(own.loss).__name__)
        self.ways = [options.schedule] if options.schedule else []
        self.algorithm = self.describe_algorithm()

    def _check_state(self) -> None:
        try:
            json.dumps(self.batches.state_dict())
        except TypeError as error:
            text = _("the stream's state_dict must be JSON, so that it can be kept: {reason}", reason=error)
            raise UsageError(text) from error
        if getattr(self.setting.config, "lr", None) == "auto" and not self.batches.can_resume:
            raise UsageError(
                _("lr='auto' tries the same batches again: the stream needs state_dict and load_state_dict")
            )

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = own_net(setting.own.model, Sizes((), 0)).to(setting.device, self.dtype)
        self._check(net)
        self.take_weights(net)
        size_of = schedule(options.schedule or "constant", self.plan.steps, options.warmup)
        member = Member(number, net, self.players(net, size_of), self.batches, self.plan)
        if isinstance(setting.config.lr, float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _check(self, net: nn.Module) -> None:
        """The first batch through the network and the loss, before the first step."""
        assert self.loss is not None
        x, *target = self.batches.look()
        try:
            with evaluating(net):
                loss = self.loss(net(x), *target)
        except Exception as error:  # both are a person's own, and may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(_("network and loss do not take the stream's batches: {reason}", reason=reason)) from error
        if not isinstance(loss, Tensor) or loss.ndim:
            came = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise UsageError(_("the loss must give a tensor with one number; it gives {came}", came=came))

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, self.batches.look()[0])

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        config = self.setting.config_of_file
        model = Model("stream", "own", Schema(()), Sizes((), 0), config, [*nets])
        model.extra |= {"takes_floats": self.takes_floats, "shape": self.shape}
        records = progress[0].records
        count = records[-1]["step"] - (records[-2]["step"] if len(records) > 1 else 0)
        loss = Metric(records[-1]["train"]["learner"], higher_is_better=False)
        return Outcome(model, {"loss": loss}, _("mean of the last {count} steps", count=count))
