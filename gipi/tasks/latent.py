"""The noise that new pictures are made of. It is NumPy's, so that a seed means the same pictures in every runtime.

B pictures, Z numbers of noise for each
"""

from typing import Any

import numpy as np

from gipi.errors import UsageError
from gipi.messages import _


def noise_of(rows: Any, latent: int, seed: int) -> np.ndarray:
    """What pictures are made of, `(B, Z)` float32: drawn for a count, or as it was given.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] == latent:
        return np.array(rows, np.float32)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        text = _(
            "a number of pictures was expected, 1 or more, or noise (pictures, {latent}); '{given}' came",
            latent=latent,
            given=str(rows)[:60],
        )
        raise UsageError(text)
    return np.random.default_rng(seed).normal(size=(rows, latent)).astype(np.float32)
