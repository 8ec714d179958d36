"""A table larger than memory is read as a smaller one is: the same values, kinds, errors and weights.

Here tables are small and "large" by decree: nothing is available, and a block is a few hundred bytes.
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import gipi
from gipi.data import budget, kept, large_tables
from gipi.data.columns import conform, infer
from gipi.data.dataset import Dataset
from gipi.data.encode import encode
from gipi.data.large_frames import concat_large, conform_large, encode_large, rows_of, sample
from gipi.data.large_tables import is_large_table, open_large_table, where_in_large
from gipi.data.learning import learn
from gipi.data.sources import open_data
from gipi.data.tables import place, read_table
from gipi.errors import DataError

ROWS = 400


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(large_tables, "BLOCK", 700)
    monkeypatch.setattr(large_tables, "ROWS", 37)


@pytest.fixture
def _no_memory(monkeypatch):
    monkeypatch.setattr(budget, "available", lambda: 0)


def _messy(rows: int = ROWS) -> pl.DataFrame:
    """Text columns of every kind, several of which show what they are late."""
    random, asked, rows = np.random.default_rng(0), rows, ROWS
    number = [f"{value:.3f}" for value in random.standard_normal(rows)]
    whole = [str(value) for value in random.integers(0, 50, rows)]
    return pl.DataFrame(
        {
            "number": number,
            "whole": whole,
            "late point": [*whole[:300], "1.5", *whole[301:]],
            "late gap": [*whole[:250], None, *whole[251:]],
            "empty first": [*[None] * 200, *number[200:]],
            "empty last": [*whole[:100], *[None] * 300],
            "marked": [*number[:50], "NA", *number[51:200], "?", *number[201:]],
            "thousands": [*["1,395"] * 20, *["12"] * 380],
            "city": [str(value) for value in random.choice(["Seoul", "Busan", "an unusually long name"], rows)],
            "late word": [*whole[:5], *[f"w{value}" for value in random.integers(0, 9, 395)]],
            "code": [*[f"{value:05d}" for value in random.integers(0, 99, rows)]],
            "word gaps": [*["a", "b", "NA", None] * (rows // 4)],
            "yes": [str(value) for value in random.choice(["yes", "no"], rows)],
            "day": [f"2020-{month:02d}-11" for month in random.integers(1, 13, rows)],
            "same": ["7"] * rows,
            "id": [str(value) for value in range(1, rows + 1)],
            "nothing": [None] * rows,
        }
    ).head(asked)


def _write(frame: pl.DataFrame, path: Path, **how) -> Path:
    frame.write_csv(path, **how)
    return path


def _equal(ours: pl.Series, theirs: pl.Series) -> bool:
    """Values and gaps; NaN is a gap of ours."""
    if theirs.dtype.is_numeric():
        both = ours.cast(pl.Float64).fill_nan(None).to_list(), theirs.cast(pl.Float64).to_list()
    else:
        both = ours.cast(theirs.dtype).to_list(), theirs.to_list()
    return both[0] == both[1]


def _compare(path: Path, target: tuple[str, ...] = ()) -> None:
    """Kinds, notes and conformed values are those of the table in memory."""
    held, noted = read_table(path)
    kinds, remarks = infer(held, target)
    far, notes = open_large_table(path)
    assert far.columns == held.columns and far.height == held.height
    found, said = infer(far, target, mapped=True)
    assert found == kinds
    assert notes[-1].startswith("larger than memory")
    # of commas between thousands the reader says what otherwise the look at the columns says
    assert sorted([*notes[:-1], *said]) == sorted([*noted, *remarks])
    ours, theirs = conform_large(far, found, target), conform(held, kinds, target)
    for name, kind in kinds.items():
        if kind in ("number", "category", "boolean", "date"):
            assert _equal(ours[name], theirs[name]), name


def test_every_kind_of_column_is_what_it_is_in_memory(tmp_path):
    _compare(_write(_messy(), tmp_path / "messy.csv"))


@pytest.mark.parametrize("target", ["city", "yes", "whole", "number", "late gap"])
def test_targets_too(tmp_path, target):
    _compare(_write(_messy(), tmp_path / "messy.csv"), (target,))


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n" + "1,5;x\n2,25;y\n" * 150,
        "\ufeffa,b\r\n" + "1,x\r\n2,y\r\n" * 150,
        "# a remark\n# another\na,b\n" + "1,x\n2,y\n" * 150,
        "a,b\n" + '1,"two\nlines, and ""quotes"""\n2,plain\n\n' * 60,
        "a\tb\n" + "1\t x y \n2\tz\n,\n".replace(",", "\t") * 120,
        "a,b\n" + "1,x\n" * 200 + "2,y",
        "1,x\n" + "2,y\n3,z\n" * 150,
        "a,b\n" + "1,x\n" * 100 + '2,"q,r"\n' + "3,x\n" * 100 + " 4 , y\n" * 100,
        "a,b\n" + "007,x\n12,y\n" * 100,
    ],
)
def test_every_way_of_writing_a_table(tmp_path, text):
    path = tmp_path / "written.csv"
    path.write_text(text, encoding="utf-8", newline="")
    _compare(path)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    _compare(packed)


def test_parquet_by_rows(tmp_path):
    frame = pl.DataFrame(
        {
            "a": np.random.default_rng(0).standard_normal(ROWS),
            "b": pl.Series([None, *range(ROWS - 1)], dtype=pl.Int32),
            "c": [True, None, False, True] * (ROWS // 4),
            "d": pl.Series(range(ROWS), dtype=pl.Int64).cast(pl.Datetime("ms")),
            "e": ["x", "y"] * (ROWS // 2),
            "f": [[1, 2]] * ROWS,
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    _compare(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("1,2,3", "line 151 of t.csv|line 151: 3 cells"),
        ('"1,2', "t.csv"),
        ("oops,2", "column 'a', line 151 of t.csv: 'oops' is not a number"),
        ("a,b", "line 151: the names of the columns come again"),
    ],
)
def test_errors_name_the_line(tmp_path, _no_memory, bad, said):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 149 + bad + "\n" + "3,4\n" * 50)
    with pytest.raises(DataError, match=said):
        infer(open_large_table(path)[0], where=place(path), mapped=True)


def test_where_a_row_stands(tmp_path, _no_memory):
    path = tmp_path / "t.csv"
    path.write_text("# remark\na,b\n" + "1,x\n2,y\n\n" * 100)
    lines = place(path)
    assert [lines(row) for row in (0, 1, 2, 199)] == [f"line {n} of t.csv" for n in (3, 4, 6, 301)]
    assert lines(77) == where_in_large(path)(77)


# --- what is kept ------------------------------------------------------------------------------------------------


def test_the_second_time_nothing_is_read_and_a_change_is_noticed(tmp_path, monkeypatch):
    path = _write(_messy(), tmp_path / "t.csv")
    first, _notes = open_large_table(path)
    monkeypatch.setattr(large_tables, "_convert", lambda *_: pytest.fail("read again"))
    second, _notes = open_large_table(path)
    assert first.equals(second, null_equal=True) or first.columns == second.columns
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    time = path.stat().st_mtime_ns
    changed = path.read_text().replace("Seoul", "Paris", 1)
    path.write_text(changed)
    os.utime(path, ns=(time, time))  # of the same size and time: what stands in it tells
    assert "Paris" in open_large_table(path)[0]["city"].unique().to_list()


@pytest.mark.parametrize("harm", ["cut", "changed", "lost", "list"])
def test_a_damaged_set_is_made_anew(tmp_path, harm):
    path = _write(_messy(), tmp_path / "t.csv")
    before = open_large_table(path)[0]["number"].to_list()
    (folder,) = (tmp_path / "cache" / "gipi" / "tables").glob("*/")
    file = folder / "00000.column"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    elif harm == "changed":
        data = bytearray(file.read_bytes())
        data[77] ^= 1
        file.write_bytes(data)
    elif harm == "lost":
        file.unlink()
    else:
        (folder / kept.LIST).write_text("{")
    assert open_large_table(path)[0]["number"].to_list() == before
    assert len(json.loads((folder / kept.LIST).read_text())["files"]) == 17


def test_nothing_is_left_of_a_table_that_cannot_be_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 300 + "1\n")
    with pytest.raises(DataError):
        open_large_table(path)
    assert not [*(tmp_path / "cache" / "gipi" / "tables").glob("*/")]


def test_a_full_disk_drops_old_sets_then_says_so(tmp_path, monkeypatch):
    one, two = (_write(_messy(), tmp_path / name) for name in ("one.csv", "two.csv"))
    open_large_table(one)
    tables = tmp_path / "cache" / "gipi" / "tables"
    room = {"free": 10**6}

    def usage(_folder):
        free = 10**12 if not [*tables.glob("*/set.json")] else room["free"]
        return type("Usage", (), {"free": free})

    monkeypatch.setattr(kept.shutil, "disk_usage", usage)
    open_large_table(two)  # the first had to go
    assert len([*tables.glob("*/set.json")]) == 1
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _folder: type("Usage", (), {"free": 0}))
    with pytest.raises(DataError, match=r"too little room.*XDG_CACHE_HOME"):
        open_large_table(one)


# --- rows, encoding, training ------------------------------------------------------------------------------------


def test_very_many_words_are_judged_by_their_shares(monkeypatch):
    """A column of a million rows stands for all; what is decided, and the row that an error names, are the same."""
    from gipi.data import columns

    text = pl.DataFrame(
        {
            "city": ["b", "a", None, "c"] * 500,
            "yes": ["yes", "no"] * 1000,
            "code": ["007", "012"] * 1000,
            "same": ["x"] * 2000,
            "odd": [*["1", "2"] * 888, "oops", *["3"] * 223],
        }
    )
    words = text.select(text[name].cast(pl.Enum(sorted(set(text[name].drop_nulls())))) for name in text.columns)
    monkeypatch.setattr(columns, "SMALL", 300)
    assert infer(words.drop("odd"), mapped=True) == infer(text.drop("odd"))
    with pytest.raises(DataError, match="column 'odd', row 1777: 'oops' is not a number"):
        infer(words.select("odd"), mapped=True)


def test_what_is_large(tmp_path, monkeypatch):
    path = _write(_messy(), tmp_path / "t.csv")
    size = path.stat().st_size
    for available, expected in ((10 * size * 2 + 2, False), (10 * size * 2 - 2, True)):
        monkeypatch.setattr(budget, "available", lambda available=available: available)
        assert is_large_table(path) is expected
        assert open_data(path).mapped is expected
    assert not is_large_table(tmp_path / "none.csv") and not is_large_table(tmp_path)


def test_available_memory_obeys_the_limits_of_the_process():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    all_of_it = budget.available()
    assert 0 < all_of_it < 1 << 50
    taken = next(int(line.split()[1]) << 10 for line in budget._lines("/proc/self/status") if line.startswith("VmSize"))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (taken + (64 << 20), before[1]))
        assert budget.available() <= 64 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_encoding_and_rows_are_those_of_data_in_memory(tmp_path, monkeypatch):
    from gipi.data import large_frames

    monkeypatch.setattr(large_frames, "ELEMENTS", 100)
    path = _write(_messy(), tmp_path / "t.csv")
    held, far = read_table(path)[0], open_large_table(path)[0]
    kinds = infer(held)[0]
    inputs = {name: kind for name, kind in kinds.items() if kind in ("number", "category", "boolean", "date")}
    ours = Dataset("t", conform_large(far, kinds), mapped=True)
    theirs = Dataset("t", conform(held, kinds))
    some = np.sort(np.random.default_rng(1).permutation(ROWS)[:300])
    schema = learn(theirs.rows(some), inputs)
    assert learn(ours, inputs, rows=some) == schema
    (expected,) = encode(schema, theirs)
    (found,) = encode_large(schema, ours, torch.float32)
    assert torch.equal(found, expected)
    chosen = rows_of(ours, some)
    assert torch.equal(encode_large(schema, chosen, torch.float32)[0], expected[some])
    twice = concat_large([chosen.frame, ours.frame])
    (both,) = encode_large(schema, Dataset("t", twice, mapped=True), torch.float32)
    assert torch.equal(both, torch.cat([expected[some], expected]))


def test_a_sample_is_of_the_rows_and_the_same_each_time():
    rows = np.arange(0, 1_000_000, 3)
    some = sample(rows, 100, seed=1)
    assert 2000 <= len(some) <= 200_000 and set(some) <= set(rows) and (np.diff(some) > 0).all()
    assert (some == sample(rows, 100, seed=1)).all() and (some != sample(rows, 100, seed=2)).any()
    assert sample(rows[:50], 10**9, 0) is not None and len(sample(rows[:50], 10**9, 0)) == 50


def _weights(run) -> list[torch.Tensor]:
    return [*gipi.load(run.path / "model.gipi").members[0].state_dict().values()]


@pytest.mark.parametrize(
    "how",
    [
        {"target": "yes", "system": "mlp", "ensemble": 2},
        {"target": "late gap", "system": "mlp", "workers": 3},  # a row without a target is left out
        {"target": "city", "system": "linear", "folds": 3, "workers": 0, "class_weight": "balanced"},
    ],
)
def test_the_weights_are_those_of_data_in_memory(tmp_path, monkeypatch, how):
    path = _write(_messy(), tmp_path / "t.csv")
    how = {**how, "epochs": 2, "quiet": True, "verdict_seconds": 0.5, "hidden": (8,)}
    if how["system"] == "linear":
        how.pop("hidden")
    held = gipi.fit(path, run=tmp_path / "held", **how)
    monkeypatch.setattr(budget, "available", lambda: 0)
    far = gipi.fit(path, run=tmp_path / "far", **how)
    assert any("larger than memory" in fact for fact in far.record["facts"])
    assert not any("larger than memory" in fact for fact in held.record["facts"])
    for key in ("data", "split", "schema"):
        assert far.record[key] == held.record[key], key
    assert all(torch.equal(a, b) for a, b in zip(_weights(far), _weights(held), strict=True))
    assert far.metrics == held.metrics


def test_parts_of_their_own(tmp_path, _no_memory):
    train, test = _write(_messy(), tmp_path / "a.csv"), _write(_messy(100), tmp_path / "b.csv")
    run = gipi.fit(train, test=test, target="yes", steps=3, quiet=True, verdict_seconds=0.5, run=tmp_path / "run")
    assert run.record["rows"] == {"train": 320, "valid": 80, "test": 100}


def test_clusters_are_looked_for_in_a_sample(tmp_path, monkeypatch, _no_memory):
    from gipi.data import large_frames

    monkeypatch.setattr(large_frames, "FEWEST", 100)
    monkeypatch.setattr(large_frames, "SAMPLE", 1)
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"a": random.standard_normal(ROWS).round(3), "b": ["x", "y"] * (ROWS // 2)})
    run = gipi.fit(_write(frame, tmp_path / "t.csv"), no_target=True, steps=5, quiet=True, run=tmp_path / "run")
    assert any("100 of 400 rows" in fact for fact in run.record["facts"])


def test_a_kept_model_is_judged_on_a_large_table(tmp_path, monkeypatch):
    path = _write(_messy(), tmp_path / "t.csv")
    run = gipi.fit(path, target="yes", steps=5, quiet=True, verdict=False, run=tmp_path / "run")
    held = run.evaluate(path)
    monkeypatch.setattr(budget, "available", lambda: 0)
    assert run.evaluate(path) == held


WATCH = """
import sys, threading, time
import gipi, gipi.jobs.supervised, sklearn.ensemble, sklearn.linear_model, sklearn.neighbors
from gipi.data import budget, large_tables
large_tables.BLOCK = 1 << 20
if sys.argv[2] == "far":
    budget.available = lambda: 0
def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
peak, before, done = 0, own(), False
def watch():
    global peak
    while not done:
        peak = max(peak, own())
        time.sleep(0.002)
thread = threading.Thread(target=watch)
thread.start()
gipi.fit(sys.argv[1], target="answer", steps=50, quiet=True, verdict_seconds=0.1, run=sys.argv[3])
done = True
thread.join()
print((peak - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is looked up in /proc")
def test_memory_stays_far_below_the_table(tmp_path):
    """40 MB of text: hundreds of megabytes in memory, and a fraction of that from disk."""
    random = np.random.default_rng(0)
    numbers = random.standard_normal((100_000, 50)).round(5)
    frame = pl.DataFrame(numbers, schema=[f"x{number}" for number in range(50)])
    frame = frame.with_columns(answer=pl.Series(np.where(numbers[:, 0] > 0, "yes", "no")))
    path = _write(frame, tmp_path / "t.csv")
    peaks = {}
    for how in ("held", "far"):
        words = [sys.executable, "-c", WATCH, str(path), how, str(tmp_path / how)]
        peaks[how] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert peaks["far"] < 0.5 * peaks["held"], peaks
