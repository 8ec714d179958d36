"""Pictures in JSON: base64, a data: URL, or nested lists of numbers."""

import base64
import re
from typing import Any

import numpy as np

from gipi.errors import DataError
from gipi.messages import _

Array = np.ndarray

DATA_URL = re.compile(r"data:[a-z0-9.+/-]{0,40};base64,", re.IGNORECASE)


def _array(given: list) -> Array | None:
    """Nested lists of numbers as an array; None: they are none.

    First as objects, since among texts NumPy gives each the room of the longest: a few kB would take gigabytes.
    """
    try:
        objects = np.array(given, object)
        kinds = {*map(type, objects.flat)}
        if not kinds <= {int, float}:
            return None
        return objects.astype(np.float64 if float in kinds else np.int64)
    except (ValueError, OverflowError):
        return None


def picture_of(given: str | list, white: float) -> Any:
    """A picture of JSON, as the bytes of a file or an array."""
    if isinstance(given, list):
        array = _array(given)
        if array is None or array.ndim not in (2, 3) or not array.size:
            raise DataError(_("an array of numbers was expected, (H, W) or (H, W, C)"))
        is_bytes = white == 255 and array.dtype.kind in "ui" and array.min() >= 0 and array.max() <= 255
        return array.astype(np.uint8) if is_bytes else array
    start = DATA_URL.match(given)
    try:
        return base64.b64decode(given[start.end() :] if start else given, validate=True)
    except ValueError as error:
        raise DataError(_("a picture in base64 was expected")) from error
