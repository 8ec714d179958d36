"""What is inside a network: a layer's filters, what it makes of a picture, and where rows lie before the last layer.

B rows, C channels, H W a picture's height and width, O I a layer's outputs and inputs, D features
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from gipi.errors import UsageError
from gipi.messages import _
from gipi.release.explain import ready
from gipi.release.model import Model, gathered
from gipi.release.rows import rows_at_once
from gipi.release.saliency import examined, find_layer, grids, shapes

Array = np.ndarray


def filters(model: Model, layer: str) -> tuple[Array, str]:
    """The filters of a layer of the first member, `(O, I, h, w)`, and the layer's full name.

    Of a part with several layers the first with filters is taken. A linear layer that sees the whole picture has one
    filter for each output, as large as the picture.

    Raises:
        UsageError: There is no such layer, or it has no filters.
    """
    net = model.members[0]
    part = find_layer(net, layer)
    shape = model.sizes.input
    for name, one in part.named_modules():
        full = f"{layer}.{name}" if name else layer
        weight = getattr(one, "weight", None)
        if isinstance(one, nn.Conv2d):
            return one.weight.detach().float().cpu().numpy(), full
        if isinstance(one, nn.Linear) and isinstance(weight, Tensor) and weight.shape[1] == math.prod(shape):
            return weight.detach().float().cpu().unflatten(1, shape).numpy(), full
    text = _(
        "the layer {name} is no convolution, so it has no filters; give a picture to see what it makes of it",
        name=layer,
    )
    raise UsageError(text)


def feature_maps(model: Model, x: Tensor, layer: str) -> Array:
    """What a layer of the first member makes of one encoded picture `(1, C, H, W)`: `(n, h, w)`.

    Raises:
        UsageError: There is no such layer, or what it gives has no places.
    """
    net = model.members[0]
    part, kept = find_layer(net, layer), []
    x = ready(model, x)
    seen = shapes(net, x)
    grid = grids(seen, x).get(layer)
    if grid is None:
        text = _(
            "the layer {name} gives {shape}: neither maps (rows, channels, height, width) nor tokens of a grid",
            name=layer,
            shape=seen.get(layer, ()),
        )
        raise UsageError(text)
    with examined([net]), torch.no_grad():
        hook = part.register_forward_hook(lambda _part, _inputs, output: kept.append(output.clone()))
        try:
            net(x)
        finally:
            hook.remove()
    return grid.laid_out(kept[-1])[0].float().cpu().numpy()


def features(model: Model, x: Tensor) -> Array:
    """What the first member makes of encoded rows before its last layer, `(B, D)`.

    Raises:
        UsageError: The network has no layer with weights.
    """
    net = model.members[0]
    last = _last_with_weights(net, ready(model, x[:1]))
    kept: list[Tensor] = []

    def keep(_part: nn.Module, inputs: tuple) -> None:
        kept[:] = [inputs[0].detach().flatten(1).float().cpu()]

    def pieces() -> Iterator[Tensor]:
        for piece in x.split(rows_at_once(x)):
            net(ready(model, piece))
            yield kept[0]

    with examined([net]), torch.no_grad():
        hook = last.register_forward_pre_hook(keep)
        try:
            return gathered(pieces(), len(x)).numpy()
        finally:
            hook.remove()


def _last_with_weights(net: nn.Module, x: Tensor) -> nn.Module:
    """The last layer that a batch passes and that has weights of its own."""
    passed: list[nn.Module] = []

    def saw(part: nn.Module, inputs: tuple, _output: object) -> None:
        has_weights = any(True for _weight in part.parameters(recurse=False))
        if has_weights and inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim > 1:
            passed.append(part)

    hooks = [part.register_forward_hook(saw) for part in net.modules() if part is not net]
    try:
        with examined([net]):
            net(x.detach().clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    if not passed:
        raise UsageError(_("the network has no layer with weights: there is nothing before its last one"))
    return passed[-1]


def principal(rows: Array, count: int = 2) -> tuple[Array, Array]:
    """Rows `(B, D)` seen along the directions in which they differ most: `(B, count)`, and the share of each.

    Principal component analysis by the eigenvectors of the covariance or of the rows' products, whichever is smaller;
    each direction points to where its largest weight is above 0, so the same rows give the same picture.

    Args:
        rows: At least two.
        count: Of directions; those that there are not are 0.

    Returns:
        The places, and of each direction the share of the variance, 0..1.
    """
    centered = torch.from_numpy(rows).double()
    centered = centered - centered.mean(0)
    total = float(centered.square().sum())
    is_wide = centered.shape[1] > centered.shape[0]
    values, vectors = torch.linalg.eigh(centered @ centered.T if is_wide else centered.T @ centered)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    places, shares = np.zeros((len(rows), count)), np.zeros(count)
    for number in range(min(count, len(values))):
        size = float(values[number])
        if size <= 1e-12 * total or total == 0:  # the rounding of what is nothing
            break
        direction = centered.T @ vectors[:, number] / math.sqrt(size) if is_wide else vectors[:, number]  # (D,)
        direction = direction * direction[direction.abs().argmax()].sign()
        places[:, number] = (centered @ direction).numpy()
        shares[number] = size / total
    return places, shares
