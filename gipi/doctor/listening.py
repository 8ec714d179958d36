"""A look at one step of a person's own loop: the way through the network, the gradients, the update.

Nothing is called that the loop does not call. Hooks stand at the network's parts only while it is gone through, so that
a judgement, a copy or a kept file in between meets none; unless the parts are called instead of the network itself.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gipi.doctor.hook import Account, Hook, is_compiled, parts_of
from gipi.doctor.pieces import MOST, first_tensor, some_rows
from gipi.doctor.probes import ending
from gipi.doctor.statistics import Seen, is_lazy, looking, of_output, of_parameters, sampled


class Clock:
    """When something happened: on the device, where work waits in a queue, else on the processor."""

    def __init__(self, device: torch.device):
        self.is_queued = device.type == "cuda"
        self.marks: dict[str, Any] = {}

    def mark(self, name: str) -> None:
        if self.is_queued:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks[name] = event
        else:
            self.marks[name] = time.perf_counter()

    def seconds(self, one: str, other: str) -> float | None:
        """None where one of them did not happen."""
        if one not in self.marks or other not in self.marks:
            return None
        if self.is_queued:
            self.marks[other].synchronize()
            return self.marks[one].elapsed_time(self.marks[other]) / 1000
        return self.marks[other] - self.marks[one]


class Ears:
    """Hooks at the networks themselves, which tell the look that is open; between looks there are none.

    Attributes:
        is_deaf: No more hooks.
    """

    def __init__(self, nets: Mapping[str, nn.Module]):
        self.nets = nets
        self.account = Account()
        self.is_deaf = False
        self._look: Look | None = None
        self._handles: list[Any] = []

    def open(self, look: "Look", handles: Sequence[Any]) -> None:
        """Listen for this look; `handles` of other hooks that go with these."""
        self._look, self.account, self._handles = look, Account(), [*handles]
        for name, net in self.nets.items():
            if is_listened_to(net) and not self.is_deaf:
                entered, left = (Hook(partial(hear, name), self.account) for hear in (self._entered, self._left))
                self._handles.append(net.register_forward_pre_hook(entered, with_kwargs=True))
                self._handles.append(net.register_forward_hook(left))

    def _entered(self, name: str, _net: nn.Module, given: tuple, named: dict) -> None:
        if self._look:
            self._look.entered(name, given, named)

    def _left(self, name: str, _net: nn.Module, _given: tuple, output: Any) -> None:
        if self._look:
            self._look.left(name, output)

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        if self._look:
            self._look.failed = self.account.failed
        self._look, self._handles = None, []


class Look:
    """One look; begun after a step, `before` and `after` at the next step of each optimizer, then `end`.

    Args:
        step: The number of the step that it is at.
        nets: By name; with several, what is in one stands under its name.
        optimizers: That it waits for.
        is_at_parts: The network is not called itself, so hooks stand at its parts all the time.

    Attributes:
        is_called: Whether a network was called itself, not only its parts.
        is_interrupted: Whether something was judged in between: time says nothing then.
        is_void: Whether a step was left out, as it is where numbers of half precision overflow.
        weights: By name; there from the first `before` on.
        gradients: By name, where there are any.
        x: Some rows of what the network was given.
        output: Some rows of what it gave.
        whole: All of what it gave, if that is little.
        ending: The function that it ends with, see `probes.ending`.
        failed: What went wrong in a hook.
    """

    def __init__(
        self, step: int, nets: Mapping[str, nn.Module], optimizers: Sequence[Optimizer], is_at_parts: bool = False
    ):
        self.step = step
        self.nets = nets
        self.optimizers = optimizers
        self.is_at_parts = is_at_parts
        self.is_called = self.is_interrupted = self.is_void = False
        self.failed = ""
        self.rows: int | None = None
        self.x: Tensor | None = None
        self.output: Tensor | None = None
        self.whole: Tensor | None = None
        self.ending = ""
        self.shape: list[int] = []
        self.weights: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor | None] = {}
        self._modes = {name: net.training for name, net in nets.items()}
        self._seen: dict[str, Seen] = {}
        self._done: set[str] = set()
        self._open: dict[str, Any] = {}
        self._samples: dict[str, Tensor] = {}
        self._updates: dict[str, Tensor] = {}
        self._stepped: set[int] = set()
        if is_at_parts:
            for name, net in nets.items():
                self._listen(name, parts_of(net, is_lasting=True))
        device = next((one.device for net in nets.values() for one in net.parameters()), torch.device("cpu"))
        self.clock = Clock(device)
        self.clock.mark("begin")

    @property
    def seconds(self) -> float:
        """That hooks at parts took."""
        return sum(seen.account.seconds for seen in self._seen.values())

    def _listen(self, name: str, parts: Any) -> None:
        self._open[name] = looking(self.nets[name], parts=parts)
        self._seen[name] = self._open[name].__enter__()

    def _hush(self, name: str) -> None:
        if name in self._open:
            self._open.pop(name).__exit__(None, None, None)

    def entered(self, name: str, given: tuple, named: dict) -> None:
        """A network is called."""
        if self.nets[name].training != self._modes[name] or name in self._done:
            return  # judged, or another part of a batch whose gradients add up
        if not self.is_called:
            self.clock.mark("called")
        self.is_called = True
        x = first_tensor((given, named))
        if x is not None and x.ndim and self.x is None:
            self.rows, self.x = len(x), some_rows(x).clone()
        if not self.is_at_parts:
            self._hush(name)  # one that was left by an error
            self._listen(name, parts_of(self.nets[name]))

    def left(self, name: str, output: Any) -> None:
        """A network has given this."""
        if self.nets[name].training != self._modes[name] or name in self._done:
            return
        self._done.add(name)
        self._hush(name)
        output = first_tensor(output)
        if output is not None and output.ndim and output.layout == torch.strided:
            self.shape, self.output = list(output.shape), some_rows(output).clone()
            self.whole = output.detach() if output.numel() <= MOST else None
            self.ending = ending(output)

    def before(self, optimizer: Optimizer, has_closure: bool) -> None:
        """Before its step: weights and gradients, unless these are only found in the step."""
        self.weights = self.weights or weights_of(self.nets)
        for name, weight in self._own(optimizer):
            self._samples[name] = sampled(weight).clone()
        if not has_closure:
            self._read_gradients(optimizer)

    def after(self, optimizer: Optimizer, has_closure: bool) -> bool:
        """After its step: what it changed; gives whether all optimizers have made theirs, or one makes its second."""
        if has_closure:
            self._read_gradients(optimizer)
        skipped = getattr(optimizer, "found_inf", None)
        self.is_void = self.is_void or (isinstance(skipped, Tensor) and bool(skipped.item()))
        for name, weight in self._own(optimizer):
            if name in self._samples:
                self._updates[name] = sampled(weight) - self._samples.pop(name)
        is_second = id(optimizer) in self._stepped
        self._stepped.add(id(optimizer))
        return is_second or len(self._stepped) == len(self.optimizers)

    def _own(self, optimizer: Optimizer) -> list[tuple[str, Tensor]]:
        ids = {id(one) for group in optimizer.param_groups for one in group["params"]}
        return [(name, weight) for name, weight in self.weights.items() if id(weight) in ids]

    def _read_gradients(self, optimizer: Optimizer) -> None:
        scale = getattr(optimizer, "grad_scale", None)  # of a fused optimizer that divides by it in its step
        own = self._own(optimizer) if self.gradients else list(self.weights.items())  # at first those of nobody, too
        for name, weight in own:
            gradient = weight.grad
            if gradient is not None and gradient.layout == torch.strided:
                gradient = sampled(gradient).clone()
                gradient = gradient / scale if isinstance(scale, Tensor) else gradient
            self.gradients[name] = gradient

    def learned(self) -> set[str]:
        """The names of the parameters that an optimizer holds and that ask for gradients."""
        held = [(name, weight) for optimizer in self.optimizers for name, weight in self._own(optimizer)]
        return {name for name, weight in held if weight.requires_grad}

    def end(self) -> dict[str, Any]:
        """The look as a visit has it, see statistics.py."""
        self.clock.mark("end")
        self.close()
        found: dict[str, Any] = {"step": self.step, "rows": self.rows, "loss": {}, "agreement": None}
        found["parameters"] = of_parameters(self.weights, self.gradients, self._updates, self.learned())
        found |= {"layers": {}, "norms": {}, "order": [], "inputs": {}}
        for net, seen in self._seen.items():
            start = f"{net}." if len(self.nets) > 1 else ""
            found["layers"] |= {start + name: layer for name, layer in seen.layers.items()}
            found["norms"] |= {start + name: norm for name, norm in seen.norms.items()}
            found["order"] += [start + name for name in seen.order]
            found["inputs"] |= {start + name: size for name, size in seen.inputs.items()}
            self.failed = self.failed or seen.account.failed
        if self.failed:
            found["skipped"] = self.failed
        found["output"] = of_output(self.output)
        if found["output"]:
            found["output"]["shape"] = self.shape
        waited, whole = self.clock.seconds("begin", "called"), self.clock.seconds("begin", "end")
        if waited is not None and whole and not self.is_interrupted:
            found |= {"wait": min(1.0, max(0.0, waited / whole)), "seconds": whole}
        return found

    def close(self) -> None:
        """All hooks go."""
        for name in list(self._open):
            self._hush(name)


def weights_of(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The parameters by name, each once, that are there in plain memory."""
    found: dict[str, Tensor] = {}
    done: set[int] = set()
    for net_name, net in nets.items():
        for name, weight in getattr(net, "_orig_mod", net).named_parameters():
            is_plain = type(weight) in (Tensor, nn.Parameter) and not is_lazy(weight)
            if is_plain and id(weight) not in done and not weight.is_meta and weight.numel():
                done.add(id(weight))
                found[f"{net_name}.{name}" if len(nets) > 1 else name] = weight
    return found


def is_listened_to(net: nn.Module) -> bool:
    """Whether a hook at the network itself is called, and changes nothing: not where a program runs in its place."""
    is_program = getattr(net, "_compiled_call_impl", None) is not None or isinstance(net, torch.jit.ScriptModule)
    return not is_program and not isinstance(net, nn.TransformerEncoderLayer)


def unseen(nets: Mapping[str, nn.Module]) -> list[str]:
    """The networks whose layers cannot be seen, as programs are run in their place."""
    return [name for name, net in nets.items() if any(is_compiled(part) for part in net.modules())]
