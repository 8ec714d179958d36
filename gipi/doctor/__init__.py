"""The doctor: names what is wrong with the data or the training, shows the evidence, and says what helps.

Each check is one file of checks/ with one function `check(view)`; the folder is the list of checks.

>>> import gipi
>>> doctor = gipi.doctor.watch(model, optimizer)    # doctest: +SKIP
>>> print(doctor)                                   # doctest: +SKIP
"""

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.errors import DoctorWarning
from gipi.messages import _

if TYPE_CHECKING:
    from gipi.doctor.watching import watch as watch

__all__ = ["Finding", "Plot", "Remedy", "View", "examine", "findings", "watch"]

OF_DATA = (  # what can be said before the first step; too-little-data teaches a quick model, and has time until the end
    *("target-leak", "duplicate-rows", "time-leak", "group-leak", "unscaled-input", "outlier-target", "broken-inputs"),
    *("contradictory-labels", "distribution-shift", "class-imbalance", "identifier-column"),
    "constant-column",
)
SEVERITIES = ("problem", "warning", "note")
# Causes before what they cause: of two findings that are as severe the one that may explain the other comes first.
ORDER = (
    *("time-leak", "group-leak", "target-leak", "contradictory-labels", "duplicate-rows", "shifted-targets"),
    *("softmax-twice", "loss-mismatch", "no-gradient", "frozen-layer", "not-shuffled", "unscaled-input"),
    *("outlier-target", "broken-inputs", "distribution-shift"),
    *("inspector-wins", "mode-collapse", "no-exploration", "repetition"),
    *("exploding-gradient", "step-too-large", "vanishing-gradient", "dead-units", "saturated-units"),
    *("small-batch-norm", "step-too-small", "divergence", "initial-loss", "noisy-gradient"),
    *("class-imbalance", "identifier-column", "constant-column", "starved-device", "loss-without-metric"),
    *("underfitting", "input-ignored", "cannot-memorise", "overfitting", "plateau", "too-little-data"),
)


def __getattr__(name: str) -> Any:
    """`watch`, without importing torch before it is asked for."""
    if name == "watch":
        from gipi.doctor.watching import watch

        return watch
    raise AttributeError(f"module 'gipi.doctor' has no attribute {name!r}")


def examine(view: View, names: Sequence[str] = ORDER) -> list[Finding]:
    """All findings, the most severe first, and of those as severe the deepest cause.

    Args:
        view: What is known.
        names: Of the checks that are made.

    Warns:
        DoctorWarning: A check failed; nothing is lost but its finding.
    """
    found = []
    for path in sorted((Path(__file__).parent / "checks").glob("*.py")):
        if path.stem.replace("_", "-") not in names:
            continue
        try:
            finding = importlib.import_module(f"gipi.doctor.checks.{path.stem}").check(view)
        except Exception as error:  # a diagnosis must never cost a trained model
            said = _("the doctor's check {name} failed: {error}", name=path.stem, error=repr(error)[:200])
            warnings.warn(said, DoctorWarning, stacklevel=2)
            continue
        if finding:
            found.append(finding)
    return ranked(found)


def ranked(found: Sequence[Finding]) -> list[Finding]:
    """The most severe first, and of those as severe the deepest cause."""
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), ORDER.index(one.name)))


def findings(run: Any) -> list[Finding]:
    """What was found when the run was made; read from its record."""
    return [Finding.from_json(held) for held in run.record.get("findings", [])]
