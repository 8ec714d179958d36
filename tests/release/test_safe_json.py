"""JSON of strangers: the same values as the json module where it is plain, and a bounded cost where it is not."""

import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.release import safe_json
from gipi.release.refused import Refused

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.booleans())
def test_says_what_json_says(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert safe_json.loads(text, len(text)) == value
    with pytest.raises(Refused, match="too large"):
        safe_json.loads(text, len(text) - 1)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | TEXT.map(str.encode))
def test_takes_what_json_takes_or_refuses(text):
    try:
        found = safe_json.loads(text, 100)
    except Refused:
        return
    assert found == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": NaN}', "no number of JSON"),
        (b'{"a": -Infinity}', "no number of JSON"),
        (b"[1e999]", "too large"),
        (b"[-1e400]", "too large"),
        (b"9" * 41, "too long"),
        (b"0." + b"3" * 41, "too long"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'[{"b": {"\\u0061": 1, "a": 2}}]', "twice"),
        (b'"\\ud83d"', "surrogates"),
        (b'{"\\uDC00": 1}', "surrogates"),
        (b'"\xed\xa0\x80"', "decode"),
        (b"\xff", "decode"),
        (b"\xef\xbb\xbf1", "BOM"),
        ("1".encode("utf-16"), "decode"),
        (b"", "Expecting value"),
        (b"1 2", "Extra data"),
        (b'"\t"', "control character"),
        (b"[" * 33, "too deeply"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too deeply"),
        (b"[" * 5_000_000, "too many values"),
    ],
    ids=lambda part: str(part)[:24],
)
def test_refuses(text, reason):
    with pytest.raises(Refused, match=reason):
        safe_json.loads(text, 10 << 20)


def test_whole_pairs_and_deep_enough_brackets_pass():
    assert safe_json.loads(b'"\\ud83d\\ude00"', 100) == "\N{GRINNING FACE}"
    assert safe_json.loads(b"[" * 32 + b"]" * 32, 100) is not None
    assert safe_json.loads(b'["[[[[", "\\"[[[", "\\\\"]' + b" " * 50, 100, deepest=1) == ["[[[[", '"[[[', "\\"]
    with pytest.raises(Refused, match="too deeply"):
        safe_json.loads(b'["\\\\",[[]]]', 100, deepest=2)


@pytest.mark.parametrize(
    "unit",
    [
        b"[]",
        b"{}",
        b'""',
        b'"ab"',
        b"1.5",
        b"12345",
        b'{"a":1}',
        b"[1]",
        b'[[],{"":{}}]',
        b'{"%d":2}',
        '"\N{HANGUL SYLLABLE GA}"'.encode(),
    ],
    ids=str,
)
def test_estimate_is_never_too_low(unit):
    """The memory that the objects take, and parsing them, is no more than what was estimated."""
    count = 20_000
    parts = [unit % number if b"%d" in unit else unit for number in range(count)]
    text = b"[" + b",".join(parts) + b"]"
    estimate = sum(text.count(sign) * cost for sign, cost in safe_json.COST.items()) + 2 * len(text)
    tracemalloc.start()
    found = safe_json.loads(text, len(text))
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == count
    assert most <= estimate


@pytest.mark.parametrize("names", [10, 100_000])
def test_estimate_holds_for_objects_of_any_length(names):
    text = b"[" + b",".join([b"{" + b",".join(b'"%d":1' % n for n in range(names)) + b"}"] * (100_000 // names)) + b"]"
    estimate = sum(text.count(sign) * cost for sign, cost in safe_json.COST.items()) + 2 * len(text)
    tracemalloc.start()
    safe_json.loads(text, len(text))
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most <= estimate


@pytest.mark.parametrize(
    "text",
    [b'"' + b'\\"' * 2_000_000, b'["' * 1_000_000, b'"\\' * 1_000_000, b"\\" * 4_000_000 + b"[" * 40],
    ids=["escapes", "quotes", "both", "backslashes"],
)
def test_looking_for_brackets_takes_linear_time(text):
    begin = time.perf_counter()
    assert safe_json._depth(text + b"[" * 40, 32) >= 0
    whole = time.perf_counter() - begin
    begin = time.perf_counter()
    safe_json._depth(text[: len(text) // 8] + b"[" * 40, 32)
    assert whole < 40 * (time.perf_counter() - begin) + 0.05
