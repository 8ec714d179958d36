"""Marks by which classes can be told at a glance: one spot of a picture, one word or one place of a text.

n rows, C H W a picture, T tokens of a text, K classes
"""

import numpy as np

from gipi.doctor.columns import questions, some_rows
from gipi.doctor.finding import View
from gipi.doctor.quick import by_many, by_one, paired_z, random_folds, unexplained
from gipi.messages import _

ROWS = 1500
SPOTS = 1024  # elements of a picture that are looked at closely, the most promising first
LEVELS = 16  # that the values of an element are told apart by
MUCH, FARTHER, SURE = 0.25, 2.5, 4.0  # see checks/target_leak.py
LEAST = 0.01  # unexplained; what is exact is compared as if it left so much
PLACES = 16  # first tokens of a text that are looked at one by one, and as many last ones
NEAR = 4  # elements around a mark that may belong to it
WORDS = 2000  # tokens in the most texts, which are looked at one by one


def marked_pictures(view: View) -> tuple[str, float, float] | None:
    """Where the mark is, what it leaves unexplained, and what all that is not near it leaves."""
    rows = some_rows(view, ROWS)
    asked_for = questions(view, rows)
    if view.x is None or not asked_for or len(rows) < 40:
        return None
    asked = asked_for[0][1]
    x = view.x[rows].reshape(len(rows), view.x.shape[1], -1)  # (n, C, H*W)
    flat = np.nan_to_num(x.reshape(len(rows), -1).astype(np.float32))
    told = _told_at_once(flat, asked)  # (D, T)
    shares = told.sum(1) / (asked**2).sum()
    fold = random_folds(len(rows))
    best, own, least = _best_spot(flat, asked, fold, shares, told)
    if least > MUCH:
        return None
    place, width = best % (x.shape[2]), view.x.shape[3]
    row, column = divmod(place, width)
    seen = np.maximum(shares, (told / ((asked**2).sum(0) + 1e-9)).max(1))
    others = by_many(_without(view.x[rows], seen.reshape(view.x.shape[1:]), row, column), asked, fold)
    left = unexplained(others, asked)
    if left < FARTHER * max(least, LEAST) or paired_z(others, own) < SURE:
        return None
    return _("The pixel in row {row}, column {column}", row=row + 1, column=column + 1), least, left


def _best_spot(
    flat: np.ndarray, asked: np.ndarray, fold: np.ndarray, shares: np.ndarray, told: np.ndarray
) -> tuple[int, np.ndarray, float]:
    """The element that tells most, its squared errors and what it leaves: by itself, or with one for each class."""
    best, own, least = 0, (asked**2).sum(1), 1.0
    for place in np.argsort(-shares, kind="stable")[:8]:
        errors = by_one(flat[:, place].astype(np.float64), asked, fold)
        if errors.sum() < own.sum():
            best, own, least = int(place), errors, unexplained(errors, asked)
    chosen = np.unique(told.argmax(0))[:16]
    bits = flat[:, chosen] > flat[:, chosen].mean(0)
    errors = by_one((bits * (1 << np.arange(len(chosen)))).sum(1).astype(np.float64), asked, fold, True)
    if errors.sum() < own.sum():
        best, own, least = int(chosen[0]), errors, unexplained(errors, asked)
    return best, own, least


def _told_at_once(flat: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """`(D, T)` how much of the variance the levels of each element tell, on the rows themselves."""
    low, high = flat.min(0), flat.max(0)
    level = ((flat - low) * ((LEVELS - 1) / np.maximum(high - low, 1e-9))).round()
    told = np.zeros((flat.shape[1], asked.shape[1]))
    for number in range(LEVELS):
        is_here = (level == number).astype(np.float32)  # (n, D)
        counts = is_here.sum(0)
        told += (is_here.T @ asked.astype(np.float32)) ** 2 / np.maximum(counts, 1)[:, None]
    return told


def _without(x: np.ndarray, shares: np.ndarray, row: int, column: int) -> np.ndarray:
    """The pictures without the neighbourhood of the mark and all that tells as much, as at most so many numbers."""
    hidden = shares.max(0) > 0.5 * shares.max()  # (H, W): a mark may be large
    hidden[max(0, row - NEAR) : row + NEAR + 1, max(0, column - NEAR) : column + NEAR + 1] = True
    kept = x.reshape(*x.shape[:2], -1)[:, :, ~hidden.reshape(-1)].reshape(len(x), -1)
    step = max(1, kept.shape[1] // (SPOTS // 4))
    kept = np.nan_to_num(kept[:, ::step].astype(np.float32))
    spread = kept.std(0)
    return (kept[:, spread > 0] - kept[:, spread > 0].mean(0)) / spread[spread > 0]


def marked_texts(view: View) -> tuple[str, float, float] | None:
    """Which place or which word tells the class; no single word of honest language tells three quarters of it."""
    rows = some_rows(view, 2 * ROWS)
    asked_for = questions(view, rows)
    if view.x is None or view.x.ndim != 2 or not asked_for or len(rows) < 40 or "text" not in view.used.values():
        return None
    asked, x = asked_for[0][1], np.asarray(view.x)[rows]  # (n, T)
    lengths = (x >= 0).sum(1)
    fold = random_folds(len(rows))
    least, where = 1.0, ""
    for place in range(min(PLACES, x.shape[1])):
        last = np.where(lengths > place, x[np.arange(len(x)), np.maximum(0, lengths - 1 - place)], -1)
        starts = _("Token {number} of the text", number=place + 1)
        ends = _("Token {number} from the end of the text", number=place + 1)
        for values, said in ((x[:, place], starts), (last, ends)):
            left = unexplained(by_one(values.astype(np.float64), asked, fold, True), asked)
            if left < least:
                least, where = left, said
    said, left = _words(view, rows, x, asked, fold)
    if left < least:
        least, where = left, said
    if least > MUCH:
        return None
    return where, least, _of_others(x, asked, fold)


def _words(view: View, rows: np.ndarray, x: np.ndarray, asked: np.ndarray, fold: np.ndarray) -> tuple[str, float]:
    """One token for each class: how much their presence tells together, and of which token it is."""
    tokens, places = np.unique(np.where(x < 0, -1, x), return_inverse=True)
    places = places.reshape(x.shape)
    there = np.zeros((len(x), len(tokens)), bool)
    there[np.arange(len(x))[:, None], places] = True
    counts = there.sum(0)
    counts[tokens < 0] = 0
    often = np.argsort(-counts, kind="stable")[:WORDS]
    some = there[:, often].astype(np.float32)
    some -= some.mean(0)
    norm = np.sqrt((some**2).sum(0)) + 1e-9
    tie = np.abs(some.T @ asked.astype(np.float32)) / norm[:, None] / np.sqrt((asked**2).sum(0) + 1e-9)
    chosen = np.unique(often[tie.argmax(0)])[:8]
    codes = (there[:, chosen] * (1 << np.arange(len(chosen)))).sum(1)
    left = unexplained(by_one(codes.astype(np.float64), asked, fold, True), asked)
    return _("The presence of {count} words", count=len(chosen)), left


def _of_others(x: np.ndarray, asked: np.ndarray, fold: np.ndarray) -> float:
    """What frequent tokens leave unexplained, without those that tell a quarter of a class by themselves."""
    tokens, counts = np.unique(x[x >= 0], return_counts=True)
    often = tokens[np.argsort(-counts, kind="stable")[:200]]
    bag = np.stack([(x == token).any(1) for token in often], 1).astype(np.float32)
    some, size = bag - bag.mean(0), np.sqrt((asked**2).sum(0)) + 1e-9
    tie = (some.T @ asked.astype(np.float32)) ** 2 / ((some**2).sum(0)[:, None] + 1e-9) / size**2
    return unexplained(by_many(bag[:, tie.max(1) < 0.25], asked, fold), asked)
