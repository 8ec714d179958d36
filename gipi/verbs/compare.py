"""`gipi compare`: two runs beside each other, and whether the same rows can tell them apart."""

from typing import Any


def compare(first: Any, second: Any) -> dict[str, Any]:
    """Metrics and options of two runs, what differs, and a paired comparison if they were tested on the same rows.

    Args:
        first: A run, its folder or name.
        second: Another.

    Returns:
        `{"runs", "metrics": {name: [first, second]}, "differences": {option: [first, second]}, "paired"}`; paired is
        None, or `{"metric", "difference", "low", "high", "p_value"}` with the first run's advantage.
    """
    from gipi.run import Run

    pair = [one if isinstance(one, Run) else Run(one) for one in (first, second)]
    records = [run.record for run in pair]
    names = [name for name in records[0].get("metrics", {}) if name in records[1].get("metrics", {})]
    metrics = {name: [record["metrics"][name] for record in records] for name in names}
    differences = {}
    for section in ("options", "config"):
        held = [record.get(section, {}) for record in records]
        for name in dict.fromkeys([*held[0], *held[1]]):
            values = [one.get(name) for one in held]
            if values[0] != values[1] and name not in ("run", "json", "quiet", "lang", "profile", "system"):
                differences[name] = values
    if records[0].get("system") != records[1].get("system"):
        differences = {"system": [record.get("system") for record in records], **differences}
    same_rows = records[0].get("split") == records[1].get("split") and records[0].get("data_name") == records[1].get(
        "data_name"
    )
    return {
        "runs": [str(run.path) for run in pair],
        "metrics": metrics,
        "differences": differences,
        "paired": _paired(pair) if same_rows else None,
    }


def _paired(pair: list[Any]) -> dict[str, Any] | None:
    """Both kept models asked for the same test rows."""
    from gipi import tasks
    from gipi.jobs.material import gather
    from gipi.jobs.options import Fit
    from gipi.tasks.paired import pair as compare_pair

    record = pair[0].record
    if record["source"] is None or record["task"] not in ("classify", "regress"):
        return None
    options = Fit.from_json(record["options"])
    material = gather(record["source"], options)
    if "test" not in material.parts:
        return None
    rows = material.data.rows(material.parts["test"])
    task = tasks.load(material.task)
    predictions = []
    truth = None
    for run in pair:
        model = run.model
        x, y = model.encode(rows, with_targets=True)
        answers, _disagreement = model.answers(x)
        truth = task.truth(y, model.schema)
        predictions.append(
            answers.double().numpy() if material.task == "classify" else task.points(answers, model.schema)
        )
    kind = {"class": "classify", "labels": "labels"}.get(material.target_kind, "regress")
    difference, p_value = compare_pair(*predictions, truth, kind, None, 0)  # type: ignore[arg-type]
    metric = task.headline(pair[0].model.schema)
    return {
        "metric": metric,
        "difference": float(difference),
        "low": difference.low,
        "high": difference.high,
        "p_value": p_value,
    }
