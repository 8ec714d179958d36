"""What the runs come to: shares with 95 % intervals, what was named instead, which healthy runs alarmed.

A run is a dict as `run.py` keeps it: case, family, faults, findings, figure, failed, broke, remedy ...
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from gipi.tasks.intervals import wilson

TARGETS = {"first": 0.8, "first two": 0.9, "false alarms": 0.05, "improved": 0.75}  # issue 8, point 5
Runs = Sequence[dict[str, Any]]


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with Wilson's interval."""
    if not of:
        return {"hits": 0, "of": 0, "share": None, "low": None, "high": None}
    low, high = wilson(hits / of, of)
    return {"hits": hits, "of": of, "share": hits / of, "low": low, "high": high}


def names(run: dict[str, Any]) -> list[str]:
    return [one["name"] for one in run["findings"]]


def place(run: dict[str, Any]) -> int | None:
    """Where the true fault stands among the findings, from 1; None: nowhere."""
    return next((number for number, name in enumerate(names(run), 1) if name in run["faults"]), None)


def is_within(run: dict[str, Any], most: int) -> bool:
    found = place(run)
    return found is not None and found <= most


def alarms(run: dict[str, Any]) -> list[str]:
    """Problems that were named."""
    return [one["name"] for one in run["findings"] if one["severity"] == "problem"]


def summary(runs: Runs) -> dict[str, Any]:
    """All numbers of the table."""
    broken = [run for run in runs if run["faults"]]
    sound = [run for run in runs if not run["faults"]]
    caught = [run for run in broken if run.get("remedy") and is_within(run, 1)]
    tried = [run for run in caught if not run.get("by_code")]
    in_vain = [run for run in caught if run.get("by_code")]
    return {
        "first": share(sum(is_within(run, 1) for run in broken), len(broken)),
        "first two": share(sum(is_within(run, 2) for run in broken), len(broken)),
        "anywhere": share(sum(place(run) is not None for run in broken), len(broken)),
        "false alarms": share(sum(bool(alarms(run)) for run in sound), len(sound)),
        "improved": share(sum(run["remedy"]["is_better"] for run in tried), len(tried)),
        "improved beyond its interval": share(sum(run["remedy"]["is_clear"] for run in tried), len(tried)),
        "improved, fault of code": share(sum(run["remedy"]["is_better"] for run in in_vain), len(in_vain)),
        "names": by_name(broken),
        "did not run": [run["case"] for run in runs if run.get("broke")],
    }


def by_name(broken: Runs) -> dict[str, dict[str, Any]]:
    """For each finding: runs that have it, how often it came first or second, and what came first instead."""
    found: dict[str, dict[str, Any]] = {}
    for fault in sorted({run["faults"][0] for run in broken}):
        runs = [run for run in broken if run["faults"][0] == fault]
        instead = Counter((names(run) or ["nothing"])[0] for run in runs if not is_within(run, 1))
        found[fault] = {
            "runs": len(runs),
            "first": sum(is_within(run, 1) for run in runs),
            "first two": sum(is_within(run, 2) for run in runs),
            "anywhere": sum(place(run) is not None for run in runs),
            "instead": dict(instead.most_common()),
        }
    return found


# --- said ---------------------------------------------------------------------------------------------------------


def percent(found: dict[str, Any]) -> str:
    if not found["of"]:
        return "none"
    return f"{found['share']:4.0%}  ({found['low']:.0%} to {found['high']:.0%})  {found['hits']} of {found['of']}"


def is_reached(name: str, found: dict[str, Any]) -> bool:
    wanted = TARGETS[name]
    return found["share"] <= wanted if name == "false alarms" else found["share"] >= wanted


def lines(runs: Runs) -> Iterable[str]:
    """The table as text."""
    held = summary(runs)
    sabotaged = sum(bool(run["faults"]) for run in runs)
    yield f"{sabotaged} sabotaged runs, {len(runs) - sabotaged} healthy ones; shares with their 95 % intervals"
    for name in [name for name, one in held.items() if isinstance(one, dict) and "share" in one]:
        goal = ""
        if name in TARGETS:
            sign = "<=" if name == "false alarms" else ">="
            goal = f"  goal {sign} {TARGETS[name]:.0%}"
            if held[name]["of"]:
                goal += ": reached" if is_reached(name, held[name]) else ": missed"
        yield f"  {name:30}{percent(held[name])}{goal}"
    yield ""
    yield f"{'finding':24}{'runs':>5}{'first':>7}{'in two':>8}{'at all':>8}  named first instead"
    for name, one in held["names"].items():
        instead = ", ".join(f"{other} {count}" for other, count in one["instead"].items())
        yield f"{name:24}{one['runs']:5}{one['first']:7}{one['first two']:8}{one['anywhere']:8}  {instead}"
    alarmed = [run for run in runs if not run["faults"] and alarms(run)]
    if alarmed:
        yield "\nhealthy runs with a problem:"
        yield from (f"  {run['case']:28} {', '.join(alarms(run))}" for run in alarmed)
    if held["did not run"]:
        yield "\ndid not run:"
        yield from (f"  {run['case']:28} {run['broke']}" for run in runs if run.get("broke"))
