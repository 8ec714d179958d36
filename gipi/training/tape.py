"""A tape: one step's arithmetic is recorded once and then played back, without asking autograd what comes next.

For a small network half of a step goes into finding out what to do: Python calls modules, autograd builds a graph,
walks it and takes it down, and each time it comes to the same list of kernels. The tape is that list. It runs the same
kernels in the same order on the same tensors, so loss and gradients are the same to the last bit; that is checked on
the first batch.

What a tape cannot know is what Python decided while it was recorded: a network that looks at its numbers to choose its
way has none (`Unplayable`). A tape belongs to the shapes that it was recorded with, and to parameters that stay where
they are.
"""

# pyright: reportPrivateImportUsage=false
# some of torch's kernels are private by name

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

MOST_SHAPES = 4  # of batches, that are taped
# Views do no arithmetic: of something that stays where it is they can be taken once, for good.
VIEWS = {"t", "transpose", "permute", "view", "expand", "unsqueeze", "squeeze", "detach", "alias", "select", "slice"}
# What reads a number back, or decides by the values: the way that was recorded would be taken for ever.
DECIDING = {"_local_scalar_dense", "item", "nonzero", "equal", "masked_select", "unique", "_unique2"}
DECIDING |= {"_pack_padded_sequence"}  # the lengths of the rows are read
# The same kernels, by functions that find them with less ado.
SHORTER = {
    aten.addmm.default: torch.addmm,
    aten.mm.default: torch.mm,
    aten.bmm.default: torch.bmm,
    aten.baddbmm.default: torch.baddbmm,
    aten.t.default: torch.t,
    aten.view.default: Tensor.view,
    aten.transpose.int: torch.transpose,
    aten.sum.dim_IntList: torch.sum,
    aten.add.Tensor: torch.add,
    aten.mul.Tensor: torch.mul,
    aten.relu.default: torch.relu,
    aten._log_softmax.default: torch._log_softmax,
    aten._log_softmax_backward_data.default: torch._log_softmax_backward_data,
}


class Unplayable(Exception):  # noqa: N818  # not an error: such a step is simply taken the usual way
    """The step cannot be recorded."""


class Call(NamedTuple):
    """One kernel: what it is given lies at `places` of the table of values, what comes of it is put at `place`."""

    kernel: Callable[..., Any]
    places: tuple[int, ...]
    place: int
    lasts: bool  # it changes something or draws random numbers, so it is called even if nobody uses what it gives


class Tape(NamedTuple):
    """A recorded function of tensors.

    Attributes:
        calls: In order; each takes what it needs from the table of values, and puts there what it gives.
        values: The table behind the arguments, as it is before the first call: what stays where it is; the rest empty.
        outputs: Where in the table the results are.
    """

    calls: list[Callable[[list[Any]], None]]
    values: list[Any]
    outputs: list[int]

    def play(self, arguments: Sequence[Tensor]) -> list[Tensor]:
        """The results for these arguments, which have the shapes of those that were recorded."""
        values = [*arguments, *self.values]
        was_enabled = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)  # what torch.no_grad does, in a tenth of its time
        try:
            for call in self.calls:
                call(values)
        finally:
            torch._C._set_grad_enabled(was_enabled)
        return [values[place] for place in self.outputs]


def _bound(kernel: Callable[..., Any], places: tuple[int, ...], place: int) -> Callable[[list[Any]], None]:
    """A kernel with its places. Those of few arguments are written out: a list for each call would cost a tenth."""
    if len(places) == 1:
        (a,) = places

        def call(values: list[Any]) -> None:
            values[place] = kernel(values[a])

    elif len(places) == 2:
        a, b = places

        def call(values: list[Any]) -> None:
            values[place] = kernel(values[a], values[b])

    elif len(places) == 3:
        a, b, c = places

        def call(values: list[Any]) -> None:
            values[place] = kernel(values[a], values[b], values[c])

    else:

        def call(values: list[Any]) -> None:
            values[place] = kernel(*[values[p] for p in places])

    return call


def record(
    function: Callable[[], Sequence[Tensor]], arguments: Sequence[Tensor], lasting: Sequence[Tensor] = ()
) -> tuple[Sequence[Tensor], Tape]:
    """Call the function once, and record what it does.

    Args:
        function: Of nothing; it uses `arguments`, and may take gradients.
        arguments: What will be other numbers when it is played back.
        lasting: What it may change in place: the buffers of a network.

    Returns:
        What the function gave, and the tape.

    Raises:
        Unplayable: It decides something by values, or changes what the tape does not know.

    Example:
        >>> w, x = torch.ones(2, requires_grad=True), torch.tensor([3.0, 4.0])
        >>> def function():
        ...     loss = (w * x).sum()
        ...     return [loss, *torch.autograd.grad(loss, [w])]
        >>> results, tape = record(function, [x])
        >>> tape.play([torch.tensor([5.0, 6.0])])
        [tensor(11.), tensor([5., 6.])]
    """
    recorder = _Recorder()
    with recorder:
        results = function()
    writer = _Writer(arguments, lasting)
    for one in recorder.seen:
        writer.write(*one)
    return results, writer.tape(results)


class _Recorder(TorchDispatchMode):
    """Sees each kernel below autograd, those of the way back too. What it saw is kept alive: no address comes twice."""

    def __init__(self):
        super().__init__()
        self.seen: list[tuple[Any, tuple, dict, Any]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Of TorchDispatchMode. Nobody compiles this, and torch need not import its compiler (a second) to see that."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen.append((func, args, kwargs or {}, out))
        return out


class _Writer:
    """From what was seen to a tape: each value gets a place in the table."""

    def __init__(self, arguments: Sequence[Tensor], lasting: Sequence[Tensor]):
        self.arguments = len(arguments)
        self.lasting = {id(tensor) for tensor in lasting}
        self.table: list[Any] = []
        self.places: dict[int, int] = {}  # of values, by their identity
        self.views: dict[tuple, int] = {}  # of tensors, by the memory that they show
        self.constant: set[int] = set()  # places whose value is there before the first call
        self.sums: dict[int, tuple[int, ...]] = {}  # sums over rows that keep an axis of one: what they are given
        self.calls: list[Call] = []
        for tensor in arguments:
            self._add(tensor)

    def write(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        """Add what was seen of one kernel."""
        name = func.overloadpacket.__name__
        changed = _changed(func, args, kwargs)
        if name in DECIDING:
            raise Unplayable(name)
        if any(self._place(tensor) in self.constant and id(tensor) not in self.lasting for tensor in changed):
            raise Unplayable(f"{name} changes what the tape does not know")
        if isinstance(out, Tensor) and not changed:
            if name in VIEWS and _shown(out) in self.views:
                self.places[id(out)] = self.views[_shown(out)]
                return
            if name == "ones_like" or (name in VIEWS and self._place(args[0]) in self.constant):
                self.constant.add(self._add(out, out.detach()))
                return
        if name == "view" and id(args[0]) in self.sums and out.shape == args[0].shape[1:]:
            self.calls.append(Call(torch.sum, self.sums[id(args[0])], self._add(out), False))  # a bias's gradient
            return
        kernel, given = _kernel(func, args, kwargs)
        places = tuple(self._place(value) for value in given)
        if func is aten.sum.dim_IntList and args[1:] == ([0], True) and not kwargs:
            self.sums[id(out)] = places[:2]
        lasts = bool(changed) or torch.Tag.nondeterministic_seeded in func.tags
        place = self._add(out)
        self.calls.append(Call(kernel, places, place, lasts))
        if isinstance(out, (tuple, list)):
            for number, part in enumerate(out):
                if isinstance(part, Tensor):
                    self.calls.append(Call(itemgetter(number), (place,), self._add(part), False))

    def _add(self, value: Any, kept: Any = None) -> int:
        """A new place for a value; `kept`: what lies there before the first call."""
        self.places[id(value)] = place = len(self.table)
        self.table.append(kept)
        if isinstance(value, Tensor) and value.numel():
            self.views.setdefault(_shown(value), place)
        return place

    def _place(self, value: Any) -> int:
        """Where a value lies; one that was not made by a kernel stays as it is, or where it is."""
        if id(value) not in self.places:
            self.constant.add(self._add(value, value.detach() if isinstance(value, Tensor) else value))
        return self.places[id(value)]

    def tape(self, results: Sequence[Tensor]) -> Tape:
        """Only what is used, in a table in which a place is used again when nobody needs what lay there."""
        outputs = [self._place(result) for result in results]
        needed, calls = set(outputs), []
        for call in reversed(self.calls):
            if call.lasts or call.place in needed:
                needed.update(call.places)
                calls.append(call)
        calls.reverse()
        last = {place: number for number, call in enumerate(calls) for place in (*call.places, call.place)}
        places = {place: place for place in range(self.arguments)}
        values: list[Any] = []
        for place in sorted(self.constant & needed):
            places[place] = self.arguments + len(values)
            values.append(self.table[place])
        packed, free, size = [], [], self.arguments + len(values)
        for number, (kernel, given, place, _lasts) in enumerate(calls):
            if not free:
                free.append(size)
                size += 1
            places[place] = free.pop(0)
            packed.append(_bound(kernel, tuple(places[p] for p in given), places[place]))
            dead = {p for p in (*given, place) if last[p] == number and p >= self.arguments}
            free += [places[p] for p in sorted(dead - self.constant - set(outputs))]
        values += [None] * (size - self.arguments - len(values))
        return Tape(packed, values, [places[place] for place in outputs])


def _shown(tensor: Tensor) -> tuple:
    """Which memory it shows, and how."""
    where = tensor.untyped_storage().data_ptr()
    return where, tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset()


def _changed(func: Any, args: tuple, kwargs: dict) -> list[Tensor]:
    """What a kernel changes in place."""
    named = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | kwargs
    changing = [one.name for one in func._schema.arguments if one.alias_info is not None and one.alias_info.is_write]
    return [tensor for name in changing for tensor in _tensors(named.get(name))]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


def _kernel(func: Any, args: tuple, kwargs: dict) -> tuple[Callable[..., Any], list[Any]]:
    """A function of values that lie in the table, and these values: tensors in lists are given one by one."""
    short = SHORTER.get(func, func._op)
    held = [value for value in args if not isinstance(value, Tensor)]
    if not any(True for _tensor in _tensors([held, *kwargs.values()])):
        return partial(short, **kwargs) if kwargs else short, list(args)
    whole = (list(args), kwargs)
    given = list(_tensors([*args, *kwargs.values()]))

    def kernel(*tensors: Tensor) -> Any:
        rest = iter(tensors)
        own_args, own_kwargs = whole
        return func(*(_filled(v, rest) for v in own_args), **{n: _filled(v, rest) for n, v in own_kwargs.items()})

    return kernel, given


def _filled(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The value with its tensors replaced by these, in order."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, (tuple, list)):
        return [_filled(part, tensors) for part in value]
    return value


class Tapes:
    """Evaluates a player's batches by tapes, one for each shape of batch, and in the usual way where there is none.

    Only the first shapes have tapes: texts have batches of many lengths, and a tape costs several steps and memory.

    Args:
        evaluate: `batch -> [loss, *gradients]`, the usual way.
        lasting: What it may change in place: the buffers of a network.
    """

    def __init__(self, evaluate: Callable[[Sequence[Tensor]], Sequence[Tensor]], lasting: Sequence[Tensor] = ()):
        self.evaluate = evaluate
        self.lasting = lasting
        self.tapes: dict[torch.Size, Tape | None] = {}

    def __call__(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        shape = batch[0].shape
        if shape not in self.tapes:
            return self._first(batch, shape) if len(self.tapes) < MOST_SHAPES else self.evaluate(batch)
        tape = self.tapes[shape]
        return tape.play(batch) if tape else self.evaluate(batch)

    def _first(self, batch: Sequence[Tensor], shape: torch.Size) -> Sequence[Tensor]:
        """The first batch of its shape, in the usual way; then a tape of it, kept if it gives the same to the last bit.

        What both ways draw and change comes out as if the batch had been seen once.
        """
        before = _state(self.lasting)
        results = self.evaluate(batch)
        after = _state(self.lasting)
        self.tapes[shape] = None
        try:
            _restore(before, self.lasting)
            _results, tape = record(lambda: self.evaluate(batch), batch, self.lasting)
            _restore(before, self.lasting)
            if _same([*tape.play(batch), *self.lasting], [*results, *after[1]]):
                self.tapes[shape] = tape
        except (Unplayable, RuntimeError, TypeError):  # the usual way works, and stays
            pass
        finally:
            _restore(after, self.lasting)
        return results


def _state(lasting: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The random generators, and copies of what lasts."""
    random = [torch.get_rng_state()]
    if torch.cuda.is_available():
        random.append(torch.cuda.get_rng_state())
    return random, [tensor.clone() for tensor in lasting]


def _restore(state: tuple[list[Tensor], list[Tensor]], lasting: Sequence[Tensor]) -> None:
    random, kept = state
    torch.set_rng_state(random[0])
    if len(random) > 1:
        torch.cuda.set_rng_state(random[1])
    with torch.no_grad():
        for tensor, value in zip(lasting, kept, strict=True):
            tensor.copy_(value)


def _same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """Equal to the last bit, and in the same order in memory; not a number where the other is none either."""
    pairs = list(zip(one, other, strict=True))
    return all(a.stride() == b.stride() and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)
