"""What jobs on texts decide before the first step: which columns are texts, what their tokens are, how many count.

B rows, T tokens
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from gipi import systems
from gipi.data.dataset import Dataset
from gipi.data.schema import Field
from gipi.data.tokenizers import KINDS, Tokenizer, tokenizer_of, train
from gipi.errors import DataError, UsageError, nearest
from gipi.jobs.job import Setting
from gipi.jobs.options import Fit
from gipi.messages import _

TOKENIZER, VOCABULARY, CONTEXT = "bpe", 8000, 256  # where neither a person nor the system says otherwise


def text_columns(data: Dataset, kinds: dict[str, str], options: Fit) -> tuple[str, ...]:
    """The columns whose texts are learned from; none where the data is a table of other things, or pictures.

    Those that were asked for; else those of free text, where the system is one for texts or nothing else is there to
    learn from.

    Raises:
        UsageError: There is no such column, or there are more than two.
    """
    columns = data.frame.columns
    for name in options.text:
        if name not in columns:
            known = ", ".join(columns[:30])
            text = _("--text: there is no column '{name}'; the columns are: {known}.", name=name, known=known)
            raise UsageError(text + nearest(name, columns))
        if name in data.target:
            raise UsageError(_("--text: '{name}' is the target", name=name))
    if len(options.text) > 2:
        raise UsageError(_("--text names one column, or two for pairs of texts; {count} came", count=len(options.text)))
    if options.text or data.kind != "table":
        return options.text or data.text
    inputs = {name: kind for name, kind in kinds.items() if name not in data.target}
    found = tuple(name for name, kind in inputs.items() if kind == "text" and data.frame[name].dtype == pl.String)
    is_asked = options.system in systems.names() and systems.describe(options.system).kinds == ("text",)
    has_others = any(kind in ("number", "boolean", "category", "date") for kind in inputs.values())
    if has_others and not is_asked:
        return ()
    if is_asked and not found:
        found = tuple(name for name in inputs if data.frame[name].dtype == pl.String)
    if len(found) > 2:
        names = ", ".join(found)
        raise UsageError(_("several columns hold texts: {names}; say which by --text COLUMN", names=names))
    return found


def said_of_texts(data: Dataset, aside: Sequence[str]) -> str:
    """Which columns are read, and which are not looked at."""
    said = _("texts: {names}", names=", ".join(data.text))
    others = [name for name in data.frame.columns if name not in (*data.text, *aside)]
    return said + ("; " + _("not looked at: {names}", names=", ".join(others[:12])) if others else "")


def tokenizer_for(setting: Setting, texts: Sequence[str], kind: str = TOKENIZER) -> Tokenizer:
    """How texts become tokens: as the weights know them, as was asked for, as suits the system, or of this kind.

    Raises:
        UsageError: There is no such tokenizer.
        DataError: There is nothing in the texts.
    """
    options, suits = setting.options, systems.defaults(setting.system)
    asked = options.tokenizer
    if setting.weights is not None and setting.weights.tokenizer and asked is None:
        return tokenizer_of(setting.weights.tokenizer)
    kind = asked or suits.get("tokenizer", kind)
    if kind not in KINDS:
        if not any(mark in kind for mark in "./\\"):
            known = ", ".join(KINDS)
            text = _("there is no tokenizer '{name}'; there are {known}, and files.", name=kind, known=known)
            raise UsageError(text + nearest(kind, list(KINDS)))
        from gipi.data.tokenizers import open_tokenizer

        return open_tokenizer(kind)
    if not any(text.strip() for text in texts):
        raise DataError(_("the texts are empty: there is nothing to learn from"))
    return train(texts, kind, options.vocabulary or suits.get("vocabulary", VOCABULARY))


def context_for(setting: Setting) -> int:
    """How many tokens are looked at together, at most."""
    options, weights = setting.options, setting.weights
    own = weights.context if weights is not None else 0
    return options.context or own or systems.defaults(setting.system).get("context", CONTEXT)


def text_fields(data: Dataset, tokenizer: Tokenizer, context: int) -> tuple[Field, ...]:
    """The input fields of texts: of a pair two, with the tokenizer in the first."""
    held = tokenizer.to_json()
    return tuple(
        Field(name, "text", (context,), tokenizer=held if place == 0 else "") for place, name in enumerate(data.text)
    )


def said_of_tokens(tokenizer: Tokenizer, context: int, counts: Any) -> list[str]:
    """Lines on tokens for a person: which and how many, how long the rows are, how many were cut."""
    said = _("tokens: {kind}, {count} different", kind=tokenizer.kind, count=tokenizer.size)
    cut = int((counts >= context).sum())
    mean = _("{mean} in a row on average", mean=f"{counts.mean():.1f}")
    lines = [f"{said}; {mean}"]
    if cut:
        lines.append(
            _("rows of {most} tokens, which is where longer ones are cut (--context): {count}", most=context, count=cut)
        )
    return lines
