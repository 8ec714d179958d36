"""Any optimizer of torch's kind, as one of ours.

It assigns `.grad` and calls `.step`. Such optimizers build their state when they first step, of tensors, numbers and
lists; here all of it becomes named tensors (its shape as JSON in one of them), so that it can be kept and put back.
"""

import inspect
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gipi.algorithms.updates import NotFinite
from gipi.errors import UsageError
from gipi.messages import _


class Adapter:
    """torch's optimizer, given gradients.

    Args:
        params: In the order in which gradients come.
        optimizer: Made for these parameters.
        lr: A step size or a function of the step, for all its groups; None leaves them as they are.
    """

    def __init__(
        self, params: list[Tensor], optimizer: torch.optim.Optimizer, lr: float | Callable[[int], float] | None = None
    ):
        self.params = params
        self.optimizer = optimizer
        self.lr = lr
        self.scale = 1.0
        self.own_sizes = [group.get("lr", 0.0) for group in optimizer.param_groups]
        self.takes_closure = "closure" in inspect.signature(optimizer.step).parameters

    def step(self, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], step: int) -> Tensor:
        first: list[Tensor] = []

        def closure() -> Tensor:
            with torch.enable_grad():  # torch's step turns gradients off around everything else
                loss, gradients = evaluate()
            for param, gradient in zip(self.params, gradients, strict=True):
                if gradient.stride() != param.stride():  # torch's fused kernels are wrong then, see optimizers.laid_out
                    gradient = torch.empty_like(param, requires_grad=False).copy_(gradient)
                param.grad = gradient
            if not loss.is_cuda and not all(gradient.isfinite().all() for gradient in gradients):
                raise NotFinite(self)  # on a GPU the look would make the step wait; the loss is looked at later
            first.append(loss)
            return loss

        if self.lr is not None:
            size = self.lr(step) if callable(self.lr) else self.lr
            for group in self.optimizer.param_groups:
                group["lr"] = size * self.scale
        elif self.scale != 1.0:
            for group, size in zip(self.optimizer.param_groups, self.own_sizes, strict=True):
                group["lr"] = size * self.scale
        if self.takes_closure:
            self.optimizer.step(closure)  # type: ignore  # pyright thinks that a loss is a float
        else:
            closure()
            self.optimizer.step()
        for param in self.params:
            param.grad = None
        return first[0]

    def tensors(self) -> dict[str, Tensor]:
        named: dict[str, Tensor] = {}
        state = [_pack(self.optimizer.state.get(param, {}), named, param) for param in self.params]
        groups = [
            _pack({key: value for key, value in group.items() if key != "params" and _is_plain(value)}, named, None)
            for group in self.optimizer.param_groups
        ]
        text = json.dumps({"state": state, "groups": groups}).encode()
        return named | {"shape": torch.frombuffer(bytearray(text), dtype=torch.uint8)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        shape = json.loads(bytes(tensors["shape"].cpu().tolist()))
        for param, packed in zip(self.params, shape["state"], strict=True):
            state = _unpack(packed, tensors, param)
            if state:
                self.optimizer.state[param] = state
            else:
                self.optimizer.state.pop(param, None)
        for group, packed in zip(self.optimizer.param_groups, shape["groups"], strict=True):
            group.update(_unpack(packed, tensors, self.params[0]))


def _is_plain(value: Any) -> bool:
    """A setting that can be kept; a function, for instance, is whatever the program says now."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str, Tensor))


def _pack(value: Any, named: dict[str, Tensor], param: Tensor | None) -> Any:
    """A value as JSON, its tensors set aside under numbers."""
    if isinstance(value, Tensor):
        name = str(len(named))
        named[name] = value.detach()
        is_beside = param is not None and value.device == param.device
        return {"tensor": name, "beside": is_beside}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise UsageError(_("the optimizer keeps state that is not under names; it cannot be saved"))
        return {"dict": {key: _pack(item, named, param) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [_pack(item, named, param) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    kind = type(value).__name__
    raise UsageError(_("the optimizer keeps a {kind} in its state; only tensors and numbers can be saved", kind=kind))


def _unpack(packed: Any, tensors: dict[str, Tensor], param: Tensor) -> Any:
    (kind, content), *_rest = packed.items()
    if kind == "tensor":
        kept = tensors[content]
        device = param.device if packed["beside"] else torch.device("cpu")
        return torch.empty_like(kept, device=device).copy_(kept)
    if kind == "dict":
        return {key: _unpack(item, tensors, param) for key, item in content.items()}
    if kind in ("list", "tuple"):
        items = [_unpack(item, tensors, param) for item in content]
        return tuple(items) if kind == "tuple" else items
    return content
