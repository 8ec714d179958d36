"""The doctor: names what is wrong with the data or the training, shows the evidence, and says what helps.

Each check is one file with one function `check(view)`; the folder is the list of checks.
"""

import importlib
from pathlib import Path
from typing import Any

from gipi.doctor.finding import Finding, View

__all__ = ["Finding", "View", "examine", "findings"]

SEVERITIES = ("problem", "warning", "note")


def examine(view: View) -> list[Finding]:
    """All findings, the most severe first."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in ("__init__", "finding"):
            finding = importlib.import_module(f"gipi.doctor.{path.stem}").check(view)
            if finding:
                found.append(finding)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def findings(run: Any) -> list[Finding]:
    """What was found when the run was made; read from its record."""
    return [Finding.from_json(held) for held in run.record.get("findings", [])]
