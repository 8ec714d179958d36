"""The words that a person reads, in English and Korean, through gettext.

English is written where it is said, `_("{count} rows", count=3)`; Korean stands in locale/ko/LC_MESSAGES/gipi.po.
"""

import gettext
import os
from contextvars import ContextVar
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "ko")
_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def use(language: str | None) -> None:
    """Speak this language from now on, in this thread or task; None: what the locale says."""
    _chosen.set(language)


def language() -> str:
    """The language in force: the chosen one, else the first of the locale that we speak, else English."""
    if chosen := _chosen.get():
        return chosen
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if spoken := os.environ.get(variable):
            return "ko" if spoken.lower().startswith("ko") else "en"
    return "en"


@cache
def _translation(code: str) -> gettext.NullTranslations:
    return gettext.translation("gipi", Path(__file__).parent / "locale", [code], fallback=True)


def _(text: str, /, **values: object) -> str:
    """The text in the language in force, its {names} filled in."""
    said = _translation(language()).gettext(text) if text else ""  # "" would be the catalog's head
    return said.format(**values) if values else said
