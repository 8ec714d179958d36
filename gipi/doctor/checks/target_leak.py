"""An input that is the target in disguise: alone it tells nearly all that all others together do not.

Columns that are good and honest have company: where petal width tells the kind of iris, petal length does as well. What
was written down after the answer was known (Kaufman et al., "Leakage in Data Mining", 2012), or made from it, stands
alone. So a column is suspected by two things together: it leaves little unexplained, and the others leave far more.
Or several numbers make the target exactly: as a sum, a difference, a product, a quotient.

n rows, T numbers that are asked for, D inputs
"""

import numpy as np

from gipi.doctor.changes import without
from gipi.doctor.columns import Column, columns_of, is_table, matrix, names_owners, names_rows, questions, some_rows
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.marks import marked_pictures, marked_texts
from gipi.doctor.quick import by_many, by_one, paired_z, random_folds, unexplained
from gipi.messages import _

FEWEST, CELLS = 600, 300_000  # of a wide table fewer rows are looked at
GLANCE = 600  # rows on which a column must tell something before all are looked at
ROWS = 3000  # a share of 0.1 is then known to a hundredth
# By definition: of classes nine tenths are told (of two, 2.5 % of the rows are wrong), and the others leave four times
# as much. Of numbers 0.98, a correlation of 0.99: two measurements of one thing seldom agree better than that.
NEARLY_ALL, OF_NUMBERS, FAR = 0.1, 0.02, 4.0
MUCH, FARTHER = 0.25, 2.5  # by definition: three quarters are told
# Where a tenth of two classes' rows are wrong 0.36 is left (4 p (1 - p)), and the mean of five neighbours adds a fifth.
# A column that was written down carelessly is told from a good one by the others, which then know nothing at all.
CARELESS, NOTHING = 0.45, 0.8
SURE = 4.0  # standard errors: a chance of 3e-5 for a column, so hundreds of columns may be tried
EXACT = 1e-9  # of the variance: what rounding of 32-bit targets leaves; measured targets leave more
UNIT = 1e-3  # that the factors of a sum may be off 1
MOST_SUMMED = 10
MOST_CODES = 20  # values of a column that may stand for classes
COMPANY = 5  # columns; of fewer one may well be what decides, unless it is a copy
SHOWN = 12


def check(view: View) -> Finding | None:
    if view.x is None or view.y is None or view.target_kind not in ("class", "labels", "number", "normal", "quantiles"):
        return None
    if not is_table(view):
        return _of_marks(view) if view.x.dtype.kind in "fiub" else None
    rows = some_rows(view, max(FEWEST, min(ROWS, CELLS // max(1, len(view.used) or view.x.shape[1]))))
    columns = [one for one in columns_of(view, rows) if not names_rows(one)]
    is_class = view.target_kind in ("class", "labels")
    for name, asked in questions(view, rows) if len(rows) >= 20 and columns else []:
        found = _alone(view, columns, name, asked, is_class) or _made_of_several(view, columns, name, asked, rows)
        if found:
            return found
    return None


def _alone(view: View, columns: list[Column], name: str, asked: np.ndarray, is_class: bool) -> Finding | None:
    few = random_folds(len(asked), 1, max(1, len(asked) // GLANCE)) == 0
    if not any(_seems_to_tell(one, asked, few) for one in columns):
        return None
    fold = random_folds(len(asked))
    errors = [by_one(one.values, asked, fold, one.kind == "category") for one in columns]
    left = np.array([unexplained(one, asked) for one in errors])
    left[[one.kind == "date" or _names_groups(one) for one in columns]] = 1.0  # see time_leak.py and group_leak.py
    best = int(left.argmin())
    if left[best] > (CARELESS if is_class else MUCH) or len(columns) < 2:
        return None
    others = [one for place, one in enumerate(columns) if place != best]
    without = by_many(matrix(others), asked, fold)
    rest = unexplained(without, asked)
    is_alone = len(columns) >= COMPANY or _has_few_values(columns[best])
    is_plain = left[best] <= MUCH and rest >= FARTHER * left[best]
    is_careless = is_class and is_alone and rest >= NOTHING
    if not (is_plain or is_careless) or paired_z(without, errors[best]) < SURE:
        return None
    is_far = (
        left[best] <= (NEARLY_ALL if is_class else OF_NUMBERS)
        and rest >= FAR * left[best]
        and (len(columns) >= COMPANY or _is_copy(columns[best], left[best]))
    )
    column = columns[best]
    shown = np.argsort(left, kind="stable")[:SHOWN]
    return Finding(
        "target-leak",
        "problem" if is_far else "warning",
        {"column": column.name, "unexplained": float(left[best]), "unexplained_by_others": rest, "target": name},
        _(
            "The column '{column}' alone tells {share} of the target, all other columns together {others}: it is "
            "probably the target in disguise (a leak), known only after the answer, and then the score is worth "
            "nothing.",
            column=column.name,
            share=f"{1 - left[best]:.1%}",
            others=f"{max(0.0, 1 - rest):.1%}",
        ),
        _remedies(view, [column.name]),
        Plot(
            _("share of the target that each column tells alone"),
            {_("share"): [float(1 - left[place]) for place in shown]},
            labels=[columns[place].name for place in shown],
        ),
    )


def _seems_to_tell(column: Column, asked: np.ndarray, few: np.ndarray) -> bool:
    """Whether a column may tell what is asked, by `few` rows; words of which there are many need all rows."""
    if column.kind == "category" and len(np.unique(column.values[few])) > MOST_CODES:
        return True
    some = asked[few] - asked[few].mean(0)
    errors = by_one(column.values[few], some, random_folds(len(some)), column.kind == "category")
    return unexplained(errors, some) < 2 * MUCH  # more than is careless: few rows tell less


def _names_groups(column: Column) -> bool:
    """Whether it may name someone or something of which there are several rows, rather than say something of a row."""
    distinct = len(np.unique(column.values[~np.isnan(column.values)]))
    return distinct > MOST_CODES and (column.kind == "category" or names_owners(column.name))


def _is_copy(column: Column, left: float) -> bool:
    """Whether the target follows from the column exactly, and from few values of it, or as a number does."""
    return bool(left < EXACT or (_has_few_values(column) and left <= NEARLY_ALL))


def _has_few_values(column: Column) -> bool:
    return len(np.unique(column.values[~np.isnan(column.values)])) <= MOST_CODES


def _remedies(view: View, columns: list[str]) -> tuple[Remedy, ...]:
    text = _("Ask whether '{column}' is known before the answer is; if not, leave it out.", column=columns[0])
    return (Remedy(text, without(view, columns)),)


def _made_of_several(
    view: View, columns: list[Column], name: str, asked: np.ndarray, rows: np.ndarray
) -> Finding | None:
    """The target is a sum or a product of columns, without anything left over."""
    if view.target_kind == "class" or view.frame is None or name not in view.frame.columns:
        return None
    numbers = [one for one in columns if one.kind == "number" and not np.isnan(one.values).any()]
    dtype = view.frame.schema[name]
    if not dtype.is_numeric() or len(numbers) < 2 or len(rows) < 3 * len(numbers) + 10:
        return None
    target = view.frame[name].gather(rows).cast(float).to_numpy()
    x = np.stack([one.values for one in numbers], 1)
    factors = _exact(x, target)
    way = _("a sum of")
    if factors is None:
        positive = np.asarray((x > 0).all(0))
        if (target <= 0).any() or positive.sum() < 2:
            return None
        numbers = [one for one, fits in zip(numbers, positive, strict=True) if fits]
        factors, way = _exact(np.log(x[:, positive]), np.log(target)), _("a product or quotient of")
    if factors is None:
        return None
    summed = [one.name for one, factor in zip(numbers, factors, strict=True) if abs(factor) > UNIT]
    is_plain = all(abs(abs(factor) - 1) < UNIT for factor in factors if abs(factor) > UNIT)
    if len(summed) < 2 or len(summed) > MOST_SUMMED:
        return None
    said = ", ".join(f"'{one}'" for one in summed)
    return Finding(
        "target-leak",
        "problem" if is_plain else "warning",
        {"columns": summed, "factors": [float(factor) for factor in factors if abs(factor) > UNIT], "target": name},
        _(
            "The target '{target}' is exactly {way} {columns}: these columns are the target in disguise (a leak), "
            "and a network that finds the rule has learned nothing else.",
            target=name,
            way=way,
            columns=said,
        ),
        _remedies(view, summed),
    )


def _exact(x: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """The factors of `(n, D)` numbers that make the target exactly, or None."""
    middle, spread = x.mean(0), x.std(0)
    varies = spread > 0
    if not varies.any() or target.std() == 0:
        return None
    z = (x[:, varies] - middle[varies]) / spread[varies]
    y = (target - target.mean()) / target.std()
    found = np.linalg.lstsq(z, y, rcond=1e-10)[0]
    if ((y - z @ found) ** 2).mean() > EXACT:
        return None
    factors = np.zeros(x.shape[1])
    factors[varies] = found * target.std() / spread[varies]
    is_small = np.zeros(x.shape[1], bool)
    is_small[varies] = np.abs(found) < 1e-6  # moves the target by a millionth of its spread: rounding
    factors[is_small] = 0
    return factors


def _of_marks(view: View) -> Finding | None:
    """A spot of pictures, or a word, by which alone the classes can be told."""
    if view.target_kind != "class":
        return None
    found = marked_pictures(view) if view.x is not None and view.x.ndim == 4 else marked_texts(view)
    if found is None:
        return None
    place, left, rest = found
    return Finding(
        "target-leak",
        "problem" if left <= NEARLY_ALL and rest >= FAR * left else "warning",
        {"place": place, "unexplained": left, "unexplained_by_others": rest},
        _(
            "{place} alone tells {share} of the class, all the rest about {others}: the class is written into the "
            "inputs (a leak), and the model learns this mark in place of what is seen or said.",
            place=place,
            share=f"{1 - left:.1%}",
            others=f"{max(0.0, 1 - rest):.1%}",
        ),
        (Remedy(_("Cut the mark out of all inputs, for instance by cropping the edge or removing the word.")),),
    )
