"""`gipi predict`: the answers of a kept model, one for each row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.run import Run
from gipi.verbs.load import load, load_networks

if TYPE_CHECKING:
    from gipi.release.explain import PictureExplanation, RowExplanation


def predict(source: Any, rows: Any) -> list[dict[str, Any]]:
    """One answer per row.

    Args:
        source: A run, its folder or name, or a bundle.
        rows: One row or many: dicts, a frame, arrays, a table file, pictures as files or arrays; where pictures or
            players are made, how many.

    Raises:
        DataError: A row lacks a column, or a value cannot be read.
    """
    return (source if isinstance(source, Run) else load(source)).predict(rows)  # a run has opened its model already


def answers_to(source: Any, inputs: list[str]) -> list[dict[str, Any]]:
    """The answers to what was typed on a command line: JSON, files, or several of them; a count where things are made.

    Raises:
        UsageError: It is not JSON although it looks so.
    """
    model = load(source)
    answers = []
    for text in inputs:
        answers += model.predict(_typed(text))
    return answers


def explained(source: Any, inputs: list[str]) -> "Iterator[tuple[str, PictureExplanation | RowExplanation]]":
    """Why the model answers so to what was typed: each input with the explanation of a row of it, as they are found."""
    from gipi.release.explain import explanations

    model = load_networks(source)
    for text in inputs:
        for one in explanations(model, _typed(text)):
            yield text, one


def _typed(text: str) -> Any:
    import json

    from gipi.errors import UsageError
    from gipi.messages import _

    if not text.lstrip().startswith(("{", "[")) or _exists(text):
        return int(text) if text.isdigit() and not _exists(text) else text
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(_("'{text}' is not JSON: {reason}", text=text[:60], reason=error)) from error


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with a letter that no name has
        return False
