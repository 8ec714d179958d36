"""`gipi runs` and `gipi show`: what has been done, found by reading folders."""

from typing import TYPE_CHECKING, Any

from gipi.errors import RunError
from gipi.messages import _

if TYPE_CHECKING:
    from gipi.run import Run


def runs() -> list["Run"]:
    """Every run under ./runs, the oldest first."""
    from gipi.run import Run
    from gipi.training.folder import all_runs

    return [Run(path) for path in all_runs()]


def summary(run: "Run") -> dict[str, Any]:
    """A run in a few words."""
    try:
        record = run.record
    except RunError:  # one that is damaged does not hide the others
        record: dict[str, Any] = {"status": _("damaged")}
        run.record = record
    metrics = [*record.get("metrics", {}).items()]
    name, value = metrics[0] if metrics else ("", {"value": None, "low": None, "high": None})
    return {
        "run": str(run.path),
        "status": run.status,
        "task": record.get("task"),
        "data": record.get("data_name"),
        "system": record.get("system"),
        "metric": name,
        "value": value["value"],
        "low": value["low"],
        "high": value["high"],
        "seconds": round(sum(record.get("seconds", {}).values()), 1) or None,
        "started": record.get("started"),
    }
