"""What a check looks at, and what it says."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LONG = 4096  # bytes of a row of which its hash is compared, not all of it: sorting copies would fill the memory


@dataclass(frozen=True)
class View:
    """What a run shows the doctor.

    Attributes:
        x: `(rows, ...)` encoded inputs.
        y: `(rows,)` class numbers, `(rows, T)` numbers, or None.
        parts: Row numbers of train, valid, test.
        target_kind: class, labels, number, normal, quantiles, or "".
        labels: The classes.
        history: A record for each epoch.
        error: Why training stopped, if it failed.
        names: What the rows are called; empty where they have no names.
    """

    x: np.ndarray
    y: np.ndarray | None
    parts: Mapping[str, np.ndarray]
    target_kind: str = ""
    labels: Sequence[Any] = ()
    history: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        name: By which tests and people ask for it: duplicate-rows, overfitting ...
        severity: problem, warning or note.
        evidence: The numbers that show it.
        cause: What is wrong, in one sentence.
        remedies: What helps, the best first.
    """

    name: str
    severity: str
    evidence: Mapping[str, Any]
    cause: str
    remedies: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(held: dict[str, Any]) -> "Finding":
        return Finding(**{**held, "remedies": tuple(held["remedies"])})

    def __str__(self) -> str:
        return " ".join([self.cause, *self.remedies])


def keys(x: np.ndarray) -> np.ndarray:
    """One comparable key for each row: equal rows have equal keys. Of long rows (pictures) a hash of 128 bits."""
    flat = np.ascontiguousarray(x.reshape(len(x), -1))
    size = flat.dtype.itemsize * flat.shape[1]
    if size > LONG:
        digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat)
        return np.frombuffer(digests, np.dtype((np.void, 16)))
    return flat.view(np.dtype((np.void, size)))[:, 0]
