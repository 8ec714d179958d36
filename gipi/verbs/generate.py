"""`gipi generate`: a kept model goes on with a text, or answers a question, as it is written."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from gipi.errors import UsageError
from gipi.messages import _
from gipi.verbs.load import load_networks

if TYPE_CHECKING:
    from gipi.release.model import Model


@dataclass(frozen=True)
class Begun:
    """A text that is about to go on.

    Attributes:
        pieces: What is written, as it comes.
        tokens: How many tokens of the prompt are read.
        cut: How many at its beginning are not, because the model cannot look at more.
    """

    pieces: Iterator[str]
    tokens: int
    cut: int

    @property
    def said(self) -> str:
        """That the prompt was cut; nothing if it was not."""
        if not self.cut:
            return ""
        return _(
            "the prompt has {count} tokens, and the model looks at {most}: the first {cut} were left out",
            count=self.tokens + self.cut,
            most=self.tokens,
            cut=self.cut,
        )


def begin(
    source: Any,
    prompt: str = "",
    tokens: int = 200,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Begun:
    """Open the model and read the prompt; see `generate`."""
    model = writer_of(source)
    from gipi import tasks
    from gipi.models.decoding import check
    from gipi.tasks import write

    check(temperature, top_k, top_p)
    if tokens < 0:
        raise UsageError(_("a number of tokens was expected, 0 or more; '{given}' came", given=tokens))
    ids, cut = tasks.load(model.task).prompt_of(model, prompt)
    way = write.Way(tokens, temperature, top_k, top_p, seed)
    return Begun(write.written(model, ids, way), len(ids), cut)


def writer_of(source: Any) -> "Model":
    """The kept model, if it is one that writes.

    Raises:
        UsageError: It does something else.
    """
    model = load_networks(source)
    if model.task not in ("write", "chat"):
        text = _(
            "the task of this model is {task}: it writes no text. Its answers: gipi predict RUN INPUT", task=model.task
        )
        raise UsageError(text)
    return model


@overload
def generate(source: Any, prompt: str = "", tokens: int = 200, temperature: float = 1.0, top_k: int = 0,
             top_p: float = 1.0, seed: int = 0, stream: Literal[False] = False) -> str: ...  # fmt: skip


@overload
def generate(source: Any, prompt: str = "", tokens: int = 200, temperature: float = 1.0, top_k: int = 0,
             top_p: float = 1.0, seed: int = 0, *, stream: Literal[True]) -> Iterator[str]: ...  # fmt: skip


def generate(
    source: Any,
    prompt: str = "",
    tokens: int = 200,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stream: bool = False,
) -> str | Iterator[str]:
    """How a text goes on, by a model that learned to write; of one that learned to chat, its answer.

    Args:
        source: A run, its folder or name, or a bundle.
        prompt: What it goes on from; it is not given back. "": it begins as the texts of training do.
        tokens: At most; a text may end before.
        temperature: 0: always the likeliest token; below 1: rather likely ones; 1: as the model has learned.
        top_k: Only the so many likeliest tokens are in question; 0: all.
        top_p: Only the likeliest tokens that together are so likely are in question; 1: all.
        seed: The same one gives the same text.
        stream: Give an iterator of pieces of the text, each as soon as it is written.

    Raises:
        UsageError: The model does not write, or a number is out of its range.
        RunError: There is no such run.

    Example:
        >>> import gipi
        >>> gipi.generate("last", prompt="ROMEO:", tokens=50, temperature=0.8)   # doctest: +SKIP
        '\\nI will not be the king...'
    """
    begun = begin(source, prompt, tokens, temperature, top_k, top_p, seed)
    if begun.said:
        warnings.warn(begun.said, stacklevel=2)
    return begun.pieces if stream else "".join(begun.pieces)
