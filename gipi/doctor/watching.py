"""`gipi.doctor.watch`: the doctor in a training loop of a person's own.

    doctor = gipi.doctor.watch(model, optimizer)
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        doctor.loss(loss)         # each of these three is optional
        doctor.batch((x, y))
    doctor.metric(accuracy, "accuracy")
    print(doctor)

It counts the optimizer's steps and looks at one of them now and then, so seldom that it costs next to nothing: at what
layers give, at gradients, at what the step changed. Nothing is called, drawn or kept that could change the training:
with it and without it the weights are the same to the bit.
"""

import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gipi.doctor import ORDER, examine
from gipi.doctor.finding import Finding, View
from gipi.doctor.hook import has_compiled, is_recorded
from gipi.doctor.listening import Ears, Look, unseen
from gipi.doctor.own_loop import Probing
from gipi.doctor.own_view import view_of
from gipi.doctor.told import Numbers, Rows
from gipi.errors import DoctorWarning, UsageError
from gipi.messages import _

SHARE = 0.015  # of the time of training that looks may take
SHARE_OF_SMALL = 0.01  # where steps are short: what is done at each of them costs more there
SHORT = 0.002  # seconds of a step
SHARE_OF_CHECKS = 0.005  # of the time, for saying while it trains what is wrong
UNKNOWN = 0.1  # seconds that the checks are taken to need before they ran once
FIRST = 2  # step that is looked at, after the first one of all
LOOKS = 8  # whose costs say what the next one will
EARLY = (  # what can be said of a training before it ends: others depend on how long it goes on
    *("softmax-twice", "loss-mismatch", "shifted-targets", "no-gradient", "frozen-layer", "not-shuffled"),
    *("step-too-large", "dead-units", "small-batch-norm", "divergence", "initial-loss"),
    *("mode-collapse", "inspector-wins"),
)
MOST_FAILED = 3  # looks one after another that failed, then there are no more


def watch(
    model: nn.Module | Sequence[nn.Module] | Mapping[str, nn.Module],
    optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
    loss_function: Callable[..., Tensor] | None = None,
    *,
    on_finding: Callable[[Finding], Any] | None = None,
    every: int | None = None,
) -> "Doctor":
    """Watch a training; two lines in a loop of your own.

    Args:
        model: The network that is trained; several (of a GAN) as a list, or by name.
        optimizer: What trains it, any of `torch.optim` or made like them; several as a list, or by name.
        loss_function: `f(model(x), y) -> scalar`; with it and with batches more can be tried.
        on_finding: Called with each new problem, instead of a warning; what it raises ends the loop.
        every: Look each so many steps; None: as seldom as makes it cost about 1.5 % of the time.

    Raises:
        UsageError: What is given is no model or no optimizer.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with watch(model, optimizer) as doctor:
        ...     for step in range(20):
        ...         x = torch.randn(8, 3)
        ...         loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        ...         optimizer.zero_grad(); loss.backward(); optimizer.step()
        ...         _ = doctor.loss(loss)
        >>> doctor.findings()
        []
    """
    nets = _named(model, nn.Module, _("a model"), "torch.nn.Module")
    optimizers = _named(optimizer, Optimizer, _("an optimizer"), "torch.optim.Optimizer")
    if every is not None and every < 1:
        raise UsageError(_("every must be at least 1, not {every}", every=every))
    return Doctor(nets, optimizers, loss_function, on_finding, every)


class Doctor:
    """Who watches a training; made by `watch`.

    Attributes:
        step: The steps that the optimizer made.
        visits: What was seen, see statistics.py.
    """

    def __init__(
        self,
        nets: dict[str, nn.Module],
        optimizers: dict[str, Optimizer],
        loss_function: Callable[..., Tensor] | None,
        on_finding: Callable[[Finding], Any] | None,
        every: int | None,
    ):
        self.nets = nets
        self.optimizers = optimizers
        self.on_finding = on_finding
        self.every = every
        self.step = 0
        self.visits: list[dict[str, Any]] = []
        self._counts = dict.fromkeys(map(id, optimizers.values()), 0)
        self._numbers = Numbers(next(iter(optimizers.values())))
        self._rows: dict[str, Rows] = {}
        self._probing = Probing(nets, list(optimizers.values()), loss_function)
        self._is_batch_after: bool | None = None  # batches are told after the step that is made by them
        self._notes: dict[str, str] = {}  # what could not be done, and why
        self._ears = Ears(nets)
        self._look: Look | None = None
        self._at_parts = False  # the network is not called itself
        self._due = FIRST
        self._failed = 0  # looks one after another
        self._costs: list[float] = []  # seconds of the last looks
        self._spent = 0.0  # on the look that is open
        self._mark = (time.perf_counter(), 0)  # when the last look ended, after which step
        self._check_cost = UNKNOWN
        self._checked = time.perf_counter()
        self._found: list[Finding] = []
        self._told: set[str] = set()
        self._untold: list[Finding] = []
        self._is_broken = False  # a loss was no number
        self._handles = [one.register_step_post_hook(self._after) for one in optimizers.values()]
        if left := unseen(nets):
            names = ", ".join(filter(None, left))
            self._notes["compiled"] = _("What layers give is not seen: the model is compiled. {names}", names=names)
        self._safely(self._begin)

    # --- what it is told -----------------------------------------------------------------------------------------

    def loss(self, loss: Any, name: str = "learner", part: str = "train") -> Any:
        """The loss of a step, as the tensor it is (it is not read back before it is needed) or a number; given back.

        Args:
            loss: One number; of several the mean is taken.
            name: Whose, if several are trained.
            part: "train", or "valid" for rows that nothing is learned from.
        """
        is_full = self._numbers.tell(part, name, self.step, loss)
        if is_full or self._probing.wants or part != "train":
            self._safely(self._tell_loss, loss, part, is_full)
            self._say_more()
        return loss

    def metric(self, value: Any, name: str = "metric") -> Any:
        """A judgement on rows that nothing is learned from, such as their accuracy, after an epoch, say. Given back."""
        self._interrupt()
        self._numbers.tell("metric", name, self.step, value)
        return value

    def batch(self, batch: Any, part: str = "train") -> Any:
        """What is learned from: `(x, y)`, a dictionary, or x alone; some rows of it are kept. Given back."""
        rows = self._rows.setdefault(part, Rows())
        if rows.wants():
            self._safely(self._tell_batch, rows, batch, part)
        return batch

    def _tell_loss(self, loss: Any, part: str, is_full: bool) -> None:
        if is_full and not is_recorded():
            self._read()
        if part != "train":
            self._interrupt()
        elif self._probing.wants:
            self._probing.take_loss(self.step - bool(self._numbers.is_after), loss)

    def _tell_batch(self, rows: Rows, batch: Any, part: str) -> None:
        if is_recorded():
            return
        if trouble := rows.add(batch):
            self._notes["batch"] = _("A batch could not be read: {kind}", kind=trouble)
        if self._is_batch_after is None:
            self._is_batch_after = self.step > 0
        if part == "train" and (self._probing.wants or self._probing.reference is None):
            self._probing.take_batch(self.step - self._is_batch_after, batch, self.step == 0)

    def _interrupt(self) -> None:
        if self._look:
            self._look.is_interrupted = True

    # --- what it sees --------------------------------------------------------------------------------------------

    def _before(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        if self._look is not None:
            self._safely(self._open, optimizer, _has_closure(args, kwargs))

    def _after(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        self._counts[id(optimizer)] = count = self._counts[id(optimizer)] + 1
        if count > self.step:
            self.step = count
        if self._look is None and self.step < self._due:
            return
        if self._look is not None:
            self._safely(self._close, optimizer, _has_closure(args, kwargs))
        if self._look is None and self.step >= self._due and self._failed < MOST_FAILED:
            self._safely(self._begin)
        self._say_more()

    def _say_more(self) -> None:
        if self._numbers.bad and not self._is_broken:
            self._is_broken = True
            self._safely(self._examine, EARLY)
            self._tell(self._found)
        self._say()

    def _begin(self) -> None:
        if is_recorded():
            return
        began = time.perf_counter()
        self._look = Look(self.step, self.nets, list(self.optimizers.values()), self._at_parts)
        self._ears.open(self._look, [one.register_step_pre_hook(self._before) for one in self.optimizers.values()])
        self._spent = time.perf_counter() - began

    def _open(self, optimizer: Optimizer, has_closure: bool) -> None:
        assert self._look
        if is_recorded():
            return
        began = time.perf_counter()
        self._look.before(optimizer, has_closure)
        self._spent += time.perf_counter() - began

    def _close(self, optimizer: Optimizer, has_closure: bool) -> None:
        assert self._look
        if is_recorded():
            return
        began, look = time.perf_counter(), self._look
        if not look.after(optimizer, has_closure):
            self._spent += time.perf_counter() - began
            return
        self._look = None
        self._ears.close()
        found = look.end()
        if look.is_void:
            self._due = self.step
            return
        if not look.is_called and has_compiled():
            self._ears.is_deaf = True  # a compiled program is called instead, which is compiled anew for new hooks
        elif not look.is_called:
            self._at_parts = True  # its parts are called instead
        if not self._probing.is_begun:
            self._probing.begin(look, found)
        else:
            self._numbers.ask(look.step, found["loss"])
            self.visits.append(found)
        self._probing.look(look)
        self._failed = 0
        self._read()
        now = time.perf_counter()
        cost = now - began + self._spent + self._ears.account.seconds + look.seconds
        self._costs = [*self._costs[-LOOKS:], cost]
        each = max(1e-7, (now - self._mark[0] - cost) / max(1, self.step - self._mark[1]))
        share = SHARE_OF_SMALL if each < SHORT else SHARE
        self._due = self.step + (self.every or max(2, math.ceil(statistics.median(self._costs) / (share * each)))) - 1
        self._due = FIRST if look.step == 0 and not self.every else self._due
        self._mark = (now, self.step)
        if (now - self._checked) * SHARE_OF_CHECKS >= self._check_cost:
            self._check()

    def _read(self) -> None:
        self._numbers.read()
        if self._numbers.unread:
            self._notes["numbers"] = _("What was told is no number: {what}", what=self._numbers.unread)

    def _safely(self, what: Callable[..., Any], *given: Any) -> None:
        """Nothing that goes wrong here may break the loop."""
        try:
            what(*given)
        except Exception as error:
            self._notes["failed"] = _("A look failed: {reason}", reason=f"{type(error).__name__}: {error}"[:300])
            self._failed += 1
            self._drop()
            self._due = self.step + (self.every or 1) * 10

    # --- what it says --------------------------------------------------------------------------------------------

    def findings(self) -> list[Finding]:
        """All that is found by what is known so far, the most severe first; may try some things, for a second or so."""
        self._safely(self._probing.try_more, self._rows)
        self._safely(self._examine)
        return self._found

    def view(self) -> View:
        """What the checks look at."""
        self._read()
        return view_of(self.nets, self.optimizers, self._numbers, self._rows, self._probing, self.visits)

    def _examine(self, names: Sequence[str] = ORDER) -> None:
        began = time.perf_counter()
        found = examine(self.view(), names)
        is_sample = any(rows.is_thinned for rows in self._rows.values())
        self._found = [one for one in found if not (is_sample and one.name == "too-little-data")]
        self._checked = time.perf_counter()
        self._check_cost = self._checked - began

    def _check(self) -> None:
        """While it trains: problems that were there the last time as well will be told."""
        before = {one.name for one in self._found}
        self._examine(EARLY)
        self._tell([one for one in self._found if one.name in before])

    def _tell(self, found: Sequence[Finding]) -> None:
        new = [one for one in found if one.severity == "problem" and one.name not in self._told]
        self._told |= {one.name for one in new}
        self._untold += new

    def _say(self) -> None:
        """Outside of everything that is caught: a warning may be made an error, and `on_finding` may end the loop."""
        while self._untold:
            one = self._untold.pop(0)
            if self.on_finding:
                self.on_finding(one)
            else:
                warnings.warn(f"{one.name}: {one}", DoctorWarning, stacklevel=3)

    def __str__(self) -> str:
        found = self.findings()
        lines = [_("{steps} steps watched, {looks} of them looked at.", steps=self.step, looks=len(self.visits))]
        lines += [f"{one.severity} · {one.name}: {one}" for one in found] or [_("Nothing was found.")]
        untold = [name for name, is_told in self._is_told().items() if not is_told]
        if untold:
            lines.append(_("More can be found with: {calls}", calls=", ".join(untold)))
        return "\n".join([*lines, *self._notes.values()])

    def _is_told(self) -> dict[str, bool]:
        numbers = self._numbers
        return {
            ".loss(loss)": bool(numbers.last or numbers.bad),
            ".metric(value)": any(len(one["valid"]) for one in numbers.records),
            ".batch((x, y))": "train" in self._rows,
        }

    def stop(self) -> None:
        """No longer watch: all hooks go. What was found stays, and problems are told that were not."""
        self._let_go()
        self._safely(self._examine)
        self._tell(self._found)
        self._say()

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._drop()

    def _drop(self) -> None:
        """The look that is open is given up."""
        self._ears.close()
        if self._look is not None:
            look, self._look = self._look, None
            look.close()

    def __enter__(self) -> "Doctor":
        return self

    def __exit__(self, kind: type | None, *_error: Any) -> None:
        if kind is None:
            self.stop()
        else:
            self._let_go()


def _named(given: Any, kind: type, what: str, wanted: str) -> dict[str, Any]:
    """One thing, several in a list, or several by name; all by name."""
    if isinstance(given, Mapping) and not isinstance(given, nn.Module):
        named = {str(name): one for name, one in given.items()}
    elif isinstance(given, list | tuple):
        named = {str(place): one for place, one in enumerate(given)}
    else:
        named = {"": given}
    if kind is Optimizer:
        named = {name: _inner(one) for name, one in named.items()}
    wrong = [one for one in named.values() if not isinstance(one, kind)]
    if wrong or not named:
        came = type(wrong[0]).__name__ if wrong else _("nothing")
        raise UsageError(_("watch needs {what} ({wanted}), not {came}", what=what, wanted=wanted, came=came))
    return named


def _inner(optimizer: Any) -> Any:
    """Of a wrapper that keeps it as `optimizer`, what makes the steps."""
    inner = getattr(optimizer, "optimizer", None)
    return inner if isinstance(inner, Optimizer) else optimizer


def _has_closure(args: tuple, kwargs: dict) -> bool:
    return any(callable(one) for one in (*args[1:], *kwargs.values()))
