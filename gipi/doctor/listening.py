"""A look at one step of a person's own loop: the way through the network, the gradients, the update.

Nothing is called that the loop does not call. Hooks stand at the network and wait for the step; at the network alone
if it is called itself, and at its parts only while it is gone through, so that a judgement, a copy or a kept file in
between meets next to nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gipi.doctor.hook import Hook, is_compiled, parts_of
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


class Look:
    """One look; `begin` after a step, `before` and `after` at the next step of each optimizer, then `end`.

    Args:
        step: The number of the step that it is at.
        nets: By name; with several, what is in one stands under its name.
        optimizers: That it waits for.

    Attributes:
        is_called: Whether a network was called itself, not only its parts.
        is_interrupted: Whether something was judged in between: time says nothing then.
        is_void: Whether a step was left out, as it is where numbers of half precision overflow.
        seconds: That it took so far.
        failed: What went wrong in a hook.
        x: Some rows of what the network was given.
        output: Some rows of what it gave.
        whole: All of what it gave, if that is little.
        ending: The function that it ends with, see `probes.ending`.
        gradients: By name, where there are any.
    """

    def __init__(self, step: int, nets: Mapping[str, nn.Module], optimizers: Sequence[Optimizer]):
        self.step = step
        self.nets = nets
        self.optimizers = optimizers
        self.is_called = self.is_interrupted = self.is_void = False
        self.seconds = 0.0
        self.failed = ""
        self.rows: int | None = None
        self.x: Tensor | None = None
        self.output: Tensor | None = None
        self.whole: Tensor | None = None
        self.ending = ""
        self.shape: list[int] = []
        self.weights = weights_of(nets)
        self.clock = Clock(next((one.device for one in self.weights.values()), torch.device("cpu")))
        self._modes = {name: net.training for name, net in nets.items()}
        self._seen: dict[str, Seen] = {}
        self._open: dict[str, Any] = {}
        self._handles: list[Any] = []
        self._samples: dict[str, Tensor] = {}
        self._updates: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor | None] = {}
        self._stepped: set[int] = set()

    def begin(self, at_parts: bool) -> None:
        """`at_parts`: the network is not called itself, so hooks stand at its parts all the time."""
        for name, net in self.nets.items():
            if getattr(net, "_compiled_call_impl", None) is None and not isinstance(net, torch.jit.ScriptModule):
                entered, left = self._at(name, net)
                self._handles.append(net.register_forward_pre_hook(Hook(entered, self), with_kwargs=True))
                self._handles.append(net.register_forward_hook(Hook(left, self), always_call=True))
                if at_parts:
                    self._listen(name, parts_of(net, is_lasting=True))
        self.clock.mark("begin")

    def _listen(self, name: str, parts: Any) -> None:
        self._open[name] = looking(self.nets[name], parts=parts)
        self._seen[name] = self._open[name].__enter__()

    def _hush(self, name: str) -> None:
        if name in self._open:
            self._open.pop(name).__exit__(None, None, None)

    def _at(self, name: str, net: nn.Module) -> Any:
        def entered(_net: nn.Module, given: tuple, named: dict) -> None:
            if net.training != self._modes[name] or (self.rows is not None and name in self._seen):
                return  # judged, or another part of a batch whose gradients add up
            if not self.is_called:
                self.clock.mark("called")
            self.is_called = True
            x = first_tensor((given, named))
            if x is not None and x.ndim:
                self.rows, self.x = self.rows or len(x), self.x if self.x is not None else some_rows(x).clone()
            if name not in self._seen:
                self._listen(name, parts_of(net))

        def left(_net: nn.Module, _given: tuple, output: Any) -> None:
            if name not in self._open:
                return
            self._hush(name)
            output = first_tensor(output)
            if output is not None and output.ndim and output.layout == torch.strided:
                self.shape, self.output = list(output.shape), some_rows(output).clone()
                self.whole = output.detach() if output.numel() <= MOST else None
                self.ending = ending(output)

        return entered, left

    def before(self, optimizer: Optimizer, has_closure: bool) -> None:
        """Before its step: weights and gradients, unless these are only found in the step."""
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
        found |= {"layers": {}, "norms": {}, "order": []}
        for net, seen in self._seen.items():
            start = f"{net}." if len(self.nets) > 1 else ""
            found["layers"] |= {start + name: layer for name, layer in seen.layers.items()}
            found["norms"] |= {start + name: norm for name, norm in seen.norms.items()}
            found["order"] += [start + name for name in seen.order]
            self.seconds += seen.seconds
            self.failed = self.failed or seen.failed
        found["output"] = of_output(self.output)
        if found["output"]:
            found["output"]["shape"] = self.shape
        waited, whole = self.clock.seconds("begin", "called"), self.clock.seconds("begin", "end")
        if waited is not None and whole and not self.is_interrupted:
            found |= {"wait": min(1.0, max(0.0, waited / whole)), "seconds": whole}
        if self.failed:
            found["skipped"] = self.failed
        return found

    def close(self) -> None:
        """All hooks go."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
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


def unseen(nets: Mapping[str, nn.Module]) -> list[str]:
    """The networks whose layers cannot be seen, as programs are run in their place."""
    return [name for name, net in nets.items() if any(is_compiled(part) for part in net.modules())]
