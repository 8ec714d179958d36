"""Answers to whole files: the same as row by row, whatever the pieces, and whole whatever stops the process."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from copy import deepcopy
from io import StringIO

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from rich.console import Console

import gipi
from gipi.cli.main import main
from gipi.data.row_files import Place, open_rows
from gipi.data.schema import Field, Schema, Sizes
from gipi.errors import DataError, RunError, UsageError
from gipi.jobs.batch import answer_file
from gipi.jobs.part_files import Parts
from gipi.release.model import Model
from gipi.report.rows_bar import RowsBar

ROWS = 5000
TOWNS = ["Seoul", "Busan", "Jeju, do"]


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": draw.normal(size=rows).round(3),
            "b": np.where(draw.random(rows) < 0.1, None, draw.normal(size=rows).round(3)).astype(object).tolist(),
            "town": draw.choice(TOWNS, rows),
            "kind": draw.choice([1.0, 2.0, 2.5], rows),
            "code": [f"{row:05d}" for row in range(rows)],
            "said": [f'it is "{row}"' if row % 900 == 7 else f"row {row}" for row in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Models in files, and the folder that they are in."""
    folder = tmp_path_factory.mktemp("batch")
    frame = table(400, seed=1)
    draw = np.random.default_rng(2)
    worth = frame["a"] + frame["b"].fill_null(0.5) + (frame["town"] == "Seoul") + pl.Series(draw.normal(size=400))
    known = frame.select("a", "b", "town", "kind").with_columns(pl.col("kind").cast(pl.String))
    quiet = {"epochs": 3, "quiet": True}
    classes = known.with_columns(pl.when(worth > 0.3).then(pl.lit("up")).otherwise(pl.lit("down")).alias("y"))
    gipi.fit(classes, target="y", system="linear", run=folder / "class", **quiet).save(folder / "class.gipi")
    numbers = known.with_columns(worth.alias("y"), (worth * 2).alias("z"))
    run = gipi.fit(numbers, target=("y", "z"), system="linear", folds=2, run=folder / "numbers", **quiet)
    run.save(folder / "numbers.gipi")
    return folder


@pytest.fixture(scope="module")
def model(places):
    return gipi.load(places / "class.gipi")


def one_by_one(model, frame: pl.DataFrame) -> list[dict]:
    names = [field.name for field in model.schema.inputs]
    return [model.predict(row)[0] for row in frame.select(names).to_dicts()]


def written(path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path, infer_schema_length=None) if path.suffix == ".csv" else pl.read_ndjson(path)


def make(frame: pl.DataFrame, path):
    {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".jsonl": frame.write_ndjson}[path.suffix](path)
    return path


# --- what is answered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_answers_are_those_of_each_row_alone_whatever_the_pieces(model, tmp_path, kind):
    frame = table(600)
    source = make(frame, tmp_path / f"rows{kind}")
    said = one_by_one(model, frame)
    for count in (37, 256, None):
        out = tmp_path / f"out{count}.parquet"
        assert answer_file(model, [source], out, True, count) == {"rows": 600, "out": str(out)}
        found = pl.read_parquet(out)
        assert found.columns[:6] == frame.columns
        assert found["said"].to_list() == frame["said"].to_list()
        assert found["code"].to_list() == frame["code"].to_list()  # text, though it looks like numbers
        assert found["a"].to_list() == frame["a"].to_list()
        assert found["predicted_y"].to_list() == [one["label"] for one in said]
        best = [one["probability"] for one in said]
        np.testing.assert_allclose(found["probability"], best, rtol=1e-4, atol=1e-5)
        each = [[one["probabilities"][name] for name in ("up", "down")] for one in said]
        np.testing.assert_allclose(
            found.select("probability_up", "probability_down").to_numpy(), each, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_several_numbers_of_two_members(places, tmp_path, kind):
    model = gipi.load(places / "numbers.gipi")
    frame = table(120)
    source = make(frame, tmp_path / "rows.csv")
    out = tmp_path / f"out{kind}"
    answer_file(model, [source], out, True, 50)
    found, said = written(out), one_by_one(model, frame)
    assert found.height == 120
    for name in ("y", "z"):
        np.testing.assert_allclose(
            found[f"predicted_{name}"], [one[name]["value"] for one in said], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            found[f"disagreement_{name}"], [one[name]["disagreement"] for one in said], rtol=1e-3, atol=1e-5
        )
    assert found["said"].to_list() == frame["said"].to_list()


def test_clusters_and_numbers_with_intervals(tmp_path):
    frame = table(200).select("a", "b", "town")
    quiet = {"epochs": 3, "quiet": True}
    grouped = gipi.fit(
        frame, target=(), task="cluster", clusters=3, system="autoencoder", run=tmp_path / "groups", **quiet
    )
    answer_file(gipi.load(grouped), [make(frame, tmp_path / "rows.parquet")], tmp_path / "groups.parquet", True, 64)
    found = pl.read_parquet(tmp_path / "groups.parquet")
    assert found["cluster"].to_list() == [one["cluster"] for one in grouped.predict(frame)]
    known = frame.with_columns((pl.col("a") * 2).alias("y"))
    spread = gipi.fit(known, target="y", distribution="normal", system="mlp", run=tmp_path / "spread", **quiet)
    answer_file(gipi.load(spread), [tmp_path / "rows.parquet"], tmp_path / "spread.csv", True, 64)
    found, said = pl.read_csv(tmp_path / "spread.csv"), spread.predict(frame)
    for column, name in (("predicted_y", "value"), ("predicted_y_low", "low"), ("predicted_y_high", "high")):
        np.testing.assert_allclose(found[column], [one[name] for one in said], rtol=1e-4, atol=1e-4)


def test_pictures_are_rows_with_their_file(tmp_path):
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pictures = (draw.integers(0, 60, (40, 8, 8, 1)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    run = gipi.fit((pictures, labels), system="mlp", epochs=2, quiet=True, run=tmp_path / "run")
    folder = tmp_path / "new"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(pictures[number, :, :, 0]).save(folder / f"p{number}.png")
    out = gipi.predict(run, folder, out=tmp_path / "out.csv", quiet=True)
    found = pl.read_csv(out)
    assert found["file"].to_list() == [str(folder / f"p{number}.png") for number in range(12)]  # 2 before 10
    said = [run.predict(str(file))[0] for file in found["file"]]
    np.testing.assert_allclose(found["probability"], [one["probability"] for one in said], rtol=1e-4, atol=1e-5)
    (folder / "p7.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match="p7"):
        answer_file(gipi.load(run), [folder], tmp_path / "again.csv", True, 3)
    with pytest.raises(UsageError, match="is no picture"):
        answer_file(gipi.load(run), [tmp_path / "out.csv"], tmp_path / "again.parquet", True)


def kept_as(task: str, schema: Schema, network: torch.nn.Module, members: int = 1) -> Model:
    """A model that nobody trained."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight)
    networks = [network, *(deepcopy(network) for _member in range(members - 1))]
    for place, other in enumerate(networks):
        for parameter in other.parameters():
            parameter.data += 0.1 * place
    inputs = schema.inputs[0].shape or (len(schema.inputs),)
    return Model(task, "own", schema, Sizes(inputs, 3), {}, networks)


NUMBERS = tuple(Field(name, "number") for name in "abc")


def numbers(rows: int = 60) -> pl.DataFrame:
    draw = np.random.default_rng(3)
    return pl.DataFrame({name: draw.normal(size=rows) for name in "abc"})


def test_labels_and_actions_of_several_members(tmp_path):
    source, rows = make(numbers(), tmp_path / "rows.parquet"), numbers().to_dicts()
    labels = Field("labels", "labels", values=("red", "green", "blue"))
    model = kept_as("classify", Schema(NUMBERS, (labels,)), torch.nn.Linear(3, 3), members=2)
    answer_file(model, [source], tmp_path / "labels.parquet", True, 7)
    found, said = pl.read_parquet(tmp_path / "labels.parquet"), [model.predict(row)[0] for row in rows]
    names = [f"{what}_{name}" for what in ("predicted", "probability") for name in labels.values]
    assert found.columns[3:] == [*names, "disagreement"]
    for name in labels.values:
        assert found[f"predicted_{name}"].to_list() == [name in one["labels"] for one in said]
        chances = [one["probabilities"][name] for one in said]
        np.testing.assert_allclose(found[f"probability_{name}"], chances, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["disagreement"], [one["disagreement"] for one in said], rtol=1e-3, atol=1e-5)
    action = Field("action", "class", values=(0, 1, 2))
    model = kept_as("act", Schema(NUMBERS, (action,)), torch.nn.Linear(3, 3))
    answer_file(model, [source], tmp_path / "actions.parquet", True, 7)
    found, said = pl.read_parquet(tmp_path / "actions.parquet"), [model.predict(row)[0] for row in rows]
    assert found["action"].to_list() == [one["action"] for one in said]
    np.testing.assert_allclose(found["worth_2"], [one["worth"]["2"] for one in said], rtol=1e-4, atol=1e-5)


def test_of_very_many_classes_the_best_five(tmp_path):
    source = make(numbers(), tmp_path / "rows.csv")
    kind = Field("kind", "class", values=tuple(f"k{n}" for n in range(101)))
    model = kept_as("classify", Schema(NUMBERS, (kind,)), torch.nn.Linear(3, 101))
    answer_file(model, [source], tmp_path / "out.parquet", True, 7)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.width == 3 + 10
    for row, one in enumerate(numbers().to_dicts()):
        chances = model.predict(one)[0]["probabilities"]
        best = sorted(chances, key=chances.__getitem__, reverse=True)[:5]
        ends = ("", "_2", "_3", "_4", "_5")
        assert [found[f"predicted_kind{end}"][row] for end in ends] == best
        shown = [found[f"probability{end}"][row] for end in ends]
        np.testing.assert_allclose(shown, [chances[name] for name in best], rtol=1e-4, atol=1e-5)


def test_vectors_of_pictures(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(9):
        Image.fromarray(draw.integers(0, 255, (6, 6), np.uint8)).save(tmp_path / f"p{number}.png")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))
    model = kept_as("embed", Schema((Field("picture", "picture", (1, 6, 6), scale=255.0),)), network)
    files = sorted(tmp_path.glob("*.png"))
    answer_file(model, files, tmp_path / "out.jsonl", True, 2)
    found = pl.read_ndjson(tmp_path / "out.jsonl")
    assert found.columns == ["file", "vector_0", "vector_1", "vector_2"]
    said = [model.predict(str(file))[0]["vector"] for file in files]
    np.testing.assert_allclose(found.drop("file").to_numpy(), said, rtol=1e-4, atol=1e-5)


def test_packed_and_semicolons_and_rows_without_values(model, tmp_path, capsys):
    lines = ["a;b;town;kind"] + [f"{n % 7},5;1,25;Seoul;1" for n in range(300)]
    lines[100] = ";;;"
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert answer_file(model, [path], tmp_path / "out.csv", False, 50)["rows"] == 299
    said = capsys.readouterr().out
    assert "commas in numbers are read as decimal points" in said
    assert "rows without any value, left out: 1" in said
    found = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert found["a"][3] == "3,5"  # as it came
    alone = model.predict({"a": 3.5, "b": 1.25, "town": "Seoul", "kind": "1"})[0]
    assert float(found["probability"][3]) == pytest.approx(alone["probability"], rel=1e-4)


def test_numbers_of_a_text_are_numbers_unless_a_later_piece_says_otherwise(model, tmp_path):
    frame = pl.DataFrame({"a": ["1.50"] * 99 + ["2"], "b": ["1"] * 100, "town": ["Jeju"] * 100, "kind": ["1"] * 100})
    frame = frame.with_columns(pl.Series("id", ["7"] * 99 + ["x7"]), pl.Series("long", ["12345678901234567890"] * 100))
    source = make(frame, tmp_path / "rows.csv")
    answer_file(model, [source], tmp_path / "out.parquet", True, 10)
    kinds = pl.read_parquet_schema(tmp_path / "out.parquet")
    assert [kinds[name] for name in ("a", "b", "id", "long")] == [pl.Float64, pl.Int64, pl.String, pl.String]
    answer_file(model, [source], tmp_path / "out.csv", True, 10)
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("1.50,1,Jeju")


def test_json_lines_whose_pieces_differ_in_type(model, tmp_path):
    rows = [{"a": n, "b": None, "town": "Jeju", "kind": 1, "more": None if n < 50 else [1]} for n in range(60)]
    rows += [{"a": n + 0.5, "b": 2, "town": "Jeju", "kind": "1", "late": True} for n in range(60)]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    answer_file(model, [source], tmp_path / "out.parquet", True, 20)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.schema["a"] == pl.Float64
    assert found["kind"].to_list() == ["1"] * 120
    assert found["late"].to_list() == [None] * 60 + [True] * 60
    assert found["predicted_y"].null_count() == 0


def test_names_of_answers_that_the_input_has_too(model, tmp_path, capsys):
    frame = table(50).with_columns(probability=1, answer_probability=2)
    answer_file(model, [make(frame, tmp_path / "rows.csv")], tmp_path / "out.csv", False)
    found = pl.read_csv(tmp_path / "out.csv")
    assert found["probability"].to_list() == [1] * 50
    assert found["answer_answer_probability"].is_between(0.5, 1).all()
    assert "the answers are called: probability -> answer_answer_probability" in capsys.readouterr().out


def test_nested_columns_stay_where_the_file_can_hold_them(model, tmp_path, capsys):
    frame = table(30).with_columns(pl.Series("words", [["x", "y"]] * 30), pl.col("town").cast(pl.Categorical))
    source = make(frame, tmp_path / "rows.parquet")
    answer_file(model, [source], tmp_path / "out.parquet", True, 7)
    assert pl.read_parquet(tmp_path / "out.parquet")["words"].to_list() == [["x", "y"]] * 30
    answer_file(model, [source], tmp_path / "out.csv", False)
    assert "left out, because their cells are lists, records or bytes: words" in capsys.readouterr().out
    assert "words" not in pl.read_csv(tmp_path / "out.csv").columns


# --- what stops it -----------------------------------------------------------------------------------------------

SLOWLY = """
import sys, time
import gipi
from gipi.jobs import batch, part_files
held = part_files.Parts.add
def add(self, *given):
    time.sleep({pause})
    held(self, *given)
    print("part", flush=True)
part_files.Parts.add = add
joined = batch.join
def join(*given):
    joined(*given)
    print("joined", flush=True)
    time.sleep({pause})
batch.join = join
model = gipi.load(sys.argv[1])
print("begun", flush=True)
batch.answer_file(model, [sys.argv[2]], sys.argv[3], True, 300)
print("done", flush=True)
"""


def started(places, source, out, pause: float) -> subprocess.Popen:
    line = [sys.executable, "-c", SLOWLY.format(pause=pause), str(places / "class.gipi"), str(source), str(out)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def lines_of(process: subprocess.Popen, count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().strip() for _line in range(count)]


def killed_until_done(places, source, out, right: bytes, draw: random.Random, kills: int) -> int:
    """Start it again and again, killed at any moment of its work; gives how many kills came before the end."""
    hits = 0
    for _turn in range(kills):
        process = started(places, source, out, 0.005)
        assert lines_of(process, 1) == ["begun"]
        time.sleep(draw.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0]
        hits += "done" not in said
        if out.exists():  # whole, or not there
            assert out.read_bytes() == right
            out.unlink()
    process = started(places, source, out, 0.0)
    process.communicate()
    assert process.returncode == 0
    return hits


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_a_kill_loses_and_doubles_no_row(places, model, tmp_path):
    kind = ".csv"
    source = make(table(ROWS), tmp_path / f"rows{kind}")
    answer_file(model, [source], tmp_path / f"undisturbed{kind}", True, 300)
    out = tmp_path / f"out{kind}"
    for parts in (3, 1):
        process = started(places, source, out, 0.01)
        assert lines_of(process, 1 + parts) == ["begun", *["part"] * parts]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    with Parts(out, json.loads((tmp_path / f".out{kind}.job").read_text().splitlines()[0])["job"]) as parts:
        assert 4 * 300 * 0.8 < parts.rows < ROWS  # the second went on behind the first
    answer_file(model, [source], out, True, 300)
    assert out.read_bytes() == (tmp_path / f"undisturbed{kind}").read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [f".out{kind}.job", f".undisturbed{kind}.job"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
@pytest.mark.parametrize(("kind", "seed"), [(".csv", 0), (".parquet", 1), (".jsonl", 2)])
def test_many_kills_at_any_moment(places, model, tmp_path, kind, seed):
    source = make(table(ROWS), tmp_path / f"rows{kind}")
    answer_file(model, [source], tmp_path / f"undisturbed{kind}", True, 300)
    out = tmp_path / f"out{kind}"
    right = (tmp_path / f"undisturbed{kind}").read_bytes()
    hits = killed_until_done(places, source, out, right, random.Random(seed), 24)
    print(f"{kind}: {hits} kills of 24 came before the end")
    assert hits >= 8
    assert out.read_bytes() == right


@pytest.fixture
def begun(model, tmp_path):
    """Two parts of four, as a stop leaves them."""
    source = make(table(400), tmp_path / "rows.parquet")
    out = tmp_path / "out.parquet"
    stop_after(2, model, source, out)
    return source, out


def stop_after(count: int, model, source, out) -> None:
    """Ctrl-C after so many parts of 100 rows."""

    class Stopping:
        def __init__(self, model):
            self.model, self.left = model, count

        def __getattr__(self, name):
            return getattr(self.model, name)

        def numbers(self, x):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return self.model.numbers(x)

    with pytest.raises(KeyboardInterrupt):
        answer_file(Stopping(model), [source], out, True, 100)


def test_it_goes_on_where_it_stopped(model, begun, capsys):
    source, out = begun
    asked = []
    counting = type("Counting", (), {"__getattr__": lambda self, name: getattr(model, name)})()
    counting.numbers = lambda x: asked.append(len(x)) or model.numbers(x)
    assert answer_file(counting, [source], out, False, 100)["rows"] == 400
    assert asked == [100, 100]
    assert "going on behind 200 rows that are finished" in capsys.readouterr().out
    assert pl.read_parquet(out)["code"].to_list() == [f"{row:05d}" for row in range(400)]
    assert answer_file(model, [source], out, False, 100)["rows"] == 400
    assert "is finished" in capsys.readouterr().out
    out.unlink()  # whoever removes it wants it anew
    assert answer_file(model, [source], out, True)["rows"] == 400
    assert out.exists()


def test_other_data_or_another_model_is_begun_anew(places, model, begun, capsys):
    source, out = begun
    make(table(300, seed=5), source)
    assert answer_file(model, [source], out, False, 100)["rows"] == 300
    assert "begun anew" in capsys.readouterr().out
    np.testing.assert_array_equal(pl.read_parquet(out)["a"], table(300, seed=5)["a"])
    out.unlink()
    stop_after(2, model, source, out)
    answer_file(gipi.load(places / "numbers.gipi"), [source], out, False, 100)
    assert "begun anew" in capsys.readouterr().out
    assert "predicted_z" in pl.read_parquet(out).columns


def test_a_damaged_part_and_a_torn_journal_are_made_again(model, begun):
    source, out = begun
    journal, folder = out.with_name(".out.parquet.job"), out.with_name(".out.parquet.parts")
    second = folder / "00000001.parquet"
    second.write_bytes(second.read_bytes()[:-9] + b"123456789")
    (folder / ".00000002.parquet.1.part").write_bytes(b"half")
    with journal.open("ab") as file:
        file.write(b'{"part": {"file": "000')
    answer_file(model, [source], out, True, 100)
    assert pl.read_parquet(out)["code"].to_list() == [f"{row:05d}" for row in range(400)]


def test_a_kill_on_both_sides_of_the_last_rename(model, tmp_path, monkeypatch):
    source, out = make(table(400), tmp_path / "rows.csv"), tmp_path / "out.csv"
    journal, folder = tmp_path / ".out.csv.job", tmp_path / ".out.csv.parts"

    def killed(*_given, **_more):
        raise SystemExit

    monkeypatch.setattr("gipi.jobs.part_files.os.replace", lambda a, b: killed() if b == out else os.rename(a, b))
    with pytest.raises(SystemExit):
        answer_file(model, [source], out, True, 100)
    monkeypatch.undo()
    assert not out.exists() and "joined" in journal.read_text()
    monkeypatch.setattr("gipi.jobs.part_files.flush_folder", lambda path: killed() if out.exists() else None)
    with pytest.raises(SystemExit):
        answer_file(model, [source], out, True, 100)
    monkeypatch.undo()
    assert out.exists() and folder.exists()
    assert answer_file(model, [source], out, True, 100)["rows"] == 400
    assert not folder.exists() and pl.read_csv(out).height == 400


def test_a_file_that_changes_meanwhile_is_not_trusted(model, tmp_path):
    source, out = make(table(400), tmp_path / "rows.csv"), tmp_path / "out.csv"
    growing = type("Growing", (), {"__getattr__": lambda self, name: getattr(model, name)})()
    growing.numbers = lambda x: source.open("a").write(" ") and model.numbers(x)
    with pytest.raises(DataError, match="was changed while it was read"):
        answer_file(growing, [source], out, True, 100)
    assert not out.exists()


def test_two_at_once_are_refused(model, tmp_path):
    source, out = make(table(100), tmp_path / "rows.csv"), tmp_path / "out.csv"
    with (
        Parts(out, "another job"),
        pytest.raises(RunError, match=rf"is being written by process {os.getpid()} on \S"),
    ):
        answer_file(model, [source], out, True)
    assert not [*tmp_path.glob(".*")]
    assert answer_file(model, [source], out, True)["rows"] == 100


def test_a_full_disk_keeps_what_is_finished(model, tmp_path, monkeypatch):
    source, out = make(table(400), tmp_path / "rows.csv"), tmp_path / "out.csv"
    from gipi.jobs import part_files

    whole, turns = part_files.write_atomically, []

    def full(path, *content):
        turns.append(path)
        if len(turns) == 3:
            raise part_files.cannot_write(path, OSError(28, "No space left on device"))
        whole(path, *content)

    monkeypatch.setattr(part_files, "write_atomically", full)
    with pytest.raises(RunError, match="No space left on device; free there"):
        answer_file(model, [source], out, True, 100)
    answer_file(model, [source], out, True, 100)
    assert pl.read_csv(out, infer_schema=False)["code"].to_list() == [f"{row:05d}" for row in range(400)]


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_a_damaged_row_is_named_in_the_whole_file(model, tmp_path, kind):
    frame = table(500).with_columns(pl.col("a").cast(pl.String))
    frame = frame.with_columns(pl.when(pl.int_range(500) == 412).then(pl.lit("oops")).otherwise("a").alias("a"))
    source, out = make(frame, tmp_path / f"rows{kind}"), tmp_path / "out.parquet"
    place = {".csv": "line 414 of rows.csv", ".jsonl": "line 413 of rows.jsonl", ".parquet": "row 413 of rows.parquet"}
    with pytest.raises(DataError, match=f"column 'a', {place[kind]}: 'oops' is not a number"):
        answer_file(model, [source], out, True, 100)
    assert len([*(tmp_path / ".out.parquet.parts").glob("0*.parquet")]) == 4
    make(table(500), source)
    assert answer_file(model, [source], out, True, 100)["rows"] == 500


def test_a_line_with_too_many_cells_is_named(model, tmp_path):
    lines = table(500).drop("said").write_csv().splitlines()
    lines[300] += ",more"
    source = tmp_path / "rows.csv"
    source.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 301: 6 cells"):
        answer_file(model, [source], tmp_path / "out.csv", True, 100)


def test_what_cannot_be_read_or_written_is_refused_plainly(places, model, tmp_path, capsys):
    source = make(table(50), tmp_path / "rows.csv")
    bundle = str(places / "class.gipi")

    def said(*line) -> str:
        assert main(["predict", bundle, *map(str, line)]) in (1, 2)
        return capsys.readouterr().err

    assert "is there already" in said(source, "--out", make(table(3), tmp_path / "there.csv"))
    assert "ends in none of .parquet, .csv, .jsonl" in said(source, "--out", tmp_path / "out.xlsx")
    assert "there is no folder" in said(source, "--out", tmp_path / "none" / "out.csv")
    assert "is a folder" in said(source, "--out", _folder(tmp_path / "folder.csv"))
    assert "is the file that is read" in said(source, "--out", source)
    assert "is the file that is read" in said(source, "--out", f"{tmp_path}/folder.csv/../rows.csv")
    assert "There is no file or folder" in said(tmp_path / "row.csv", "--out", tmp_path / "out.csv")
    assert "do not go together" in said(source, "--out", tmp_path / "out.csv", "--explain")
    assert "one table file" in said(source, source, "--out", tmp_path / "out.csv")
    assert "one table file" in said(tmp_path, "--out", tmp_path / "out.csv")
    assert "is no file: what flows by" in said("-", "--out", tmp_path / "out.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        assert "is no file: what flows by" in said(tmp_path / "pipe.csv", "--out", tmp_path / "out.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "is empty" in said(tmp_path / "empty.csv", "--out", tmp_path / "out.csv")
    (tmp_path / "head.csv").write_text("a,b,town,kind\n")
    assert "no rows below" in said(tmp_path / "head.csv", "--out", tmp_path / "out.csv")
    make(table(50).drop("town"), tmp_path / "less.csv")
    assert "columns are missing: town" in said(tmp_path / "less.csv", "--out", tmp_path / "out.csv")
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04")
    assert "cannot be read in pieces" in said(tmp_path / "book.xlsx", "--out", tmp_path / "out.csv")
    (tmp_path / "list.jsonl").write_text('[{"a": 1}]')
    assert "is one list" in said(tmp_path / "list.jsonl", "--out", tmp_path / "out.csv")
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and no more")
    assert "is not a whole Parquet file" in said(tmp_path / "half.parquet", "--out", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert not [*tmp_path.glob(".*")]  # nothing was begun, nothing is left


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(model, tmp_path):
    source, closed = make(table(50), tmp_path / "rows.csv"), _folder(tmp_path / "closed")
    closed.chmod(0o500)
    with pytest.raises(RunError, match="cannot write"):
        answer_file(model, [source], closed / "out.csv", True)


def test_a_task_whose_answers_are_pictures(model, tmp_path):
    import dataclasses

    other = dataclasses.replace(model, task="upscale")
    with pytest.raises(UsageError, match="the answers of upscale are no columns"):
        answer_file(other, [make(table(5), tmp_path / "rows.csv")], tmp_path / "out.csv", True)


def test_python_gives_the_path_and_refuses_what_is_no_file(places, tmp_path):
    source = make(table(50), tmp_path / "rows.csv")
    assert gipi.predict(places / "class.gipi", source, tmp_path / "out.csv", quiet=True) == tmp_path / "out.csv"
    with pytest.raises(UsageError, match="out goes with a table file"):
        gipi.predict(places / "class.gipi", [{"a": 1}], out=tmp_path / "other.csv")


# --- what is said, and what it costs -----------------------------------------------------------------------------


def test_json_says_nothing_but_its_line(places, tmp_path, capsys):
    source, out = make(table(50), tmp_path / "rows.csv"), tmp_path / "out.csv"
    assert main(["predict", str(places / "class.gipi"), str(source), "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"rows": 50, "out": str(out)}
    assert said.out.count("\n") == 1 and not said.err


def test_the_bar_fits_into_sixty_columns(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gipi.report.rows_bar.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("gipi.report.display.time.perf_counter", lambda: now[0])
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=60, color_system=None, legacy_windows=False)
    with RowsBar(None, console) as bar:
        for part in range(1, 20):
            now[0] += 2
            bar.at(part * 1_234_567, part / 20)
    assert "617,284 rows/s" in stream.getvalue() and "0:03 left" in stream.getvalue()
    assert "━━━━━━━━   95 %" in stream.getvalue()
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[?\d]*\w", "", stream.getvalue()))
    shown = [line for line in lines if "%" in line]
    assert shown and all(len(line) <= 60 for line in shown)


def test_elsewhere_a_few_plain_lines(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gipi.report.rows_bar.time.perf_counter", lambda: now[0])
    stream = StringIO()
    with RowsBar(stream) as bar:
        for part in range(1, 21):
            now[0] += 2
            bar.at(part * 1000, part / 20)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 5
    assert lines[1].split() == ["50", "%", "10,000", "rows", "500", "rows/s", "0:20", "left"]


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_a_place_in_the_middle_is_found_again(tmp_path, kind):
    frame = table(1000)
    rows = open_rows([make(frame, tmp_path / f"rows{kind}")], False)
    pieces = [*rows.pieces(Place(), 90)]
    assert len(pieces) > 9
    for number in (2, 7):
        again = next(rows.pieces(pieces[number - 1].end, 90))
        assert again.frame.equals(pieces[number].frame)
        assert again.where(3) == pieces[number].where(3)
    assert pieces[-1].share == 1.0 and sum(piece.frame.height for piece in pieces) == 1000


PEAK = """
import sys, resource
import gipi
from gipi.jobs.batch import answer_file
model = gipi.load(sys.argv[1])
for source in sys.argv[2:]:
    answer_file(model, [source], source + ".parquet", True, 20000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts otherwise elsewhere")
def test_memory_does_not_grow_with_the_file(places, tmp_path):
    rows = table(40_000)
    sources = [make(pl.concat([rows] * times), tmp_path / f"rows{times}.csv") for times in (1, 6)]
    line = [sys.executable, "-c", PEAK, str(places / "class.gipi"), *map(str, sources)]
    small, large = map(int, subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())
    grown = 5 * 40_000 * 6 * 16  # bytes that the cells of the other rows would take as they are, at the least
    assert (large - small) * 1024 < grown, (small, large)
