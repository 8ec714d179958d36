"""`gipi export --precision`: a variant in fewer bits is measured beside the model, and written only if it pays."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.verbs.reopened import own_material

if TYPE_CHECKING:
    from gipi.data.dataset import Dataset
    from gipi.release.export import Exported
    from gipi.release.variants import Variant

TASKS = ("classify", "regress")
CALIBRATION = 512  # rows that 8 bits are scaled by, at most


def variant(source: Any, model: Any, path: Path, precision: str, most_lost: float, data: Any = None) -> "Exported":
    """Make a variant of a model, measure it, and write it if it is faster and no worse than it may be.

    Args:
        source: Where the model comes from; a run, unless data is given.
        model: The model.
        path: The .onnx file.
        precision: "int8" or "bf16".
        most_lost: By how much the first metric may be worse.
        data: What it is measured on; None: the run's own test part.

    Raises:
        RunError: It is not faster, or worse than it may be; says by how much.
        UsageError: There is no such variant, or no data to measure it on.
    """
    from gipi import tasks
    from gipi.release.export import Exported, onnx_model, program_with, running, write_graph
    from gipi.release.variants import bf16, int8, runnable

    if model.task not in TASKS:
        raise UsageError(
            _(
                "int8 and bf16 are measured for models that classify or regress; this one's task is {task}",
                task=model.task,
            )
        )
    if not hasattr(model, "members"):
        raise UsageError(_("this needs the model's networks; give the module, gipi.load(path, model=...)"))
    seen, judged = _own_parts(source) if data is None else _given_parts(model, data)
    narrow = [bf16(model)] if precision == "bf16" else []
    for one in narrow:
        runnable(one, precision)  # where it cannot run, that is known at once
    usual = onnx_model(model)
    before = program_with(model, running(usual.SerializeToString()))
    made = narrow or int8(usual, before.inputs(seen))
    name = tasks.load(model.task).headline(model.schema)
    usually = before.evaluate(judged)[name]
    found = [_measured(one, precision, model, before, judged, (name, usually)) for one in made]
    good = [one for one in found if one["faster"] and one["loss"] <= most_lost]
    best = min(good or found, key=lambda one: (one["loss"] > most_lost, one["time"]))
    if not good:
        raise RunError(_refusal(best, precision, most_lost))
    chosen = next(one for one in made if one.method == best["method"])
    written = write_graph(model, chosen.proto, path, precision=precision)
    best["bytes"] = {"before": usual.ByteSize(), "after": path.stat().st_size}
    return Exported(written.files, written.usage, _praise(best, precision), best)


def _measured(
    made: "Variant", precision: str, model: Any, before: Any, judged: "Dataset", usual: tuple[str, Any]
) -> dict[str, Any]:
    """How fast and how good a variant is beside the program; `usual`: the metric, and what the program has of it."""
    import numpy as np

    from gipi.release.export import program_with
    from gipi.release.variants import FASTER, loss_of, runnable, seconds
    from gipi.tasks.intervals import metric_json

    name, metric = usual
    after = program_with(model, runnable(made, precision))
    times = seconds([before.outputs, after.outputs], before.inputs(judged))
    each = [float(np.median(one)) for one in times]
    ratio = each[1] / each[0]
    found = after.evaluate(judged)[name]
    return {
        "precision": precision,
        "method": made.method,
        "metric": name,
        "before": metric_json(metric),
        "after": metric_json(found),
        "loss": round(loss_of(metric, found), 12),  # 0.7 - 0.69 is a little more than 0.01 to a computer
        "seconds_per_row": {"before": each[0], "after": each[1]},
        "time": ratio,
        "faster": ratio <= FASTER,
        "rows": len(judged),
    }


def _refusal(best: dict[str, Any], precision: str, most_lost: float) -> str:
    """Why nothing was written, in one sentence."""
    said = _figures(best)
    if not best["faster"]:
        text = _("{precision} is not written, because it is not faster here: {said}", precision=precision, said=said)
        return text
    return _(
        "{precision} is not written, because {metric} is worse by {loss}, and {most} is allowed: {said}",
        precision=precision,
        metric=best["metric"],
        loss=f"{best['loss']:.4g}",
        most=f"{most_lost:g}",
        said=said,
    )


def _praise(best: dict[str, Any], precision: str) -> str:
    return f"{precision}: {_figures(best)}"


def _figures(best: dict[str, Any]) -> str:
    from gipi.report.text import interval, metric

    name, each = best["metric"], best["seconds_per_row"]
    sides = []
    for side in ("before", "after"):
        held = best[side]
        sides.append(f"{metric(name, held['value'])} ({interval(name, held['low'], held['high'])})")
    return _(
        "{ratio} of the time ({before} to {after} µs a row), {metric} {was} to {is_now}",
        ratio=f"{best['time']:.2f}",
        before=f"{1e6 * each['before']:.3g}",
        after=f"{1e6 * each['after']:.3g}",
        metric=name,
        was=sides[0],
        is_now=sides[1],
    )


# --- what it is measured on ------------------------------------------------------------------------------------------


def _own_parts(source: Any) -> "tuple[Dataset, Dataset]":
    """Some of a run's training rows, and its test part, opened once more."""
    material = own_material(source, "--data DATA")
    if "test" not in material.parts:
        raise UsageError(_("the run has no test part; give other data: --data DATA"))
    data = material.data
    return data.rows(_some(material.parts["train"], CALIBRATION)), data.rows(material.parts["test"])


def _given_parts(model: Any, data: Any) -> "tuple[Dataset, Dataset]":
    """Some rows of other data, and all its other rows."""
    import numpy as np

    from gipi.data.sources import open_data

    target = [field.name for field in model.target_columns]
    size = model.schema.inputs[0].shape[1:] if model.schema.is_picture else None
    opened = open_data(data, target=target, picture_size=size)  # type: ignore[arg-type]  # (H, W)
    if len(opened) < 4:
        raise UsageError(_("to measure on, at least four rows are needed; {count} came", count=len(opened)))
    rows = np.arange(len(opened))
    seen = _some(rows, min(CALIBRATION, len(opened) // 4))
    return opened.rows(seen), opened.rows(np.setdiff1d(rows, seen))


def _some(rows: Any, count: int) -> Any:
    """At most so many of these, drawn by chance, but always the same ones."""
    import numpy as np

    return rows if len(rows) <= count else np.sort(np.random.default_rng(0).choice(rows, count, replace=False))
