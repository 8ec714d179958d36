"""What a report says, before it is written: plain records that whoever trained fills, and report/html.py draws.

Every field may stay empty; what is empty is left out of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[float, float | None, float | None]  # a value and the ends of its 95 % interval


@dataclass
class Mistake:
    """One row that the model got wrong, or got most wrong.

    Attributes:
        said: What the model answered.
        true: What it should have been.
        probability: How sure the model was of its answer.
        picture: `(H, W)` or `(H, W, C)`, uint8, or float 0..1.
        row: The columns of the row.
        number: Which row of the data it is.
        looked: Where the model looked for its answer: a picture to stand beside it.
        words: Of a text all its parts with what each adds to the answer, in order.
    """

    said: Any
    true: Any
    probability: float | None = None
    picture: Any = None
    row: Mapping[str, Any] | None = None
    number: int | None = None
    looked: Any = None
    words: Sequence[tuple[str, float]] | None = None


@dataclass
class Classification:
    """How a classifier did: `matrix[true][said]`, and for each row how sure it was and whether rightly."""

    labels: Sequence[Any] = ()
    matrix: Sequence[Sequence[float]] = ()
    probabilities: Sequence[float] = ()
    correct: Sequence[Any] = ()
    mistakes: Sequence[Mistake] = ()
    name: str = ""


@dataclass
class Regression:
    """How a regression of one target did, row by row."""

    true: Sequence[float] = ()
    predicted: Sequence[float] = ()
    worst: Sequence[Mistake] = ()
    name: str = ""


@dataclass
class Clusters:
    """Points of the plane and the group of each."""

    points: Sequence[Sequence[float]]
    groups: Sequence[Any]
    name: str = ""
    notes: Sequence[str] = ()


@dataclass
class Pictures:
    """Pictures that a model made, `(H, W)` or `(H, W, C)` each."""

    pictures: Sequence[Any]
    captions: Sequence[str] = ()
    name: str = ""


@dataclass
class Whole:
    """One large picture, `(H, W, 3)`, and what it shows."""

    picture: Any
    name: str
    note: str = ""


@dataclass
class Values:
    """Many numbers, such as the return of each episode, shown as a histogram."""

    values: Sequence[float]
    name: str = ""


@dataclass
class Table:
    """Anything else, in columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    name: str = ""


@dataclass
class Grid:
    """How much each row has to do with each column, 0 to 1: where a translation looked, say."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    name: str = ""
    note: str = ""


@dataclass
class FoundPlot:
    """The evidence of one of the doctor's findings; see `gipi.doctor.Plot`."""

    title: str
    lines: Mapping[str, Sequence[float]]
    x: Sequence[float] = ()
    labels: Sequence[str] = ()
    limit: float | None = None


Result = Classification | Regression | Clusters | Pictures | Whole | Values | Table | Grid


@dataclass
class Baseline:
    """One way to the same end, with what it cost; `ours` is the model of this run."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    ours: bool = False


@dataclass
class Page:
    """A whole report.

    Attributes:
        title: The name of the run.
        subtitle: Short facts beside it: task, system, data, date.
        verdict: Sentences; the first is the headline.
        tone: How the verdict is coloured: good, warn (not worth it), bad (failed), plain.
        warnings: What went wrong or needs care; shown before everything else.
        data: Sentences on what the data is and what was noticed.
        model: Layer, output shape, parameters.
        loss: What the run wanted to be small.
        algorithm: How it went about it, a line each.
        history: A record for each epoch, as training gives it (see report/records.py); "member" tells folds apart.
        best: The epoch whose weights were kept; None: the last that its record calls `is_best`, if there is one member.
        metrics: Name -> a number, or `(value, low, high)`, or a float that has `.low` and `.high`.
        metrics_of: Which rows the metrics are of, as a person reads it: "test part, 360 rows".
        results: What is particular to the task.
        baselines: All ways compared, this run's model among them.
        baseline_metric: What they are compared by.
        findings: What the doctor found, as run.json holds it.
        configuration: Everything that was chosen; may be nested.
        profile: Where the time went: name, seconds.
        language: "en", "ko", or None: the language in force.
    """

    title: str
    subtitle: Sequence[str] = ()
    verdict: Sequence[str] = ()
    tone: str = "plain"
    warnings: Sequence[str] = ()
    data: Sequence[str] = ()
    model: Sequence[tuple[str, Any, int | None]] = ()
    loss: str = ""
    algorithm: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()
    best: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    metrics_of: str = ""
    results: Sequence[Result] = ()
    baselines: Sequence[Baseline] = ()
    baseline_metric: str = ""
    findings: Sequence[Mapping[str, Any]] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    profile: Sequence[tuple[str, float]] = ()
    language: str | None = None


def as_interval(value: Any) -> Interval:
    """A metric as `(value, low, high)`, whichever of its three shapes it comes in."""
    if isinstance(value, (tuple, list)):
        held = [*value, None, None]
        return float(held[0]), held[1], held[2]
    return float(value), getattr(value, "low", None), getattr(value, "high", None)
