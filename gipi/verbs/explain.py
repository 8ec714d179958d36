"""`gipi predict --explain`, `gipi.explain`: why a kept model answers as it does; for pictures, drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.messages import _
from gipi.run import Run
from gipi.verbs.drawing import Drawing
from gipi.verbs.load import load

if TYPE_CHECKING:
    from gipi.release.explain import PictureExplanation, RowExplanation
    from gipi.release.looked import LookExplanation
    from gipi.release.text_saliency import TextExplanation


def explain(
    source: Any, rows: Any, target: Any = None, layer: str | None = None, baseline: Any = None
) -> "Explanations":
    """Where in a picture the model looked, which words of a text decided, or what each column of a table did.

    One explanation per row.

    Args:
        source: A run, its folder or name, or a bundle.
        rows: One row or many, as in `predict`.
        target: The class, label or target to be explained; None: what is answered (of several targets the first).
        layer: For Grad-CAM: the name of a layer; None: the last that has places enough.
        baseline: For integrated gradients: the picture that says nothing; None: a black one.

    Raises:
        UsageError: The model makes, moves or groups things; there is no such target or layer.
        DataError: A row lacks a column, a picture is damaged.

    Example:
        >>> import gipi
        >>> found = gipi.explain("last", "digit.png")     # doctest: +SKIP
        >>> found[0].cam, found[0].gradients               # doctest: +SKIP
        >>> found.save("explained")                        # doctest: +SKIP
    """
    model = source.model if isinstance(source, Run) else load(source)
    return Explanations(model.explain(rows, target, layer, baseline))


@dataclass
class Explanations:
    """Explanations of rows, in their order; of pictures they can be drawn, and in Jupyter they show themselves."""

    rows: "list[PictureExplanation | RowExplanation | TextExplanation | LookExplanation]"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> "PictureExplanation | RowExplanation | TextExplanation | LookExplanation":
        return self.rows[place]

    def __iter__(self) -> "Iterator[PictureExplanation | RowExplanation | TextExplanation | LookExplanation]":
        return iter(self.rows)

    def save(self, folder: str | Path) -> list[Path]:
        """One PNG for each picture: the picture, Grad-CAM over it, integrated gradients.

        Raises:
            UsageError: They are of texts or of a table's rows.
        """
        drawings = [drawn(row) for row in self.rows]
        return [one.save(Path(folder) / f"explained-{number}.png") for number, one in enumerate(drawings, 1)]

    def _repr_html_(self) -> str | None:
        """Texts with their words coloured, red for what was said and blue against it."""
        from gipi.report.words import explained_html

        if not self.rows or not hasattr(self.rows[0], "words"):
            return None
        return explained_html([(row.of, row.marked()) for row in self.rows])  # type: ignore[union-attr]

    def _repr_png_(self) -> bytes | None:
        """All of them below each other, where they are of pictures."""
        from gipi.report.sheet import below_each_other, png_of

        if not self.rows or not hasattr(self.rows[0], "picture"):
            return None
        return png_of(below_each_other([drawn(row).image for row in self.rows]))


def drawn(explanation: Any) -> Drawing:
    """An explanation as a picture.

    Raises:
        UsageError: It is of a text or of a row of a table.
    """
    from gipi.report.sheet import explanation_sheet

    if hasattr(explanation, "words"):
        raise UsageError(_("what explains a text is its words, .words; there is nothing to draw"))
    if not hasattr(explanation, "picture"):
        raise UsageError(_("what explains a row of a table is numbers, .columns; there is nothing to draw"))
    found, wanted = explanation.change + explanation.gap, explanation.change
    sheet = explanation_sheet(
        explanation.picture,
        explanation.cam,
        explanation.gradients,
        _caption(explanation),
        _caption(explanation, without_name=True),
        explanation.layer or "",
        f"{found:+.3g} / {wanted:+.3g}",
    )
    return Drawing(sheet)


def _caption(explanation: Any, without_name: bool = False) -> str:
    """What is explained and how likely it is held: `Coat 80.9 %`, `angle 0.153`."""
    said, name = explanation.said, "" if without_name else str(explanation.of)
    if "probabilities" in said:
        return f"{name} {100 * said['probabilities'][str(explanation.of)]:.1f} %".strip()
    value = said["value"] if "value" in said else said[str(explanation.of)]["value"]
    return f"{name} {value:.4g}".strip()
