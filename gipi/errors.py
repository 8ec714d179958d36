"""What a user can do something about: each message says what came, what was expected, and what to do.

Everything else (a broken invariant of ours) is an assertion and may show its traceback.
"""


class DataError(ValueError):
    """The data cannot be used as it is; names the file, row or column. Command line: exit code 1."""


class RunError(ValueError):
    """A run folder or a kept model cannot be used as it is. Command line: exit code 1."""


class TrainingError(ValueError):
    """Training cannot go on, for instance because the loss diverged. Command line: exit code 1."""


class UsageError(ValueError):
    """An option or a name is wrong; says which and what exists instead. Command line: exit code 2."""


def nearest(name: str, known: list[str]) -> str:
    """` Did you mean 'mlp'?` or nothing: the known name closest to a misspelt one."""
    from difflib import get_close_matches

    from gipi.messages import _

    close = get_close_matches(name, known, 1, 0.5)
    return " " + _("Did you mean '{name}'?", name=close[0]) if close else ""
