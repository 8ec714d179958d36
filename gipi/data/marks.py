"""Text in NFC, in time that grows with its length and not with its square.

Accents and vowel signs behind a letter are brought into an order, and Python sorts them by insertion: 100,000 accents
on one letter, which anybody can send, hold a program up for many seconds. So a long run of them is sorted before.
"""

import re
import unicodedata
from functools import cache

LONGEST_RUN = 32  # marks on a letter; Unicode calls text with more than 30 not safe for streams (UAX 15, section 13)
LAST_MARK = 0x1F000  # no character beyond has a place in that order
FIRST_MARK = 0x300


def composed(text: str) -> str:
    """The text in NFC.

    Example:
        >>> composed("cafe\\u0301")
        'café'
    """
    if len(text) > LONGEST_RUN and not text.isascii():
        text = _runs().sub(lambda run: _sorted(run[0]), text)
    return unicodedata.normalize("NFC", text)


def _sorted(marks: str) -> str:
    apart = "".join([unicodedata.normalize("NFD", mark) for mark in marks])
    return "".join(sorted(apart, key=unicodedata.combining))


@cache
def _runs() -> re.Pattern[str]:
    """Runs of what stands behind a letter, in its canonical decomposition."""
    apart = ((chr(code), unicodedata.normalize("NFD", chr(code))) for code in range(FIRST_MARK, LAST_MARK))
    marks = "".join(mark for mark, parts in apart if unicodedata.combining(parts[0]))
    return re.compile(f"[{re.escape(marks)}]{{{LONGEST_RUN},}}")
