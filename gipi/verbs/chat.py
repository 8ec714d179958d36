"""`gipi chat`: a talk with a kept model that learned to answer, turn by turn."""

from collections.abc import Iterator
from typing import Any

from gipi.errors import UsageError
from gipi.messages import _
from gipi.verbs.generate import writer_of


class Chat:
    """A talk: what was said so far, and the model.

    Args:
        source: A run, its folder or name, or a bundle.
        tokens: Of an answer at most.
        temperature: See `gipi.generate`, also for the next three.
        top_k: How many tokens are in question.
        top_p: How likely they are together.
        seed: The same talk with the same seed goes the same way.

    Attributes:
        turns: What was asked and what was answered, in order.
        cut: Tokens at the beginning of the talk that the last answer did not look at, for lack of room.

    Raises:
        UsageError: The model did not learn to answer, or a number is out of its range.
        RunError: There is no such run.

    Example:
        >>> import gipi
        >>> talk = gipi.chat("last")            # doctest: +SKIP
        >>> talk.say("How are you?")            # doctest: +SKIP
        'Fine.'
    """

    def __init__(
        self,
        source: Any,
        tokens: int = 200,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ):
        self.model = writer_of(source)
        if self.model.task != "chat":
            raise UsageError(_("this model goes on with texts: gipi generate RUN. To chat, fit one with --task chat"))
        from gipi.models.decoding import check

        check(temperature, top_k, top_p)
        self.tokens, self.temperature, self.top_k, self.top_p, self.seed = tokens, temperature, top_k, top_p, seed
        self.turns: list[tuple[str, str]] = []
        self.cut = 0

    def say(self, question: str) -> str:
        """The answer."""
        return "".join(self.answer(question))

    def answer(self, question: str) -> Iterator[str]:
        """The answer, piece by piece; when it is complete it belongs to the talk."""
        from gipi.tasks import chat as task

        ids, self.cut = task.prompt_of(self.model, question, self.turns)
        way = task.Way(self.tokens, self.temperature, self.top_k, self.top_p, self.seed + len(self.turns))
        said = []
        for piece in task.answered(self.model, ids, way):
            said.append(piece)
            yield piece
        self.turns.append((question, "".join(said)))
        if self.cut and len(self.turns) > 1:
            self.turns = self.turns[1:]  # nobody will look at it again

    def cut_said(self) -> str:
        """That the talk has become too long for the model; nothing if it has not."""
        if not self.cut:
            return ""
        return _("the talk is longer than the model looks at: its first {cut} tokens are forgotten", cut=self.cut)


def chat(
    source: Any, tokens: int = 200, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0
) -> Chat:
    """A talk with a model that learned to answer; see `Chat`."""
    return Chat(source, tokens, temperature, top_k, top_p, seed)
