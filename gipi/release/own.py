"""A module of a person's own as the network of a model, made from what was given when it is fitted or loaded."""

import copy
from typing import Any

from torch import nn

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.dense import Expand


def own_net(own: Any, sizes: Sizes) -> nn.Module:
    """The network: a copy of the module, or what a function of sizes makes; a table's categories reach it one-hot.

    Raises:
        UsageError: What the function gives is no module.
    """
    try:
        made = copy.deepcopy(own) if isinstance(own, nn.Module) else own(sizes)
    except Exception as error:  # a function of a person's own may raise anything
        reason = f"{type(error).__name__}: {error}"
        text = _("the function given as model fails for {sizes}: {reason}", sizes=sizes, reason=reason)
        raise UsageError(text) from error
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise UsageError(_("the function given as model makes a {kind}, not a torch.nn.Module", kind=kind))
    return nn.Sequential(Expand(sizes), made) if sizes.categories else made
