"""SageMaker's hyperparameters, which are all strings, as the options that they stand for.

What a string means is decided by the option's own type, never guessed from how it looks: `5` is a number for epochs
and a word for target. The Python SDK writes some values as JSON (`"adam"` with its quotes, `[64, 64]`, `true`) and
others as Python says them (`True`, `(64, 64)`), so both are read.
"""

import ast
import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gipi import systems
from gipi.errors import UsageError, nearest
from gipi.jobs.checks import described
from gipi.jobs.options import Fit
from gipi.messages import _

OF_SAGEMAKER = ("sagemaker_", "_tuning_")  # what its own toolkits and tuning jobs add: nothing that we are asked for
NOT_HERE = ("run", "ray", "ray_workers", "valid", "test")  # what the container's folders and channels decide
NOTHING = ("", "None", "null")
YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}


def options_from(said: Mapping[str, Any]) -> dict[str, Any]:
    """Options for `gipi.fit`, by the types of its own options and of the systems'.

    Args:
        said: hyperparameters.json.

    Raises:
        UsageError: There is no such option, it is not for this place, or its value cannot be read.

    Example:
        >>> options_from({"epochs": "5", "hidden": "[64, 32]", "optimizer": '"adam"', "verdict": "False"})
        {'epochs': 5, 'hidden': (64, 32), 'optimizer': 'adam', 'verdict': False}
    """
    named = {name: value for name, value in said.items() if not name.startswith(OF_SAGEMAKER)}
    return {name.replace("-", "_"): option_from(name.replace("-", "_"), value) for name, value in named.items()}


def option_from(name: str, value: Any) -> Any:
    """One option; see `options_from`."""
    if name in NOT_HERE:
        text = _(
            "the hyperparameter {name} has no place here: rows come from the channels train, validation and test, and"
            " the run is kept under checkpoints",
            name=name,
        )
        raise UsageError(text)
    text = value if isinstance(value, str) else json.dumps(value)
    hints = hints_of(name)
    for hint in hints:
        try:
            return read(text, hint)
        except ValueError:
            continue
    shown = text if len(text) <= 60 else f"{text[:50]}..."
    expected = (" " + _("or") + " ").join(dict.fromkeys(described(hint) for hint in hints))
    raise UsageError(
        _("the hyperparameter {name} must be {expected}; '{came}' came", name=name, expected=expected, came=shown)
    )


def hints_of(name: str) -> list[Any]:
    """The types that an option has: one for each system that it belongs to.

    Raises:
        UsageError: It belongs to nobody; names the nearest.
    """
    if name in (known := get_type_hints(Fit)):
        return [known[name]]
    if owners := systems.owners(name):
        return [get_type_hints(systems.load(owner).Config)[name] for owner in owners]
    options = {option.name for system in systems.names() for option in systems.describe(system).options}
    names = sorted({*known, *options} - {*NOT_HERE})
    raise UsageError(_("there is no hyperparameter {name}.", name=name) + nearest(name, names))


def read(text: str, hint: Any) -> Any:
    """A string as a value of this type.

    Raises:
        ValueError: It is none.

    Example:
        >>> read("64 64", tuple[int, ...]), read("null", int | None), read("auto", float | Literal["auto"])
        ((64, 64), None, 'auto')
    """
    origin, word = get_origin(hint), unquoted(text.strip())
    if origin in (Union, UnionType):
        return _first_fitting(text, get_args(hint))
    if origin is tuple:
        return tuple(read(one, get_args(hint)[0]) for one in several(text, get_args(hint)[0]))
    if origin is Literal and word in get_args(hint):
        return word
    if hint is NoneType and word in NOTHING:
        return None
    if hint is bool and word.lower() in YES_OR_NO:
        return YES_OR_NO[word.lower()]
    if hint in (int, float):
        return hint(word)
    if hint is str:
        return word
    raise ValueError(text)


def _first_fitting(text: str, hints: tuple[Any, ...]) -> Any:
    """None before all else, since a word is a text too."""
    for hint in sorted(hints, key=lambda one: one is not NoneType):
        try:
            return read(text, hint)
        except ValueError:
            continue
    raise ValueError(text)


def several(text: str, kind: type) -> list[str]:
    """The parts of a list: JSON's, Python's, or what commas part; numbers may be parted by blanks too.

    Names of columns may have blanks in them, and those with commas need a list.
    """
    inside = text.strip()
    if inside[:1] in ("[", "("):
        try:
            found = ast.literal_eval(inside)  # JSON's lists of numbers and words are Python's too; nothing is run
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ValueError(text) from None
        return [str(one) for one in (found if isinstance(found, list | tuple) else (found,))]
    parts = unquoted(inside).replace(",", " ").split() if kind is int else unquoted(inside).split(",")
    return [part.strip() for part in parts if part.strip()]


def unquoted(text: str) -> str:
    """A word that came as JSON writes it, without its quotes."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text
