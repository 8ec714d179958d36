"""The contract of fit, predict and bundle: learned from training rows alone, JSON both ways, pure encoding."""

import datetime
import json

import numpy as np
import polars as pl
import pytest
import torch

from gipi.data.dataset import Dataset
from gipi.data.encode import encode, normalize
from gipi.data.learning import learn, learn_target
from gipi.data.schema import Field, Schema, Sizes, feature_names, sizes
from gipi.errors import DataError
from gipi.jobs.material import gather
from gipi.jobs.options import Fit
from gipi.jobs.request import Request, make_job

KINDS = {"size": "number", "is_new": "boolean", "colour": "category", "day": "date"}
DAYS = [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=n, hours=6 * n) for n in range(4)]


def frame(**columns):
    standard = {
        "size": [1.0, 2.0, 3.0, 6.0],
        "is_new": [True, False, True, True],
        "colour": ["red", "blue", "red", "green"],
        "day": DAYS,
        "y": [10.0, 20.0, 30.0, 40.0],
        "label": ["b", "a", "b", "c"],
    }
    return Dataset("data", pl.DataFrame({**standard, **columns}), target=("y",))


def schema_of(data, kind="number", **how):
    return learn(data, KINDS, learn_target(data, kind, **how))


def test_numbers_are_centered_and_scaled():
    schema = schema_of(frame())
    x, y = encode(schema, frame())
    size = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert torch.allclose(x[:, 0], (size - 3) / size.std(unbiased=False))
    assert torch.allclose(y.mean(), torch.tensor(0.0), atol=1e-6) and torch.allclose(
        y.std(unbiased=False), torch.tensor(1.0)
    )
    assert y.shape == (4, 1)
    plain = learn(frame(), KINDS, standardize=False)
    assert encode(plain, frame())[0][:, 0].tolist() == [1.0, 2.0, 3.0, 6.0]


def test_booleans_and_categories_become_codes():
    schema = schema_of(frame())
    x, _y = encode(schema, frame())
    names = feature_names(schema)
    assert len(names) == x.shape[1]
    assert x[:, names.index("is_new")].tolist() == [1, 0, 1, 1]
    assert schema.inputs[2].values == ("blue", "green", "red")
    assert x[:, names.index("colour")].tolist() == [3, 1, 3, 2]
    assert sizes(schema, 1) == Sizes((x.shape[1] - 1,), 1, (3,))


def test_an_unseen_category_has_a_bucket_of_its_own():
    schema = schema_of(frame())
    (x,) = encode(schema, frame(colour=["violet", "red", None, "Red"]), with_targets=False)
    assert x[:, -1].tolist() == [0, 3, 0, 0]


def test_missing_values_are_filled_and_flagged():
    gaps = frame(size=[1.0, None, 3.0, 5.0], is_new=[None, False, True, True], colour=["red", None, "blue", "red"])
    schema = schema_of(gaps)
    names = feature_names(schema)
    x, _y = encode(schema, gaps)
    flag = names.index("size is missing")
    assert x[:, flag].tolist() == [0, 1, 0, 0]
    assert x[1, names.index("size")] == 0  # the mean of what is there, centered
    assert x[0, names.index("is_new")] == pytest.approx(2 / 3)
    assert schema.inputs[2].values == ("", "blue", "red")  # "no value" is a category where training rows had gaps
    assert x[1, -1] == 1


def test_a_gap_that_training_rows_did_not_have_is_filled_without_a_flag():
    schema = schema_of(frame())
    (x,) = encode(schema, frame(size=[None] * 4, day=[None] * 4), with_targets=False)
    assert "size is missing" not in feature_names(schema)
    assert x[:, 0].tolist() == pytest.approx([0.0] * 4, abs=1e-6)
    assert torch.isfinite(x).all()


def test_dates_have_a_place_in_time_and_in_their_cycles():
    schema = schema_of(frame())
    x, _y = encode(schema, frame())
    names = feature_names(schema)
    day = [n for n in names if n.startswith("day")]
    assert len(day) == 7
    steps = x[:, names.index("day")].diff()
    assert torch.allclose(steps, steps[:1].expand(3), rtol=1e-4)
    week = x[:, [names.index("day sine of week"), names.index("day cosine of week")]]
    assert torch.allclose(week.square().sum(1), torch.ones(4), atol=1e-5)
    later = frame(day=[d + datetime.timedelta(weeks=1) for d in DAYS])
    again = encode(schema, later)[0][:, [names.index("day sine of week"), names.index("day cosine of week")]]
    assert torch.allclose(week, again, atol=1e-3)


def test_the_range_of_the_training_rows_is_kept():
    schema = schema_of(frame(size=[1.0, None, -3.0, 6.5]))
    ranges = {field.name: field.range for field in schema.inputs}
    seconds = [day.replace(tzinfo=datetime.UTC).timestamp() for day in DAYS]
    assert ranges == {"size": (-3.0, 6.5), "is_new": (), "colour": (), "day": (seconds[0], seconds[-1])}
    assert all(field.range == () for field in schema.targets)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    own = learn(frame(), KINDS, standardize=False, rows=np.array([1, 2]))  # these rows and no others
    assert own.inputs[0].range == (2.0, 3.0) and own.inputs[3].range == (seconds[1], seconds[2])
    gaps = frame(size=pl.Series([None] * 4, dtype=pl.Float64))
    assert schema_of(gaps).inputs[0].range == ()


def test_targets_by_kind():
    classes = learn_target(Dataset("d", frame().frame, target=("label",)), "class")
    assert classes[0].values == ("a", "b", "c")
    data = Dataset("d", frame().frame, target=("label",))
    assert encode(Schema((), classes), data)[-1].tolist() == [1, 0, 1, 2]
    several = Dataset("d", pl.DataFrame({"u": [True, False], "v": [1.0, 1.0]}), target=("u", "v"))
    labels = learn_target(several, "labels")
    assert labels == (Field("labels", "labels", values=("u", "v")),)
    assert encode(Schema((), labels), several)[-1].tolist() == [[1, 1], [0, 1]]
    numbers = learn_target(Dataset("d", frame().frame, target=("y", "size")), "quantiles", levels=(0.1, 0.9))
    assert [field.values for field in numbers] == [(0.1, 0.9)] * 2
    assert numbers[0].center == 25 and numbers[1].center == 3


@pytest.mark.parametrize("values", [(0, 1, 7), (0.5, 1.5, 2.0), (False, True), ("1", "10", "x")])
def test_a_label_keeps_its_type(values):
    data = Dataset("d", pl.DataFrame({"label": [*values, *values]}), target=("label",))
    schema = Schema((), learn_target(data, "class"))
    assert schema.targets[0].values == tuple(sorted(values))
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema and [type(v) for v in again.targets[0].values] == [type(v) for v in sorted(values)]
    assert encode(again, data)[-1].tolist() == [sorted(values).index(v) for v in (*values, *values)]


def test_labels_that_are_unknown_or_missing_are_named():
    data = Dataset("d", frame().frame, target=("label",))
    schema = Schema((), learn_target(data, "class"))
    with pytest.raises(DataError, match=r"row 2 has the label 'q' in column 'label'.*known: a, b, c"):
        encode(schema, frame(label=["a", "q", "b", "c"]))
    with pytest.raises(DataError, match="row 3 has no value in the target column 'label'"):
        encode(schema, frame(label=["a", "b", None, "c"]))
    with pytest.raises(DataError, match="row 1 has no value in the target column 'y'"):
        encode(schema_of(frame()), frame(y=[None, 1.0, 2.0, 3.0]))
    with pytest.raises(DataError, match="column 'y' is missing"):
        encode(schema_of(frame()), Dataset("d", frame().frame.drop("y")))


def test_float64_is_kept_to_the_last_digit():
    exact = [1.0, 1.0 + 1e-12, 1.0 + 3e-12, 2.0]
    schema = learn(frame(size=exact), {"size": "number"}, learn_target(frame(y=exact), "number", False), False)
    x, y = encode(schema, frame(size=exact, y=exact), dtype=torch.float64)
    assert x.dtype == y.dtype == torch.float64
    assert x[:, 0].tolist() == exact and y[:, 0].tolist() == exact
    assert encode(schema, frame(size=exact, y=exact))[0].dtype == torch.float32


def test_a_column_without_spread_is_only_centered():
    field = learn(frame(size=[5.0] * 4), {"size": "number"}).inputs[0]
    assert (field.center, field.scale) == (5.0, 1.0)
    tiny = learn(frame(size=[1e9, 1e9 + 1e-4, 1e9, 1e9]), {"size": "number"}).inputs[0]
    assert tiny.scale == 1.0


def test_huge_numbers_have_a_finite_scale():
    field = learn(frame(size=[-1e300, 1e300, 0.0, 0.0]), {"size": "number"}).inputs[0]
    assert field.scale == pytest.approx(1e300 / np.sqrt(2))
    with pytest.raises(DataError, match="'size', row 2: 1e\\+308 is too large"):
        encode(learn(frame(), {"size": "number"}), frame(size=[1.0, 1e308, 0.0, 0.0]))


def test_pictures_stay_bytes_until_they_are_normalized():
    pictures = np.arange(2 * 4 * 4 * 1, dtype=np.uint8).reshape(2, 4, 4, 1)
    data = Dataset("pictures", pl.DataFrame({"label": ["a", "b"]}), pictures, ("label",))
    schema = learn(data, {}, learn_target(data, "class"))
    x, y = encode(schema, data)
    assert x.dtype == torch.uint8 and x.shape == (2, 1, 4, 4) and y.tolist() == [0, 1]
    seen = normalize(schema, x)
    assert seen.mean().item() == pytest.approx(0, abs=1e-6) and seen.std(unbiased=False).item() == pytest.approx(1)
    with pytest.raises(DataError, match=r"pictures of .* were expected"):
        encode(schema, Dataset("p", data.frame, pictures[:, :2], ("label",)))
    with pytest.raises(DataError, match="a table came"):
        encode(schema, frame())


def test_only_training_rows_decide_what_is_learned():
    """Other test rows change neither kinds, nor scale, nor categories, nor classes."""
    random = np.random.default_rng(0)
    columns = {"a": random.normal(size=60), "c": ["u", "v"] * 30, "y": random.normal(size=60)}
    first = gather(columns, Fit(target=("y",)))
    test = first.parts["test"]
    changed = {name: np.array(values, object) for name, values in columns.items()}
    changed["a"][test] = 1000.0
    changed["c"][test] = "w"
    changed["y"][test] = -5000.0
    jobs = [
        make_job(Request({n: list(v) for n, v in one.items()}, Fit(target=("y",))), torch.device("cpu"))
        for one in (columns, changed)
    ]
    assert jobs[0].schema == jobs[1].schema
    assert jobs[0].record["split"] == jobs[1].record["split"]
    kept = np.setdiff1d(np.arange(60), test)
    assert torch.equal(jobs[0].x[kept], jobs[1].x[kept])


def test_a_test_file_decides_nothing(tmp_path):
    lines = [f"{n},{'uv'[n % 2]},{n * 0.5}" for n in range(40)]
    (tmp_path / "train.csv").write_text("a,c,y\n" + "\n".join(lines))
    schemas = []
    for rows in (["1,u,2", "3,v,4"], ["1e6,new,-9e5", "2,,7"]):
        (tmp_path / "test.csv").write_text("a,c,y\n" + "\n".join(rows))
        options = Fit(target=("y",), test=str(tmp_path / "test.csv"))
        schemas.append(make_job(Request(str(tmp_path / "train.csv"), options), torch.device("cpu")).schema)
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("shape", [(1, 3, 3, 1), (7, 16, 16, 3), (500, 9, 7, 3), (6000, 8, 8, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pictures_are_centered_piece_by_piece_to_the_same_bits(monkeypatch, shape, kind):
    from gipi.data import learning

    random = np.random.default_rng(0)
    pictures = (random.random(shape) * 255).astype(kind)
    sample = pictures[:: max(1, shape[0] // 5000)].astype(np.float64)
    expected = float(sample.mean()), float(sample.std()) or 1.0
    far = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)  # as pictures on disk lie
    for most in (128, 1000, 1 << 21):
        monkeypatch.setattr(learning, "ELEMENTS", most)
        for held in (pictures, far):
            field = learn(Dataset("p", pl.DataFrame(), held), {}).inputs[0]
            assert (field.center, field.scale) == expected


def test_raw_rows_are_refused_where_encoded_ones_are():
    from gipi.data.dataset import Dataset
    from gipi.data.features import raw_rows, table_rows

    fields = (Field("a", "number", center=1.0, scale=1e-30, fill=1.0), Field("b", "number"))
    fine = Dataset("fine", pl.DataFrame({"a": [1.0, None], "b": [2.0, 3.0]}))
    assert np.array_equal(raw_rows(fields, fine)[0], [[1.0, 2.0], [np.nan, 3.0]], equal_nan=True)
    far = Dataset("far", pl.DataFrame({"a": [1.0, 1e20], "b": [2.0, 3.0]}))
    for read in (lambda: raw_rows(fields, far), lambda: table_rows(fields, far, np.dtype(np.float32))):
        with pytest.raises(DataError, match=r"'a', row 2: .* too large"):
            read()
