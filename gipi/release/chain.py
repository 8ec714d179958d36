"""A network that is a plain chain of known layers, as a few NumPy products for one row.

For one row a network's time is spent on finding the kernels, not in them: torch takes ten microseconds for two small
layers, NumPy takes one and a half. A network of any other make stays with torch.

N features that go in, F features between two layers, K outputs
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gipi.models.activations import Maxout
from gipi.models.dense import AgainstZero, Expand

Array = np.ndarray
Layer = Callable[[Array], Array]

MOST_WEIGHTS = 1 << 20  # beyond, the products take longer than finding them, and copies of the weights cost memory
PASS = (nn.Dropout, nn.AlphaDropout, nn.Identity)  # nothing in eval mode
HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def chain(net: nn.Module) -> Layer | None:
    """`f(row (N,)) -> (K,)`, what the network gives for one encoded row in eval mode; None if it is no plain chain."""
    parts = _parts(net)
    if parts is None or not parts or sum(weight.numel() for weight in net.parameters()) > MOST_WEIGHTS:
        return None
    layers, width = [], 0
    while parts:
        part = parts.pop(0)
        if type(part) is nn.Linear:
            norm = parts.pop(0) if parts and type(parts[0]) is nn.BatchNorm1d else None
            made, width = _linear(part, norm), part.out_features
        elif type(part) is Expand:
            made, width = _expand(part), part.outputs
        else:
            made = _norm(part) if type(part) in (nn.BatchNorm1d, nn.LayerNorm) else _bend(part, width, net)
            width = width // part.pieces if type(part) is Maxout else width
        if made is None:
            return None
        if made is not _same:
            layers.append(made)
    return _in_turn(layers)


def _in_turn(layers: list[Layer]) -> Layer:
    def run(x: Array) -> Array:
        for layer in layers:
            x = layer(x)
        return x

    return run


def _parts(net: nn.Module) -> list[nn.Module] | None:
    """The layers in order, without those that do nothing; None where the order is not plain to see."""
    if any(getattr(net, hooks) for hooks in HOOKS):
        return None
    if type(net) in PASS:
        return []
    if type(net).forward is not nn.Sequential.forward:
        return [net]
    parts: list[nn.Module] = []
    for child in net.children():
        inner = _parts(child)
        if inner is None:
            return None
        parts += inner
    return parts


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()


def _same(x: Array) -> Array:
    return x


def _expand(part: Expand) -> Layer:
    if not part.categories:
        return _same
    numeric, columns, codes = part.numeric, part.columns.cpu().numpy(), part.codes.cpu().numpy()

    def expand(x: Array) -> Array:
        out = np.empty(numeric + len(codes), x.dtype)
        out[:numeric] = x[:numeric]
        out[numeric:] = x.take(columns) == codes
        return out

    return expand


def _linear(part: nn.Linear, norm: nn.Module | None) -> Layer | None:
    """A product and a sum; a batch normalisation behind it is folded into both."""
    weight, bias = _array(part.weight).T, None if part.bias is None else _array(part.bias)
    if norm is not None:
        factors = _batch_norm(norm)  # type: ignore[arg-type]
        if factors is None:
            return None
        scale, shift = factors
        weight, bias = weight * scale, shift if bias is None else bias * scale + shift
    dtype = _array_type(part.weight)
    weight = np.ascontiguousarray(weight, dtype)  # (in, out): products with a row are quickest so
    if bias is None:
        return lambda x: x.dot(weight)
    bias = bias.astype(dtype)
    return lambda x: x.dot(weight) + bias


def _array_type(tensor: torch.Tensor) -> np.dtype:
    return np.dtype(np.float64 if tensor.dtype == torch.float64 else np.float32)


def _batch_norm(part: nn.BatchNorm1d) -> tuple[Array, Array] | None:
    """What it multiplies by and what it adds."""
    if part.running_mean is None or part.running_var is None:
        return None
    scale = 1 / np.sqrt(_array(part.running_var) + part.eps)
    if part.weight is not None:
        scale = scale * _array(part.weight)
    shift = -_array(part.running_mean) * scale
    return scale, shift if part.bias is None else shift + _array(part.bias)


def _norm(part: nn.Module) -> Layer | None:
    if isinstance(part, nn.BatchNorm1d):
        factors = _batch_norm(part)
        if factors is None or part.running_mean is None:
            return None
        dtype = _array_type(part.running_mean)
        scale, shift = (factor.astype(dtype) for factor in factors)
        return lambda x: x * scale + shift
    assert isinstance(part, nn.LayerNorm)
    if part.weight is None or len(part.normalized_shape) != 1:
        return None
    dtype, features, eps = _array_type(part.weight), part.normalized_shape[0], part.eps
    weight = _array(part.weight).astype(dtype)
    bias = np.zeros_like(weight) if part.bias is None else _array(part.bias).astype(dtype)
    average = np.full(features, 1 / features, dtype)

    def normalize(x: Array) -> Array:
        x = x - x.dot(average)
        return x * (1 / sqrt(float(x.dot(x)) / features + eps)) * weight + bias

    return normalize


# --- activations -------------------------------------------------------------------------------------------------


def _bend(part: nn.Module, width: int, net: nn.Module) -> Layer | None:
    """An activation of this width, without a number that could overflow; None for a layer that we do not know."""
    zeros = np.zeros(width, _array_type(next(net.parameters())))  # an array: NumPy takes longer for a scalar
    kind = type(part)
    if not width:
        return None
    if kind is nn.ReLU:
        return lambda x: np.maximum(x, zeros)
    if kind is nn.Tanh:
        return np.tanh
    if kind is nn.Sigmoid:
        return _sigmoid
    if kind is nn.SiLU:
        return lambda x: x * _sigmoid(x)
    if isinstance(part, nn.GELU):
        form = part.approximate
        return lambda x: F.gelu(torch.from_numpy(x), approximate=form).numpy()
    if isinstance(part, nn.LeakyReLU):
        slope = part.negative_slope
        return lambda x: np.where(x > zeros, x, x * slope)
    if isinstance(part, nn.PReLU):
        slopes = zeros + _array(part.weight).astype(zeros.dtype)
        return lambda x: np.where(x > zeros, x, x * slopes)
    if isinstance(part, nn.ELU):
        alpha = part.alpha
        return lambda x: np.where(x > zeros, x, np.expm1(np.minimum(x, zeros)) * alpha)
    if isinstance(part, nn.Softplus) and part.beta == 1:
        return lambda x: np.logaddexp(x, zeros)
    if isinstance(part, Maxout):
        return _maxout(part.pieces)
    if kind is AgainstZero:
        return lambda x: np.concatenate((zeros, x))
    return None


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(np.minimum(-x, 80.0)))  # e to the 80 is a float32 still


def _maxout(pieces: int) -> Layer:
    def largest(x: Array) -> Array:
        best = x[::pieces]
        for piece in range(1, pieces):
            best = np.maximum(best, x[piece::pieces])
        return best

    return largest
