"""Was it worth it? The trained model against the best classical one, on the same test rows, in one sentence.

The two are compared in pairs, row by row, which sees far smaller differences than two separate intervals do: classes by
the exact McNemar test (McNemar 1947), numbers, labels and weighted rows by a paired bootstrap. Below 30 test rows there
is no winner.

A caution that `note` repeats: the best baseline is chosen on the test rows themselves, so its figure is a little
flattered, and a model that beats it does so with a little to spare. The p value is for that one comparison, and is not
corrected for the choice.
"""

import html
from dataclasses import dataclass, field

from gipi.messages import _
from gipi.tasks import metrics
from gipi.tasks.baselines import Baseline, Kind
from gipi.tasks.figures import chance, distance, duration, figure, in_a_sentence, metric_title
from gipi.tasks.intervals import Array, Metric, metric_from_json, metric_json
from gipi.tasks.paired import pair

FEWEST_ROWS = 30  # below that a 95 % interval of an accuracy is wider than 20 points
SURE = 0.05
CHEAPER = 2.0  # costs within a factor of two are called alike: they vary that much from run to run


@dataclass(frozen=True)
class Row:
    """One model of the comparison.

    Attributes:
        name: The identifier: the system's, or a baseline's.
        title: What a person calls it.
        figure: The headline metric on the test rows; None where the model was left out.
        metrics: All metrics.
        seconds_fit: What it cost.
        seconds_predict: What predicting the test rows cost; None where that was not measured.
        settings: How it was fitted, or why it was left out.
        p_value: Of the paired comparison with our model; None for our own.
        is_ours: The trained model itself.
    """

    name: str
    title: str
    figure: Metric | None
    metrics: dict[str, Metric]
    seconds_fit: float
    seconds_predict: float | None = None
    settings: str = ""
    p_value: float | None = None
    is_ours: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the comparison says.

    Attributes:
        sentence: One or two sentences for a person.
        metric: The metric that decides: accuracy, f1_micro or rmse.
        winner: The name of the model that is better beyond doubt; None where the rows cannot tell.
        rival: The name of the best baseline.
        difference: Our figure minus the rival's, in a scale where more is better, with its 95 % interval.
        p_value: How often chance alone makes a difference that large.
        worth_it: True: better, or as good for much less; False: not; None: the rows cannot say.
        models: A row for each model, ours first.
        rows: Test rows.
        note: What to keep in mind about the comparison.
    """

    sentence: str
    metric: str
    winner: str | None
    rival: str | None
    difference: Metric | None
    p_value: float | None
    worth_it: bool | None
    models: list[Row] = field(default_factory=list)
    rows: int = 0
    note: str = ""

    def json(self) -> dict:
        """Everything, in types that JSON has."""
        models = [
            {
                "name": row.name,
                "title": row.title,
                "is_ours": row.is_ours,
                "metrics": {name: metric_json(metric) for name, metric in row.metrics.items()},
                "seconds_fit": row.seconds_fit,
                "seconds_predict": row.seconds_predict,
                "settings": row.settings,
                "p_value": row.p_value,
            }
            for row in self.models
        ]
        return {
            "sentence": self.sentence,
            "metric": self.metric,
            "winner": self.winner,
            "rival": self.rival,
            "difference": None if self.difference is None else metric_json(self.difference),
            "p_value": self.p_value,
            "worth_it": self.worth_it,
            "rows": self.rows,
            "models": models,
            "note": self.note,
        }

    def table(self) -> list[list[str]]:
        """What a person reads: a heading, then name, figure with interval, p value, seconds and settings of each."""
        heading = [_("model"), metric_title(self.metric), "p", _("fitted in"), _("settings")]
        lines = [
            [
                row.title,
                "-" if row.figure is None else figure(self.metric, row.figure, with_interval=True),
                "" if row.p_value is None else chance(row.p_value).removeprefix("p = ").removeprefix("p "),
                "-" if row.figure is None else duration(row.seconds_fit),
                row.settings,
            ]
            for row in self.models
        ]
        return [heading, *lines]

    def __str__(self) -> str:
        table = [line[:4] for line in self.table()]
        widths = [max(len(line[column]) for line in table) for column in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
        return "\n".join([self.sentence, "", *(line.rstrip() for line in lines)])

    def _repr_html_(self) -> str:
        def cells(line: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line) + "</tr>"

        heading, *lines = self.table()
        body = "".join(cells(line, "td") for line in lines)
        return (
            f"<p><strong>{html.escape(self.sentence)}</strong></p><table><thead>{cells(heading, 'th')}</thead>"
            f"<tbody>{body}</tbody></table><p><small>{html.escape(self.note)}</small></p>"
        )


def judge(
    name: str,
    ours: Array,
    seconds: float,
    baselines: list[Baseline],
    y: Array,
    kind: Kind,
    *,
    seconds_predict: float | None = None,
    weight: Array | None = None,
    settings: str = "",
    seed: int = 0,
) -> Verdict:
    """Compare a model with baselines on the same test rows.

    Args:
        name: What our model is called.
        ours: Its predictions of the test rows: `(n, K)` probabilities or `(n, T)` numbers in the targets' units.
        seconds: What fitting it cost.
        baselines: From `fit_baselines`, of the same rows in the same order.
        y: The truth: `(n,)` class numbers, `(n, K)` labels, `(n, T)` numbers.
        kind: "classify", "labels" or "regress".
        seconds_predict: What predicting cost.
        weight: `(n,)` weights of the test rows.
        settings: How our model was fitted, for the table.
        seed: Of the resampling.
    """
    if kind != "classify":
        ours, y = ours.reshape(len(ours), -1), y.reshape(len(y), -1)
    metric = metrics.HEADLINE[kind]

    def measure(predictions: Array) -> dict[str, Metric]:
        functions = {"classify": metrics.classification, "labels": metrics.labels, "regress": metrics.regression}
        return functions[kind](predictions, y, weight=weight, seed=seed)

    found = measure(ours)
    models = [Row(name, name, found[metric], found, seconds, seconds_predict, settings, None, True)]
    compared: dict[str, tuple[Metric, float]] = {}
    for baseline in baselines:
        if baseline.predictions is None:
            models.append(Row(baseline.name, baseline.title, None, {}, 0.0, None, baseline.settings))
            continue
        compared[baseline.name] = pair(ours, baseline.predictions, y, kind, weight, seed)
        theirs = measure(baseline.predictions)
        p_value = compared[baseline.name][1]
        costs = baseline.seconds_fit, baseline.seconds_predict
        models.append(Row(baseline.name, baseline.title, theirs[metric], theirs, *costs, baseline.settings, p_value))
    note = _("the best of the classical models was chosen on these same test rows, which flatters it a little")
    return concluded(models, compared, metric, len(y), note)


def concluded(
    models: list[Row], compared: dict[str, tuple[Metric, float]], metric: str, rows: int, note: str
) -> Verdict:
    """The verdict on models, ours first, from what the pairs say: name -> (difference, p value), where there is one."""
    ours = models[0]
    if not compared:
        sentence = _("There is nothing to compare {ours} with.", ours=ours.name)
        return Verdict(sentence, metric, None, None, None, None, None, models, rows)
    rival = _best([row for row in models if row.name in compared and not row.is_ours])
    difference, p_value = compared[rival.name]
    outcome = _outcome(ours, rival, difference, p_value, rows)
    sentence = _sentence(metric, ours, rival, difference, p_value, rows, outcome)
    winner = {"ours": ours.name, "rival": rival.name}.get(outcome)
    worth_it = _worth(outcome, difference)
    return Verdict(sentence, metric, winner, rival.name, difference, p_value, worth_it, models, rows, note)


def _best(rows: list[Row]) -> Row:
    """The row with the best figure; of equals the cheapest."""
    best = rows[0]
    for row in rows[1:]:
        assert row.figure is not None and best.figure is not None
        equal = float(row.figure) == float(best.figure)
        if row.figure.better_than(best.figure) or (equal and row.seconds_fit < best.seconds_fit):
            best = row
    return best


def _outcome(ours: Row, rival: Row, difference: Metric, p_value: float, rows: int) -> str:
    """few: too few rows; ours or rival: the winner; cheap, dear, alike: a tie, and what ours costs beside the rival."""
    if rows < FEWEST_ROWS:
        return "few"
    if p_value < SURE and difference != 0:
        return "ours" if difference > 0 else "rival"
    if ours.seconds_fit * CHEAPER <= rival.seconds_fit:
        return "cheap"
    return "dear" if rival.seconds_fit * CHEAPER <= ours.seconds_fit else "alike"


def _worth(outcome: str, difference: Metric) -> bool | None:
    """In a tie the cheaper model should be taken only if it is not behind; if it is, nobody can tell yet."""
    if outcome in ("ours", "rival"):
        return outcome == "ours"
    if outcome == "cheap" and difference >= 0:
        return True
    return False if outcome in ("dear", "alike") and difference <= 0 else None


def _sentence(metric: str, ours: Row, rival: Row, difference: Metric, p_value: float, rows: int, outcome: str) -> str:
    """The verdict as a person says it. Few sentences, each whole, so that they can be translated."""
    assert ours.figure is not None and rival.figure is not None
    words = {
        "metric": metric_title(metric),
        "ours": ours.title,
        "rival": in_a_sentence(rival.name, rival.title),
        "ours_figure": figure(metric, ours.figure),
        "rival_figure": figure(metric, rival.figure),
        "rows": rows,
        "chance": chance(p_value),
        "ours_seconds": duration(ours.seconds_fit),
        "rival_seconds": duration(rival.seconds_fit),
    }
    if outcome == "few":
        return _(
            "Too few test rows for a verdict ({rows}; it takes {fewest}): {metric} is {ours_figure} for {ours} and "
            "{rival_figure} for {rival}, the best classical model. Folds (--folds 5) would let every row count.",
            fewest=FEWEST_ROWS,
            **words,
        )
    if outcome == "ours":
        return _(
            "{ours} wins: {metric} {ours_figure} against {rival_figure} for {rival}, the best classical model, on the "
            "same {rows} test rows ({difference}, {chance}). Fitting took {ours_seconds} against {rival_seconds}.",
            difference=distance(metric, difference),
            **words,
        )
    if outcome == "rival":
        return _(
            "Not worth it here: {metric} is {rival_figure} for {rival} and {ours_figure} for {ours} on the same "
            "{rows} test rows ({difference}, {chance}). Fitting took {rival_seconds} against {ours_seconds}: "
            "take {rival}.",
            difference=distance(metric, difference),
            **words,
        )
    tie = _(
        "No clear winner: on the same {rows} test rows {metric} is {ours_figure} for {ours} and {rival_figure} for "
        "{rival}, the best classical model; chance alone can make that difference ({chance}).",
        **words,
    )
    if outcome == "alike":
        return tie + " " + _("Both cost about the same ({ours_seconds} and {rival_seconds} to fit).", **words)
    cheap, dear = (ours, rival) if outcome == "cheap" else (rival, ours)
    costs = {
        "cheaper": words["ours"] if cheap is ours else words["rival"],
        "times": round(dear.seconds_fit / max(cheap.seconds_fit, 1e-3)),
        "less": duration(cheap.seconds_fit),
        "more": duration(dear.seconds_fit),
    }
    if difference == 0 or (difference > 0) == (cheap is ours):
        advice = _("Take {cheaper}: it is as good and costs 1/{times} ({less} against {more} to fit).", **costs)
    else:
        advice = _(
            "At 1/{times} of the cost ({less} against {more} to fit) {cheaper} is the safer choice until more test "
            "rows, or folds (--folds 5), can tell.",
            **costs,
        )
    return f"{tie} {advice}"


def verdict_from_json(data: dict) -> Verdict:
    """What `Verdict.json` gave."""
    models = []
    for row in data["models"]:
        found = {name: metric_from_json(value) for name, value in row["metrics"].items()}
        costs = row["seconds_fit"], row["seconds_predict"], row["settings"], row["p_value"], row["is_ours"]
        models.append(Row(row["name"], row["title"], found.get(data["metric"]), found, *costs))
    difference = None if data["difference"] is None else metric_from_json(data["difference"])
    return Verdict(**{**data, "difference": difference, "models": models})
