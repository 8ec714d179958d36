"""Parts: exact, seeded, stratified, never tearing a group, in the order of time, each drawn for itself."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.data.split import fingerprint, folds, split
from gipi.errors import DataError


def shares(codes, rows):
    return np.bincount(codes[rows], minlength=codes.max() + 1) / len(rows)


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@given(st.integers(30, 200), st.integers(0, 99), st.integers(0, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_parts_hold_each_row_once(rows, seed, kind):
    codes = np.random.default_rng(seed).integers(0, 6, rows)
    how = {"strata": {0: codes}.get(kind), "groups": {1: codes}.get(kind), "order": {2: codes}.get(kind)}
    parts = split(rows, seed, **how)
    assert sorted(np.concatenate([*parts.values()]).tolist()) == list(range(rows))
    assert set(parts) == {"train", "valid", "test"}
    assert all((np.diff(numbers) > 0).all() for numbers in parts.values())


def test_shares_are_of_all_and_of_the_rest():
    parts = split(1000, 0, test=0.2, valid=0.25)
    assert {name: len(rows) for name, rows in parts.items()} == {"test": 200, "valid": 200, "train": 600}
    assert set(split(50, 0, test=0.0)) == {"train", "valid"}
    assert set(split(50, 0, test=0.0, valid=0.0)) == {"train"}


def test_each_part_has_its_share_of_each_class():
    codes = np.repeat([0, 1, 2], [700, 200, 100])
    parts = split(1000, 3, strata=codes)
    for rows in parts.values():
        assert shares(codes, rows) == pytest.approx([0.7, 0.2, 0.1], abs=0.005)


@given(st.lists(st.integers(1, 9), min_size=4, max_size=12), st.integers(0, 9))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_class_stays_among_training_rows(counts, seed):
    codes = np.repeat(np.arange(len(counts)), counts)
    if (np.array(counts) - 1).sum() < 4:
        return
    parts = split(len(codes), seed, strata=codes)
    assert set(codes[parts["train"]]) == set(codes)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_torn(seed):
    random = np.random.default_rng(seed)
    groups = random.integers(0, 25, 400)
    parts = split(400, seed, groups=groups)
    of_parts = [set(groups[rows]) for rows in parts.values()]
    assert sum(map(len, of_parts)) == len(set(groups))
    assert 0.1 < len(parts["test"]) / 400 < 0.3
    for train, valid in folds(parts["train"], 5, seed, groups=groups):
        assert not set(groups[train]) & set(groups[valid])


def test_too_few_groups_are_counted():
    with pytest.raises(DataError, match="2 groups; 3 parts"):
        split(60, 0, groups=np.arange(60) % 2)
    with pytest.raises(DataError, match="4 groups cannot make 5 folds"):
        folds(np.arange(40), 5, 0, groups=np.arange(40) % 4)


def test_the_latest_rows_are_the_test_part():
    time = np.random.default_rng(0).permutation(100)
    parts = split(100, 0, order=time)
    assert time[parts["train"]].max() < time[parts["valid"]].min()
    assert time[parts["valid"]].max() < time[parts["test"]].min()
    stretches = [time[valid] for _train, valid in folds(parts["train"], 4, 0, order=time)]
    assert all(before.max() < after.min() for before, after in pairwise(stretches))


@given(st.integers(2, 12), st.integers(12, 90), st.integers(0, 9), st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_folds_partition_exactly(count, rows, seed, is_stratified):
    rest = np.sort(np.random.default_rng(seed).permutation(200)[:rows])
    strata = np.arange(200) % 3 if is_stratified else None
    made = folds(rest, count, seed, strata=strata)
    assert len(made) == count
    assert sorted(np.concatenate([valid for _train, valid in made]).tolist()) == rest.tolist()
    for train, valid in made:
        assert sorted([*train, *valid]) == rest.tolist()
    sizes = [len(valid) for _train, valid in made]
    assert max(sizes) - min(sizes) <= 1
    if strata is not None:
        for value in range(3):
            dealt = [(strata[valid] == value).sum() for _train, valid in made]
            assert max(dealt) - min(dealt) <= 1


def test_the_same_seed_gives_the_same_parts_and_another_one_others():
    codes = np.arange(90) % 4
    assert same(split(90, 7, strata=codes), split(90, 7, strata=codes))
    assert fingerprint(split(90, 7)) == fingerprint(split(90, 7))
    assert fingerprint(split(90, 7)) != fingerprint(split(90, 8))


@pytest.mark.parametrize("how", ["random", "strata", "groups", "order"])
def test_the_test_part_does_not_depend_on_the_validation_share(how):
    codes = np.random.default_rng(1).integers(0, 9, 300)
    chosen = {} if how == "random" else {how: codes}
    one, other = split(300, 0, valid=0.1, **chosen), split(300, 0, valid=0.5, **chosen)
    assert (one["test"] == other["test"]).all()
    assert len(one["valid"]) < len(other["valid"])
    none = split(300, 0, valid=0.0, **chosen)
    assert (one["test"] == none["test"]).all() and "valid" not in none


def test_given_parts_are_kept():
    test = np.array([5, 1, 30])
    parts = split(60, 0, given={"test": test})
    assert parts["test"].tolist() == [1, 5, 30]
    assert not set(parts["test"]) & set(np.concatenate([parts["train"], parts["valid"]]))
    both = split(60, 0, given={"train": np.arange(20), "test": np.arange(40, 60)})
    assert set(both["train"]) | set(both["valid"]) == set(range(20))  # what was given to nobody stays out


def test_given_parts_that_overlap_or_point_outside_are_refused():
    with pytest.raises(DataError, match="row 4 is in two parts"):
        split(60, 0, given={"valid": np.array([3]), "test": np.array([3])})
    with pytest.raises(DataError, match="has row 60"):
        split(60, 0, given={"test": np.array([60])})


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="too few to split"):
        split(2, 0, test=0.9)
    for count in (1, 0, 7):
        with pytest.raises(DataError, match=f"{count} folds of 6 rows"):
            folds(np.arange(6), count, 0)
