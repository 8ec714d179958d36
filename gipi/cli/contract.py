"""`gipi serve --sagemaker`: the container's `serve`, typed by a person; the contract leaves no choice but the port."""

from dataclasses import fields
from typing import Any

from gipi.cli.lines import Line, Serve
from gipi.errors import RunError, UsageError
from gipi.jobs.checks import flag
from gipi.messages import _
from gipi.sagemaker.serve import serve
from gipi.verbs.inspect import bundle_of

FREE = ("port", "sagemaker", "json", "lang", "quiet")


def serve_for_sagemaker(line: Line) -> dict[str, Any]:
    """Serve one model as SageMaker asks it to.

    Raises:
        UsageError: There are several models, or an option that the contract has no place for.
        RunError: It could not be served, which has been said.
    """
    for option in fields(Serve):
        if option.name not in FREE and getattr(line.options, option.name) != option.default:
            raise UsageError(_("{option} does not go with --sagemaker", option=flag(option.name)))
    if len(line.words) > 1:
        raise UsageError(_("one model was expected with --sagemaker, {came} came", came=len(line.words)))
    source = bundle_of(line.words[0]) if line.words else None
    if serve(port=line.options.port, source=source):
        raise RunError(_("the server could not go on"))
    return {"served": line.words}
