"""Weights of one network put into another: what fits, what does not, and which part is the trunk that was loaded.

A tensor fits where the name and the shape agree. What does not (the last layer, where there are other classes) is left
at its beginning, and all of that is said in a line. Where pictures are grey and the weights know three channels, the
first layer's are summed: grey is the same in all three.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from gipi.data.schema import Schema
from gipi.errors import RunError
from gipi.messages import _
from gipi.release.weight_files import Weights

SHOWN = 4  # names that are said
# what some programs put before each name: data parallel training, a network that is part of another
BEFORE = ("", "module.", "model.", "transformer.", "bert.")
# names of before, which published files may still have: what torchvision calls them since 2022, and BERT's norms
OLDER = {
    ".mlp.linear_1.": ".mlp.0.",
    ".mlp.linear_2.": ".mlp.3.",
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}
PLACES = "position_embeddings.weight"  # a vector for each place of a text; a shorter text needs the first of them


def take(net: nn.Module, weights: Weights) -> tuple[frozenset[str], str]:
    """Put into the network what fits; gives the names that were loaded, and what to say of it.

    Args:
        net: Gets the weights, in place.
        weights: To begin with.

    Raises:
        RunError: No parameter fits, or what fits is not finite.
    """
    own = net.state_dict()
    theirs = _aligned(weights.tensors, own)
    found, summed = {}, ""
    first = next((name for name, param in net.named_parameters() if param.ndim == 4), "")
    for name, tensor in own.items():
        came = theirs.get(name)
        if came is None:
            continue
        if came.shape == tensor.shape:
            found[name] = came
        elif name == first and tensor.shape[1] == 1 and came.shape == (len(tensor), 3, *tensor.shape[2:]):
            found[name] = came.sum(1, keepdim=True)
            summed = name
        elif name.endswith(PLACES) and came.shape[1:] == tensor.shape[1:] and len(came) > len(tensor):
            found[name] = came[: len(tensor)]
    params = dict(net.named_parameters())
    if not found.keys() & params.keys():
        text = _("nothing in {path} fits this network: no weight has the same name and shape", path=weights.source)
        text += _difference(theirs, params)
        if weights.network:
            text += "; " + _("they are those of the system {name}", name=weights.network)
        raise RunError(text)
    odd = next((name for name, one in found.items() if one.is_floating_point() and not one.isfinite().all()), None)
    if odd is not None:
        raise RunError(_("{path}: {name} has numbers that are not finite", path=weights.source, name=odd))
    with torch.no_grad():
        for name, tensor in found.items():
            own[name].copy_(tensor)
    left = [_with_shapes(name, param, theirs.get(name)) for name, param in params.items() if name not in found]
    said = _("weights of {source}: {count} of {all} fit", source=weights.source, count=len(found), all=len(own))
    if summed:
        said += "; " + _("pictures are grey: {name} was summed over its three channels", name=summed)
    if left:
        said += "; " + _("left at their beginning: {names}", names=_few(left))
    return frozenset(found), said


def trunk(net: nn.Module, loaded: Iterable[str]) -> frozenset[str]:
    """The names of the parameters that were loaded; where all were, without those of the last layer.

    The last layer is the last part of the network that has a weight of two axes or more.
    """
    params = dict(net.named_parameters())
    names = frozenset(loaded) & params.keys()
    if len(names) < len(params):
        return names
    own = [
        {f"{place}.{name}" if place else name for name, _param in part.named_parameters(recurse=False)}
        for place, part in net.named_modules()
    ]
    return names - next(last for last in reversed(own) if any(params[name].ndim > 1 for name in last & params.keys()))


def freeze(net: nn.Module, loaded: frozenset[str]) -> None:
    """The trunk learns no more, and batch norm keeps the statistics that were loaded."""
    names = trunk(net, loaded)
    for name, param in net.named_parameters():
        if name in names:
            param.requires_grad_(False)
    for place, part in net.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and f"{place}.running_mean" in loaded:
            part.eval()


def as_trained(schema: Schema, weights: Weights) -> Schema:
    """Pictures centered and scaled as those that the weights were learned from were; where that is not known, as here.

    A network that was trained sees what it knows then. Grey pictures get the mean over the channels.
    """
    if not schema.is_picture or not weights.center:
        return schema
    (picture,) = schema.inputs
    white = picture.white
    center = tuple(value * white for value in weights.center)
    scale = tuple(value * white for value in weights.scale)
    mean = {"center": math.fsum(center) / len(center), "scale": math.fsum(scale) / len(scale)}
    is_each = len(center) == picture.shape[0] > 1
    each = {"centers": center, "scales": scale} if is_each else {}
    return replace(schema, inputs=(replace(picture, **mean, **each),))


def _aligned(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names that the network has for them, whatever a program put before all of them."""
    for older, newer in OLDER.items():
        if not any(older in name for name in own):
            tensors = {name.replace(older, newer): tensor for name, tensor in tensors.items()}
    ways = []
    for theirs in BEFORE:
        for ours in BEFORE:
            named = {
                f"{ours}{name.removeprefix(theirs)}": one for name, one in tensors.items() if name.startswith(theirs)
            }
            ways.append((len(named.keys() & own.keys()), named))
    return max(ways, key=lambda way: way[0])[1]  # the first of the best: names as they are, if they fit as well


def _difference(theirs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> str:
    """An example of what came and what was needed."""
    came, needed = ([_with_shapes(name, one, None, True) for name, one in each.items()] for each in (theirs, params))
    return "; " + _("for instance {came} came, {needed} is needed", came=_few(came, 2), needed=_few(needed, 2))


def _with_shapes(name: str, own: Tensor, came: Tensor | None, is_shown: bool = False) -> str:
    if came is None:
        return f"{name} {_shape(own)}" if is_shown else name
    return _("{name} ({came} came, {needed} is needed)", name=name, came=_shape(came), needed=_shape(own))


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"


def _few(names: list[str], count: int = SHOWN) -> str:
    more = len(names) - count
    return ", ".join(names[:count]) + (" " + _("and {count} more", count=more) if more > 0 else "")
