"""What the doctor is shown of a job: its data, its training as the log has it, what was tried, what came of it."""

from dataclasses import replace
from typing import Any

import numpy as np

from gipi.doctor.finding import View
from gipi.doctor.visits import Visits
from gipi.jobs.job import Job, Outcome
from gipi.training.folder import Folder
from gipi.training.log_file import read_curve, read_faults, read_log, read_visits


def examiner_of(job: Job) -> Visits | None:
    """Who looks into the training; nobody where it is not wanted, or where several processes train together."""
    setting = job.setting
    return Visits() if setting.options.doctor and setting.ranks.is_alone else None


def view_of(job: Job, folder: Folder, error: str = "", outcome: Outcome | None = None) -> View:
    """All that is known of the run."""
    setting = job.setting
    options = {name: value for name, value in vars(setting.config).items() if not callable(value)}
    options |= {**vars(setting.options), "batch_size": job.batch_size}
    curve = {name: np.array(points) for name, points in read_curve(folder.path).items()}
    layers: list[Any] = job.record.get("layers", [])
    return replace(
        job.view(),
        history=read_log(folder.path, epochs=True),
        error=error,
        task=str(job.record.get("task", "")),
        system=setting.system_name,
        options=options,
        parameters=sum(count or 0 for _name, _shape, count in layers),
        steps=job.plan.steps,
        curve=curve,
        visits=read_visits(folder.path),
        faults=read_faults(folder.path),
        probes=folder.record.get("probes", {}),
        evidence=outcome.evidence if outcome else {},
    )
