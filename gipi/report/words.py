"""Text whose words are coloured by what they add to an answer: red for it, blue against it, the deeper the more.

The parts of a text come as `(text, what it adds)`, in order, 0 for what is between words.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from gipi.messages import _
from gipi.report.canvas import safe
from gipi.report.page import Mistake
from gipi.report.text import cell, clean, shorten

Parts = Sequence[tuple[str, float]]

FOR, AGAINST = (178, 24, 43), (33, 102, 172)  # the ends of ColorBrewer's RdBu, as heat.py has them
DEEPEST = 0.6  # of the colour, so that the word stays readable
FAINTEST = 0.04  # of the strongest word: below it no colour
STRONG = 0.5  # of the strongest word: bold in a terminal
LONGEST = 600  # characters of a text that a page shows, around its strongest word


def words_html(parts: Parts) -> str:
    """As HTML; what each word adds stands in its title.

    Example:
        >>> words_html([("not", -0.5), (" ", 0.0), ("me", 0.0)])
        '<span class="words"><mark style="background:rgba(33,102,172,0.60)" title="-0.5">not</mark> me</span>'
    """
    most = strongest(parts)
    said = []
    for text, adds in shortened(parts):
        share = abs(adds) / most
        if share < FAINTEST:
            said.append(safe(text))
            continue
        red, green, blue = FOR if adds > 0 else AGAINST
        colour = f"background:rgba({red},{green},{blue},{DEEPEST * share:.2f})"
        said.append(f'<mark style="{colour}" title="{adds:+.2g}">{safe(text)}</mark>')
    return f'<span class="words">{"".join(said)}</span>'


def mistakes_html(mistakes: Iterable[Mistake]) -> str:
    """Texts that the model got wrong, each under what it said and what is true."""
    said = []
    for one in mistakes:
        sure = "" if one.probability is None else f' <span class="soft">{100 * one.probability:.0f} %</span>'
        number = "" if one.number is None else f" · {_('row {number}', number=one.number)}"
        head = f'<b>{_brief(one.said)}</b>{sure} <span class="soft">{_("true:")} {_brief(one.true)}{number}</span>'
        said.append(f'<p class="said">{head}<br>{words_html(one.words or ())}</p>')
    return "".join(said)


def explained_html(answers: Iterable[tuple[Any, Parts]]) -> str:
    """Texts, each behind what was said of it, for a notebook."""
    return "".join(f"<p><b>{_brief(said)}</b> {words_html(parts)}</p>" for said, parts in answers)


def _brief(value: Any) -> str:
    return safe(shorten(cell(value), 40))


def print_words(parts: Parts, stream: TextIO | None = None) -> None:
    """In colours where the stream is a terminal; elsewhere nothing is printed: the numbers say it there."""
    stream = stream or sys.stdout
    if stream is None or not stream.isatty():
        return
    from rich.console import Console
    from rich.text import Text

    most, line = strongest(parts), Text()
    for text, adds in parts:
        share = abs(adds) / most
        colour = "" if share < FAINTEST else "red" if adds > 0 else "blue"
        line.append(clean(text) if text.strip() else text, f"bold {colour}" if share >= STRONG and colour else colour)
    Console(file=stream, highlight=False).print(line, soft_wrap=True)


def strongest(parts: Iterable[tuple[str, float]]) -> float:
    """What the word adds that adds most, either way; more than 0."""
    return max((abs(adds) for _text, adds in parts), default=0.0) or 1.0


def shortened(parts: Parts) -> Parts:
    """So many parts around the strongest that they are at most `LONGEST` characters; "..." where something is left out.

    Example:
        >>> shortened([("a" * 400, 0.0), ("b", 1.0), ("c" * 400, 0.0)])[:2]
        [('...', 0.0), ('b', 1.0)]
    """
    if sum(len(text) for text, _adds in parts) <= LONGEST or not parts:
        return parts
    middle = max(range(len(parts)), key=lambda place: abs(parts[place][1]))
    first = last = middle
    room = LONGEST - len(parts[middle][0])
    while True:
        before = len(parts[first - 1][0]) if first else LONGEST
        after = len(parts[last + 1][0]) if last + 1 < len(parts) else LONGEST
        if min(before, after) > room:
            break
        if before <= after:
            first, room = first - 1, room - before
        else:
            last, room = last + 1, room - after
    kept = [(text[:LONGEST], adds) for text, adds in parts[first : last + 1]]
    return [*([("...", 0.0)] if first else []), *kept, *([("...", 0.0)] if last + 1 < len(parts) else [])]
