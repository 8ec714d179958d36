"""Where a translation looked: for each token that was said, how much the network looked at each token of the source."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gipi import tasks
from gipi.errors import UsageError
from gipi.messages import _
from gipi.release.rows import as_rows

if TYPE_CHECKING:
    from gipi.release.model import Model


@dataclass(frozen=True)
class LookExplanation:
    """Where one translation looked.

    Attributes:
        said: The answer, as `predict` gives it.
        of: The translation.
        source: The tokens of the source, what begins and ends it among them.
        target: The tokens of the translation, and its end.
        weights: For each token of the target how much was looked at each of the source; they add up to 1.
    """

    said: dict[str, Any]
    of: str
    source: list[str]
    target: list[str]
    weights: list[list[float]]

    def json(self) -> dict[str, Any]:
        """Tokens of both sides, and the weights, a row for each token of the translation."""
        return {"of": self.of, "source": self.source, "target": self.target, "weights": self.weights}

    def most(self) -> list[tuple[str, str, float]]:
        """For each token of the translation the one that was looked at most, and how much."""
        places = [max(range(len(row)), key=row.__getitem__) for row in self.weights]
        rows = zip(self.target, places, self.weights, strict=True)
        return [(token, self.source[place], row[place]) for token, place, row in rows]


def look_explanations(model: "Model", rows: Any) -> Iterator[LookExplanation]:
    """One for each text.

    Raises:
        UsageError: The network reads the source once and does not look back.

    Example:
        >>> model.explain("Ein Hund rennt.")[0].most()[1]  # doctest: +SKIP
        ('dog', 'Hund', 0.93)
    """
    task = tasks.load("translate")
    (x,) = model.encode(as_rows(model.schema, rows))
    found = task.found_by(model, x)
    seen = task.looked(model, x, found)
    if seen is None:
        raise UsageError(_("this network reads a text once and does not look back: there is nothing to show"))
    for answer, (source, target, weights) in zip(task.in_words(model, found), seen, strict=True):
        shares = [[round(float(share), 4) for share in row] for row in weights]
        yield LookExplanation(answer, answer["text"], source, target, shares)
