"""A run as a person holds it: its numbers, its verdict, its model, and all that can be asked of them.

It is a view of a run folder; everything it says is read from there, so it says the same tomorrow.
"""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

from gipi.errors import DamageWarning, RunError
from gipi.messages import _
from gipi.training.folder import find, is_held, read_record
from gipi.training.log_file import is_log_whole, read_log


class Run:
    """What `gipi.fit` gives back, and what `gipi.Run(PATH)` finds again.

    Args:
        path: The run's folder.
        own: The `model` or `system` of a person's own that it was fitted with; they live in memory only.

    Example:
        >>> import gipi
        >>> run = gipi.fit("grades", system="linear", quiet=True)  # doctest: +SKIP
        >>> round(run.predict({"study": 7})[0]["value"])           # doctest: +SKIP
        70
    """

    def __init__(self, path: str | Path, own: dict[str, Any] | None = None):
        found = find(path)
        self._typed, self._folder = found, found.absolute()  # who changes the folder they stand in keeps the run
        self.own = own or {}

    @property
    def path(self) -> Path:
        """The run's folder, as it was given while that leads there, else from the root."""
        return self._typed if self._typed.absolute() == self._folder else self._folder

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def record(self) -> dict[str, Any]:
        """run.json: configuration, seeds, hashes, versions, hardware, results."""
        return read_record(self.path)

    @property
    def status(self) -> str:
        """running, done, interrupted, diverged or failed. Of a run that was killed: interrupted."""
        status = self.record.get("status", "running")
        return "interrupted" if status == "running" and not is_held(self.path) else status

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Metrics on the test part; each is a float that also has `.low` and `.high`, its 95 % interval."""
        from gipi.tasks.intervals import metric_from_json

        return {name: metric_from_json(value) for name, value in self.record.get("metrics", {}).items()}

    @cached_property
    def verdict(self) -> Any:
        """The comparison with classical models, or None: `.sentence`, `.models`, `.winner`, `.p_value`, `.worth_it`."""
        from gipi.tasks.verdict import verdict_from_json

        held = self.record.get("verdict")
        return verdict_from_json(held) if held else None

    @cached_property
    def history(self) -> list[dict]:
        """A record for each epoch: training and validation numbers."""
        self._look_at_log()
        return read_log(self.path, epochs=True)

    @cached_property
    def steps(self) -> list[dict]:
        """Each step's loss."""
        self._look_at_log()
        return [line for line in read_log(self.path) if not {"epoch", "fault"} & {*line}]

    def _look_at_log(self) -> None:
        if not is_log_whole(self.path, self.record.get("log", {}), True):
            path = self.path / "metrics.jsonl"
            warnings.warn(
                DamageWarning(_("{path} is damaged: do not trust each of its numbers", path=path)), stacklevel=3
            )

    @cached_property
    def model(self) -> Any:
        """The kept model.

        Raises:
            RunError: The run was not finished, so nothing is kept yet.
        """
        from gipi.release.bundle import read_bundle

        path = self.path / "model.gipi"
        if not path.exists():
            hint = f"gipi resume {self.path}"
            raise RunError(_("the run {name} has no model yet; finish it with: {hint}", name=self.name, hint=hint))
        return read_bundle(path, self.own.get("model"), self.own.get("system"))

    @property
    def report(self) -> Path:
        """The report, a page to be opened in a browser."""
        return self.path / "report.html"

    @property
    def notes(self) -> list[str]:
        """What was noticed about the data, and what the fitted model says of itself."""
        return [*self.record.get("facts", []), *self.record.get("notes", [])]

    def predict(self, rows: Any) -> list[dict[str, Any]]:
        """One answer per row; see `gipi.release.model.Model.predict`."""
        return self.model.predict(rows)

    def explain(self, rows: Any, target: Any = None, layer: str | None = None, baseline: Any = None) -> Any:
        """Why the model answers as it does, for each row; see `gipi.explain`."""
        from gipi.verbs.explain import explain

        return explain(self, rows, target, layer, baseline)

    def layer(self, name: str, picture: Any = None) -> Any:
        """A layer's filters as a picture; with a picture, what the layer makes of it. See `gipi.verbs.inside`."""
        from gipi.verbs.inside import layer

        return layer(self, name, picture)

    def map(self, data: Any = None) -> Any:
        """The test part, or other data, on a plane by what the network sees in it. See `gipi.verbs.inside`."""
        from gipi.verbs.inside import plane

        return plane(self, data)

    def evaluate(self, data: Any = None) -> dict[str, Any]:
        """Metrics on other data; without data, those of the test part."""
        from gipi.verbs.evaluate import evaluate

        return self.metrics if data is None else evaluate(self, data)

    def save(self, path: str | Path) -> Path:
        """Keep the model as one file, a bundle (`.gipi`); give it to `gipi.load`."""
        return self.model.save(path)

    def doctor(self) -> list[Any]:
        """What is wrong with the data or the training, the most severe first; see docs/doctor.md."""
        from gipi.doctor import findings

        return findings(self)

    def try_remedies(self, data: Any = None, steps: int | None = None, **own: Any) -> list[Any]:
        """What the remedies of the findings would gain, the best first; see `gipi.verbs.remedies.try_remedies`."""
        from gipi.verbs.remedies import try_remedies

        return try_remedies(self, data, steps, **own)

    def plot(self) -> Any:
        """The curves of training and validation; shows itself in Jupyter."""
        from gipi.report.notebook import Curves

        return Curves(self.history)

    def _repr_html_(self) -> str:
        from gipi.jobs.page import page_of
        from gipi.report.html import html

        return html(page_of(self.record, self.history))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {float(value):.4g}" for name, value in [*self.metrics.items()][:3])
        return f"Run({str(self.path)!r}, {self.status}{': ' + shown if shown else ''})"
