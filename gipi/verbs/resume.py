"""`gipi resume`: go on with a run that was killed or interrupted, to the same bits as if it had not been."""

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.messages import _, use

if TYPE_CHECKING:
    from gipi.run import Run


def resume(run: Any = "last", data: Any = None, **own: Any) -> "Run":
    """Go on with a run.

    Args:
        run: The run, its folder or name.
        data: The data once more, where it was in memory; what came from a file or has a name is opened again.
        **own: What was of one's own, once more: `model`, `loss`, `optimizer`, `system`; and `quiet`, `json`, `lang`,
            `profile`.

    Raises:
        RunError: There is no such run, another process has it, or its data is not what it was.
        UsageError: Something that lived in memory is missing.
    """
    from gipi.jobs.carry import carry_out
    from gipi.jobs.options import Fit
    from gipi.jobs.request import Request
    from gipi.run import Run
    from gipi.training.folder import Folder, check_record
    from gipi.training.prepare import choose_device

    path = getattr(run, "path", run)
    found = Run(path)
    if found.status == "done":
        return found
    folder = Folder.open(path)
    try:
        record = folder.record
        if record.get("status") == "done":  # it was finished a moment ago
            return Run(path)
        check_record(record, folder.path, ("options", "own", "source", "system_options", "config", "hardware"))
        said = {name: own.pop(name) for name in ("quiet", "json", "lang", "profile") if name in own}
        options = dataclasses.replace(Fit.from_json(record["options"]), **said)
        use(options.lang)
        if options.device == "auto":  # where it began, if that is here
            with suppress(UsageError):
                options = dataclasses.replace(options, device=str(choose_device(record["hardware"]["device"])))
        missing = [name for name in record["own"] if name not in own]
        if missing:
            text = _(
                "the run {name} used objects of one's own; give them again: {missing}",
                name=found.name,
                missing=", ".join(missing),
            )
            raise UsageError(text)
        source = data if data is not None else record["source"]
        if source is None:
            raise UsageError(
                _("the data of the run {name} was in memory; give it again: gipi.resume(run, data)", name=found.name)
            )
        system_options = dict(record["system_options"])
        if system_options.get("lr") == "auto":
            system_options["lr"] = record["config"]["lr"]
        system = own.pop("system", None)
        return Run(carry_out(Request(source, options, system_options, own, system, folder)), {**own, "system": system})
    finally:
        folder.close()
