"""What the doctor is shown of a job: its data, its training as the log has it, what was tried, what came of it."""

from dataclasses import replace
from typing import Any

import numpy as np

from gipi.doctor import OF_DATA, ORDER, Finding, examine
from gipi.doctor.finding import View
from gipi.doctor.visits import Visits
from gipi.jobs.job import Job, Outcome
from gipi.jobs.options import Fit
from gipi.training.folder import Folder
from gipi.training.log_file import read_curve, read_faults, read_log, read_visits


def examiner_of(job: Job) -> Visits | None:
    """Who looks into the training; nobody where it is not wanted, or where several processes train together."""
    setting = job.setting
    return Visits(setting.own.loss is not None) if setting.options.doctor and setting.ranks.is_alone else None


def examined_before(job: Job, display: Any) -> list[dict[str, Any]]:
    """What is found in the data, as run.json holds it; a person is told before training begins."""
    if not job.setting.options.doctor:
        return []
    found = examined_data(job)
    for finding in found:
        if finding.severity != "note":
            display.note(f"{finding.name}: {finding}")
    return [finding.json() for finding in found]


def examined_data(job: Job) -> list[Finding]:
    """What is found in the data."""
    return examine(replace(job.view(), **_known(job)), OF_DATA)


def examined_after(job: Job, folder: Folder, error: str, outcome: Outcome | None) -> list[Finding]:
    """What is found in the training."""
    return examine(view_of(job, folder, error, outcome), [name for name in ORDER if name not in OF_DATA])


def _known(job: Job) -> dict[str, Any]:
    """What is known of any job before it begins."""
    layers: list[Any] = job.record.get("layers", [])
    return {
        "task": str(job.record.get("task", "")),
        "system": job.setting.system_name,
        "options": options_of(job),
        "usual": {**vars(Fit()), **usual_config(job)},
        "parameters": sum(count or 0 for _name, _shape, count in layers),
        "steps": job.plan.steps,
        "is_drawn": _is_drawn(job),
    }


def _is_drawn(job: Job) -> bool:
    """Whether the parts were drawn at random: nobody gave one, and no column decides it."""
    options = job.setting.options
    data = getattr(getattr(job, "material", job), "data", None)
    return not (options.test or options.valid or options.time or options.group or getattr(data, "parts", None))


def usual_config(job: Job) -> dict[str, Any]:
    """The system's options as they come; nothing where it has none, or asks for some."""
    try:
        return dict(vars(type(job.setting.config)()))
    except TypeError:
        return {}


def options_of(job: Job) -> dict[str, Any]:
    """The options of the run and of its system as they are."""
    return {**job.setting.config_of_file, **vars(job.setting.options), "batch_size": job.batch_size}


def view_of(job: Job, folder: Folder, error: str = "", outcome: Outcome | None = None) -> View:
    """All that is known of the run."""
    curve = {name: np.array(points) for name, points in read_curve(folder.path).items()}
    return replace(
        job.view(),
        **_known(job),
        history=read_log(folder.path, epochs=True),
        error=error,
        curve=curve,
        visits=read_visits(folder.path),
        faults=read_faults(folder.path),
        probes=folder.record.get("probes", {}),
        evidence=outcome.evidence if outcome else {},
    )
