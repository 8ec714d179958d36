"""What is made of a trained model's answers: fold by fold, against classical models, and shown to a person."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.large_frames import sample
from gipi.data.text_rows import texts_of
from gipi.doctor.finding import View
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Baseline, Classification, Mistake, Regression, Result, Table
from gipi.report.text import spoken
from gipi.tasks.intervals import metric_json
from gipi.tasks.metrics import confusion

if TYPE_CHECKING:
    from gipi.jobs.job import Outcome
    from gipi.jobs.material import Material
    from gipi.jobs.supervised import Supervised
    from gipi.tasks.verdict import Verdict

JUDGED = 1_000_000  # rows; their figures are sure to the third digit
WORST = 24  # mistakes that a report shows


def fingerprint_of(*tensors: Tensor) -> str:
    """A hash of exactly these numbers: whether a resumed run learns from the same data."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()


def row_weights(material: "Material", y: Tensor, rows: np.ndarray, class_weight: str) -> np.ndarray | None:
    """The weight of each of these rows in the loss: its own, times its class's if rare classes count as much."""
    weights = None if material.weights is None else material.weights[rows]
    if class_weight == "balanced" and material.target_kind == "class":
        codes = y[rows].numpy()
        counts = np.bincount(codes)
        balance = len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights = balance[codes] if weights is None else weights * balance[codes]
    return weights


def add_folds(outcome: "Outcome", job: "Supervised", model: Model) -> None:
    """Each fold judged on the rows that it was validated on, and all of them together: out-of-fold metrics."""
    answers, truths, rows = [], [], []
    for fold, (_train, valid) in zip(models_of_folds(model, len(job.folds)), job.folds, strict=True):
        answer, _disagreement = fold.answers(job.of(job.x, valid))
        truth = job.task.truth(job.y[valid], job.schema)
        rows.append(job.task.metrics(answer, truth, job.schema, intervals=False))
        answers.append(answer)
        truths.append(truth)
    together = job.task.metrics(torch.cat(answers), np.concatenate(truths), job.schema)
    say_folds(outcome, rows, together, job.task.headline(job.schema))


def models_of_folds(model: Model, folds: int) -> list[Model]:
    """The members of each fold as a model of its own."""
    each = len(model.members) // folds
    return [replace(model, members=model.members[n * each : (n + 1) * each]) for n in range(folds)]


def say_folds(outcome: "Outcome", rows: Sequence[Mapping[str, float]], together: Mapping[str, Any], best: str) -> None:
    """Out-of-fold metrics written down and shown.

    Args:
        outcome: Is told.
        rows: The metrics of each fold; where one is not defined (a class that a fold is judged without) it is nan.
        together: Those of all folds' rows.
        best: The metric that a person reads first.
    """
    each = {name: np.array([float(row[name]) for row in rows]) for name in together}
    known = {name: values[np.isfinite(values)] for name, values in each.items()}
    spread = {
        name: (v.mean() if len(v) else np.nan, v.std(ddof=1) if len(v) > 1 else np.nan) for name, v in known.items()
    }
    outcome.extra["out_of_fold"] = {name: metric_json(value) for name, value in together.items()}
    outcome.extra["folds"] = [
        {name: float(value) if np.isfinite(value) else None for name, value in row.items()} for row in rows
    ]
    table = [
        [spoken(name), float(value), *(float(r[name]) for r in rows), *map(float, spread[name])]
        for name, value in together.items()
    ]
    columns = [_("metric"), _("all folds"), *(str(n + 1) for n in range(len(rows))), _("mean"), _("spread")]
    outcome.results.append(Table(columns, table, _("Out-of-fold metrics")))
    text = _(
        "{count} folds: {metric} {mean} ± {spread} (mean and standard deviation over folds)",
        count=len(rows),
        metric=spoken(best),
        mean=f"{spread[best][0]:.4g}",
        spread=f"{spread[best][1]:.2g}",
    )
    outcome.notes.append(text)


def some(job: "Supervised", rows: np.ndarray) -> np.ndarray:
    """As many of these rows as can be looked at together, where the data is larger than memory."""
    return sample(rows, job.x[0].numel(), job.setting.options.seed)


def judged(job: "Supervised", rows: np.ndarray) -> np.ndarray:
    """The rows that the figures are of: all, or a million of data that is larger than memory."""
    if not job.material.data.mapped or len(rows) <= JUDGED:
        return rows
    random = np.random.default_rng([job.setting.options.seed, *b"judged"])
    return np.sort(random.choice(rows, JUDGED, replace=False))


def table_of(job: "Supervised") -> dict[str, Any]:
    """What the doctor is told of the table that the rows came from."""
    data, options = job.material.data, job.setting.options
    frame = data.frame if data.kind != "picture" else None
    kinds = dict(job.material.kinds)
    return {"frame": frame, "target": data.target, "used": kinds, "group": options.group, "time": options.time}


def view_of_sample(job: "Supervised") -> View:
    """What the doctor may look at of data that is larger than memory: some rows of each part."""
    chosen = {part: some(job, rows) for part, rows in job.material.parts.items()}
    kept = np.concatenate([*chosen.values()])
    starts = np.cumsum([0, *map(len, chosen.values())])
    parts = {part: np.arange(starts[n], starts[n + 1]) for n, part in enumerate(chosen)}
    x, y = job.x.numpy()[kept], job.y.numpy()[kept]
    named = job.material.data.names
    names = [named[int(row)] for row in kept] if named else ()
    labels = job.schema.targets[0].values
    table: dict[str, Any] = {**table_of(job), "frame": None}
    return View(x, y, parts, job.material.target_kind, labels, names=names, **table)


def add_verdict(outcome: "Outcome", job: "Supervised", answers: Tensor, truth: np.ndarray, seconds: float) -> None:
    """The trained model against classical ones, which learn from all rows but the test part."""
    from gipi.tasks.baselines import fit_baselines
    from gipi.tasks.text_baselines import fit_text_baselines
    from gipi.tasks.verdict import judge

    material, options = job.material, job.setting.options
    kind = {"class": "classify", "labels": "labels"}.get(material.target_kind, "regress")
    train, test = material.seen, material.parts["test"]
    if material.data.mapped:
        train, all_tests = some(job, train), judged(job, test)
        test = some(job, all_tests)
        places = np.searchsorted(all_tests, test)
        answers, truth = answers[places], truth[places]
    y = job.task.truth(job.y[train], job.schema)
    weights = row_weights(material, job.y, train, options.class_weight)
    seen = (job.x[train].numpy(), y) if weights is None else (job.x[train].numpy(), y, weights)
    budget = options.verdict_seconds
    try:
        if job.schema.is_text:
            seen = (_texts(job, train), *seen[1:])
            baselines = fit_text_baselines(kind, seen, _texts(job, test), job.sizes.output, budget, options.seed)  # type: ignore[arg-type]
        else:
            baselines = fit_baselines(kind, seen, (job.x[test].numpy(),), job.sizes, budget, options.seed)  # type: ignore[arg-type]
    except MemoryError:  # a trained model must not be lost for them
        outcome.notes.append(_("the memory is too small for the classical models: there is no verdict"))
        return
    ours = answers.double().numpy() if kind != "regress" else job.task.points(answers, job.schema)
    outcome.verdict = judge(job.setting.system_name, ours, seconds, baselines, truth, kind, seed=options.seed)  # type: ignore[arg-type]
    if material.data.mapped:
        outcome.notes.append(
            _(
                "the data is larger than memory: the verdict and the report's plots are of {test} of {tests} test "
                "rows, the classical models learn from {train} of {trains}, and the doctor looks at as many",
                test=len(test),
                tests=len(material.parts["test"]),
                train=len(train),
                trains=len(material.seen),
            )
        )
    outcome.baseline_metric = outcome.verdict.metric
    outcome.baselines = baselines_of(outcome.verdict)


def _texts(job: "Supervised", rows: np.ndarray) -> list[tuple[str, ...]]:
    """The texts of these rows, clean; of a pair both."""
    data = job.material.data.rows(rows)
    return [*zip(*(texts_of(data, field.name) for field in job.schema.inputs), strict=True)]


def baselines_of(verdict: "Verdict") -> list[Baseline]:
    """The models of a verdict, for the report."""
    return [
        Baseline(row.title, float(row.figure), row.figure.low, row.figure.high, row.seconds_fit, row.is_ours)
        for row in verdict.models
        if row.figure is not None
    ]


def results(job: "Supervised", answers: Tensor, truth: np.ndarray, rows: np.ndarray) -> Sequence[Result]:
    """What a person would rather look at than read: confusion, calibration, the worst mistakes."""
    if job.material.target_kind == "class":
        return [_classes(job, answers.double().numpy(), truth, rows)]
    if job.material.target_kind == "labels":
        return []
    predicted = job.task.points(answers, job.schema)
    return [
        Regression(
            truth[:, place].tolist(),
            predicted[:, place].tolist(),
            _far_off(job, predicted[:, place], truth[:, place], rows),
            field.name,
        )
        for place, field in enumerate(job.schema.targets)
    ]


def _classes(job: "Supervised", probabilities: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> Classification:
    labels = job.schema.targets[0].values
    said, sure = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(said != truth)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:WORST]
    mistakes = [
        Mistake(labels[said[place]], labels[truth[place]], float(sure[place]), *_shown(job, int(rows[place])))
        for place in worst
    ]
    matrix = confusion(said, truth, len(labels)).tolist()
    return Classification(labels, matrix, sure.tolist(), (said == truth).tolist(), mistakes)


def _far_off(job: "Supervised", predicted: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> list[Mistake]:
    worst = np.argsort(-np.abs(predicted - truth), kind="stable")[: WORST // 2]
    return [Mistake(float(predicted[p]), float(truth[p]), None, *_shown(job, int(rows[p]))) for p in worst]


def _shown(job: "Supervised", row: int) -> tuple[Any, dict | None, int]:
    """A row as a picture or as its columns, and its number."""
    data = job.material.data
    if data.pictures is not None:
        picture = data.pictures[row]
        seen = picture if picture.dtype == np.uint8 else (np.clip(picture / data.white, 0, 1) * 255).astype(np.uint8)
        return seen, None, int(row) + 1
    columns = [field.name for field in job.schema.inputs]
    return None, data.frame.select(columns).row(int(row), named=True), int(row) + 1
