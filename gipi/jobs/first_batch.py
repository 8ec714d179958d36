"""One batch, before the first step: does what comes out fit the task, and the loss? One's own may give anything."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gipi.errors import UsageError
from gipi.messages import _


def check_network(net: nn.Module, x: Tensor, expected: tuple[int, ...], task: str) -> Tensor:
    """What the network gives for a batch.

    Args:
        net: In whatever mode; it stays in it.
        x: The batch, as the network sees it.
        expected: The shape that the task needs.
        task: Its name.

    Raises:
        UsageError: It gives something else, or does not take the batch.
    """
    was_training = net.training
    net.eval()
    try:
        output = net(x)
    except Exception as error:  # a module of a person's own may raise anything
        shape, reason = tuple(x.shape), f"{type(error).__name__}: {error}"
        text = _("the network does not take a batch of shape {shape}: {reason}", shape=shape, reason=reason)
        raise UsageError(text) from error
    finally:
        net.train(was_training)
    came = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if came != expected:
        text = _(
            "for {rows} rows the network gives {came}; the task {task} needs {expected}",
            rows=len(x),
            came=came,
            task=task,
            expected=expected,
        )
        raise UsageError(text)
    return output


def check_loss(loss: Callable[..., Any], output: Tensor, y: Tensor, has_weights: bool) -> None:
    """A loss of a person's own must give one number that depends on what the network gives.

    Args:
        loss: `f(output, y)`, or `f(output, y, weight)` where rows have weights.
        output: What the network gave.
        y: Targets, at least as many.
        has_weights: Whether rows have weights.

    Raises:
        UsageError: It does not.
    """
    target = [y[: len(output)].to(output.device)]
    if has_weights:
        target.append(torch.ones(len(output), dtype=output.dtype, device=output.device))
    try:
        found = loss(output, *target)
    except Exception as error:
        shapes = ", ".join(str(tuple(t.shape)) for t in (output, *target))
        reason = f"{type(error).__name__}: {error}"
        text = _("the loss does not take output and targets of shapes {shapes}: {reason}", shapes=shapes, reason=reason)
        raise UsageError(text) from error
    if not isinstance(found, Tensor) or found.ndim:
        came = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(_("the loss must give a tensor with one number; it gives {came}", came=came))
    if not found.requires_grad and output.requires_grad:
        raise UsageError(_("the loss does not depend on what the network gives: there is nothing to learn from"))
