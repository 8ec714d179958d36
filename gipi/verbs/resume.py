"""`gipi resume`: go on with a run that was killed or interrupted, to the same bits as if it had not been."""

import dataclasses
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.launch import place
from gipi.messages import _, use
from gipi.process import large_imports
from gipi.signals import stoppable

if TYPE_CHECKING:
    from gipi.run import Run
    from gipi.training.distributed import Ranks


def resume(run: Any = "last", data: Any = None, device: str | None = None, **own: Any) -> "Run":
    """Go on with a run.

    Args:
        run: The run, its folder or name.
        data: The data once more, where it was in memory; what came from a file or has a name is opened again.
        device: To go on there: auto, cpu, cuda, cuda:1, mps; where it began if not given. The same device gives the
            same bits; that another may not is said.
        **own: What was of one's own, once more: `model`, `loss`, `optimizer`, `system`; and `quiet`, `json`, `lang`,
            `profile`.

    Raises:
        RunError: There is no such run, another process has it, or its data is not what it was.
        UsageError: Something that lived in memory is missing, or there is no such device.
        KeyboardInterrupt: A key or signal, as in `fit`.
    """
    with large_imports():
        from gipi.jobs.carry import as_seen_here
        from gipi.run import Run
        from gipi.training.checkpoint import remove_unfinished
        from gipi.training.distributed import joined

    with stoppable() if place().size == 1 else nullcontext(), joined() as ranks:
        path = getattr(run, "path", run)
        found = Run(path) if ranks.is_first else None
        if done := ranks.first_says(str(found.path) if found and found.status == "done" else ""):
            remove_unfinished(Path(done))  # of a kill in the instant after it had ended
            return found or Run(as_seen_here(Path(done)))
        return _go_on(path, data, device, own, ranks)


def _go_on(path: Any, data: Any, device: str | None, own: dict[str, Any], ranks: "Ranks") -> "Run":
    """With a run that is not finished. The first of several processes holds its folder and tells the others."""
    from gipi.jobs.carry import as_seen_here, carry_out
    from gipi.jobs.options import Fit
    from gipi.jobs.request import Request
    from gipi.run import Run
    from gipi.training.folder import Folder, check_record
    from gipi.training.prepare import choose_device

    folder = Folder.open(path) if ranks.is_first else None
    try:
        record = ranks.first_says(folder.record if folder else {})
        held = Path(ranks.first_says(str(folder.path) if folder else ""))
        if record.get("status") == "done":  # it was finished a moment ago
            return Run(as_seen_here(held))
        check_record(record, held, ("options", "own", "source", "system_options", "config", "hardware"))
        said = {name: own.pop(name) for name in ("quiet", "json", "lang", "profile") if name in own}
        options = dataclasses.replace(Fit.from_json(record["options"]), **said)
        use(options.lang)
        if device is not None:
            options = dataclasses.replace(options, device=device)
        before = record["hardware"]["device"] if ranks.is_alone else record["hardware"]["device"].partition(":")[0]
        if device is None and options.device == "auto":  # where it began, if that is here
            with suppress(UsageError):
                options = dataclasses.replace(options, device=str(choose_device(before)))
        missing = [name for name in record["own"] if name not in own]
        if missing:
            text = _(
                "the run {name} used objects of one's own; give them again: {missing}",
                name=held.name,
                missing=", ".join(missing),
            )
            raise UsageError(text)
        source = data if data is not None else record["source"]
        if source is None:
            raise UsageError(
                _("the data of the run {name} was in memory; give it again: gipi.resume(run, data)", name=held.name)
            )
        system_options = dict(record["system_options"])
        if system_options.get("lr") == "auto":
            system_options["lr"] = record["config"]["lr"]
        system = own.pop("system", None)
        request = Request(source, options, system_options, own, system, folder, ranks=ranks)
        return Run(carry_out(request), {**own, "system": system})
    finally:
        if folder:
            folder.close()
