"""One row on the short way says what the general path says: the same bits go in, the same words come out."""

import copy
import math
import pickle
import threading
from datetime import date, datetime, timedelta

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from gipi.data.schema import Field, Schema, sizes
from gipi.errors import DataError, UsageError
from gipi.models.activations import ACTIVATIONS
from gipi.models.dense import Expand, hidden_layer, linear
from gipi.models.normalization import NORMALIZATIONS
from gipi.release.model import Model
from gipi.release.quick import FEW
from gipi.release.rows import as_rows
from gipi.release.single import encoder
from gipi.systems import linear as line

INPUTS = (
    Field("n", "number", center=1.5, scale=0.7, fill=1.5),
    Field("gap", "number", center=-2.0, scale=30.0, fill=-2.0, has_missing=True),
    Field("b", "boolean", fill=0.25, has_missing=True),
    Field("sure", "boolean", fill=0.5),
    Field("c", "category", values=("", "3", "blue", "red", "true", "파랑")),
    Field("d", "date", center=1.5e9, scale=1e8, fill=1.4e9, has_missing=True),
    Field("k", "category", values=("0", "x")),
)
NUMBERS = tuple(Field(f"x{place}", "number", center=0.1 * place, scale=1.7) for place in range(4))
TARGETS = {
    "two classes": ("classify", (Field("y", "class", values=("no", "yes")),)),
    "numbered classes": ("classify", (Field("y", "class", values=(3, 7, 9)),)),
    "many classes": ("classify", (Field("y", "class", values=tuple(f"c{place}" for place in range(60))),)),
    "labels": ("classify", (Field("labels", "labels", values=("p", "q", "r")),)),
    "number": ("regress", (Field("y", "number", center=50.0, scale=9.0),)),
    "two numbers": ("regress", (Field("y", "number", center=5.0, scale=9.0), Field("z", "number"))),
    "normal": ("regress", (Field("y", "normal", center=50.0, scale=9.0),)),
    "two normals": ("regress", (Field("y", "normal", scale=3.0), Field("z", "normal", center=1.0))),
    "quantiles": ("regress", (Field("y", "quantiles", values=(0.05, 0.5, 0.95), scale=4.0),)),
}
quiet = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def model_of(inputs=INPUTS, target="two classes", members=1, name="relu", norm="none", dtype=torch.float32):
    torch.manual_seed(0)
    task, targets = TARGETS[target]
    outputs = (
        len(targets[0].values)
        if task == "classify"
        else len(targets) * {"normal": 2, "quantiles": 3}.get(targets[0].kind, 1)
    )
    schema = Schema(tuple(inputs), targets)
    sized = sizes(schema, outputs)
    nets = []
    for _number in range(members):
        expand = Expand(sized)
        first, second = hidden_layer(expand.outputs, 12, name, norm), hidden_layer(12, 7, name, norm)
        net = nn.Sequential(expand, first, nn.Dropout(0.5), second, linear(7, outputs)).to(dtype)
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
            if isinstance(layer, (nn.BatchNorm1d, nn.LayerNorm, nn.Linear)) and layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.3)
        nets.append(net)
    return Model(task, "mlp", schema, sized, {}, nets)


def general(model, rows):
    return model.said(model.encode(as_rows(model.schema, rows))[0])


def assert_alike(ours, theirs, close=2e-5):
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for name in theirs:
            assert_alike(ours[name], theirs[name], close)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=close, abs=close)
    else:
        assert ours == theirs


def outcome(call):
    try:
        return call()
    except (DataError, UsageError) as error:
        return f"{type(error).__name__}: {error}"


# --- what goes in ------------------------------------------------------------------------------------------------

START = datetime(1999, 1, 1)
NUMBER = st.one_of(
    st.floats(-1e6, 1e6),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.none(),
    st.floats(-1e5, 1e5).map(str),
    st.sampled_from(["", "NA", "nan", "inf", " 4 ", "1,395", "+5", "1e3", "1_000", "007", "٣", "word", "None", "-"]),
    st.floats(-9, 9).map(np.float32),
    st.integers(-9, 9).map(np.int8),
    st.sampled_from([np.nan, np.float64("nan"), np.bool_(True), [1.0], [1.0, 2.0], np.array([2.0]), {"a": 1}, b"1"]),
)
YES = st.sampled_from(
    [
        True,
        False,
        None,
        0,
        1,
        2,
        0.0,
        1.0,
        0.5,
        math.nan,
        "yes",
        "No",
        "TRUE",
        "yEs",
        "1",
        "0",
        " yes",
        "",
        "NA",
        "no!",
        np.bool_(False),
        np.float64(1),
        "None",
        datetime(2020, 1, 1),
    ]
)
WORD = st.one_of(
    st.sampled_from(
        [
            "red",
            "blue",
            " red ",
            "RED",
            "",
            "NA",
            "?",
            "None",
            None,
            3,
            3.0,
            2.5,
            -0.0,
            0,
            "3",
            True,
            False,
            "true",
            "파랑",
            "파란",
            2**53,
            2.0**53,
            1e300,
            2**64,
            math.nan,
            np.str_("red"),
            np.int64(3),
            "x",
            date(2020, 1, 1),
        ]
    ),
    st.text(max_size=3),
    st.floats(),
    st.integers(-(2**65), 2**65),
)
MOMENT = st.one_of(
    st.integers(-(10**9), 3 * 10**9).map(lambda seconds: START + timedelta(seconds=seconds)),
    st.integers(0, 10**15).map(lambda micros: START + timedelta(microseconds=micros)),
    st.integers(-20000, 20000).map(lambda days: date(1999, 1, 1) + timedelta(days=days)),
    st.integers(0, 10**9).map(lambda seconds: str(START + timedelta(seconds=seconds))),
    st.integers(0, 10**9).map(lambda seconds: (START + timedelta(seconds=seconds)).isoformat()),
    st.sampled_from(
        [
            None,
            "",
            "NA",
            "none",
            "2020-1-5",
            "2020-02-30",
            "2020-01-01 25:00",
            "2020-01-01T10:20",
            "1.2.2020",
            5,
            2.5,
            math.nan,
            "0001-01-01",
            "3000-01-01",
            datetime.fromisoformat("2020-01-01T10:00+02:00"),
            True,
            "soon",
        ]
    ),
)
ROWS = st.fixed_dictionaries(
    {"n": NUMBER, "gap": NUMBER, "b": YES, "sure": YES, "c": WORD, "d": MOMENT, "k": WORD},
    optional={
        "more": st.sampled_from([1, "x", None, {"of": 1}, [1], [1, 2], (), np.zeros(2)]),
        "y": st.sampled_from(["yes", "maybe", 3, None, [1], 2.5]),
        7: st.just(1),
    },
)
ONE_KIND = {
    field.name: values for field, values in zip(INPUTS, (NUMBER, NUMBER, YES, YES, WORD, MOMENT, WORD), strict=True)
}
PLAIN = {"n": 1.0, "gap": None, "b": True, "sure": 0, "c": "red", "d": "2020-01-01", "k": "x"}


def check_encoding(schema, read, row):
    """The quick way gives the general path's bits, or nothing."""
    from gipi.data.encode import encode

    found = read(row)
    if found is None:
        return False
    (expected,) = encode(schema, as_rows(schema, row), with_targets=False)
    assert len(expected) == 1
    np.testing.assert_array_equal(found, expected[0].numpy(), strict=True)
    return True


@quiet
@given(ROWS)
def test_a_row_of_anything_is_encoded_to_the_bit(row):
    schema = Schema(INPUTS, TARGETS["two classes"][1])
    read = encoder(schema, np.float32)
    check_encoding(schema, read, row)


@pytest.mark.parametrize("name", ONE_KIND)
def test_each_kind_is_encoded_to_the_bit(name):
    schema = Schema(INPUTS, TARGETS["number"][1])
    read = encoder(schema, np.float32)
    done = []

    @quiet
    @given(ONE_KIND[name])
    def look(value):
        done.append(check_encoding(schema, read, {**PLAIN, name: value}))

    look()
    assert sum(done) > 0.2 * len(done), "the quick way is hardly ever taken"


@quiet
@given(st.lists(NUMBER, min_size=4, max_size=4), st.booleans())
def test_a_row_of_numbers_is_encoded_to_the_bit(values, with_more):
    schema = Schema(NUMBERS, TARGETS["number"][1])
    row = dict(zip((field.name for field in NUMBERS), values, strict=True)) | ({"more": "of it"} if with_more else {})
    check_encoding(schema, encoder(schema, np.float32), row)


@pytest.mark.parametrize("value", [0.1, -3, 2**62, "0.1", "-1e-3", None, True, "NA", np.float32(2.5), math.nan])
def test_usual_numbers_take_the_quick_way(value):
    for inputs in (NUMBERS, NUMBERS[:1]):
        schema = Schema(inputs, TARGETS["number"][1])
        row = {**dict.fromkeys((field.name for field in inputs), 1.0), inputs[0].name: value}
        read = encoder(schema, np.float64)
        assert check_encoding(
            schema, lambda row, read=read: None if (x := read(row)) is None else x.astype("f"), row
        ) == (
            value != 2**62  # beyond all others
        )


@quiet
@given(ROWS)
def test_a_row_of_anything_gives_the_same_answer_or_error(row):
    ours, theirs = outcome(lambda: MIXED.predict(row)), outcome(lambda: general(MIXED, row))
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        for own, other in zip(ours, theirs, strict=True):
            assert_alike(own, other)
    alone = outcome(lambda: MIXED.predict([row]))
    other = outcome(lambda: general(MIXED, [row]))
    assert alone == other if isinstance(other, str) else len(alone) == len(other)


MIXED = model_of()


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"n": 1},
        {**PLAIN, "n": "much"},
        {**PLAIN, "n": math.inf},
        {**PLAIN, "n": 1e300},
        {**PLAIN, "b": "perhaps"},
        {**PLAIN, "d": "soon"},
        {**PLAIN, "n": {"a": 1}},
        {**PLAIN, "n": [1, [2]]},
        {**PLAIN, "more": [1, 2]},
    ],
    ids=str,
)
def test_errors_are_those_of_the_general_path(row):
    with pytest.raises((DataError, UsageError)) as theirs:
        general(MIXED, row)
    with pytest.raises(type(theirs.value)) as ours:
        MIXED.predict(row)
    assert str(ours.value) == str(theirs.value)


# --- what comes out ----------------------------------------------------------------------------------------------


def rows_of(count=20, seed=0):
    random = np.random.default_rng(seed)
    return [
        {
            "n": float(random.normal()),
            "gap": None if random.random() < 0.3 else float(random.normal() * 30),
            "b": bool(random.integers(2)),
            "sure": int(random.integers(2)),
            "c": str(random.choice(["red", "blue", "new", "3"])),
            "d": START + timedelta(days=int(random.integers(9000))),
            "k": str(random.choice(["0", "x"])),
        }
        for _row in range(count)
    ]


def check(model, rows, close=2e-5):
    assert model._settled().numbers is not None, "the quick way is not taken"
    for row in rows:
        (ours,), (theirs,) = model.predict(row), general(model, row)
        assert_alike(ours, theirs, close)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_each_kind_of_answer(target, members):
    check(model_of(target=target, members=members), rows_of())


@pytest.mark.parametrize("norm", NORMALIZATIONS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_and_normalisation(name, norm):
    check(model_of(target="number", name=name, norm=norm), rows_of(8))


@pytest.mark.parametrize("target", ["two classes", "number"])
def test_double_precision_stays_double(target):
    check(model_of(target=target, dtype=torch.float64, norm="layer", name="gelu"), rows_of(), close=1e-11)


@pytest.mark.parametrize("target", ["two classes", "many classes", "number"])
def test_lines(target):
    task, targets = TARGETS[target]
    schema = Schema(INPUTS, targets)
    sized = sizes(schema, len(targets[0].values) or 1)
    net = line.Net(sized, line.Config())
    nn.init.normal_(net.line.weight)
    check(Model(task, "linear", schema, sized, {}, [net]), rows_of())


def test_an_encoded_row():
    for target in TARGETS:
        model = model_of(target=target)
        (x,) = model.encode(as_rows(model.schema, rows_of(5)))
        expected, _disagreement = model.answers(x)
        for row, answer in zip(x.numpy(), expected.numpy(), strict=True):
            found = model.answer(row)
            assert found.dtype == np.float32 and found.shape == answer.shape
            np.testing.assert_allclose(found, answer, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(model.answer(row.astype(np.float64)), found)
    with pytest.raises(UsageError, match=r"shape \(16,\) was expected, \(5,\) came"):
        model.answer(x[0, :5].numpy())


class Crossing(nn.Module):
    """No chain: what comes in is added to what comes out."""

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        return self.last(x + self.inner(x))


@pytest.mark.parametrize("make", [Crossing, lambda width: Twice(nn.Linear(width, 2))], ids=["crossing", "twice"])
def test_other_networks_stay_with_torch(make):
    plain = model_of(NUMBERS)
    model = Model("classify", "own", plain.schema, plain.sizes, {}, [make(4)])
    assert model._settled().numbers is None
    row = {field.name: 0.5 for field in NUMBERS}
    assert model.predict(row) == general(model, row)
    (x,) = model.encode(as_rows(model.schema, row))
    np.testing.assert_array_equal(model.answer(x[0].numpy()), model.answers(x)[0][0].numpy())


class Twice(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_stream_and_a_picture_are_left_alone():
    for inputs, target in (((), ()), ((Field("p", "picture", (1, 2, 2), scale=255.0),), TARGETS["two classes"][1])):
        schema = Schema(inputs, target)
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        model = Model("classify" if inputs else "stream", "own", schema, sizes(schema, 2), {}, [net])
        assert model._settled().encode is None
    x = torch.randn(1, 4)
    with pytest.raises(DataError):
        Model("stream", "own", Schema(()), sizes(Schema(()), 2), {}, [net]).predict({"a": 1})
    np.testing.assert_allclose(
        model.answer(x.numpy().reshape(1, 2, 2)), model.answers(x.view(1, 1, 2, 2))[0][0].numpy()
    )


def test_hooked_and_misfit_networks_stay_with_torch():
    hooked = model_of()
    hooked.members[0][0].register_forward_hook(lambda module, given, got: got * 0)
    assert hooked._settled().numbers is None
    odd = model_of()
    odd.extra["shift"] = 1.0
    odd.said = lambda x, said=odd.said: [{**answer, "more": 1} for answer in said(x)]  # the general path says more
    assert odd._settled().numbers is None


# --- what it is part of ------------------------------------------------------------------------------------------


def test_changed_weights_are_noticed():
    model = model_of(norm="batch")
    row = rows_of(1)[0]
    before = model.predict(row)
    with torch.no_grad():
        model.members[0][-1].bias.add_(torch.tensor([3.0, -3.0]))
    assert model.predict(row) != before
    check(model, [row])
    model.members[0] = model_of(name="tanh").members[0].eval()
    check(model, [row])


def test_few_rows_are_answered_as_alone():
    model, rows = model_of(members=2), rows_of(FEW)
    assert model.predict(rows) == [model.predict(row)[0] for row in rows]


def test_copies_and_pickles_leave_it_behind():
    model, row = model_of(), rows_of(1)[0]
    answer = model.predict(row)
    assert pickle.loads(pickle.dumps(model)).predict(row) == answer
    assert copy.deepcopy(model).predict(row) == answer


def test_threads_ask_at_the_same_time():
    model, rows = model_of(members=2, name="maxout", norm="layer"), rows_of(200)
    found: list = [None] * 8

    def ask(number):
        found[number] = [model.predict(row)[0] for row in rows]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [model.predict(row)[0] for row in rows]
    assert all(answers == expected for answers in found)
