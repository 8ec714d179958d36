"""Whether two answers are the same: in words equal, in numbers within rounding.

Two ways of running one model (PyTorch, onnxruntime, another machine) add the same numbers in another order, so the last
digits differ. Where that decides which of two words is said, because they are as likely as each other, either is right.
"""

from typing import Any

import numpy as np

RELATIVE, ABSOLUTE = 1e-4, 1e-5  # of float32; the absolute one in units of the target's own spread
LEVEL = 1  # by which elements of a picture of bytes may differ
EDGE = 0.005  # of a mask's pixels: those between two classes that are as likely
LABELS = ("label", "labels", "probability", "action", "cluster")


def difference(found: Any, expected: Any, unit: float = 1.0, place: str = "") -> str | None:
    """Where two answers differ by more than rounding, as `name: found, expected`; None: they are the same.

    Args:
        found: An answer, or a list of them.
        expected: What it should be.
        unit: The spread of the numbers, for the absolute tolerance.
        place: How it is called.

    Example:
        >>> difference({"value": 2.00001}, {"value": 2.0}), difference({"value": 2.1}, {"value": 2.0})
        (None, 'value: 2.1, 2 expected')
    """
    said = f"{place or '-'}: {_short(found)}, {_short(expected)} expected"
    if isinstance(expected, np.ndarray):
        return None if isinstance(found, np.ndarray) and _same_array(found, expected) else said
    if isinstance(expected, dict):
        if not isinstance(found, dict) or list(found) != list(expected):
            return said
        tie = is_tie(expected)
        ends = [end for name in ("value", "low", "high") if isinstance(end := expected.get(name), float)]
        if len(ends) == 3:  # an end of an interval is a difference of larger numbers
            unit = max(unit, RELATIVE / ABSOLUTE * max(map(abs, ends)))
        each = ((name, value) for name, value in expected.items() if not (tie and name in LABELS))
        return _first(difference(found[name], value, unit, name) for name, value in each)
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return said
        pairs = zip(found, expected, strict=True)
        return _first(difference(one, other, unit, place) for one, other in pairs)
    if expected is None and isinstance(found, float):  # JSON has no word for what is no number
        return None if not np.isfinite(found) else said
    if isinstance(expected, float) and isinstance(found, float):
        close = np.isclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE * unit, equal_nan=True)
        return None if close else said
    return None if type(found) is type(expected) and found == expected else said


def is_tie(answer: dict[str, Any]) -> bool:
    """Whether rounding may decide which class, labels or action are said."""
    held = answer.get("probabilities") or answer.get("worth")  # a class or a target may have such a name too
    chances = sorted(held.values()) if isinstance(held, dict) else []
    close = 2 * (ABSOLUTE + RELATIVE * max(map(abs, chances), default=0.0))
    if "labels" in answer:
        return any(abs(chance - 0.5) <= close for chance in chances)
    return len(chances) > 1 and chances[-1] - chances[-2] <= close


def _same_array(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if expected.dtype == np.uint8 and expected.ndim == 2:  # a mask: class numbers
        return bool((found != expected).mean() <= EDGE)
    if expected.dtype == np.uint8:
        return bool((np.abs(found.astype(np.int16) - expected) <= LEVEL).all())
    return bool(np.allclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))


def _first(differences: Any) -> str | None:
    return next((one for one in differences if one is not None), None)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape}"
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) < 60 else text[:57] + "..."
