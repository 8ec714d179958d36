"""Training rows and held-out rows come from different distributions: a classifier can tell one from the other.

If it cannot, it is right as often as chance (an AUC of one half); what it can tell is the shift (Lopez-Paz and Oquab,
"Revisiting classifier two-sample tests", 2017). Each row is judged by trees that did not see it.

n rows, D features
"""

import numpy as np

from gipi.data.remarks import abbreviated
from gipi.doctor.alignment import bent_features
from gipi.doctor.columns import Column, columns_of, is_table, matrix, names_rows, some_rows
from gipi.doctor.copies import field_means
from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.messages import _

ROWS = 700  # of each part: an AUC of one half is then known to 0.015
FEWEST = 20
TREES = 20
FOLDS = 3
HINT = 2.5  # standard errors: a quick look that finds less leaves it at that, far below what is said
SURE = 4.0  # standard errors of an AUC of one half (Hanley and McNeil 1982): a chance of 3e-5
# By definition: an AUC of 0.75 lies halfway between what is alike and what has nothing in common; 0.6 is a fifth of the
# way, below which scores differ less than between two seeds.
FAR, SOME = 0.75, 0.6
SHOWN = 12
WORDS = 200  # frequent tokens of texts
FINEST = 64  # means of 8 x 8 fields


def check(view: View) -> Finding | None:
    if view.is_drawn:
        return None
    if view.x is None or "train" not in view.parts or view.x.ndim not in (2, 4) or view.x.dtype.kind not in "fiub":
        return None
    worst: tuple[float, float, str, list[tuple[float, str]]] | None = None
    for part in ("test", "valid"):
        if part in view.parts and (found := _told_apart(view, part)) and (worst is None or found[0] > worst[0]):
            worst = (found[0], found[1], part, found[2])
    if worst is None:
        return None
    auc, error, part, features = worst
    if auc - 0.5 < SURE * error or auc < SOME:
        return None
    is_wanted = bool(view.time or view.group)
    severity: Severity = "note" if is_wanted else "problem" if auc - 2 * error > FAR else "warning"
    said = {"test": _("test"), "valid": _("validation")}[part]
    first = abbreviated([name for _weight, name in features[:3]])
    cause = _(
        "A classifier can tell {part} rows from training rows (AUC {auc} ± {error}, 0.5 would be chance; most by "
        "{columns}): they come from different distributions, so what is learned holds less for the rows that are "
        "scored.",
        part=said,
        auc=f"{auc:.2f}",
        error=f"{error:.2f}",
        columns=first,
    )
    return Finding(
        "distribution-shift",
        severity,
        {"auc": auc, "error": error, "part": part, "features": [name for _weight, name in features[:3]]},
        cause,
        _remedies(view),
        Plot(
            _("by what {part} rows can be told from training rows", part=said),
            {_("share of the trees' cuts"): [weight for weight, _name in features[:SHOWN]]},
            labels=[name for _weight, name in features[:SHOWN]],
        ),
    )


def _remedies(view: View) -> tuple[Remedy, ...]:
    if view.time or view.group:
        return (Remedy(_("This is what parts by time or group are for: read the test score as that of new rows.")),)
    return (
        Remedy(_("Find out how these rows were collected, and whether units, codes or pictures were changed.")),
        Remedy(_("Put the rows together and let gipi draw the parts, if they are of one kind.")),
    )


def _told_apart(view: View, part: str) -> tuple[float, float, list[tuple[float, str]]] | None:
    """The AUC, its standard error if nothing were to be told, and the features by their weight."""
    train, held = (some_rows(view, ROWS, (name,)) for name in ("train", part))
    if min(len(train), len(held)) < FEWEST:
        return None
    rows = np.concatenate([train, held])
    x, names = _features(view, rows)
    if not x.shape[1]:
        return None
    is_held = np.arange(len(rows)) >= len(train)
    fold = _folds(view, rows)
    if not _may_be_told(x, is_held, fold):
        return None
    from sklearn.ensemble import ExtraTreesClassifier  # it takes a second to import

    score, weights = np.zeros(len(rows)), np.zeros(x.shape[1])
    for number in range(FOLDS):
        new, known = fold == number, fold != number
        if not new.any() or len(np.unique(is_held[known])) < 2:
            continue
        model = ExtraTreesClassifier(TREES, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1)
        score[new] = model.fit(x[known], is_held[known]).predict_proba(x[new])[:, 1]
        weights += model.feature_importances_ / FOLDS
    auc, error = _mean_auc(score, is_held, fold), _error(is_held)
    order = np.argsort(-weights, kind="stable")
    return auc, error, [(float(weights[place]), names[place]) for place in order[:SHOWN]]


def _may_be_told(x: np.ndarray, is_held: np.ndarray, fold: np.ndarray) -> bool:
    """Whether ridge regression on random features finds anything at all; if not, trees are not asked."""
    found = bent_features(x)
    if found is None:
        return True
    features, asked, score = found[1].astype(np.float64), is_held - is_held.mean(), np.zeros(len(x))
    for number in range(FOLDS):
        new, known = fold == number, fold != number
        some = features[known]
        gram = some.T @ some + len(some) / 100 * np.eye(some.shape[1])
        score[new] = features[new] @ np.linalg.solve(gram, some.T @ asked[known])
    return _mean_auc(score, is_held, fold) - 0.5 > HINT * _error(is_held)


def _mean_auc(score: np.ndarray, is_held: np.ndarray, fold: np.ndarray) -> float:
    return float(np.mean([_auc(score[fold == n], is_held[fold == n]) for n in range(FOLDS)]))


def _error(is_held: np.ndarray) -> float:
    """The standard error of an AUC where nothing is to be told."""
    m, n = int(is_held.sum()), int((~is_held).sum())
    return float(np.sqrt((m + n + 1) / (12.0 * m * n)))


def _folds(view: View, rows: np.ndarray) -> np.ndarray:
    """At random; groups stay together, so that it is not their members that are known again."""
    random = np.random.default_rng(0)
    if view.group and view.frame is not None:
        groups = view.frame[view.group].gather(rows).rank("dense").fill_null(0).cast(int).to_numpy()
        return random.permutation(int(groups.max()) + 1)[groups] % FOLDS
    return random.permutation(np.arange(len(rows)) % FOLDS)


def _auc(score: np.ndarray, is_held: np.ndarray) -> float:
    """The chance that a held-out row has a higher score than a training row; ties count half (Mann and Whitney)."""
    m, n = int(is_held.sum()), int((~is_held).sum())
    if not m or not n:
        return 0.5
    ordered = np.sort(score[~is_held])
    below = np.searchsorted(ordered, score[is_held], "left") + np.searchsorted(ordered, score[is_held], "right")
    return float(below.sum() / 2 / m / n)


def _features(view: View, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """What a quick model sees of tables, pictures, texts: `(n, D)`, and what each is called."""
    if is_table(view):
        columns = [one for one in columns_of(view, rows) if one.kind != "date" and one.name != view.time]
        columns = [one for one in columns if not names_rows(Column(one.name, one.kind, np.sort(one.values)))]
        columns = [one for one in columns if not np.isnan(one.values).all()]
        names = [name for one in columns for name in [one.name] * (1 + bool(np.isnan(one.values).any()))]
        return matrix(columns), names
    x = np.asarray(view.x)[rows]
    return _of_pictures(x) if x.ndim == 4 else _of_texts(x)


def _of_pictures(x: np.ndarray) -> tuple[np.ndarray, list[str]]:
    means = field_means(x) if min(x.shape[2:]) >= 8 else x.mean(1).reshape(len(x), -1)[:, :FINEST]
    flat = x.reshape(len(x), x.shape[1], -1).astype(np.float32)
    steps = np.abs(np.diff(x.astype(np.float32), axis=3)).mean((1, 2, 3))
    parts = [flat.mean(2), flat.std(2), steps[:, None], means]
    names = [_("mean of channel {number}", number=n + 1) for n in range(x.shape[1])]
    names += [_("contrast of channel {number}", number=n + 1) for n in range(x.shape[1])]
    names += [_("sharpness"), *(_("light of field {number}", number=n + 1) for n in range(means.shape[1]))]
    return np.nan_to_num(np.concatenate(parts, 1)), names


def _of_texts(x: np.ndarray) -> tuple[np.ndarray, list[str]]:
    if x.dtype.kind not in "iu":
        return np.empty((len(x), 0)), []
    tokens, counts = np.unique(x[x >= 0], return_counts=True)
    often = tokens[np.argsort(-counts, kind="stable")[:WORDS]]
    lengths = (x >= 0).sum(1)
    bag = [(x == token).any(1) for token in often]
    names = [_("length"), *(_("token {number}", number=int(token)) for token in often)]
    return np.stack([lengths, *bag], 1).astype(np.float32), names
