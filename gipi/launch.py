"""Which of several processes this is, where torchrun, SLURM's srun or Ray started several to train together.

They say so in the environment, and this is the only place that reads it. Nothing here imports torch.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

LOWEST_PORT = 20_000  # of the ports that SLURM jobs meet at
PORTS = 10_000


class Place(NamedTuple):
    """One of `size` processes; `local` counts those of this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1


def place(environment: Mapping[str, str] | None = None) -> Place:
    """The place of this process: the only one, unless whoever started it says otherwise."""
    said = os.environ if environment is None else environment
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= said.keys():  # torchrun's; Ray's through gipi
        local = int(said.get("LOCAL_RANK", 0))
        return Place(int(said["RANK"]), int(said["WORLD_SIZE"]), local, int(said.get("LOCAL_WORLD_SIZE", 1)))
    if "SLURM_PROCID" in said and int(said.get("SLURM_STEP_NUM_TASKS", 1)) > 1:  # a step of srun's, not a batch script
        node = int(said.get("SLURM_NODEID", 0))
        beside = _tasks_of(said.get("SLURM_STEP_TASKS_PER_NODE", "1"))
        size = int(said["SLURM_STEP_NUM_TASKS"])
        return Place(int(said["SLURM_PROCID"]), size, int(said.get("SLURM_LOCALID", 0)), beside[node % len(beside)])
    return Place()


def is_first() -> bool:
    """Whether this process speaks for all: it alone prints."""
    return place().rank == 0


def meeting_point(environment: Mapping[str, str]) -> tuple[str, int]:
    """Host and port where the processes of a SLURM step meet: its first machine, a port by the job's number.

    MASTER_ADDR and MASTER_PORT, which batch scripts like to set, are taken where they are.
    """
    first = re.match(r"[^,\[]+(\[\d+)?", environment["SLURM_STEP_NODELIST"])  # gpu[07-12,20],login
    assert first
    job, step = int(environment.get("SLURM_JOB_ID", 0)), environment.get("SLURM_STEP_ID", "0")
    number = job * 7 + (int(step) if step.isdigit() else 0)  # two steps of a job may run at once
    host = environment.get("MASTER_ADDR", first[0].replace("[", ""))
    return host, int(environment.get("MASTER_PORT", LOWEST_PORT + number % PORTS))


def _tasks_of(text: str) -> list[int]:
    """Tasks of each machine: `2(x3),1` is [2, 2, 2, 1]."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(count) for count, times in found for _machine in range(int(times or 1))] or [1]
