"""The networks of a bundle, built anew from its configuration, with the weights that it holds.

The name of the system is one of ours. A configuration that asks for more than the weights call for, or would never end,
is stopped while the network is built (bounded.py).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gipi import systems, tasks
from gipi.data.mapped import as_tensor
from gipi.data.schema import Sizes
from gipi.data.schema import sizes as sizes_of
from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.release.bounded import Work, bounded
from gipi.release.bundle import Held
from gipi.release.described import Described
from gipi.release.hub import MOST_CLASSES, check_architecture, hub_net, is_of_hub
from gipi.release.model import Model
from gipi.release.own import own_net
from gipi.release.program import OWN
from gipi.release.refused import Refused
from gipi.release.tensor_file import header

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def rebuilt(opened: Held, own: Any = None, system: Any = None) -> Model:
    """The model of a bundle; see `bundle.read_bundle`.

    Raises:
        RunError: Its networks cannot be built from what is in the file alone.
        Refused: The weights are not those of its networks.
    """
    said = opened.described
    tasks.load(said.task)
    sizes = Sizes((), 0) if said.task == "stream" else sizes_of(said.schema, said.sizes["output"])
    if (sizes.input, sizes.categories) != (tuple(said.sizes["input"]), tuple(said.sizes["categories"])):
        raise Refused(_("its sizes are not those of its schema"))
    kept = members_of(opened)
    if len(kept) != said.members:
        raise Refused(_("its members are not those that it names"))
    is_own = said.system == "own" or system is not None
    members: list[nn.Module] = []
    for weights in kept:
        net = _net(said, sizes, own, system) if is_own else _bounded(said, sizes, weights)
        net.to(DTYPES[said.dtype])
        _load(net, weights, is_own)
        members.append(net)
    return Model(said.task, said.system, said.schema, sizes, said.config, members, said.card, said.extra)


def within_bounds(is_own: bool) -> AbstractContextManager:
    """Where a network of a stranger's configuration answers for the first time; one's own may take what it likes."""
    return nullcontext() if is_own else Work()


def members_of(opened: Held) -> list[dict[str, Tensor]]:
    """The weights of each member, by the names that its network has for them."""
    kinds = {name: entry.dtype for name, entry in header(opened.parts["weights.safetensors"]).items()}
    kept: dict[str, dict[str, Tensor]] = {}
    for name, array in opened.weights.items():
        if name.startswith(OWN):  # constants of the program alone
            continue
        number, _dot, rest = name.partition(".")
        tensor = as_tensor(array)
        kept.setdefault(number, {})[rest] = tensor.view(torch.bfloat16) if kinds[name] == "BF16" else tensor
    if not kept or set(kept) != {str(number) for number in range(len(kept))}:
        raise Refused(_("its members are not those that it names"))
    return [kept[str(number)] for number in range(len(kept))]


def _bounded(said: Described, sizes: Sizes, weights: dict[str, Tensor]) -> nn.Module:
    """The network that a file describes, if its weights are of the shapes that are there."""
    content = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    with bounded(len(weights), content):
        net = _net(said, sizes, None, None)
    if {name: tensor.shape for name, tensor in net.state_dict().items()} != {n: t.shape for n, t in weights.items()}:
        raise Refused(_("the weights are not those of its network"))
    return net


def _net(said: Described, sizes: Sizes, own: Any, system: Any) -> nn.Module:
    """A network as it was before it learned anything."""
    name = said.system
    if name == "own":
        if own is None:
            raise RunError(
                _("this model is a module of a person's own: give one of the same make, gipi.load(path, model=...)")
            )
        return own_net(own, sizes)
    if is_of_hub(name):
        check_architecture(name, said.extra.get("architecture"))
        if sizes.output > MOST_CLASSES:
            raise Refused(_("its network would take too much memory"))
        return hub_net(name, said.extra["architecture"], sizes)
    if system is None and name not in systems.names():
        raise RunError(
            _("this model's system, {name}, is a person's own: give it, gipi.load(path, system=...)", name=name)
        )
    made_by = systems.load(system or name)
    config = {option: tuple(v) if isinstance(v, list) else v for option, v in said.config.items()}
    try:
        return made_by.Net(sizes, made_by.Config(**config))
    except UsageError as error:  # nobody typed it: the file says so
        raise Refused(str(error)) from error


def _load(net: nn.Module, weights: dict[str, Tensor], is_own: bool) -> None:
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        if not is_own:
            raise
        reason = " ".join(str(error).split())
        raise RunError(_("what was given is not of the make of the kept model: {reason}", reason=reason)) from error
