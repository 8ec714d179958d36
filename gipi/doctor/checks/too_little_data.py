"""Too few rows: for the classes, for the columns, for the model, or for a score that can be believed.

Whether more would help is seen, not guessed: a quick model is taught by half of the training rows and by all of them,
and judged on the same others (a learning curve of two points).
"""

import numpy as np

from gipi.doctor.columns import class_codes, columns_of, is_table, matrix, questions, some_rows
from gipi.doctor.finding import Finding, Remedy, Severity, View
from gipi.doctor.quick import taught
from gipi.messages import _

EACH = 10  # rows of a class, or of an input column: "events per variable" (Peduzzi 1996), below which estimates wander
# Half of the 95 % interval of a score of one half: two models must differ by more than that to be told apart. At 0.25
# the interval covers half of all that a score can be.
UNSURE, VERY_UNSURE = 0.1, 0.25
Z = 1.96
FEWER = 4.0  # times too few rows for the columns: then no column's weight is known, by definition
ENOUGH = 5000  # training rows; from then on nobody calls a set of rows too small for these reasons
PER_ROW = 100.0  # parameters for each number that is to be answered; networks of ten times as many still learn well
STEEP = 0.1  # of what half of the rows leave unexplained, all of them explain: then as many again should help too
WORSE = 1.5  # times the loss on training rows, on validation rows: the network knows its rows by heart


def check(view: View) -> Finding | None:
    if view.y is None or "train" not in view.parts or view.target_kind not in ("class", "labels", "number", "normal"):
        return None
    train, rows = view.parts["train"], len(view.parts["train"])
    if not rows or rows > ENOUGH:
        return None
    reasons, severity = _reasons(view, train)
    if not reasons:
        return None
    gain = _gain(view)
    evidence = {
        "rows": rows,
        "parameters": view.parameters,
        "gain_of_doubling": gain,
        "test_rows": len(view.parts.get("test", ())),
    }
    if gain is not None and gain > STEEP:
        reasons.append(_("all training rows teach a quick model {gain} more than half of them", gain=f"{gain:.0%}"))
    remedies = (
        Remedy(_("Collect more rows: nothing else helps as much.")),
        Remedy(_("With --folds 5 each row is used for training and for validation.")),
        Remedy(_("Take a smaller model, or weights of a larger data set to begin with (--weights).")),
    )
    return Finding(
        "too-little-data",
        severity,
        evidence,
        _(
            "{rows} training rows are few ({reasons}): the model fits what is chance in them (overfitting), and the "
            "score is uncertain.",
            rows=rows,
            reasons="; ".join(reasons),
        ),
        remedies,
    )


def _reasons(view: View, train: np.ndarray) -> tuple[list[str], Severity]:
    reasons: list[str] = []
    severity: Severity = "note"
    rows = len(train)
    codes = class_codes(view)
    if view.target_kind == "class" and codes is not None:
        counts = np.bincount(codes[train])
        usual = float(np.median(counts[counts > 0]))
        if usual < EACH:
            severity = "warning"
            reasons.append(_("{count} of a class", count=f"{usual:.0f}"))
    inputs = len(view.used) if is_table(view) else 0
    if inputs and rows < EACH * inputs:
        severity = "warning" if rows < EACH * inputs / FEWER else severity
        reasons.append(_("{count} for each of {columns} columns", count=f"{rows / inputs:.1f}", columns=inputs))
    held = len(view.parts.get("test", ()))
    width = Z * np.sqrt(0.25 / held) if held else 0.0
    if width > UNSURE:
        severity = "warning" if width > VERY_UNSURE else severity
        reasons.append(_("a score of {held} test rows is sure to ± {width} only", held=held, width=f"{width:.0%}"))
    outputs = max(1, len(view.labels))
    if view.parameters > PER_ROW * rows * outputs and _knows_by_heart(view):
        reasons.append(_("{count} parameters for each of them", count=f"{view.parameters / rows:.0f}"))
    return reasons, severity


def _knows_by_heart(view: View) -> bool:
    """Whether in the end the loss is far larger on validation rows than on training rows."""
    looks = [one for one in view.history if "loss" in one.get("valid", {}) and one.get("train")]
    if not looks:
        return False
    last = looks[-1]
    trained = [value for value in last["train"].values() if value is not None]
    valid = last["valid"]["loss"]
    return bool(len(trained) == 1 and valid is not None and valid > WORSE * trained[0])


def _gain(view: View) -> float | None:
    """Which share of what half of the rows leave unexplained all of them explain; None where nobody knows."""
    if not is_table(view):
        return None
    rows = some_rows(view, 1500)
    columns, asked_for = columns_of(view, rows), questions(view, rows)
    if not columns or not asked_for or len(rows) < 40:
        return None
    x, asked = matrix(columns), asked_for[0][1]
    if not x.shape[1]:
        return None
    fold = np.random.default_rng(0).permutation(len(rows)) % 4
    errors = []
    for share in (2, 1):  # every second of the rows that are learned from, then all
        parts = [(np.flatnonzero(fold != n)[::share], np.flatnonzero(fold == n)) for n in range(4)]
        both = [taught(x, asked, known, new) for known, new in parts]
        errors.append(min(sum(float(one[kind].sum()) for one in both) for kind in (0, 1)))
    return float(1 - errors[1] / errors[0]) if errors[0] > 0 else 0.0
