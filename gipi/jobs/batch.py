"""The answers to a file that may be larger than memory: piece by piece, each a part on the disk, joined at the end.

What is held at once is one piece. A process that is stopped, however it is stopped, is gone on with by the same call;
see part_files.py for how, data/row_files.py for the pieces, and release/answer_columns.py for the columns.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from gipi.data.remarks import abbreviated
from gipi.data.row_files import FILE, Piece, RowFile, open_rows
from gipi.errors import DataError
from gipi.jobs.join_parts import common_schema, join, letters, text_kinds
from gipi.jobs.part_files import Parts, check_out
from gipi.messages import _
from gipi.release.answer_columns import answer_columns, check_task, picture_columns, rows_for
from gipi.report.rows_bar import RowsBar
from gipi.report.text import number
from gipi.signals import Stopped

CLASH = "answer_"  # stands before the name of an answer that is a column of the input too


def answer_file(
    model: Any, inputs: list[str | Path], out: str | Path, is_quiet: bool = False, rows: int | None = None
) -> dict[str, Any]:
    """Answer all rows of a table file, or pictures, and write them with their answers.

    Args:
        model: A kept model.
        inputs: One table file; or picture files, or a folder of them.
        out: `.parquet`, `.csv` or `.jsonl`.
        is_quiet: Say nothing while it goes on.
        rows: Rows of a piece; None: as many as are well held in memory.

    Returns:
        `rows`, how many were written, and `out`, where.

    Raises:
        UsageError: The output cannot be, the input is of another kind, or the task has no columns.
        DataError: A row cannot be read; names it. What is finished is kept.
        RunError: The output is there already, somebody else writes it, or the disk is full.
    """
    paths, out = [Path(one).expanduser() for one in inputs], Path(out).expanduser()
    check_out(out, paths)
    check_task(model)
    source = open_rows(list(paths), model.schema.is_picture)
    stream = None if is_quiet else sys.stdout
    with RowsBar(stream) as bar, Parts(out, _job(model, source, out)) as parts:
        if parts.is_done:
            bar.note(_("{path} is finished; there is nothing to go on with", path=out))
        else:
            if parts.is_changed:
                bar.note(_("the input or the model is not what it was: begun anew"))
            elif parts.rows:
                bar.note(_("going on behind {count} rows that are finished", count=number(parts.rows)))
            _answer(model, source, parts, bar, rows or rows_for(model))
            if _job(model, source, out) != parts.job:
                raise DataError(
                    _("{file} was changed while it was read; nothing is written: begin again", file=source.name)
                )
            _join(source, parts)
            bar.note(_("{count} rows written to {path}", count=number(parts.rows), path=out))
        return {"rows": parts.rows, "out": str(out)}


def _job(model: Any, source: RowFile, out: Path) -> str:
    """Names what is answered by what, and how it is written."""
    said = [source.known_by(), model.checksum(), out.suffix.lower()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _answer(model: Any, source: RowFile, parts: Parts, bar: RowsBar, rows: int) -> None:
    """Write the parts that are missing."""
    said: list[str] = []  # each sentence once
    empty, is_csv = 0, parts.out.suffix.lower() == ".csv"
    pieces = source.pieces(parts.end, rows)  # has a name, so that it is not closed while a signal is still to come
    try:
        for piece in pieces:
            empty += piece.empty
            if not piece.frame.height:
                continue
            frame, left_out = _kept(piece.frame, parts.out.suffix.lower())
            found, clashes = _renamed(_answers(model, source, piece, parts.rows), source, piece.frame.columns)
            for sentence in [*_about(left_out, clashes), *_of_commas(piece)]:
                if sentence not in said:
                    said.append(sentence)
                    bar.note(sentence)
            kinds = letters(frame) if source.is_text and not is_csv else ""
            parts.add(pl.concat([frame, found], how="horizontal"), piece.end, empty, kinds)
            empty = 0
            bar.at(parts.rows, piece.share)
    except KeyboardInterrupt as stop:
        try:  # noqa: SIM105  # the call of `suppress` would hear it already
            time.sleep(0)  # polars stops at Ctrl-C by itself, and only then Python hears of it
        except Stopped:
            pass
        if parts.rows and bar.console is not None:
            bar.note(_("{count} rows are finished; the same call goes on behind them", count=number(parts.rows)))
            stop.is_said = True  # type: ignore[attr-defined]
        raise
    if not parts.rows:
        raise DataError(_("{file} has column names but no rows below them; add rows", file=source.name))
    if parts.empty:
        bar.note(_("rows without any value, left out: {count}", count=parts.empty))


def _join(source: RowFile, parts: Parts) -> None:
    """The parts as one file in its place."""
    files, whole = parts.files(), parts.folder / f"whole{parts.out.suffix.lower()}"
    schema = common_schema(files)
    if source.is_text and whole.suffix != ".csv":
        schema |= text_kinds(source.names, [part.kinds for part in parts.parts])
    join(files, whole, schema)
    parts.publish(whole)


def _answers(model: Any, source: RowFile, piece: Piece, start: int) -> pl.DataFrame:
    if source.is_pictures:
        return picture_columns(model, piece.frame[FILE].to_list())
    return answer_columns(model, piece.with_points(), piece.where, start)


def _kept(frame: pl.DataFrame, suffix: str) -> tuple[pl.DataFrame, list[str]]:
    """The columns that a file of this kind can hold, and the names of the others."""
    left_out = [name for name, kind in frame.schema.items() if not _fits(kind, suffix)]
    words = [name for name, kind in frame.schema.items() if kind == pl.Categorical]  # of this piece, not of the next
    return frame.drop(left_out).with_columns(pl.col(words).cast(pl.String)), left_out


def _fits(kind: pl.DataType, suffix: str) -> bool:
    if kind == pl.List(pl.Null):  # lists and records of JSON that are no words
        return False
    return suffix == ".parquet" or not (kind == pl.Binary or (kind.is_nested() and suffix == ".csv"))


def _renamed(answers: pl.DataFrame, source: RowFile, came: list[str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """The answers with other names where the input has columns of theirs, and which those are.

    Raises:
        DataError: Such a column was not there at the beginning, so that the answers before have its name.
    """
    renamed = {}
    for name in answers.columns:
        if name in source.names:
            other = CLASH + name
            while other in source.names or other in answers.columns:
                other = CLASH + other
            renamed[name] = other
        elif name in came:
            text = _(
                "{file}: a column '{name}' comes up late, and is the name of an answer; give it to the first row too",
                file=source.name,
                name=name,
            )
            raise DataError(text)
    return answers.rename(renamed), renamed


def _about(left_out: list[str], clashes: dict[str, str]) -> list[str]:
    said = []
    if left_out:
        names = abbreviated(left_out)
        said.append(_("left out, because their cells are lists, records or bytes: {names}", names=names))
    if clashes:
        names = abbreviated([f"{name} -> {other}" for name, other in clashes.items()])
        said.append(_("the input has columns with names of answers; the answers are called: {names}", names=names))
    return said


def _of_commas(piece: Piece) -> list[str]:
    if not piece.commas:
        return []
    names = abbreviated(list(piece.commas))
    return [_("commas in numbers are read as decimal points (1,5 is 1.5): {names}", names=names)]
