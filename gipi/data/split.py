"""Parts of a data set: training, validation, test, and folds; random, stratified, by group, by time, or given.

Each part is an array of row numbers, a function of the seed alone. The test part is drawn first, so that it is the same
rows whatever becomes of the rest.
"""

import hashlib

import numpy as np

from gipi.errors import DataError
from gipi.messages import _

Parts = dict[str, np.ndarray]

MANY = 1 << 22  # rows


def split(
    rows: int,
    seed: int,
    *,
    test: float = 0.2,
    valid: float = 0.2,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
    given: Parts | None = None,
) -> Parts:
    """Row numbers of "train", "valid" and "test" (the last two may be absent).

    Args:
        rows: How many rows there are.
        seed: Decides which rows go where.
        test: The share of all rows that is set aside for the end.
        valid: The share of the remaining rows that early stopping may see.
        strata: `(rows,)` codes; each part gets its share of each.
        groups: `(rows,)` codes; rows of one group stay in one part.
        order: `(rows,)` sortable; the latest rows are the test part, the latest of the rest validation.
        given: Parts that the data itself gives; rows in none of them are training rows, unless those are given too.

    Raises:
        DataError: There are too few rows or groups for the parts, or a row is given to two parts.
    """
    given = given or {}
    named = _named_once(given, rows)
    rest = np.asarray(given["train"]) if "train" in given else _without(_all(rows), named)
    shares = {"test": test, "valid": valid}
    if groups is not None:
        cuts = sum(share > 0 and name not in given for name, share in shares.items())
        _check_groups(groups[rest], 1 + cuts)
    parts: Parts = {}
    for name, share in shares.items():
        if name in given:
            parts[name] = np.sort(np.asarray(given[name]))
        elif share > 0:
            rest, parts[name] = _cut(rest, share, _random(seed, name), strata, groups, order)
    parts["train"] = np.sort(rest)
    for name, numbers in parts.items():
        if not len(numbers):
            raise DataError(
                _("no row is left for the part '{part}': {rows} rows are too few to split", part=name, rows=rows)
            )
    return parts


def folds(
    rest: np.ndarray,
    count: int,
    seed: int,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`count` pairs (train, valid) of row numbers; each of `rest` is validated exactly once.

    By time, fold k is the k-th stretch of time, so that neighbours in time stay together.
    """
    if count < 2 or count > len(rest):
        raise DataError(
            _(
                "{count} folds of {rows} rows cannot be made; at least 2, at most one for each row",
                count=count,
                rows=len(rest),
            )
        )
    if order is not None:
        chunks = np.array_split(rest[np.argsort(order[rest], kind="stable")], count)
    elif groups is not None:
        chunks = _deal_groups(rest, groups, count, _random(seed, "folds"))
    else:
        shuffled = _random(seed, "folds").permutation(rest)
        if strata is not None:  # rows of one class stand side by side and are dealt like cards
            shuffled = shuffled[np.argsort(strata[shuffled], kind="stable")]
        chunks = [shuffled[number::count] for number in range(count)]
    valid = [np.sort(chunk) for chunk in chunks]
    return [(np.setdiff1d(rest, chunk), chunk) for chunk in valid]


def given_to_folds(given: Parts) -> Parts:
    """The parts that a data set itself gives, where it is cut into folds: what was for validation is learned from."""
    left = {name: rows for name, rows in given.items() if name != "valid"}
    if {"train", "valid"} <= given.keys():
        left["train"] = np.sort(np.concatenate([given["train"], given["valid"]]))
    return left


def fingerprint(parts: Parts) -> str:
    """A hash of which rows are where; it stands in run.json, so that a resumed run can be sure."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(name.encode())
        for start in range(0, len(parts[name]), 1 << 20):
            digest.update(np.ascontiguousarray(parts[name][start : start + (1 << 20)], np.int64).data)
    return digest.hexdigest()


def _all(rows: int) -> np.ndarray:
    """The number of each row; of very many in half the memory."""
    return np.arange(rows, dtype=np.int32 if MANY < rows < 1 << 31 else np.int64)


def _without(rest: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The rows of `rest` that are not chosen, in order; `np.setdiff1d` would sort both, in ten times the memory."""
    kept = np.zeros(int(rest.max()) + 1 if len(rest) else 0, bool)
    kept[rest] = True
    kept[chosen] = False
    return np.flatnonzero(kept).astype(rest.dtype, copy=False)


def _random(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _named_once(given: Parts, rows: int) -> np.ndarray:
    """The rows that are given to parts; each to one."""
    named = np.concatenate([*given.values(), np.empty(0, int)])
    values, counts = np.unique(named, return_counts=True)
    if len(values) and (values[0] < 0 or values[-1] >= rows):
        odd = int(values[0] if values[0] < 0 else values[-1])
        raise DataError(_("a part has row {row}; the rows are 0 to {last}", row=odd, last=rows - 1))
    if (counts > 1).any():
        row = int(values[counts > 1][0])
        raise DataError(_("row {row} is in two parts, or twice in one; give each row to one part", row=row + 1))
    return named


def _check_groups(groups: np.ndarray, parts: int) -> None:
    count = len(np.unique(groups))
    if count < parts:
        raise DataError(
            _(
                "the rows form {count} groups; {parts} parts need at least as many to keep groups apart",
                count=count,
                parts=parts,
            )
        )


def _cut(rest, share, random, strata, groups, order) -> tuple[np.ndarray, np.ndarray]:
    """Split `rest` into what stays and what is set aside."""
    count = max(1, round(share * len(rest))) if len(rest) > 1 else 0
    if order is not None:
        ordered = rest[np.argsort(order[rest], kind="stable")]
        return ordered[: len(rest) - count], np.sort(ordered[len(rest) - count :])
    if groups is not None:
        chosen = _some_groups(rest, groups, count, random)
    elif strata is not None:
        chosen = _some_of_each(rest, strata, share, random)
    else:
        chosen = random.permutation(rest)[:count]
    return _without(rest, chosen), np.sort(chosen)


def _some_of_each(rest, strata, share, random) -> np.ndarray:
    """A share of each class, largest remainders rounded up; a class of one row stays in training."""
    _classes, counts = np.unique(strata[rest], return_counts=True)
    wanted = np.minimum(counts * share, counts - 1.0)
    taken = np.floor(wanted).astype(int)
    missing = min(round(share * len(rest)), int((counts - 1).sum())) - int(taken.sum())
    by_remainder = np.argsort(-(wanted - taken), kind="stable")
    by_remainder = by_remainder[taken[by_remainder] < counts[by_remainder] - 1]
    taken[by_remainder[: max(0, missing)]] += 1
    ordered = rest[np.argsort(strata[rest], kind="stable")]
    each = np.split(ordered, np.cumsum(counts)[:-1])
    chosen = [random.permutation(members)[:number] for members, number in zip(each, taken, strict=True)]
    return np.concatenate([*chosen, np.empty(0, rest.dtype)])


def _some_groups(rest, groups, count, random) -> np.ndarray:
    """Whole groups in random order until about `count` rows are together; one group stays at least."""
    names, sizes = np.unique(groups[rest], return_counts=True)
    order = random.permutation(len(names))[:-1]
    reach = np.cumsum(sizes[order])
    number = 1 + int(np.argmin(np.abs(reach - count)))
    return rest[np.isin(groups[rest], names[order[:number]])]


def _deal_groups(rest, groups, count, random) -> list[np.ndarray]:
    """Groups, largest first, each to the fold that has the fewest rows."""
    names, sizes = np.unique(groups[rest], return_counts=True)
    if len(names) < count:
        raise DataError(_("{groups} groups cannot make {count} folds", groups=len(names), count=count))
    shuffled = random.permutation(len(names))
    loads = np.zeros(count)
    members: list[list] = [[] for _number in range(count)]
    for place in sorted(shuffled, key=lambda place: -sizes[place]):
        fold = int(np.argmin(loads))
        loads[fold] += sizes[place]
        members[fold].append(names[place])
    return [rest[np.isin(groups[rest], chosen)] for chosen in members]
