"""From what a person hands in to what can be learned from: opened, typed, checked, cut into parts.

Whatever is wrong with the data is said here, before the first step, with the row or column and what to do.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.split import Parts, folds, is_worth_stratifying, split
from gipi.errors import DataError, UsageError, nearest
from gipi.jobs.options import Fit
from gipi.messages import _

FEWEST = 30  # rows; with fewer nothing is set aside, there would be nothing to see in a part
MOST_CLASSES = 1000


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


def gather(source: Any, options: Fit) -> Material:
    """Open, type, check and split.

    Raises:
        DataError: The data cannot be used; names the file, row or column.
        UsageError: An option does not fit the data.
    """
    from gipi.data.columns import conform, infer

    data = _opened(source, options)
    notes = list(data.notes)
    if not len(data):
        raise DataError(_("{name} has no rows", name=data.name))
    target = () if options.no_target else data.target
    for name in (*target, *_named(options)):
        _check_column(name, data.frame)
    if options.no_target and data.kind == "picture":
        raise UsageError(_("clusters are looked for in tables; {name} has pictures", name=data.name))
    where = _where(data)
    kinds, remarks = infer(data.frame, target, picture=data.kind == "picture", where=where)
    notes += remarks
    data = _with_targets(replace(data, target=target), kinds, notes)
    data = replace(data, frame=conform(data.frame, kinds, target, where))
    data, kinds = _against_the_rest(data, kinds, options)
    task, target_kind = _task(data, kinds, options, notes)
    if target_kind == "class":
        data = replace(data, frame=data.frame.with_columns(_whole(data.frame[data.target[0]])))
    weights = _weights(data, options)
    aside = {options.group, options.time, options.weight} - {None}
    inputs = {
        name: kind
        for name, kind in kinds.items()
        if name not in target and name not in aside and kind in ("number", "boolean", "category", "date")
    }
    if options.time and kinds.get(options.time) in ("number", "date") and options.time not in target:
        inputs[options.time] = kinds[options.time]
    if data.kind == "table" and not inputs:
        raise DataError(_("no column of {name} is left to learn from", name=data.name))
    parts, folded = _parts(data, target_kind, options, notes)
    return Material(data, task, target_kind, inputs, parts, folded, weights, notes)


# --- opening -----------------------------------------------------------------------------------------------------


def _opened(source: Any, options: Fit) -> Dataset:
    """The data set, with the rows of `--valid` and `--test` behind its own."""
    from gipi.data.sources import open_data

    def opened(one: Any) -> Dataset:
        target = options.target or None
        return open_data(one, target=target, picture_size=options.picture_size, separator=options.separator)

    data = opened(source)
    for part, path in (("valid", options.valid), ("test", options.test)):
        if path is not None:
            data = _joined(data, part, opened(path))
    return data


def _joined(data: Dataset, part: str, more: Dataset) -> Dataset:
    """The data set with another's rows behind its own, as a part of its own."""
    if more.kind != data.kind:
        raise DataError(
            _("the part '{part}' holds {came}s, the data {kind}s", part=part, came=more.kind, kind=data.kind)
        )
    missing = [name for name in data.frame.columns if name not in more.frame.columns]
    if missing:
        raise DataError(_("the part '{part}' lacks columns of the data: {names}", part=part, names=", ".join(missing)))
    pictures = None
    if data.pictures is not None and more.pictures is not None:
        if data.pictures.shape[1:] != more.pictures.shape[1:]:
            shapes = f"{data.pictures.shape[1:]}, {more.pictures.shape[1:]}"
            raise DataError(
                _(
                    "the part '{part}' has pictures of another size: {shapes}; give --picture-size",
                    part=part,
                    shapes=shapes,
                )
            )
        pictures = np.concatenate([data.pictures, more.pictures])
    added = more.frame.select(data.frame.columns)
    text = [name for name in added.columns if added[name].dtype != data.frame[name].dtype]
    frames = (
        [frame.with_columns(pl.col(text).cast(pl.String)) for frame in (data.frame, added)]
        if text
        else [data.frame, added]
    )
    parts = {name: rows for name, rows in data.parts.items() if name != part}
    parts[part] = np.arange(len(data), len(data) + len(more))
    return replace(data, frame=pl.concat(frames), pictures=pictures, parts=parts, notes=[*data.notes, *more.notes])


def _named(options: Fit) -> list[str]:
    return [name for name in (options.group, options.time, options.weight) if name]


def _check_column(name: str, frame: pl.DataFrame) -> None:
    if name not in frame.columns:
        hint = nearest(name, frame.columns)
        raise UsageError(
            _("there is no column '{name}'; the columns are: {known}.", name=name, known=", ".join(frame.columns[:30]))
            + hint
        )


def _where(data: Dataset):
    """How to say where a row is: by its line in the file, if it came from one."""
    from pathlib import Path

    from gipi.data.columns import row_number
    from gipi.data.tables import place

    if data.origin and Path(data.origin).is_file() and not data.parts and data.kind == "table":
        return place(data.origin)
    return row_number


# --- the target --------------------------------------------------------------------------------------------------


def _with_targets(data: Dataset, kinds: dict[str, str], notes: list[str]) -> Dataset:
    """Only the rows that have their target."""
    for name in data.target:
        if kinds[name] == "text":
            raise DataError(_("the target '{name}' is free text; a number or a class is needed", name=name))
    if not data.target:
        return data
    from gipi.data.columns import conform

    typed = conform(data.frame.select(data.target), {name: kinds[name] for name in data.target}, data.target)
    has_all = typed.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    if has_all.all():
        return data
    if not has_all.any():
        raise DataError(_("the target '{name}' is missing in every row", name=", ".join(data.target)))
    gone = int((~has_all).sum())
    notes.append(_("{count} rows without a target are left out", count=gone))
    kept = np.flatnonzero(has_all)
    place = np.cumsum(has_all) - 1
    parts = {name: place[rows[has_all[rows]]] for name, rows in data.parts.items()}
    pictures = None if data.pictures is None else data.pictures[kept]
    return replace(data, frame=data.frame[kept], pictures=pictures, parts=parts)


def _against_the_rest(data: Dataset, kinds: dict[str, str], options: Fit) -> tuple[Dataset, dict[str, str]]:
    """`--positive`: the target becomes whether it is that one class."""
    if options.positive is None:
        return data, kinds
    if len(data.target) != 1:
        raise UsageError(_("--positive needs one target; {count} came", count=len(data.target)))
    name = data.target[0]
    labels = _whole(data.frame[name]).cast(pl.String)
    known = sorted(labels.unique().to_list())
    if options.positive not in known:
        hint = nearest(options.positive, known)
        raise UsageError(
            _(
                "'{label}' is not among the values of {name}: {known}.",
                label=options.positive,
                name=name,
                known=", ".join(known[:20]),
            )
            + hint
        )
    return replace(data, frame=data.frame.with_columns((labels == options.positive).alias(name))), {
        **kinds,
        name: "boolean",
    }


def _task(data: Dataset, kinds: dict[str, str], options: Fit, notes: list[str]) -> tuple[str, str]:
    """The task, and the kind of the target; inferred and said aloud unless asked for."""
    if not data.target:
        if options.no_target or options.task in ("cluster", "generate"):
            return options.task or "cluster", ""
        if data.kind == "picture":
            raise DataError(
                _(
                    "the pictures of {name} have no labels; give a folder for each class, or --task generate",
                    name=data.name,
                )
            )
        columns = ", ".join(data.frame.columns[:30])
        text = _(
            "say which column is to be predicted: --target COLUMN, or --no-target to look for clusters;"
            " the columns are: {columns}",
            columns=columns,
        )
        raise UsageError(text)
    if options.task in ("cluster", "generate"):
        return options.task, ""
    if options.task == "act":
        raise UsageError(
            _("the task act needs an environment, for instance gym:CartPole-v1; {name} has rows", name=data.name)
        )
    guess = _guess(data, kinds)
    task = options.task or guess
    if not options.task:
        other = {"classify": "regress", "regress": "classify"}[guess]
        can_switch = all(data.frame[name].dtype.is_numeric() for name in data.target)
        hint = _(" (--task {other} for the other)", other=other) if can_switch else ""
        notes.append(_("task: {task} {target}", task=guess, target=", ".join(data.target)) + hint)
    if task == "classify":
        return task, _check_classes(data, kinds)
    wrong = [name for name in data.target if not (data.frame[name].dtype.is_numeric() or kinds[name] == "number")]
    if wrong:
        raise UsageError(
            _("the target '{name}' is not a number, so it cannot be regressed; --task classify can", name=wrong[0])
        )
    return task, {"point": "number", "normal": "normal", "quantiles": "quantiles"}[options.distribution]


def _whole(column: pl.Series) -> pl.Series:
    """Numbers that are all whole as integers, so that a class is 3 and not 3.0."""
    return column.cast(pl.Int64) if column.dtype.is_float() and (column == column.round()).all() else column


def _guess(data: Dataset, kinds: dict[str, str]) -> str:
    """Classify where the target is words, yes or no, or whole numbers that count classes from 0 or 1."""
    if any(kinds[name] in ("category", "boolean") for name in data.target):
        return "classify"
    for name in data.target:
        values = data.frame[name].unique().sort()
        are_whole = (values == values.round()).all()
        count = len(values)
        counts_up = are_whole and values[0] in (0, 1) and values[-1] - values[0] == count - 1
        few = count == 2 or (counts_up and count <= 20 and len(data) >= 5 * count)
        if not (few or (data.kind == "picture" and are_whole and count <= MOST_CLASSES)):
            return "regress"
    return "classify"


def _check_classes(data: Dataset, kinds: dict[str, str]) -> str:
    """One class of several, or several labels that are each there or not."""
    if len(data.target) > 1:
        for name in data.target:
            values = set(data.frame[name].unique().to_list())
            if not values <= {0, 1}:  # False and True are among them
                shown = ", ".join(map(str, sorted(values, key=str)[:5]))
                raise DataError(
                    _(
                        "several targets are labels that are there or not; '{name}' holds {shown}",
                        name=name,
                        shown=shown,
                    )
                )
        return "labels"
    name = data.target[0]
    count, rows = data.frame[name].n_unique(), len(data)
    if count < 2:
        value = data.frame[name][0]
        raise DataError(
            _("the target '{name}' has one class only, {value}: there is nothing to tell apart", name=name, value=value)
        )
    if count > MOST_CLASSES or (count > 20 and count > rows / 2):
        raise DataError(
            _(
                "the target '{name}' has {count} different values in {rows} rows: that names rows, not classes",
                name=name,
                count=count,
                rows=rows,
            )
        )
    return "class"


# --- weights and parts -------------------------------------------------------------------------------------------


def _weights(data: Dataset, options: Fit) -> np.ndarray | None:
    if not options.weight:
        return None
    column = data.frame[options.weight]
    if not column.dtype.is_numeric() or column.null_count() or (column < 0).any() or not (column > 0).any():
        raise DataError(
            _("the weights in '{name}' must be numbers, not negative and none missing", name=options.weight)
        )
    return column.cast(pl.Float64).to_numpy()


def _parts(data: Dataset, target_kind: str, options: Fit, notes: list[str]):
    """Train, valid and test; and the folds."""
    for name, share in (("test-share", options.test_share), ("valid-share", options.valid_share)):
        if not 0 <= share < 1:
            raise UsageError(_("--{name} is a share, from 0 to below 1; {share} came", name=name, share=share))
    rows = len(data)
    if rows < FEWEST and not data.parts and not options.folds:
        notes.append(
            _("{rows} rows are too few to set any aside: all are for training, and the figures are theirs", rows=rows)
        )
        return {"train": np.arange(rows)}, []
    chosen = {"groups": _codes(data, options.group), "order": _codes(data, options.time)}
    if target_kind == "class" and not options.group and not options.time:
        codes = _codes(data, data.target[0])
        chosen["strata"] = codes if codes is not None and is_worth_stratifying(codes) else None
    valid = 0.0 if options.folds else options.valid_share
    given = {n: r for n, r in data.parts.items() if not (options.folds and n == "valid")}
    parts = split(rows, options.seed, test=options.test_share, valid=valid, given=given, **chosen)
    if target_kind == "class":
        _check_labels(data, parts)
    folded = folds(parts["train"], options.folds, options.seed, **chosen) if options.folds else []
    return parts, folded


def _codes(data: Dataset, name: str | None) -> np.ndarray | None:
    """A column as numbers that sort as its values do; a missing value comes first."""
    return None if name is None else data.frame[name].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _check_labels(data: Dataset, parts: Parts) -> None:
    """A class that only test or validation rows have cannot be learned."""
    labels = data.frame[data.target[0]]
    known = set(labels[parts["train"]].unique().to_list())
    for part in ("valid", "test"):
        unknown = set(labels[parts[part]].unique().to_list()) - known if part in parts else set()
        if unknown:
            value = min(unknown, key=str)
            row = int(parts[part][labels[parts[part]].to_list().index(value)])
            text = _(
                "the label '{label}' (row {row}) is in the part '{part}' only: no training row has it",
                label=value,
                row=row + 1,
                part=part,
            )
            raise DataError(text)
