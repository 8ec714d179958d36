"""Remedies tried: short trainings from the same start on the same data, each with one change, and what they gain.

What is compared is the validation part: on the test part nothing may be chosen. Where rows have answers both models
are asked for the same rows, and the difference has the interval of a paired comparison; elsewhere each is trained from
three seeds, and the interval is Student's.
"""

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gipi import tasks
from gipi.errors import TrainingError, UsageError
from gipi.jobs.carry import carry_out
from gipi.jobs.material import gather
from gipi.jobs.options import Fit
from gipi.jobs.request import Request
from gipi.messages import _
from gipi.run import Run
from gipi.tasks.paired import pair

MOST = 6  # remedies that are tried
SHARE, FEWEST = 4, 200  # a trial is a quarter of the run, but not shorter than so many steps unless the run was
SEEDS = 3
STUDENT = 4.303  # 0.975 quantile with SEEDS - 1 degrees of freedom
OPTIONS = frozenset(one.name for one in fields(Fit))
PARTS = ("time", "group", "test", "valid", "test_share", "valid_share", "folds", "target", "positive", "task", "text")
FLATTERED = ("target-leak",)  # findings that say that the score is too good: what mends them makes it worse
HIGHER = ("return", "bleu", "chrf", "accuracy", "f1", "auc", "r2", "miou")  # of validation numbers


@dataclass(frozen=True)
class Trial:
    """One remedy, tried.

    Attributes:
        finding: What it is for.
        text: The remedy, for a person.
        changes: Its options.
        metric: What is compared; more of `gain` is better, whatever it is.
        before: Of the run as it was, trained as briefly; None: it diverged.
        after: With the changes; None: it diverged.
        gain, low, high: The difference, more being better, and its 95 % interval; None where one of them diverged.
        reason: Why it was not tried; nothing if it was.
    """

    finding: str
    text: str
    changes: Mapping[str, Any]
    metric: str = ""
    before: float | None = None
    after: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def helps(self) -> bool:
        """Whether it is sure to be better: the whole interval is, or without the remedy training diverges."""
        if self.reason or self.after is None:
            return False
        return self.before is None or (self.low is not None and self.low > 0)

    @property
    def worth(self) -> float:
        """By which trials are put in order."""
        if self.reason or self.after is None:
            return -math.inf
        return math.inf if self.before is None else self.gain or 0.0

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "changes": dict(self.changes), "helps": self.helps}


def try_remedies(
    run: Run,
    data: Any = None,
    steps: int | None = None,
    told: Callable[[str, int, int], None] = lambda what, done, total: None,
    **own: Any,
) -> list[Trial]:
    """Each remedy of the run's findings that is a change of options, tried; the best first.

    Args:
        run: A run that was finished, or diverged.
        data: The data once more, where it was in memory.
        steps: Of each trial; by rule if not given.
        told: Called with what is done, how much of it, of how much.
        **own: `model`, `loss`, `optimizer`, `system`, once more where they were of one's own.

    Raises:
        UsageError: Something that lived in memory is missing.
    """
    trials = Trials(Retraining(run, data, own), steps)
    wanted: list[tuple[str, Any]] = []
    for finding in run.doctor():
        for remedy in finding.remedies:
            if remedy.changes and all(dict(remedy.changes) != dict(other.changes) for _name, other in wanted):
                wanted.append((finding.name, remedy))
    found, tried = [], 0
    total = min(MOST, len(wanted)) + 1
    for name, remedy in wanted:
        trial = Trial(name, remedy.text, dict(remedy.changes))
        if why := trials.why_not(trial):
            found.append(replace(trial, reason=why))
        elif tried < MOST:
            if not tried:
                told(_("as it was"), 0, total)
                trials.begin()
            tried += 1
            told(remedy.text, tried, total)
            found.append(trials.tried(trial))
    if tried:
        told(_("done"), total, total)
    return sorted(found, key=lambda trial: -trial.worth)


class Retraining:
    """A run that trains again from its own start on its own data, with changes.

    Attributes:
        steps: That the run took.
        record: The run's.
        options: Its options.
        source: Its data.
    """

    def __init__(self, run: Run, data: Any, own: Mapping[str, Any]):
        record = run.record
        self.record = record
        self.source = data if data is not None else record.get("source")
        if self.source is None:
            text = _("the data of the run {name} was in memory; give it again, as data", name=run.path.name)
            raise UsageError(text)
        self.own = {name: value for name, value in {**run.own, **own}.items() if value is not None}
        if missing := [name for name in record["own"] if name not in self.own]:
            text = _(
                "the run {name} used objects of one's own; give them again: {missing}",
                name=run.path.name,
                missing=", ".join(missing),
            )
            raise UsageError(text)
        self.options = Fit.from_json(record["options"])
        self.steps = record.get("steps") or FEWEST
        self.epochs = self.options.epochs or max((line.get("epoch", 1) for line in run.history), default=1)

    def why_not(self, changes: Mapping[str, Any]) -> str:
        """Why changes cannot be made; nothing if they can."""
        known = {*OPTIONS, *self.record.get("config", {})}
        unknown = [name for name in changes if name not in known]
        return _("{name} is no option of this run", name=unknown[0]) if unknown else ""

    def train(self, changes: Mapping[str, Any], source: Any = None, **given: Any) -> Run:
        """With what is given of the verb's options, and changes of these or of the system's; on its data, or others."""
        source = self.source if source is None else source
        chosen = replace(self.options, **given | {name: value for name, value in changes.items() if name in OPTIONS})
        others = {name: value for name, value in changes.items() if name not in OPTIONS}
        objects = {name: value for name, value in self.own.items() if name in ("model", "loss", "optimizer")}
        options = {**self.record["system_options"], **others}
        return Run(carry_out(Request(source, chosen, options, objects, self.own.get("system"))), self.own)


class Trials:
    """Short trainings of one run.

    Attributes:
        steps: Of a trial.
        base: Of each seed what came of the run as it was; None: it diverged.
    """

    def __init__(self, again: Retraining, steps: int | None = None):
        self.again, self.options = again, again.options
        self.steps = steps or min(again.steps, max(FEWEST, again.steps // SHARE))
        self.is_paired = again.record["task"] in ("classify", "regress")
        self.base: list[Any] = []
        if self.is_paired:
            self.material = self._read({})

    def _read(self, changes: Mapping[str, Any]) -> Any:
        """The data in the run's parts, read once for the trials that do not change how it is read."""
        dropped = tuple(changes.get("drop", self.options.drop))
        return gather(self.again.source, replace(self.options, folds=0, ensemble=1, drop=dropped))

    def why_not(self, trial: Trial) -> str:
        """Why changes cannot be tried; nothing if they can."""
        if why := self.again.why_not(trial.changes):
            return why
        if trial.finding in FLATTERED or any(name in PARTS for name in trial.changes):
            return _("it changes what is tested, so no two figures can be compared; what was is known to flatter")
        return ""

    def begin(self) -> None:
        """The run as it was, as briefly as the trials."""
        self.base = [self._scored({}, seed) for seed in self._seeds()]

    def tried(self, trial: Trial) -> Trial:
        after = [self._scored(trial.changes, seed) for seed in self._seeds()]
        if self.is_paired:
            return self._paired(trial, self.base[0], after[0])
        return self._over_seeds(trial, after)

    def _seeds(self) -> list[int]:
        return [self.options.seed + n for n in range(1 if self.is_paired else SEEDS)]

    def _scored(self, changes: Mapping[str, Any], seed: int) -> Any:
        """What came of a training; None if it diverged."""
        quiet = {"verdict": False, "doctor": False, "quiet": True, "json": False, "profile": False, "ray": None}
        once = {"folds": 0, "ensemble": 1, "seed": seed, "minutes": None}
        with tempfile.TemporaryDirectory(prefix="gipi-trial-") as place:
            try:
                changes = {**changes, "steps": self._steps(changes)}
                source = (self._read(changes) if "drop" in changes else self.material) if self.is_paired else None
                run = self.again.train(changes, source, **quiet, **once, run=str(Path(place) / "run"))
            except TrainingError:
                return None
            return self._answers(run) if self.is_paired else _best_of(run)

    def _steps(self, changes: Mapping[str, Any]) -> int:
        """As many times more or fewer as the changes ask of the run, within ten times."""
        times = changes.get("steps", self.again.steps) / self.again.steps
        times = changes.get("epochs", self.again.epochs * times) / self.again.epochs
        return max(1, round(self.steps * min(10.0, max(0.1, times))))

    def _answers(self, run: Run) -> tuple[np.ndarray, np.ndarray, Any]:
        """What the model says of the validation rows, the truth, and how both are read."""
        parts, task, model = self.material.parts, tasks.load(self.material.task), run.model
        rows = self.material.data.rows(parts.get("valid", parts["train"]))
        x, y = model.encode(rows, with_targets=True)
        answers, _disagreement = model.answers(x)
        said = answers.double().numpy() if self.material.task == "classify" else task.points(answers, model.schema)
        return said, task.truth(y, model.schema), model.schema

    def _paired(self, trial: Trial, before: Any, after: Any) -> Trial:
        kind = {"class": "classify", "labels": "labels"}.get(self.material.target_kind, "regress")
        task = tasks.load(self.material.task)
        some = after or before
        if some is None:
            return replace(trial, metric=_("it diverged too"))
        truth, schema = some[1], some[2]
        is_rare = kind == "classify" and trial.finding == "class-imbalance"
        metric = "balanced_accuracy" if is_rare else {"classify": "accuracy", "labels": "f1"}.get(kind, "rmse")
        weight = None
        if is_rare:
            counts = np.bincount(truth)
            weight = (len(truth) / np.maximum(1, counts))[truth]
        figures = []
        for one in (before, after):
            figures.append(None if one is None else _figure(one[0], truth, kind, weight, task, schema))
        trial = replace(trial, metric=metric, before=figures[0], after=figures[1])
        if before is None or after is None:
            return trial
        gain, _p = pair(after[0], before[0], truth, kind, weight, self.options.seed)  # type: ignore[arg-type]
        return replace(trial, gain=float(gain), low=gain.low, high=gain.high)

    def _over_seeds(self, trial: Trial, after: list[Any]) -> Trial:
        pairs = [(one, other) for one, other in zip(self.base, after, strict=True) if one and other]
        name = next((one[0] for one in [*self.base, *after] if one), "")
        figures = [[one[1] for one in side if one] for side in (self.base, after)]
        means = [float(np.mean(side)) if len(side) == SEEDS else None for side in figures]
        trial = replace(trial, metric=name, before=means[0], after=means[1])
        if len(pairs) < SEEDS:
            return trial
        sign = 1 if name in HIGHER else -1
        gains = np.array([sign * (other[1] - one[1]) for one, other in pairs])
        reach = STUDENT * gains.std(ddof=1) / math.sqrt(SEEDS)
        return replace(trial, gain=gains.mean(), low=gains.mean() - reach, high=gains.mean() + reach)


def _figure(said: np.ndarray, truth: np.ndarray, kind: str, weight: Any, task: Any, schema: Any) -> float:
    """One model's figure, in the scale that a person knows."""
    if kind == "classify":
        return float(np.average(said.argmax(1) == truth, weights=weight))
    if kind == "labels":
        given, true = said >= 0.5, truth.astype(bool)
        return float(2 * (given & true).sum() / max(1, given.sum() + true.sum()))
    return float(np.sqrt(((said.reshape(truth.shape) - truth) ** 2).mean(0)).mean())


def _best_of(run: Run) -> tuple[str, float] | None:
    """The best validation number of a run, and its name; of the losses where nothing was held out."""
    looks = [line["valid"] for line in run.history if line.get("valid")]
    if not looks:
        means = [next(iter(line["train"].values())) for line in run.history if line.get("train")]
        return ("loss", min(means)) if means and math.isfinite(min(means)) else None
    name = next((one for one in looks[0] if one in HIGHER or one == "frechet"), "loss")
    values = [look[name] for look in looks if name in look and math.isfinite(look[name])]
    if not values:
        return None
    return name, max(values) if name in HIGHER else min(values)


def fixed(run: Run, trials: list[Trial], data: Any = None, quiet: bool = False, **own: Any) -> Run | None:
    """The whole run anew with the best of what was tried, in a folder of its own; None where nothing was better."""
    best = next((trial for trial in trials if trial.worth > 0), None)
    if best is None:
        return None
    return Retraining(run, data, own).train(best.changes, run=None, json=False, quiet=quiet)
