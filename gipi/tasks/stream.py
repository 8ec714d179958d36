"""Stream: batches, a network and a loss of a person's own. We know nothing of what they mean; the answer to an input is
what the network gives for it.

B rows
"""

from typing import Any

import numpy as np
import torch

from gipi.errors import DataError
from gipi.messages import _

default: dict[str, str] = {}


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """What the network gives for a batch of inputs `(B, ...)`: `{"output": number or list}` for each row."""
    net = model.members[0]
    where = next(net.parameters())
    try:
        x = rows if isinstance(rows, torch.Tensor) else torch.as_tensor(np.asarray(rows))
    except (TypeError, ValueError) as error:
        raise DataError(
            _("a batch of numbers was expected, as the stream gave them: {reason}", reason=error)
        ) from error
    takes_floats = model.extra.get("takes_floats", x.is_floating_point())
    x = x.to(where.device, where.dtype) if takes_floats else x.to(where.device)
    try:
        with torch.no_grad():
            output = net(x)
    except (RuntimeError, TypeError, IndexError) as error:
        shape = tuple(x.shape)
        text = _("the network does not take a batch of shape {shape}: {reason}", shape=shape, reason=error)
        raise DataError(text) from error
    return [{"output": row} for row in output.cpu().tolist()]
