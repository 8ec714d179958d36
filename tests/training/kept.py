"""What a run comes to, as hashes and numbers: two runs that are the same to the bit have the same outcome."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import torch

from gipi.report.display import Silent
from gipi.training.folder import read_record
from gipi.training.log_file import read_log

PASSING = (
    "seconds",
    "started",
    "finished",
    "name",
    "options",
    "versions",
    "hardware",
    "log",
    "findings",  # by what was seen, and when
    "probes",  # as long as there is time
)  # differs from run to run


def outcome(folder: Path) -> dict[str, Any]:
    """Weights, every number that was logged, and results; without what the clock says."""
    with zipfile.ZipFile(folder / "model.gipi") as bundle:
        weights = hashlib.sha256(bundle.read("weights.safetensors")).hexdigest()
    log = [without_clock(line) for line in read_log(folder)]
    record = {name: value for name, value in read_record(folder).items() if name not in (*PASSING, "verdict")}
    return {"weights": weights, "log": digest(log), "lines": len(log), "record": without_clock(record)}


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_clock(one) for name, one in value.items() if name != "seconds"}
    return [without_clock(one) for one in value] if isinstance(value, list) else value


class Cut(BaseException):
    """A process that ends in the middle of things."""


class Watching(Silent):
    """A display that ends the process after some step, or does anything else then; and keeps what it is told."""

    def __init__(self, at: dict[int, Any] | None = None):
        self.at = dict(at or {})  # number of steps that were seen -> what to do
        self.seen = 0
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, step: int, losses: dict[str, torch.Tensor]) -> None:
        self.seen += 1
        if do := self.at.pop(self.seen, None):
            do()


def cut() -> None:
    raise Cut
