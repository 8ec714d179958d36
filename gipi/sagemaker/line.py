"""The command line of the container: one word from SageMaker, and two options for a trial outside of it."""

import sys
from pathlib import Path

from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.sagemaker.places import ROOT

WORDS = ("train", "serve")
USAGE = "python -m gipi.sagemaker train|serve [--root /opt/ml] [--port 8080]"


def main(arguments: list[str]) -> int:
    """Do what SageMaker asked for; gives the exit code."""
    try:
        word, root, port = read(arguments)
    except UsageError as error:
        print(f"gipi: {error}", file=sys.stderr)
        return 2
    if word == "train":
        from gipi.sagemaker.train import train

        return train(root)
    from gipi.sagemaker.serve import serve

    return serve(root, port)


def read(arguments: list[str]) -> tuple[str, Path, int | None]:
    """The word, the root folder, the port (None: what SageMaker says).

    Raises:
        UsageError: The line is none of these.

    Example:
        >>> read(["serve", "--port", "9000"])
        ('serve', PosixPath('/opt/ml'), 9000)
    """
    words = [part for argument in arguments for part in argument.split("=", 1)]
    if not words or words[0] not in WORDS:
        raise UsageError(_("expected: {usage}", usage=USAGE) + nearest((words or [""])[0], [*WORDS]))
    root, port, rest = ROOT, None, words[1:]
    while rest:
        if rest[0] == "--root" and len(rest) > 1:
            root = Path(rest[1])
        elif rest[0] == "--port" and len(rest) > 1 and rest[1].isdecimal() and int(rest[1]) < 1 << 16:
            port = int(rest[1])
        else:
            raise UsageError(_("expected: {usage}", usage=USAGE))
        rest = rest[2:]
    return words[0], root, port
