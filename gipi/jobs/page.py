"""A run as a page: what its record and its history say, in the order in which a person wants to know it."""

from collections.abc import Sequence
from typing import Any

from gipi.messages import _
from gipi.report.page import Baseline, Page, Result
from gipi.tasks.intervals import metric_from_json


def page_of(
    record: dict[str, Any],
    history: Sequence[dict],
    results: Sequence[Result] = (),
    baselines: Sequence[Baseline] = (),
    profile: Sequence[tuple[str, float]] = (),
) -> Page:
    """The page of a run; `results` are what only the finished job can show."""
    verdict = record.get("verdict") or {}
    worth = verdict.get("worth_it")
    tone = {True: "good", False: "warn", None: "plain"}[worth]
    warnings = []
    if record.get("status") == "diverged":
        tone, warnings = "bad", [record.get("error", "")]
    if record.get("status") == "interrupted":
        warnings = [_("the run was interrupted; this is how far it came")]
    hidden = (
        "schema",
        "options",
        "facts",
        "notes",
        "verdict",
        "metrics",
        "layers",
        "algorithm",
        "findings",
        "finished",
    )
    configuration = {name: value for name, value in record.items() if name not in hidden}
    return Page(
        title=record.get("name", ""),
        subtitle=[
            *(str(record[key]) for key in ("task", "system", "data_name") if key in record),
            record.get("started", "")[:16].replace("T", " "),
        ],
        verdict=[verdict["sentence"]] if verdict else record.get("notes", [])[:1],
        tone=tone,
        warnings=[
            *warnings,
            *(finding["cause"] for finding in record.get("findings", []) if finding["severity"] == "problem"),
        ],
        data=record.get("facts", []),
        model=[(name, shape, count) for name, shape, count in record.get("layers", [])],
        loss=(record.get("algorithm") or [["", ""]])[0][1],
        algorithm=[*(how for _what, how in record.get("algorithm", [])[1:]), *record.get("notes", [])],
        history=history,
        best=next((line["epoch"] for line in reversed(history) if line.get("is_best")), None),
        metrics={name: metric_from_json(value) for name, value in record.get("metrics", {}).items()},
        metrics_of=record.get("metrics_of", ""),
        results=results,
        baselines=baselines,
        baseline_metric=verdict.get("metric", ""),
        findings=record.get("findings", []),
        configuration={**configuration, _("options"): record.get("options", {})},
        profile=profile,
    )
