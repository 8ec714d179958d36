"""`gipi predict`: the answers of a kept model, one for each row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from gipi.run import Run
from gipi.verbs.load import load, load_networks

if TYPE_CHECKING:
    from gipi.release.bundle import Runtime
    from gipi.release.explain import PictureExplanation, RowExplanation
    from gipi.release.looked import LookExplanation
    from gipi.release.text_saliency import TextExplanation


@overload
def predict(source: Any, rows: Any, *, runtime: "Runtime | None" = None) -> list[dict[str, Any]]: ...


@overload
def predict(source: Any, rows: Any, out: str | Path, quiet: bool = False, runtime: "Runtime | None" = None) -> Path: ...


def predict(
    source: Any, rows: Any, out: str | Path | None = None, quiet: bool = False, runtime: "Runtime | None" = None
) -> list[dict[str, Any]] | Path:
    """One answer per row.

    Args:
        source: A run, its folder or name, or a bundle.
        rows: One row or many: dicts, a frame, arrays, a table file, pictures as files or arrays; where pictures or
            players are made, how many.
        out: Write the rows with their answers to this file (`.parquet`, `.csv`, `.jsonl`) instead, and give its path.
            `rows` is then a table file, however large, or a folder or list of picture files. Where it was stopped the
            same call goes on.
        quiet: With `out`: say nothing meanwhile.
        runtime: "torch" or "onnx": see `gipi.load`.

    Raises:
        DataError: A row lacks a column, or a value cannot be read.
        UsageError: `out` cannot be, or `rows` is nothing that can be read in pieces.
    """
    if out is None:
        opened = source if isinstance(source, Run) and runtime is None else load(source, runtime=runtime)
        return opened.predict(rows)  # a run has opened its model already
    inputs = [rows] if isinstance(rows, str | Path) else rows
    return Path(written_to(source, inputs, out, quiet, runtime)["out"])


def written_to(
    source: Any, inputs: Any, out: str | Path, quiet: bool, runtime: "Runtime | None" = None
) -> dict[str, Any]:
    """The answers to files, written to a file: how many `rows`, and where, `out`.

    Raises:
        UsageError: The inputs are no files, or the output cannot be.
    """
    from gipi.errors import UsageError
    from gipi.jobs.batch import answer_file
    from gipi.jobs.part_files import check_out
    from gipi.messages import _

    if not isinstance(inputs, list | tuple) or not all(isinstance(one, str | Path) for one in inputs) or not inputs:
        came = type(inputs).__name__
        raise UsageError(_("out goes with a table file, or files or a folder of pictures; {came} came", came=came))
    check_out(Path(out).expanduser(), [Path(one).expanduser() for one in inputs])  # before the model is opened
    return answer_file(load(source, runtime=runtime), list(inputs), out, quiet)


def answers_to(source: Any, inputs: list[str], runtime: "Runtime | None" = None) -> list[dict[str, Any]]:
    """The answers to what was typed on a command line: JSON, files, or several of them; a count where things are made.

    Raises:
        UsageError: It is not JSON although it looks so.
    """
    model = load(source, runtime=runtime)
    answers = []
    for text in inputs:
        answers += model.predict(_typed(text))
    return answers


def explained(
    source: Any, inputs: list[str]
) -> "Iterator[tuple[str, PictureExplanation | RowExplanation | TextExplanation | LookExplanation]]":
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
