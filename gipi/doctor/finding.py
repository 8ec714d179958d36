"""What a check looks at, and what it says."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

LONG = 64  # bytes of a row of which its hash is compared, not all of it: it is sorted in a quarter of the time
Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class View:
    """What is known of a run, its data and its training; what is not known is empty, and a check then says nothing.

    Attributes:
        x: `(rows, ...)` encoded inputs.
        y: `(rows,)` class numbers, `(rows, T)` numbers, or None.
        parts: Row numbers of train, valid, test.
        is_drawn: The parts were drawn at random from the same rows, so they cannot be of different kinds.
        target_kind: class, labels, number, normal, quantiles, or "".
        labels: The classes.
        history: A record for each epoch, of all members: epoch, step, train {player: loss}, valid {name: number}, ...
        error: Why training stopped, if it failed.
        names: What the rows are called; empty where they have no names.
        frame: The table as it came, a polars frame, with the columns that nothing is learned from; None: no table.
        target: The columns that are predicted.
        used: The kind of each column that is learned from: number, boolean, category, date, text.
        group: The column that `--group` names.
        time: The column that `--time` names.
        task: classify, regress, generate, write, act ...; "" in a loop of a person's own.
        system: mlp, convnet, gan ...; own where it is a person's.
        options: The options of the run and of its system as they were in the end, by name.
        usual: The same as they come, where nothing else is said.
        parameters: Numbers that are learned.
        steps: That were planned.
        curve: Of each player `(n, 3)`: step, mean and spread of the losses of some neighbouring steps, in order.
        step_sizes: `(n, 2+)` step, and the step size that the optimizer had; empty: see the history's `step_size`.
        probes: What was tried before the first step and after the last, see probes.py.
        visits: What was seen on looks into the training, in order, see statistics.py.
        faults: Where training went wrong and went on with smaller steps: fault, step, player, from.
        evidence: What a task knows of its answers: pictures' variety, actions, written text; see each job.
    """

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    target_kind: str = ""
    labels: Sequence[Any] = ()
    history: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    names: Sequence[str] = ()
    frame: Any = None
    target: tuple[str, ...] = ()
    used: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    time: str | None = None
    task: str = ""
    system: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
    steps: int = 0
    curve: Mapping[str, np.ndarray] = field(default_factory=dict)
    step_sizes: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    probes: Mapping[str, Any] = field(default_factory=dict)
    visits: Sequence[Mapping[str, Any]] = ()
    faults: Sequence[Mapping[str, Any]] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    is_drawn: bool = False


@dataclass(frozen=True)
class Remedy:
    """What helps.

    Attributes:
        text: For a person.
        changes: The same as options, of `gipi fit` or of the system; empty: no option does it.
    """

    text: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Plot:
    """The numbers of a finding as a picture: lines over `x`, or a bar for each label.

    Attributes:
        title: What it shows.
        lines: The values of each line, by its name; or of bars, one list.
        x: Where the values of lines lie; empty: they are counted.
        labels: Of bars; empty: lines.
        limit: A level that something should stay below, or above.
    """

    title: str
    lines: Mapping[str, Sequence[float]]
    x: Sequence[float] = ()
    labels: Sequence[str] = ()
    limit: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        name: By which tests and people ask for it: duplicate-rows, overfitting ...
        severity: problem, warning or note.
        evidence: The numbers that show it.
        cause: What is wrong, in one sentence.
        remedies: What helps, the best first.
        plot: The evidence as a picture.
    """

    name: str
    severity: Severity
    evidence: Mapping[str, Any]
    cause: str
    remedies: tuple[Remedy, ...] = ()
    plot: Plot | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(held: dict[str, Any]) -> "Finding":
        remedies = tuple(Remedy(one) if isinstance(one, str) else Remedy(**one) for one in held["remedies"])
        plot = held.get("plot")
        return Finding(**{**held, "remedies": remedies, "plot": Plot(**plot) if plot else None})

    def __str__(self) -> str:
        return " ".join([self.cause, *map(str, self.remedies)])


def keys(x: np.ndarray) -> np.ndarray:
    """One comparable key for each row: equal rows have equal keys. Of long rows (pictures) a hash of 128 bits."""
    flat = np.ascontiguousarray(x.reshape(len(x), -1))
    size = flat.dtype.itemsize * flat.shape[1]
    if size > LONG:
        digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat)
        return np.frombuffer(digests, np.dtype((np.void, 16)))
    return flat.view(np.dtype((np.void, size)))[:, 0]
