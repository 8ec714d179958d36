"""What every job is: members to build, and an outcome when they are trained."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gipi.doctor.finding import View
from gipi.jobs.options import Fit
from gipi.jobs.trunk import check_frozen, paced
from gipi.messages import _
from gipi.release.model import Model
from gipi.release.weight_files import Weights
from gipi.release.weights import freeze, take, trunk
from gipi.report.page import Baseline, Result
from gipi.training.distributed import ALONE, Ranks
from gipi.training.finder import Schedule
from gipi.training.member import Member, Plan, Progress
from gipi.training.parallel import of_all_ranks
from gipi.training.player import Plays
from gipi.training.prepare import Arithmetic, prepared


@dataclass
class Own:
    """What a person put in place of ours; it lives in memory only, and is given again to resume."""

    model: Any = None  # a module, or a function of sizes that makes one
    loss: Any = None  # f(output, y) -> scalar
    optimizer: Any = None  # f(params) -> torch.optim.Optimizer or one of ours


@dataclass
class Setting:
    """How a job is carried out: decided once, kept in run.json, replayed on resume."""

    options: Fit
    system_name: str
    system: Any
    config: Any
    own: Own
    device: torch.device
    arithmetic: Arithmetic
    ranks: Ranks = ALONE  # the processes that train together
    weights: Weights | None = None  # to begin with

    @property
    def is_sharded(self) -> bool:
        """Whether the network is cut among them; a run that was may go on alone."""
        return self.options.shard and not self.ranks.is_alone

    @property
    def config_of_file(self) -> dict[str, Any]:
        """The system's options as a file can hold them: without what is a function of a person's own."""
        return {name: value for name, value in vars(self.config).items() if not callable(value)}


@dataclass
class Outcome:
    """What came of a run."""

    model: Model
    metrics: dict[str, Any]
    metrics_of: str  # which rows the metrics are of
    verdict: Any = None
    results: list[Result] = field(default_factory=list)  # for the report
    baselines: list[Baseline] = field(default_factory=list)
    baseline_metric: str = ""
    notes: list[str] = field(default_factory=list)  # what the fitted model says of itself
    extra: dict[str, Any] = field(default_factory=dict)  # for run.json: fold by fold, and the like
    evidence: dict[str, Any] = field(default_factory=dict)  # for the doctor: what the task knows of its answers


class Job(ABC):
    """A task carried out by a system on data.

    Attributes:
        name: Of the data, for the run's folder.
        setting: How.
        members: How many trainings.
        folds: What each fold learns from and is validated on; nothing without `--folds`.
        batch_size: Rows in a step.
        plan: How long a member trains, and what it is judged by.
        loss: `f(output, *target) -> scalar`; None where the system has its own.
        loss_name: What a person calls it.
        ways: What else a person should know of the algorithm.
        record: What run.json must hold to be sure, on resume, that all is as it was.
        facts: Lines on the data, for a person.
        algorithm: What `describe_algorithm` said.
        loaded: Names of the weights that networks begin with.
        is_repeatable: A member can be built again and again, so something can be tried with one that is thrown away.
        can_be_shared: Several processes can carry it out together.
        can_be_sharded: Each of them may hold a part of the network.
    """

    is_repeatable = True
    can_be_shared = can_be_sharded = False
    loaded: frozenset[str] = frozenset()

    name: str
    setting: Setting
    members: int
    folds: Sequence[Any] = ()
    batch_size: int
    plan: Plan
    loss: Callable[..., torch.Tensor] | None = None
    count: Callable[[Any], Any] | None = None  # batch -> what the loss is a mean over, if that is not its rows
    loss_name: str
    ways: Sequence[str] = ()
    record: dict[str, Any]
    facts: list[str]
    algorithm: list[tuple[str, str]]

    def describe_algorithm(self) -> list[tuple[str, str]]:
        """Lines on loss and algorithm as they stand, for a person: (what, how)."""
        config, own = self.setting.config, self.setting.own.optimizer
        size = getattr(config, "lr", None)
        parts = [
            str(getattr(config, "optimizer", "") if own is None else getattr(own, "__name__", own)),
            "" if size is None else _("step size {size}", size=size),
            _("batches of {rows}", rows=self.batch_size),
            _("up to {steps} steps", steps=self.plan.steps),
            *self.ways,
        ]
        return [(_("loss"), self.loss_name), (_("algorithm"), ", ".join(part for part in parts if part))]

    def players(self, net: nn.Module, schedule: Schedule) -> dict[str, Plays]:
        """Who plays on this network, with step sizes by this schedule."""
        setting, options = self.setting, self.setting.options

        def sizes(lr: float | None) -> Any:
            """An optimizer of a person's own keeps its own step size unless another is asked for."""
            return None if lr is None else schedule(lr)

        players = setting.system.players(net, setting.config, self.loss, sizes)
        own, is_alone = setting.own, setting.ranks.is_alone
        is_ours = own.model is None and own.loss is None and getattr(setting.system, "__name__", "").startswith("gipi.")
        if options.freeze:
            check_frozen(players, setting.system_name)
        if options.trunk_lr is not None:
            players = paced(players, net, trunk(net, self.loaded), options.trunk_lr)
        is_ours = is_ours and is_alone
        players = prepared(players, net, setting.arithmetic, options.clip, options.parts, is_ours, self.count)
        return of_all_ranks(players, net, setting.ranks, setting.is_sharded)

    def take_weights(self, net: nn.Module) -> None:
        """What `--weights` brings into a new network; what fits is said among the facts."""
        if self.setting.weights is None:
            return
        self.loaded, said = take(net, self.setting.weights)
        if said not in self.facts:
            self.facts.append(said)
        if self.setting.options.freeze:
            freeze(net, self.loaded)

    @abstractmethod
    def build(self, number: int) -> Member:
        """The member of this number, at its beginning. The global generator is seeded for it already."""

    def alike(self, number: int) -> Any:
        """What members must have in common to be trained at once, if their network lets them; by default nothing is."""
        return number

    def whole(self, net: nn.Module) -> nn.Module:
        """A trained network as it is kept."""
        return net

    def label(self, number: int) -> str:
        """What to call it: "fold 2 of 5"; nothing if it is the only one."""
        ensemble = self.setting.options.ensemble
        fold, place = divmod(number, ensemble)
        labels = []
        if self.folds:
            labels.append(_("fold {number} of {count}", number=fold + 1, count=len(self.folds)))
        if ensemble > 1:
            labels.append(_("member {number} of {count}", number=place + 1, count=ensemble))
        return ", ".join(labels)

    @abstractmethod
    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        """The network for a person: layer, output shape, parameters."""

    def view(self) -> View:
        """What the doctor may look at, as far as the job knows: its data. The rest is put in by jobs/examined.py."""
        return View()

    @abstractmethod
    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        """Score the trained networks; the test part is looked at here and nowhere else."""


def layers_of(net: nn.Module, x: torch.Tensor) -> list[tuple[str, Any, int | None]]:
    """The parts of a network that hold parameters, and its leaves: name and kind, output shape, parameters.

    In the order in which a batch has passed them; a part that holds some itself comes after those inside it.
    """
    rows: list[tuple[str, Any, int | None]] = []
    hooks = []

    def watch(name: str):
        def saw(part: nn.Module, _inputs: Any, output: Any) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else "-"
            own = sum(p.numel() for p in part.parameters(recurse=False))
            rows.append((f"{name} {type(part).__name__}".strip(), shape, own or None))

        return saw

    for name, part in net.named_modules():
        is_leaf = not any(True for _child in part.children())
        if is_leaf or any(True for _param in part.parameters(recurse=False)):
            hooks.append(part.register_forward_hook(watch(name)))
    try:
        with evaluating(net), torch.no_grad():
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def multiplications(layers: Sequence[tuple[str, Any, int | None]]) -> int:
    """Of a row's way forward through `layers_of`: each weight is used once for each place of its layer's output.

    Places are those of a picture `(C, H, W)`, or the members of a shared layer `(M, H)`.
    """
    work = 0
    for name, shape, count in layers:
        places = 0 if name.endswith("Embedding") else 1  # what is looked up is not multiplied
        if isinstance(shape, tuple):
            places *= math.prod(shape[1:]) if len(shape) == 3 else math.prod(shape[:-1])
        work += (count or 0) * places
    return work


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """With the network in eval mode; then each part is in its own again: one that is frozen stays so."""
    modes = [(part, part.training) for part in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
