"""How near a text is to the one that was wanted: BLEU and chrF, as sacreBLEU computes them, from counts of each text.

BLEU: Papineni et al. 2002, with the words of mteval-v13a and its exponential smoothing; chrF: Popovic 2015, six
letters, beta 2 (sacreBLEU's signatures: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp and
nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no). Both are functions of sums over the texts, so intervals and comparisons
need the counts of each text, which sacreBLEU does not give: they are counted here, and a test holds every figure
against sacreBLEU's.

n texts, R resamples, N lengths of n-grams
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from gipi.messages import _
from gipi.tasks.intervals import Array, Metric, Resample

WORDS, LETTERS = 4, 6  # longest n-grams
BETA = 2  # chrF: a letter that is missing counts twice as much as one too many
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"

# mteval-v13a, in its order: ASCII signs but . , - ' stand alone; . and , unless a digit is beside; - behind a digit
APART = (
    (re.compile(r"([{-~[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def words_of(text: str) -> list[str]:
    """The words that BLEU counts: sacreBLEU's "13a".

    Example:
        >>> words_of("A dog (brown) runs, 3.5 m.")
        ['A', 'dog', '(', 'brown', ')', 'runs', ',', '3.5', 'm', '.']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in ENTITIES:
        text = text.replace(entity, sign)
    text = f" {text} "
    for pattern, wanted in APART:
        text = pattern.sub(wanted, text)
    return text.split()


def ngrams(items: Sequence[str], length: int) -> Counter:
    """How often each run of so many items is there."""
    return Counter(zip(*(items[start:] for start in range(length)), strict=False))


def bleu_counts(said: str, wanted: str) -> list[int]:
    """Words said, words wanted, then for each N the n-grams that are right and those that were said."""
    ours, theirs = words_of(said), words_of(wanted)
    counts = [len(ours), len(theirs)]
    for length in range(1, WORDS + 1):
        right = (ngrams(ours, length) & ngrams(theirs, length)).total()
        counts += [right, max(0, len(ours) - length + 1)]
    return counts


def chrf_counts(said: str, wanted: str) -> list[int]:
    """For each N the n-grams of letters said, wanted, and right."""
    ours, theirs = "".join(said.split()), "".join(wanted.split())
    counts: list[int] = []
    for length in range(1, LETTERS + 1):
        of_ours, of_theirs = letters(ours, length), letters(theirs, length)
        said_count = of_ours.total() if of_theirs else 0  # what nothing was wanted of is not counted
        counts += [said_count, of_theirs.total(), (of_ours & of_theirs).total()]
    return counts


def letters(text: str, length: int) -> Counter:
    """How often each run of so many letters is there."""
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))


def bleu(sums: Array) -> Array:
    """BLEU, 0 to 100, of summed counts `(R, 10)`: `(R,)`."""
    said, wanted = sums[:, 0], sums[:, 1]
    right, total = sums[:, 2::2], sums[:, 3::2]  # (R, N)
    with np.errstate(all="ignore"):
        zeros = np.cumsum(right == 0, 1)  # each length without a hit is taken for half a hit, a quarter, an eighth
        precision = np.where(right > 0, right, 0.5**zeros) / total
        mean = np.exp(np.log(precision).mean(1))
        brevity = np.where(said < wanted, np.exp(1 - wanted / said), 1.0)
        found = 100 * brevity * mean
    return np.where((right.sum(1) > 0) & (total > 0).all(1), found, 0.0)


def chrf(sums: Array) -> Array:
    """chrF, 0 to 100, of summed counts `(R, 18)`: `(R,)`."""
    said, wanted, right = sums[:, 0::3], sums[:, 1::3], sums[:, 2::3]  # (R, N)
    counted = (said > 0) & (wanted > 0)
    with np.errstate(all="ignore"):
        lengths = counted.sum(1)
        precision = np.where(counted, right / said, 0.0).sum(1) / lengths
        recall = np.where(counted, right / wanted, 0.0).sum(1) / lengths
        found = 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    return np.where(np.isfinite(found), found, 0.0)


def counts_of(said: Sequence[str], wanted: Sequence[str], count: Callable[[str, str], list[int]]) -> Array:
    """The counts of each text, `(n, D)`."""
    return np.array([count(ours, theirs) for ours, theirs in zip(said, wanted, strict=True)], np.float64)


def figures(said: Sequence[str], wanted: Sequence[str], intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """BLEU and chrF of texts, with 95 % intervals by bootstrap over the texts.

    Example:
        >>> found = figures(["A dog runs over the grass."], ["A dog runs on the grass."])
        >>> round(float(found["bleu"]), 1), round(float(found["chrf"]), 1)
        (41.1, 75.6)
    """
    resample = Resample(len(said), 1000 if intervals else 0, seed)
    return {
        "bleu": resample.metric(resample.sums(counts_of(said, wanted, bleu_counts)), bleu),
        "chrf": resample.metric(resample.sums(counts_of(said, wanted, chrf_counts)), chrf),
    }


def signature() -> str:
    """What the figure is, for a person who wants to compare it with others'."""
    return _("BLEU as sacreBLEU computes it: {signature}", signature=SIGNATURE)
