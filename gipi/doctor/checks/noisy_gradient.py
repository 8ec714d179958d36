"""A noisy gradient: each batch points somewhere else, and the steps cancel each other out."""

import numpy as np

from gipi.doctor.changes import optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import SIGNIFICANT, curve_of, fall, learned_little, looks_of, quarter, rows_of
from gipi.messages import _

UNLIKE = 0.1  # cosine of two half batches' gradients, 1 / (1 + noise scale / rows): the noise is then nine times the
# signal (McCandlish et al., "An Empirical Model of Large-Batch Training", 2018)
FEW = 4  # rows: a mean of so few has half the spread of a single row's gradient
SMALL = 16  # rows: where larger batches are not the first thing to try, something else holds it back
LOOKS = 2  # at least


def check(view: View) -> Finding | None:
    curve, rows = curve_of(view), rows_of(view)
    if curve is None or view.error:
        return None
    looks = looks_of(view)
    cosines = [(look["step"], look["agreement"]) for look in looks if look.get("agreement") is not None]
    middle = float(np.median([cosine for _step, cosine in cosines])) if cosines else 1.0
    is_noisy = len(cosines) >= LOOKS and middle < UNLIKE and max(c for _s, c in cosines) < 0.5
    is_tiny = rows is not None and rows <= FEW
    train = len(view.parts.get("train", ()))
    if rows and train and rows > train / 2:
        return None  # the whole gradient, or most of it: nothing is left to chance
    if not (is_noisy or is_tiny) or fall(quarter(curve, 1), quarter(curve, 3)) > SIGNIFICANT:
        return None
    if not (learned_little(view) or is_tiny):
        return None
    more = 8 * rows if rows else 0
    return Finding(
        "noisy-gradient",
        "warning" if learned_little(view) and (rows or 0) <= SMALL else "note",
        {"agreement": middle if cosines else None, "rows": rows},
        _(
            "A noisy gradient: with {rows} rows in a batch its direction is mostly chance, the steps cancel each"
            " other out and the loss stands still.",
            rows=rows or "?",
        ),
        (
            *((Remedy(_("Take larger batches (--batch-size)."), optional(view, "batch_size", more)),) if more else ()),
            Remedy(
                _("Take a tenth of the step size (--lr): many small steps average the noise."), steps_times(view, 0.1)
            ),
            Remedy(_("Average the weights along the way: --averaging ema."), _averaged(view)),
        ),
        _plot(cosines),
    )


def _averaged(view: View) -> dict:
    return optional(view, "averaging", "ema") if view.options.get("averaging") in (None, "none") else {}


def _plot(cosines: list[tuple[int, float]]) -> Plot | None:
    if len(cosines) < LOOKS:
        return None
    steps, values = zip(*cosines, strict=True)
    return Plot(_("agreement of two halves of a batch"), {_("cosine"): [*values]}, [*steps], limit=UNLIKE)
