"""What is to be predicted: the target's task and kind, found by looking at it, said aloud, and checked."""

from dataclasses import replace

import polars as pl

from gipi import systems
from gipi.data.dataset import Dataset
from gipi.errors import DataError, UsageError, nearest
from gipi.jobs.options import Fit
from gipi.messages import _

MOST_CLASSES = 1000
OF_PICTURES = ("generate", "compress", "denoise", "embed")  # tasks that want no label
OF_PIXELS = ("segment", "upscale")  # tasks that want an answer for each pixel
OF_TEXTS = ("write", "chat", "translate", "fill", "tag", "relate")


def task_asked_for(options: Fit) -> str | None:
    """The task that was asked for, by its name or by that of a system that does nothing else; None: the labels say."""
    if options.task is None and options.system in systems.names():
        first, *others = systems.describe(options.system).tasks
        if not others and first in (*OF_PICTURES, *OF_PIXELS):
            return first
    return options.task


class NoTargetError(UsageError):
    """Nobody said what is to be predicted, and the data does not say it."""


def against_the_rest(
    data: Dataset, kinds: dict[str, str], options: Fit, part: str = ""
) -> tuple[Dataset, dict[str, str]]:
    """`--positive`: the target becomes whether it is that one class."""
    if options.positive is None or not data.target:
        return data, kinds
    if len(data.target) != 1:
        raise UsageError(_("--positive needs one target; {count} came", count=len(data.target)))
    name = data.target[0]
    labels = whole(data.frame[name]).cast(pl.String)
    known = sorted(labels.unique().to_list())
    if options.positive not in known and not part:
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
    frame = data.frame.with_columns((labels == options.positive).alias(name))
    return replace(data, frame=frame), {**kinds, name: "boolean"}


def task_of(data: Dataset, kinds: dict[str, str], options: Fit, notes: list[str]) -> tuple[str, str]:
    """The task, and the kind of the target; inferred and said aloud unless asked for."""
    from gipi import tasks

    if options.task:
        tasks.load(options.task)  # is there such a task?
    if options.task == "stream":
        raise UsageError(
            _("the task stream is for an object with __next__, in Python; {name} has rows", name=data.name)
        )
    if options.task == "act":
        raise UsageError(
            _("the task act needs an environment, for instance gym:CartPole-v1; {name} has rows", name=data.name)
        )
    if options.task in OF_TEXTS:
        raise UsageError(_("the task {task} is for texts; {name} has rows", task=options.task, name=data.name))
    if options.task in OF_PICTURES and data.kind != "picture":
        asked = options.task if options.system is None else f"{options.task} ({options.system})"
        raise UsageError(_("the task {task} is for pictures; {name} is a table", task=asked, name=data.name))
    if options.task in ("cluster", *OF_PICTURES):
        return options.task, ""
    if not data.target:
        return _task_without_target(data, options), ""
    _check_target(data, kinds)
    guess = _guess(data, kinds)
    task = options.task or guess
    if not options.task:
        other = {"classify": "regress", "regress": "classify"}[guess]
        can_switch = all(data.frame[name].dtype.is_numeric() for name in data.target)
        hint = _(" (--task {other} for the other)", other=other) if can_switch else ""
        notes.append(_("task: {task} {target}", task=guess, target=", ".join(data.target)) + hint)
    if task == "classify":
        return task, _check_classes(data)
    return task, _check_numbers(data, options)


def _task_without_target(data: Dataset, options: Fit) -> str:
    if options.no_target and options.task is None:
        return "cluster"
    if options.no_target:
        raise UsageError(_("--no-target does not go with the task {task}", task=options.task))
    if data.kind == "picture":
        raise DataError(
            _("the pictures of {name} have no labels; give a folder for each class, or --task generate", name=data.name)
        )
    columns = ", ".join(data.frame.columns[:30])
    text = _(
        "say which column is to be predicted: --target COLUMN, or --no-target to look for clusters;"
        " the columns are: {columns}",
        columns=columns,
    )
    if data.origin and data.origin.endswith(".txt"):
        text += ". " + _("If it is a text and no table: --task write")
    raise NoTargetError(text)


def _check_target(data: Dataset, kinds: dict[str, str]) -> None:
    for name in data.target:
        if kinds[name] == "text":
            raise DataError(_("the target '{name}' is free text; a number or a class is needed", name=name))
        if kinds[name] == "date":
            raise DataError(_("the target '{name}' is a date; a number or a class is needed", name=name))


def whole(column: pl.Series) -> pl.Series:
    """Numbers that are all whole as integers, so that a class is 3 and not 3.0."""
    if not column.dtype.is_float() or not (column == column.round()).all() or not (column.abs() < 2**53).all():
        return column
    return column.cast(pl.Int64)


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


def _check_numbers(data: Dataset, options: Fit) -> str:
    """Numbers that differ; gives the kind of the target."""
    for name in data.target:
        column = data.frame[name]
        if not column.dtype.is_numeric():
            raise UsageError(
                _("the target '{name}' is not a number, so it cannot be regressed; --task classify can", name=name)
            )
        if column.n_unique() < 2 and len(column) > 1:
            value = whole(column)[0]
            raise DataError(
                _("the target '{name}' is {value} in every row: there is nothing to learn", name=name, value=value)
            )
    return {"point": "number", "normal": "normal", "quantiles": "quantiles"}[options.distribution]


def _check_classes(data: Dataset) -> str:
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
    name = next(iter(data.target))
    count, rows = data.frame[name].n_unique(), len(data)
    if count < 2:
        value = whole(data.frame[name])[0]
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
