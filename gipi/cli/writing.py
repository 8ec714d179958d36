"""`gipi generate` and `gipi chat` on a terminal: text appears as it is written, and can steer nothing."""

import sys
from collections.abc import Iterator
from typing import Any

from gipi.cli.lines import Line
from gipi.messages import _
from gipi.report.text import clean


def generate(line: Line) -> dict[str, Any]:
    """The text that goes on from the prompt."""
    from gipi.verbs.generate import begin

    options = line.options
    (run,) = line.words
    begun = begin(run, options.prompt, **_how(options))
    if begun.said and not options.quiet:
        print(f"gipi: {begun.said}", file=sys.stderr)
    if options.json:
        text = "".join(begun.pieces)
    else:
        print(clean(options.prompt), end="", flush=True)
        text = _streamed(begun.pieces)
        print()
    return {"prompt": options.prompt, "text": text, "cut": begun.cut}


def chat(line: Line) -> dict[str, Any]:
    """Questions, a line each, and answers, until the input ends or Ctrl-C is pressed."""
    from gipi.verbs.chat import Chat

    options = line.options
    (run,) = line.words
    talk = Chat(run, **_how(options))
    is_typed = sys.stdin.isatty() and not options.json
    if is_typed and not options.quiet:
        print(_("Ask; Ctrl-D ends the talk."))
    turns: list[dict[str, str]] = []
    is_told = False
    try:
        while (question := _asked(is_typed)) is not None:
            if not question.strip():
                continue
            pieces = talk.answer(question)
            said = "".join(pieces) if options.json else _streamed(pieces)
            turns.append({"question": question, "answer": said})
            if not options.json:
                print(flush=True)
            if talk.cut and not is_told and not options.quiet:
                print(f"gipi: {talk.cut_said()}", file=sys.stderr)
                is_told = True
    except KeyboardInterrupt:
        pass
    if is_typed:
        print()
    return {"turns": turns}


def _how(options: Any) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("tokens", "temperature", "top_k", "top_p", "seed")}


def _streamed(pieces: Iterator[str]) -> str:
    """Print the pieces as they come; gives all of them."""
    said = []
    for piece in pieces:
        said.append(piece)
        print(clean(piece), end="", flush=True)
    return "".join(said)


def _asked(is_typed: bool) -> str | None:
    """The next question; None where there are no more."""
    if is_typed:
        print("> ", end="", flush=True)
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None
