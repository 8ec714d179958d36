"""What run.json says of a run before its first step, and whether all of that still holds when the run goes on."""

import dataclasses
import datetime
import os
import platform
from pathlib import Path
from typing import Any

import torch

from gipi.errors import RunError
from gipi.jobs.job import Job
from gipi.jobs.request import Request
from gipi.messages import _
from gipi.training.folder import Folder


def write_down(job: Job, folder: Folder, request: Request) -> None:
    """run.json before the first step; on resume, check that everything is what it was."""
    setting = job.setting
    if request.folder:
        for key, what in (("data", _("the data")), ("split", _("the parts"))):
            if folder.record.get(key) != job.record.get(key):
                raise RunError(
                    _(
                        "{what} of the run {name} is not what it was: it cannot be continued exactly",
                        what=what,
                        name=folder.name,
                    )
                )
        folder.record.pop("error", None)  # of a run that failed
        folder.write_record(status="running", layers=job.record["layers"])
        return
    config = {name: value if _is_json(value) else repr(value) for name, value in vars(setting.config).items()}
    folder.write_record(
        format=2,
        name=folder.name,
        status="running",
        system=setting.system_name,
        config=config,
        options=dataclasses.asdict(setting.options),
        system_options={k: v for k, v in request.system_options.items() if _is_json(v)},
        own=sorted(request.own) + (["system"] if request.system is not None else []),
        source=_source(request.data),
        data_name=job.name,
        facts=job.facts,
        algorithm=job.algorithm,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        versions=_versions(),
        hardware={
            "device": str(setting.device),
            "machine": platform.machine(),
            "processors": torch.get_num_threads(),
            "processes": setting.ranks.size,
        },
        members=job.members,
        **job.record,
    )


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, tuple, dict))


def _source(data: Any) -> str | None:
    """What opens the data again, from any folder: a name as it is, a path from its root; None for data in memory."""
    if not isinstance(data, (str, Path)):
        return None
    is_path = isinstance(data, Path) or os.sep in data or bool(Path(data).suffix)
    return str(Path(data).expanduser().absolute()) if is_path and Path(data).expanduser().exists() else str(data)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    named = {name: version(name) for name in ("gipi", "torch", "numpy", "polars", "scikit-learn")}
    return {"python": platform.python_version(), **named}


def changed(job: Job, folder: Folder) -> str:
    """What is not as it was when the run began, though bits may depend on it; nothing if all is."""
    record = folder.record
    then = {"processes": 1, **record["versions"], **record["hardware"], "threads": record["arithmetic"]["threads"]}
    now: dict[str, Any] = {**_versions(), "device": str(job.setting.device), "machine": platform.machine()}
    now["threads"] = job.record["arithmetic"]["threads"]
    now["processes"] = job.setting.ranks.size
    found = [f"{name} {then.get(name)} -> {value}" for name, value in now.items() if then.get(name) != value]
    if not found:
        return ""
    return _("changed since the run began: {what}; it goes on, perhaps not to the same bits", what=", ".join(found))
