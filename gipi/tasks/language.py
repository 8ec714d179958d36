"""The verdict on a language model: in how many bits it says a text, beside n-grams that count the same tokens.

The pieces of the test text are compared in pairs: how often does chance make a difference as large, if the two models'
results on a piece may be exchanged (tasks/compared.py).

G pieces, D sums
"""

from gipi.messages import _
from gipi.tasks.compared import paired
from gipi.tasks.figures import chance, distance, duration, figure
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.ngrams import Guess
from gipi.tasks.verdict import SURE, Row, Verdict
from gipi.tasks.write import Guessed, bits_per_byte, metrics_of, pieces

FEWEST = 6  # pieces: 2 of 2^6 exchanges are as extreme as six wins of six, p = 0.031
SHARED = ("loss", "perplexity", "bits_per_byte")  # figures of n-grams too
METRIC = "bits_per_byte"


def verdict(name: str, ours: Array, seconds: float, rivals: list[Guess], lengths: Array, seed: int = 0) -> Verdict:
    """A language model beside n-grams, on the same test text.

    Args:
        name: Of our model.
        ours: `(G, 4)`, its pieces.
        seconds: What fitting it cost.
        rivals: n-gram models; the last of their texts is the test text.
        lengths: `(n,)` bytes that each token of the test text says.
        seed: Of the resampling.
    """
    found = metrics_of(ours, seed=seed)
    models = [Row(name, name, found[METRIC], found, seconds, is_ours=True)]
    compared: dict[str, tuple[Metric, float]] = {}
    for rival in rivals:
        theirs = pieces(Guessed(rival.losses[-1], None), lengths)
        compared[rival.name] = paired(ours, theirs, lambda sums: -bits_per_byte(sums), seed)
        figures = metrics_of(theirs, seed=seed, names=SHARED)
        costs = rival.seconds, None, rival.settings, compared[rival.name][1]
        models.append(Row(rival.name, rival.title, figures[METRIC], figures, *costs))
    best = min(models[1:], key=lambda row: float(row.figure or 0.0))
    difference, p_value = compared[best.name]
    sentence, winner, worth = _said(models[0], best, difference, p_value, len(ours), int(lengths.sum()))
    note = _("intervals are by drawing {count} pieces of the test text again and again", count=len(ours))
    return Verdict(sentence, METRIC, winner, best.name, difference, p_value, worth, models, len(ours), note)


def _said(
    ours: Row, rival: Row, difference: Metric, p_value: float, count: int, size: int
) -> tuple[str, str | None, bool | None]:
    """The sentence, the winner's name, and whether it was worth it."""
    assert ours.figure is not None and rival.figure is not None
    words = {
        "ours": ours.title,
        "rival": rival.title,
        "ours_figure": figure(METRIC, ours.figure),
        "rival_figure": figure(METRIC, rival.figure),
        "bytes": size,
        "chance": chance(p_value),
        "ours_seconds": duration(ours.seconds_fit),
        "rival_seconds": duration(rival.seconds_fit),
    }
    if count < FEWEST or difference.low is None:
        text = _(
            "Too little test text for a verdict ({bytes} bytes): {ours_figure} bits a byte for {ours}, {rival_figure} "
            "for the best of the n-grams: {rival}.",
            **words,
        )
        return text, None, None
    words["difference"] = distance(METRIC, difference)
    if p_value >= SURE or difference == 0:
        text = _(
            "No clear winner: on the same {bytes} bytes of test text {ours_figure} bits a byte for {ours} and "
            "{rival_figure} for the best of the n-grams: {rival}; chance alone can make that difference ({chance}).",
            **words,
        )
        return text, None, None if difference > 0 else False
    if difference > 0:
        text = _(
            "{ours} wins: it says {bytes} bytes of test text in {ours_figure} bits a byte, the best of the n-grams "
            "({rival}) in {rival_figure} ({difference}, {chance}). "
            "Fitting took {ours_seconds} against {rival_seconds}.",
            **words,
        )
        return text, ours.name, True
    text = _(
        "Not worth it here: {rival} says {bytes} bytes of test text in {rival_figure} bits a byte, {ours} in "
        "{ours_figure} ({difference}, {chance}). Fitting took {rival_seconds} against {ours_seconds}.",
        **words,
    )
    return text, rival.name, False
