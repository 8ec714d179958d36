"""From what a person hands in to what can be learned from: opened, typed, checked, cut into parts.

Whatever is wrong with the data is said before the first step, with the row or column and what to do. What a column is
(a number, a category ...) is decided by the data itself; rows of a part that came in a file of its own must fit it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.remarks import abbreviated
from gipi.data.split import Parts, folds, split
from gipi.errors import DataError, UsageError, nearest
from gipi.jobs.checks import check_use, flag
from gipi.jobs.options import Fit
from gipi.jobs.pieces import Piece, Progress, Where, files_of, fitting, joined, open_part, open_piece, some_of, typed
from gipi.jobs.target import against_the_rest, task_of, whole
from gipi.jobs.texts import said_of_texts, text_columns
from gipi.messages import _

FEWEST = 30  # rows; with fewer nothing is set aside, there would be nothing to see in a part


@dataclass
class Material:
    """Data that is ready to be encoded.

    Attributes:
        data: Typed; rows without a target are gone.
        task: The name of the task.
        target_kind: class, labels, number, normal, quantiles; "" without a target.
        kinds: The kind of each input column of a table.
        parts: Row numbers of train, valid, test.
        folds: (train, valid) of each fold; empty without `--folds`.
        weights: `(rows,)` row weights, or None.
        notes: What a person should read.
    """

    data: Dataset
    task: str
    target_kind: str
    kinds: dict[str, str]
    parts: Parts
    folds: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    weights: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def seen(self) -> np.ndarray:
        """All rows but the test part."""
        return np.sort(np.concatenate([rows for name, rows in self.parts.items() if name != "test"]))


def gather(source: Any, options: Fit, progress: Progress | None = None, size: Any = None) -> Material:
    """Open, type, check and split; `size`: (height, width) that picture files are brought to.

    Raises:
        DataError: The data cannot be used; names the file, row or column.
        UsageError: An option does not fit the data.
    """
    from gipi.data.columns import infer

    if isinstance(source, Material):  # somebody has done it by hand: the scikit-learn estimators
        return source
    own = open_piece(source, options, size=size, progress=progress)
    notes = list(own.data.notes)
    _check_asked(own.data, options)
    own.data = _without_target(own.data, options, notes)
    data, target = own.data, own.data.target
    aside = {name for name in (options.group, options.weight, *options.drop) if name}
    kinds, remarks = infer(
        data.frame.drop(aside), target, picture=data.kind != "table", where=own.where, mapped=data.mapped
    )
    if text := text_columns(data, kinds, options):
        own.data = data = replace(data, text=text)
        kinds = {name: kind for name, kind in kinds.items() if name in target} | dict.fromkeys(text, "text")
        remarks = [said_of_texts(data, (*aside, *target))]
    notes += remarks
    if options.drop:
        notes.append(_("nothing is learned from: {names}", names=abbreviated(options.drop, 12)))
    inputs = dict.fromkeys(data.text, "text") if data.text else _inputs(kinds, target, options)
    kinds |= _kinds_aside(data, options, own.where)
    exact = (*target, *_aside(options).values())
    own = typed(own, kinds, target, notes, exact)
    if len(own.data) < 2:
        raise DataError(_("{name} has one row to learn from; at least two are needed", name=own.data.name))
    others = {part: open_part(part, path, own.data, options, progress) for part, path in files_of(options).items()}
    others = {part: typed(fitting(piece, part, data), kinds, target, notes, exact) for part, piece in others.items()}
    own.data, kinds = against_the_rest(own.data, kinds, options)
    others = {part: Piece(against_the_rest(p.data, kinds, options, part)[0], p.where) for part, p in others.items()}
    task, target_kind = task_of(own.data, kinds, options, notes)
    check_use(options, task, target_kind, data.kind)
    if data.text and own.data.mapped:
        raise DataError(_("{name} is larger than memory: texts of rows are held in it", name=data.name))
    if task == "cluster" and own.data.mapped:
        own = some_of(own, len(inputs), options, notes)
    if data.kind == "table" and not inputs:
        raise DataError(_nothing_left(data, target))
    together = joined(own, others, notes)
    if target_kind == "class":
        frame = together.data.frame
        together.data = replace(together.data, frame=frame.with_columns(whole(frame[name]) for name in target))
    weights = _weights(together, options)
    parts, folded = _parts(together, target_kind, options, notes)
    if weights is not None and not weights[parts["train"]].any():
        raise DataError(_("the weights in '{name}' are 0 in every training row", name=options.weight))
    return Material(together.data, task, target_kind, inputs, parts, folded, weights, notes)


def _without_target(data: Dataset, options: Fit, notes: list[str]) -> Dataset:
    """`--no-target`: clusters that are given the answer are no discovery."""
    if not options.no_target or not data.target:
        return data
    names = [name for name in data.target if name not in _aside(options).values()]
    notes.append(_("Left out, because it is what is usually predicted: {names}.", names=", ".join(names)))
    return replace(data, frame=data.frame.drop(names), target=())


# --- columns that were asked for ---------------------------------------------------------------------------------


def _aside(options: Fit) -> dict[str, str]:
    """Columns that say something about a row beside the inputs: option -> column."""
    named = {"group": options.group, "time": options.time, "weight": options.weight}
    return {option: name for option, name in named.items() if name is not None}


def _check_asked(data: Dataset, options: Fit) -> None:
    if options.no_target and options.target:
        raise UsageError(_("--no-target and --target exclude each other"))
    if options.no_target and data.kind == "picture":
        raise UsageError(_("clusters are looked for in tables; {name} has pictures", name=data.name))
    if options.group and options.time:
        raise UsageError(_("--group and --time exclude each other: parts are cut by one of them"))
    for option, name in (*_aside(options).items(), *(("drop", name) for name in options.drop)):
        if name not in data.frame.columns:
            known = ", ".join(data.frame.columns[:30])
            text = _(
                "{option}: there is no column '{name}'; the columns are: {known}.",
                option=flag(option),
                name=name,
                known=known,
            )
            raise UsageError(text + nearest(name, data.frame.columns))
        if name in data.target and not options.no_target:
            raise UsageError(_("{option}: '{name}' is the target", option=flag(option), name=name))


def _kinds_aside(data: Dataset, options: Fit, where: Where) -> dict[str, str]:
    """What the columns of `--time` and `--weight` are; they are looked at as targets are, so that none is left out."""
    from gipi.data.columns import infer

    kinds, frame = {}, data.frame
    for option, name in _aside(options).items():
        kinds |= infer(frame.select(name), (name,), where=where, mapped=data.mapped)[0]
        if option == "time" and kinds[name] not in ("number", "date"):
            value = frame[name].drop_nulls().first()
            raise DataError(
                _(
                    "--time: the column '{name}' holds neither numbers nor dates, but for instance '{value}'",
                    name=name,
                    value=value,
                )
            )
        if option == "weight" and kinds[name] != "number":
            raise DataError(_("--weight: the column '{name}' does not hold numbers", name=name))
    return kinds


def _inputs(kinds: dict[str, str], target: tuple[str, ...], options: Fit) -> dict[str, str]:
    """The kind of each column that is learned from; the time of a row may say something, its group and weight not."""
    aside = {options.group, options.weight, *options.drop, *target}
    used = ("number", "boolean", "category", "date")
    inputs = {name: kind for name, kind in kinds.items() if name not in aside and kind in used}
    if options.time in inputs and inputs[options.time] not in ("number", "date"):
        inputs.pop(options.time)
    return inputs


def _nothing_left(data: Dataset, target: tuple[str, ...]) -> str:
    """Why no column is left: there is none beside the target, or each was left out."""
    others = [name for name in data.frame.columns if name not in target]
    if not others:
        return _("{name} has no column beside the target: there is nothing to learn from", name=data.name)
    return _(
        "no column of {name} is left to learn from: {columns} are constant, name rows, hold free text, or were dropped",
        name=data.name,
        columns=", ".join(others[:12]),
    )


# --- weights and parts -------------------------------------------------------------------------------------------


def _weights(piece: Piece, options: Fit) -> np.ndarray | None:
    if not options.weight:
        return None
    column = piece.data.frame[options.weight]
    bad = column.is_null() | (column < 0).fill_null(False)
    if bad.any():
        row = int(bad.arg_true()[0])
        came = _("missing") if column[row] is None else f"{column[row]:g}"
        raise DataError(
            _(
                "--weight: the weight in '{name}', {place}, is {came}; weights are numbers, at least 0",
                name=options.weight,
                place=piece.where(row),
                came=came,
            )
        )
    return column.cast(pl.Float64).to_numpy()


def _parts(piece: Piece, target_kind: str, options: Fit, notes: list[str]):
    """Train, valid and test; and the folds."""
    data = piece.data
    rows = len(data)
    if rows < FEWEST and not data.parts and not options.folds:
        notes.append(
            _("{rows} rows are too few to set any aside: all are for training, and the figures are theirs", rows=rows)
        )
        return {"train": np.arange(rows)}, []
    chosen = {"groups": _codes(data, options.group), "order": _codes(data, options.time)}
    if target_kind == "class" and not options.group and not options.time:
        (name,) = data.target
        chosen["strata"] = _codes(data, name)
    if options.time and (gaps := data.frame[options.time].null_count()):
        notes.append(_("rows without a value of '{name}' come first: {count}", name=options.time, count=gaps))
    valid = 0.0 if options.folds else options.valid_share
    given = {n: r for n, r in data.parts.items() if not (options.folds and n == "valid")}
    parts = split(rows, options.seed, test=options.test_share, valid=valid, given=given, **chosen)
    folded = folds(parts["train"], options.folds, options.seed, **chosen) if options.folds else []
    if target_kind == "class":
        _check_labels(piece, parts)
        _check_folds(data.frame[data.target[0]], folded, notes)
    return parts, folded


def _codes(data: Dataset, name: str | None) -> np.ndarray | None:
    """A column as numbers that sort as its values do; a missing value comes first."""
    if name is None:
        return None
    if data.mapped and data.frame[name].dtype == pl.Enum:  # its words are in their order already
        codes = data.frame[name].to_physical()
        return codes.cast(pl.UInt8 if codes.max() < 255 else pl.UInt32).fill_null(0).to_numpy()  # type: ignore
    return data.frame[name].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _check_labels(piece: Piece, parts: Parts) -> None:
    """A class that only test or validation rows have cannot be learned."""
    labels = piece.data.frame[piece.data.target[0]]
    known = set(labels[parts["train"]].unique().to_list())
    for part in ("valid", "test"):
        unknown = set(labels[parts[part]].unique().to_list()) - known if part in parts else set()
        if unknown:
            value = min(unknown, key=str)
            row = int(parts[part][labels[parts[part]].to_list().index(value)])
            raise DataError(
                _(
                    "the label '{label}' ({place}) is in the part '{part}' only: no training row has it",
                    label=value,
                    place=piece.where(row),
                    part=part,
                )
            )


def _check_folds(labels: pl.Series, folded: list[tuple[np.ndarray, np.ndarray]], notes: list[str]) -> None:
    """Each class must be among the training rows of each fold; where a fold is judged without one, that is said."""
    if not folded:
        return
    rows = np.concatenate([valid for _train, valid in folded])
    counts = labels[rows].value_counts().sort(labels.name)
    for train, _valid in folded:
        lacking = set(counts[labels.name].to_list()) - set(labels[train].unique().to_list())
        if lacking:
            label = min(lacking, key=str)
            raise DataError(
                _(
                    "the class '{label}' has all its rows in one of the {count} folds, so one model would not know it;"
                    " remove the class, add rows, or leave out --folds",
                    label=label,
                    count=len(folded),
                )
            )
    few = counts.filter(pl.col("count") < len(folded))
    if few.height:
        names = ", ".join(f"{label} ({count})" for label, count in few.iter_rows())
        notes.append(_("classes with fewer rows than folds, which some folds are judged without: {names}", names=names))
