"""`gipi VERB ...`: finds the verb, reads the line, runs it; what goes wrong becomes one sentence and an exit code.

Exit codes: 0; 1: it failed; 2: the line is wrong; 129, 130 and 143: interrupted by a terminal that closed, Ctrl-C or
SIGTERM, and saved.
Nothing here imports torch; a verb does when it runs.
"""

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import Any

VERBS = {
    "fit": "DATA [OPTIONS]",
    "evaluate": "RUN [DATA]",
    "predict": "RUN INPUT... [OPTIONS]",
    "generate": "RUN [OPTIONS]",
    "chat": "RUN [OPTIONS]",
    "resume": "[RUN] [OPTIONS]",
    "runs": "",
    "show": "[RUN] [PICTURE] [OPTIONS]",
    "doctor": "[RUN] [OPTIONS]",
    "compare": "RUN RUN",
    "save": "RUN FILE",
    "inspect": "FILE",
    "export": "RUN [FILE] [--to onnx|torch|safetensors|sagemaker|docker]",
    "serve": "[RUN...] [OPTIONS]",
    "systems": "[SYSTEM]",
    "data": "[NAME or SOURCE] [OPTIONS]",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one line; gives the exit code. `gipi` on the command line ends with it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _prefer_utf8()
    from gipi.messages import LANGUAGES, _, use

    language = _after("--lang", arguments)
    use(language if language in LANGUAGES else None)
    if language is not None and language not in LANGUAGES:
        text = _("there is no language '{name}'; there are {known}", name=language, known=", ".join(LANGUAGES))
        return _fail(text, 2, "--json" in arguments)
    if arguments[:1] == ["--lang"]:  # said before the verb
        arguments = [*arguments[2:], *arguments[:2]]
    if not arguments or arguments[0] in ("--help", "-h", "help", "--lang"):
        from gipi.cli.help import overview

        print(overview())
        return 0
    if arguments[0] in ("--version", "-V"):
        from gipi import __version__

        print(f"gipi {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        from gipi.errors import nearest

        known = ", ".join(VERBS)
        text = _("there is no verb '{name}'; the verbs are: {known}.", name=verb, known=known)
        return _fail(text + nearest(verb, [*VERBS]), 2, "--json" in arguments)
    if "--help" in rest or "-h" in rest:
        from gipi.cli.help import of_verb

        print(of_verb(verb))
        return 0
    with _heard(), _damage_said():
        return _run(verb, rest)


def _heard() -> AbstractContextManager:
    """Where a signal ends it with its own code; one of several processes is ended by whoever started them."""
    from gipi.launch import place
    from gipi.signals import stoppable

    return stoppable() if place().size == 1 else nullcontext()


@contextmanager
def _damage_said() -> Iterator[None]:
    """What Python would warn of with file and line, as one sentence, once; also where nothing else is to be said."""
    from gipi.errors import DamageWarning, ProgramWarning

    said = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", DamageWarning)
        warnings.simplefilter("always", ProgramWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if not issubclass(category, (DamageWarning, ProgramWarning)):
                usual(message, category, *place)
            elif str(message) not in said:
                said.add(str(message))
                from gipi.report.text import clean

                print(f"gipi: {clean(message)}", file=sys.stderr)

        warnings.showwarning = show
        yield


def _run(verb: str, rest: list[str]) -> int:
    from gipi.cli.lines import read_line
    from gipi.errors import DataError, RunError, TrainingError, UsageError
    from gipi.launch import is_first
    from gipi.messages import _

    wants_json = "--json" in rest
    try:
        line = read_line(verb, rest)
        from gipi.cli import commands

        with nullcontext() if is_first() else redirect_stdout(io.StringIO()):
            result = getattr(commands, verb)(line)
    except UsageError as error:
        return _fail(str(error), 2, wants_json)
    except (DataError, RunError, TrainingError) as error:
        return _fail(str(error), 1, wants_json)
    except KeyboardInterrupt as error:
        if is_first() and not getattr(error, "is_said", False):
            print(f"gipi: {_('interrupted')}", file=sys.stderr)
        return 128 + getattr(error, "signal_number", 2)
    except BrokenPipeError:
        raise  # see `run`
    except OSError as error:  # the disk is full, a name is too long for it, and the like
        return _fail(_system_said(error), 1, wants_json)
    except (MemoryError, RuntimeError) as error:
        from gipi.training.player import ran_out_of_memory

        if not ran_out_of_memory(error):
            raise
        return _fail(_("the memory of this machine is too small for that"), 1, wants_json)
    if wants_json and is_first():
        from gipi.cli.commands import as_json

        print(as_json(result))
    return 0


def _system_said(error: OSError) -> str:
    from gipi.errors import reason_of

    name = str(error.filename or "")
    name = name if len(name) <= 200 else name[:200] + "..."
    return f"{name}: {reason_of(error)}" if name and error.strerror else str(error)


def _fail(text: str, code: int, wants_json: bool = False) -> int:
    from gipi.launch import is_first

    if not is_first():  # the first of several processes says it
        return code
    from gipi.report.text import clean

    print(f"gipi: {clean(text)}", file=sys.stderr)  # it may quote what a stranger's file says
    if wants_json:
        from gipi.report.text import harmless_json

        print(harmless_json({"error": text}, ensure_ascii=False))
    return code


def _after(flag: str, arguments: list[str]) -> str | None:
    """The word after a flag, or behind its equals sign."""
    for place, argument in enumerate(arguments):
        if argument == flag and place + 1 < len(arguments) and not arguments[place + 1].startswith("--"):
            return arguments[place + 1]
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return None


def _prefer_utf8() -> None:
    """A terminal that cannot show a letter gets a question mark, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def run() -> None:
    """The console script."""
    from gipi.signals import deafen

    with _heard():
        try:
            code = main()
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of our output has gone, for instance `gipi runs | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the last flush complain
            code = 1
        except KeyboardInterrupt as stop:
            code = 128 + getattr(stop, "signal_number", 2)
        if code > 128:
            deafen()
    sys.exit(code)
