"""Options looked at one by one, before anything is opened: is it of its kind, within its limits, of any use here?

The command line and Python come through the same door. A value of another kind of number (NumPy's, say) becomes a plain
one, so that run.json can hold it; everything else that does not fit is refused by the option's name.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from os import PathLike
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gipi.errors import UsageError, nearest
from gipi.jobs.options import Fit
from gipi.messages import LANGUAGES, _

Options = TypeVar("Options")

LARGEST_SEED = 2**32 - 1  # scikit-learn takes no larger one
MOST_BEAMS = 1024  # as models/beam.py has it, which would import torch
MOST_THREADS = 1024

# Names of options of the verb and of systems, what they can be, in words and as a test.
_LIMITS: tuple[tuple[str, Callable[[], str], Callable[[Any], bool]], ...] = (
    ("lr head_lr bias_lr clip minutes temperature trunk_lr", lambda: _("a number above 0"), lambda v: v > 0),
    ("l2 weight_decay mixup cutmix verdict_seconds noise beta", lambda: _("a number, at least 0"), lambda v: v >= 0),
    ("length_penalty", lambda: _("a number, at least 0"), lambda v: v >= 0),
    ("dropout momentum label_smoothing smoothing momentum_share", lambda: _("from 0 to below 1"), lambda v: 0 <= v < 1),
    ("test_share valid_share", lambda: _("a share, from 0 to below 1"), lambda v: 0 <= v < 1),
    ("warmup explore explore_last discount", lambda: _("from 0 to 1"), lambda v: 0 <= v <= 1),
    ("batch_size patience bins", lambda: _("a whole number, at least 0"), lambda v: v >= 0),
    ("epochs steps ensemble parts picture_size hidden", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("width widest latent code members embedding", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("ray_workers projection", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("beams", lambda: _("from 1 to {most}", most=MOST_BEAMS), lambda v: 1 <= v <= MOST_BEAMS),
    ("dimension window negative shared min_count", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("sample", lambda: _("a number, at least 0"), lambda v: v >= 0),
    ("memory first_moves moves batches copy_every", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("vocabulary context", lambda: _("a whole number, at least {least}", least=2), lambda v: v >= 2),
    ("crop blocks", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("factor", lambda: _("a whole number from {low} to {high}", low=2, high=8), lambda v: 2 <= v <= 8),
    ("depth", lambda: _("a whole number from {low} to {high}", low=1, high=8), lambda v: 1 <= v <= 8),
    ("explore_moves", lambda: _("a whole number, at least 1"), lambda v: v >= 1),
    ("clusters", lambda: _("a whole number, at least 2"), lambda v: v >= 2),
    ("folds", lambda: _("0 (none), or a whole number, at least 2"), lambda v: v == 0 or v >= 2),
    ("workers", lambda: _("from 0 to {most}", most=MOST_THREADS), lambda v: 0 <= v <= MOST_THREADS),
    ("threads", lambda: _("from 1 to {most}", most=MOST_THREADS), lambda v: 1 <= v <= MOST_THREADS),
    ("seed", lambda: _("a whole number from 0 to {most}", most=LARGEST_SEED), lambda v: 0 <= v <= LARGEST_SEED),
    ("lang", lambda: _("one of {known}", known=", ".join(LANGUAGES)), lambda v: v in LANGUAGES),
)
LIMITS = {name: (words, fits) for names, words, fits in _LIMITS for name in names.split()}

# Options of the verb that a task has no use for: to take no notice of what was asked for would change the answer.
_MIXES = ("label_smoothing", "mixup", "cutmix")
_OF_WEIGHTS = ("weights", "freeze", "trunk_lr", "model")
_OF_ANSWERS = ("distribution", "loss", "positive", "class_weight", *_MIXES, "weight", *_OF_WEIGHTS)
_OF_PARTS = ("distribution", "positive", "class_weight", *_MIXES, "weight", "ensemble", "task", "model")
_OF_MEMBERS = ("averaging", "folds", "ensemble")
_OF_DATA = ("target", "test", "valid", "group", "time", "drop", "no_target", "scale", "picture_size", "separator")
_OF_PIXELS = (
    *("distribution", "positive", "label_smoothing", "mixup", "cutmix", "weight", "target", "test", "valid", "group"),
    *("time", "drop", "no_target", "scale", "separator", "clusters", "folds", "workers"),
)
_OF_ROUNDS = ("epochs", "batch_size", "patience")
_OF_TEXTS = ("text", "tokenizer", "vocabulary", "context")
_OF_RUNNING = (
    *(name for name in _OF_PARTS if name != "task"),
    *("averaging", "group", "time", "drop", "no_target", "scale", "picture_size", "clusters", "folds", "augment"),
)
_OF_ONE = ("noise", "ignore")  # of one task alone
_IN_FLOAT64 = ("classify", "regress", "segment", "upscale", "stream")
NO_USE = {
    "classify": (*_OF_ONE, "distribution", "clusters"),
    "regress": (*_OF_ONE, "positive", "label_smoothing", "class_weight", "clusters"),
    "cluster": (*_OF_ONE, *_OF_ANSWERS, *_OF_MEMBERS, "augment"),
    "generate": (*_OF_ONE, *_OF_ANSWERS, *_OF_MEMBERS, "augment", "patience", "clusters"),
    "compress": (*_OF_ONE, *_OF_ANSWERS, *_OF_MEMBERS, "augment", "clusters"),
    "denoise": ("ignore", *_OF_ANSWERS, *_OF_MEMBERS, "augment", "clusters"),
    "embed": (*_OF_ONE, *_OF_ANSWERS, *_OF_MEMBERS, "clusters"),
    "segment": ("noise", *_OF_PIXELS),
    "upscale": (*_OF_ONE, *_OF_PIXELS, "class_weight"),
    "write": (*_OF_ONE, *_OF_RUNNING, "target", "test", "valid", "loss"),
    "chat": (*_OF_ONE, *_OF_RUNNING, "loss"),
    "translate": (*_OF_ONE, *(name for name in _OF_RUNNING if name not in ("label_smoothing", "averaging")), "loss"),
    "fill": (*_OF_ONE, *_OF_RUNNING, "averaging", "target", "test", "valid", "loss"),
    "tag": (*_OF_ONE, *_OF_RUNNING, "averaging", "target", "text", "loss"),
    "relate": (*_OF_ONE, *_OF_RUNNING, *_OF_WEIGHTS, "target", "test", "valid", "loss", "tokenizer"),
    "act": (*_OF_ONE, *_OF_ANSWERS, *_OF_DATA, "averaging", "augment", "epochs", "clusters"),
    "stream": (*_OF_ONE, *_OF_PARTS, *_OF_DATA, *_OF_ROUNDS, "averaging", "augment", "clusters", "folds"),
}


def checked(options: Options, except_for: Sequence[str] = ()) -> Options:
    """The options (a dataclass), each of its kind and within its limits.

    Args:
        options: Of the verb, or of a system.
        except_for: Names of options that hold an object of a person's own.

    Raises:
        UsageError: Names the option, what came, and what it can be.
    """
    assert is_dataclass(options) and not isinstance(options, type)
    hints = get_type_hints(type(options))
    changed = {}
    for field in fields(options):
        if field.name in except_for:
            continue
        value = getattr(options, field.name)
        fitting = _fitting(value, hints[field.name])
        if fitting is _UNFIT:
            raise _refused(field.name, value, hints[field.name])
        if field.name in LIMITS:
            words, fits = LIMITS[field.name]
            odd = [one for one in (fitting if isinstance(fitting, tuple) else (fitting,)) if not _is_within(one, fits)]
            if odd:
                raise UsageError(_("{option} must be {expected}; {came} came", **_said(field.name, words(), odd[0])))
        if fitting is not value:
            changed[field.name] = fitting
    return replace(options, **changed) if changed else options


def check_use(options: Fit, task: str, target_kind: str, kind: str) -> None:
    """Refuse an option of the verb that has no effect on this task and this kind of data.

    Args:
        task: classify, regress, cluster, generate or act.
        target_kind: class, labels, number ...; "" where there is no target.
        kind: table, picture or environment.
    """
    given = _given(options)
    for name in NO_USE.get(task, ()):
        if name in given and not (name == "target" and options.no_target):
            raise UsageError(_("{option} has no use for the task {task}; leave it out", option=flag(name), task=task))
    if options.precision == "float64" and task not in _IN_FLOAT64:
        raise UsageError(_("--precision float64 has no use for the task {task}; leave it out", task=task))
    if target_kind == "labels":
        for name in given & {"class_weight", "positive"}:
            raise UsageError(_("{option} is for one class of several, not for several labels", option=flag(name)))
    smoothed = "bce" if target_kind == "labels" else "cross_entropy"
    if options.label_smoothing and options.loss not in (None, smoothed):
        raise UsageError(_("--label-smoothing does not go with the loss {name}", name=options.loss))
    if kind != "text" and (odd := [name for name in _OF_TEXTS if name in given]):
        raise UsageError(_("{option} is for texts; the data has none", option=flag(odd[0])))
    if kind == "text" and (odd := [name for name in ("mixup", "augment", "scale") if name in given]):
        raise UsageError(_("{option} is not for texts", option=flag(odd[0])))
    if kind == "table" and "picture_size" in given:
        raise UsageError(_("--picture-size is for pictures; the data is a table"))
    if kind != "picture" and "cutmix" in given:
        raise UsageError(_("--cutmix is for pictures"))
    if {"mixup", "cutmix"} <= given:
        raise UsageError(_("--mixup and --cutmix exclude each other"))


def check_system(options: Fit, system: Any, name: str, own: Sequence[str] = ()) -> None:
    """Refuse an option of the verb that a system has no use for: those that it names as `no_use`."""
    for option in getattr(system, "no_use", ()):
        if option in _given(options) | set(own):
            raise UsageError(
                _("{option} has no use for the system {name}; leave it out", option=flag(option), name=name)
            )


def _given(options: Fit) -> set[str]:
    """The options that are not as they are by themselves."""
    standard = Fit()
    return {field.name for field in fields(Fit) if getattr(options, field.name) != getattr(standard, field.name)}


def check_words(kind: type, flags: list[str]) -> None:
    """The words of a command line, before they are parsed: can each stand for the option (of this dataclass) before it?

    Raises:
        UsageError: A value is missing, or is not of the option's kind.
    """
    hints = get_type_hints(kind)
    for place, word in enumerate(flags):
        written, equals, value = word.removeprefix("--").partition("=")
        name = written.replace("-", "_")
        if not word.startswith("--") or name not in hints or hints[name] is bool:
            continue
        following = flags[place + 1 :]
        end = next((n for n, other in enumerate(following) if other.startswith("--")), len(following))
        values = [value] if equals else following[:end]
        is_several = get_origin(hints[name]) is tuple or any(get_origin(h) is tuple for h in get_args(hints[name]))
        if not values and not is_several:
            expected = LIMITS[name][0]() if name in LIMITS else described(hints[name])
            raise UsageError(_("{option} needs a value: {expected}", option=flag(name), expected=expected))
        for one in values if is_several else values[:1]:
            if not _can_be(one, hints[name]):
                raise _refused(name, one, hints[name])


def _can_be(word: str, hint: Any) -> bool:
    """Whether a word of a command line can be read as this kind of thing."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_can_be(word, one) for one in get_args(hint))
    if origin is tuple:
        return _can_be(word, get_args(hint)[0])
    if origin is Literal:
        return word in get_args(hint)
    if hint is NoneType:
        return word == "None"
    if hint in (int, float):
        try:
            hint(word)
        except ValueError:
            return False
    return True


def flag(name: str) -> str:
    """An option as it is typed: `--batch-size`."""
    return "--" + name.replace("_", "-")


_UNFIT = object()


def _fitting(value: Any, hint: Any) -> Any:
    """The value as this kind of thing, or _UNFIT; what is hinted at in no way that we know is taken as it is."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        found = [_fitting(value, one) for one in get_args(hint)]
        fits = [one for one in found if one is not _UNFIT]
        return next((one for one in fits if one is value), fits[0] if fits else _UNFIT)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy's or torch's
        value = value.item()
    if hint in (None, NoneType):
        return None if value is None else _UNFIT
    if origin is Literal:
        return value if isinstance(value, str) and value in get_args(hint) else _UNFIT
    if origin is tuple:
        several = (value,) if isinstance(value, (str, int, float)) else value
        if not hasattr(several, "__iter__") or isinstance(several, (bytes, dict)):
            return _UNFIT
        found = tuple(_fitting(one, get_args(hint)[0]) for one in several)
        is_fit = all(one is not _UNFIT for one in found)
        return (value if isinstance(value, tuple) and value == found else found) if is_fit else _UNFIT
    if hint is bool:
        return value if isinstance(value, bool) else _UNFIT
    if hint in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return _UNFIT
        return value if isinstance(value, hint) else float(value) if hint is float else _UNFIT
    if hint is str:
        return value if isinstance(value, str) else str(value) if isinstance(value, PathLike) else _UNFIT
    return value


def _is_within(value: Any, fits: Callable[[Any], bool]) -> bool:
    if value is None or (isinstance(value, str) and value == "auto"):
        return True
    return (not isinstance(value, float) or math.isfinite(value)) and fits(value)


def _refused(name: str, value: Any, hint: Any) -> UsageError:
    choices = [choice for one in (hint, *get_args(hint)) if get_origin(one) is Literal for choice in get_args(one)]
    if name == "optimizer":
        expected = _("a name, or a function of parameters that gives an optimizer")
    else:
        expected = LIMITS[name][0]() if name in LIMITS and not choices else described(hint)
    text = _("{option} must be {expected}; {came} came", **_said(name, expected, value))
    return UsageError(text + ("." + hint if (hint := nearest(str(value), choices)) else ""))


def _said(name: str, expected: str, value: Any) -> dict[str, str]:
    came = f"'{value}'" if isinstance(value, str) else " ".join(f"{value}".split())
    if len(came) > 60:
        came = f"{type(value).__name__}: {came[:50]}..."
    return {"option": flag(name), "expected": expected, "came": came}


def described(hint: Any) -> str:
    """What may stand for an option, in words."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        parts = [described(one) for one in get_args(hint) if one is not NoneType]
        return (" " + _("or") + " ").join(parts)
    if origin is Literal:
        choices = get_args(hint)
        return choices[0] if len(choices) == 1 else _("one of {known}", known=", ".join(map(str, choices)))
    if origin is tuple:
        return _("whole numbers") if get_args(hint)[0] is int else _("a word or several")
    return {int: _("a whole number"), float: _("a number"), bool: "True / False"}.get(hint, _("a text"))
