"""Texts over HTTP: as JSON, bare, CSV and plain; what decided; hostile ones; and what is written, token by token."""

import asyncio
import json
import re
import time
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="fastapi is not installed")

from gipi.data.marks import composed
from gipi.data.schema import Field
from gipi.data.tokenizers import train
from gipi.release.examples import example_rows
from gipi.sagemaker.bodies import rows_of
from gipi.sagemaker.contract import execution_parameters
from gipi.server.app import App
from gipi.server.decided_words import words_of
from gipi.server.engine import Engine
from gipi.server.limits import Limits
from gipi.server.reading import Reader
from gipi.server.refusal import RefusedError
from gipi.server.row_types import USUAL_TOKENS
from gipi.tasks.write import LENGTH
from tests.server.asked import Asked
from tests.server.writers import OTHER, SENTIMENT, TAGS, TEXTS, of_texts, of_words

TEXT = {"content-type": "text/plain"}
EVENTS = {"accept": "text/event-stream"}
REVIEWS = ["a good film", "", "bad " * 30, "영화 \U0001f468‍\U0001f469‍\U0001f467", "x"]


@pytest.fixture(scope="module")
def review():
    return of_texts("classify", "bow", SENTIMENT)


def asked(model, **limits) -> Asked:
    return Asked(Engine("m", model, example_rows(model)), limits=Limits(**limits))


def running(ask: Asked) -> int:
    assert ask.state.default.teller is not None
    return ask.state.default.teller.running


def near(found: list[dict], expected: list[dict]) -> None:
    assert [one["label"] for one in found] == [one["label"] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_texts_come_as_json_bare_csv_and_plain(review):
    ask, expected = asked(review), review.predict(REVIEWS)
    rows = [{"text": text} for text in REVIEWS]
    for body in (rows, REVIEWS, [*rows[:2], *REVIEWS[2:]]):
        answer = ask("POST", "/predict", json={"rows": body})
        near(answer.json()["predictions"], expected)
    table = "text\n" + "".join(f'"{text}"\n' for text in REVIEWS)
    near(ask("POST", "/predict", content=table, headers={"content-type": "text/csv"}).json()["predictions"], expected)
    for text, one in zip(REVIEWS, expected, strict=True):
        near(ask("POST", "/predict", content=text.encode(), headers=TEXT).json()["predictions"], [one])
    near(ask("POST", "/predict", json={"rows": [{"text": None}]}).json()["predictions"], review.predict([""]))


def test_requests_for_texts_of_any_length_are_answered_together(review):
    """Rows that wait go into one batch although none is as long as another, and the answers do not depend on it."""
    texts = [("good bad " * 9)[:size] for size in range(1, 40)]
    ask = asked(review, batch=64)
    requests = [("POST", "/predict", {"json": {"rows": [text]}}) for text in texts]
    near([one.json()["predictions"][0] for one in ask.together(*requests)], review.predict(texts))
    (batches,) = re.findall(r'gipi_batch_rows_count{model="m"} (\d+)', ask("GET", "/metrics").text)
    assert int(batches) < len(texts) / 2


def test_what_is_no_text_is_refused(review):
    ask = asked(review, characters=100)
    plain = ask("POST", "/predict", content=b"\xff\xfe", headers=TEXT)
    assert plain.status_code == 400 and "UTF-8" in plain.json()["error"]
    for body in ({"rows": ["x" * 101]}, {"rows": [{"text": 3}]}, {"rows": [{}]}, {"rows": [["a"]]}, {"rows": "x"}):
        assert ask("POST", "/predict", json=body).status_code == 422
    long = ask("POST", "/predict", json={"rows": ["fine", "x" * 101]}).json()
    assert long["details"] == [{"row": 1, "field": "text", "error": "the text is too long: 100 characters at most"}]
    assert ask("POST", "/predict", content="x" * 101, headers=TEXT).status_code == 422
    for body in (b'{"rows": ["\\ud800"]}', b'{"rows": ["a\xff"]}'):
        assert (
            400 <= ask("POST", "/predict", content=body, headers={"content-type": "application/json"}).status_code < 500
        )
    assert ask("POST", "/predict", content=b"x", headers={"content-type": "image/png"}).status_code == 415
    pair = asked(of_texts("classify", "bow", SENTIMENT, ("one", "two")))
    assert pair("POST", "/predict", content=b"x", headers=TEXT).status_code == 415  # which of the two?
    assert pair("POST", "/predict", json={"rows": ["x"]}).status_code == 422
    assert pair("POST", "/predict", json={"rows": [{"one": "the cat", "two": "sat"}]}).status_code == 200


def test_a_text_that_is_cut_says_so(review):
    ask = asked(review)
    (answer,) = ask("POST", "/predict", json={"rows": ["x" * 31]}).json()["predictions"]
    assert answer["warnings"] == ["the text has 33 tokens; the model reads 32 of them"]
    (answer,) = ask("POST", "/predict", json={"rows": ["x" * 30]}).json()["predictions"]
    assert "warnings" not in answer


def test_text_tells_about_itself(review):
    said = asked(review)("GET", "/schema").json()
    assert said["inputs"] == [{"name": "text", "kind": "text", "characters": 50_000, "tokens": 32}]
    assert said["explains"]
    content = asked(review)("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert sorted(content) == ["application/csv", "application/json", "text/csv", "text/plain"]


# --- what decided ----------------------------------------------------------------------------------------------------


def test_words_add_what_the_answer_falls_without_them(review):
    ask = asked(review)
    (found,) = ask("POST", "/explain", json={"rows": ["a good film"]}).json()["explanations"]
    assert found["read"] == {"text": "a good film"}
    assert [(one["word"], one["start"]) for one in found["words"]] == [("a", 0), ("good", 2), ("film", 7)]
    whole, without = review.predict(["a good film", "a  film"])
    of = found["of"]
    adds = whole["probabilities"][of] - without["probabilities"][of]
    assert found["words"][1]["adds"] == pytest.approx(adds, abs=1e-6)
    assert ask("POST", "/explain", json={"rows": [""]}).json()["explanations"][0]["words"] == []
    assert ask("POST", "/explain", json={"rows": ["a", "b"]}).status_code == 422


def test_numbers_and_pairs_are_explained():
    stars = asked(of_texts("regress", "bow", (Field("stars", "normal", center=3.0, scale=1.5),)))
    (found,) = stars("POST", "/explain", content=b"a good film", headers=TEXT).json()["explanations"]
    assert found["of"] == "stars" and len(found["words"]) == 3
    pair = asked(of_texts("classify", "bow", SENTIMENT, ("one", "two")))
    (found,) = pair("POST", "/explain", json={"rows": [{"one": "the cat", "two": "a dog"}]}).json()["explanations"]
    assert [(one["column"], one["word"]) for one in found["words"]] == [
        *(("one", "the"), ("one", "cat"), ("two", "a"), ("two", "dog"))
    ]


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "wordpiece", "unigram"])
@pytest.mark.parametrize("text", [*TEXTS, "영화 좋다!", " \n a\tb ", "\U0001f468‍\U0001f469 x", "(the) cat,dog"])
def test_every_token_of_a_word_is_its_own(kind, text):
    tokenizer = train(TEXTS, kind, 600)
    ids = tokenizer.encode(text)
    read, words = words_of(tokenizer, [tokenizer.begin, *ids, tokenizer.end], ["text"])
    assert read["text"] == text
    assert [word for _column, _start, word, _places in words] == text.split()
    places = [place for *_rest, own in words for place in own]
    assert places == sorted(set(places)) and (not words or places)


# --- hostile texts ---------------------------------------------------------------------------------------------------


def test_marks_are_brought_into_order_quickly():
    for text in ("e\u0301", "a" + "\u0323\u0301" * 40, "\u0f73\u0344" * 30, "각" * 50, "", "x" * 99):
        assert composed(text) == unicodedata.normalize("NFC", text)
    start = time.perf_counter()
    composed("a" + "\u0301\u0323" * 50_000)  # in NFC by itself a hundred times as long
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_hostile_texts_cost_little(kind):
    """The longest texts that are taken, in the shapes that tokenizers like least."""
    tokenizer, most = train(TEXTS * 20, kind, 700), Limits().characters
    for letters in ("a", "\U00010348", "\U0001f468‍\U0001f469", "e\u0301\u0323"):
        text = (letters * most)[:most]
        start = time.perf_counter()
        assert len(tokenizer.encode(composed(text))) <= 4 * most
        assert time.perf_counter() - start < 8  # some ten times what it takes at worst


TEXTS_OF_ANY_KIND = st.text(max_size=40) | st.sampled_from(
    ["\x00", "\u200d", "=1+1", "\ud7ff", "a" * 200, "[MASK]", "cat + dog -"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS_OF_ANY_KIND,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS_OF_ANY_KIND, one, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("case", ["classify", "write", "chat", "translate", "fill", "tag", "relate"])
def test_any_json_is_answered_or_refused(case):
    """Never 500; one answer for each row, in each form that an answer has."""
    systems = {
        "classify": "bow",
        "write": "gpt",
        "chat": "gpt",
        "translate": "transformer",
        "fill": "bert",
        "tag": "bert",
    }
    targets = {"classify": SENTIMENT, "translate": OTHER, "tag": TAGS}
    ask = asked(of_words() if case == "relate" else of_texts(case, systems[case], targets.get(case, ())))
    name = "word" if case == "relate" else "text"
    ways = {"temperature": VALUES, "top_k": VALUES, "top_p": VALUES, "seed": VALUES, "before": VALUES, "near": VALUES}
    few = {"tokens": st.integers(0, 5) | VALUES}
    row = st.fixed_dictionaries({name: TEXTS_OF_ANY_KIND, "tokens": st.integers(1, 5)})
    odd = st.fixed_dictionaries({name: TEXTS_OF_ANY_KIND | VALUES, **few}, optional=ways)

    @settings(
        max_examples=10,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize=True,
        database=None,
    )
    @given(
        st.fixed_dictionaries({"rows": st.lists(row, max_size=3) | st.lists(row | odd | VALUES, max_size=2)}) | VALUES
    )
    def check(said):
        text = json.dumps(said).encode("utf-8", "surrogatepass")
        for accept in ("application/json", "text/csv", "text/event-stream"):
            answer = ask(
                "POST", "/predict", content=text, headers={"content-type": "application/json", "accept": accept}
            )
            assert answer.status_code in (200, 400, 413, 422), answer.text
            if accept == "application/json" and answer.status_code == 200:
                assert len(answer.json()["predictions"]) == len(said["rows"])

    check()


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer():
    return of_texts("write", "gpt")


def events(text: str) -> list[tuple[str, dict]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines.get("event", ""), json.loads(lines["data"])))
    return found


def test_a_text_goes_on_whole_and_piece_by_piece(writer):
    ask = asked(writer)
    rows = [{"text": "the cat", "tokens": 30, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "seed": 3}, "the dog"]
    expected = writer.predict(rows)
    assert ask("POST", "/predict", json={"rows": rows}).json()["predictions"] == expected
    found = events(ask("POST", "/predict", json={"rows": rows}, headers=EVENTS).text)
    assert found[-1] == ("end", {})
    assert [said for name, said in found if not name] == expected
    for place, one in enumerate(expected):
        pieces = [said["text"] for name, said in found if name == "piece" and said["row"] == place]
        assert "".join(pieces) == one["text"]
    assert ask("POST", "/predict", content=b"the cat", headers=TEXT).json() == {
        "predictions": writer.predict(["the cat"])
    }
    assert running(ask) == 0
    assert USUAL_TOKENS == LENGTH


def test_a_talk_goes_on_from_what_was_said():
    talker = of_texts("chat", "gpt", names=("question",))
    ask = asked(talker)
    rows = [{"question": "and you", "tokens": 20}, {"question": "and you", "tokens": 20, "before": [["hi", "hello"]]}]
    alone, later = ask("POST", "/predict", json={"rows": [rows[0] | {"seed": 1}, rows[1] | {"seed": 1}]}).json()[
        "predictions"
    ]
    assert alone["text"] == talker.predict([rows[0] | {"seed": 1}])[0]["text"]
    assert alone["text"] != later["text"]
    for turn in (["a"], ["a", "b", "c"], "ab", [1, 2]):
        body = {"rows": [{"question": "x", "before": [turn]}]}
        assert ask("POST", "/predict", json=body).status_code == 422
    (long,) = ask("POST", "/predict", json={"rows": [{"question": "x" * 99, "tokens": 2}]}).json()["predictions"]
    assert "left out" in long["warnings"][0]


@pytest.mark.parametrize(
    "way",
    [{"tokens": 0}, {"tokens": 5000}, {"tokens": 2.5}, {"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"seed": -1}],
    ids=str,
)
def test_a_way_to_write_that_is_none_is_refused(writer, way):
    answer = asked(writer)("POST", "/predict", json={"rows": [{"text": "x"} | way]})
    assert answer.status_code == 422
    assert answer.json()["details"][0]["field"] in way


def test_only_so_much_is_written_for_one_request(writer):
    ask = asked(writer, tokens=300)
    answer = ask("POST", "/predict", json={"rows": ["x", "y"]})
    assert answer.status_code == 422 and "300" in answer.json()["error"]


def test_who_comes_while_all_places_are_taken_is_told_to_come_back(writer):
    ask = asked(writer, writers=2)
    row = {"text": "x", "tokens": 200, "temperature": 0}
    requests = [("POST", "/predict", {"json": {"rows": [row]}, "headers": EVENTS if n % 2 else {}}) for n in range(5)]
    found = ask.together(*requests)
    statuses = sorted(one.status_code for one in found)
    assert statuses == [200, 200, 503, 503, 503]
    assert all(one.headers["retry-after"] == "1" for one in found if one.status_code == 503)
    assert running(ask) == 0


def test_two_texts_grow_side_by_side_and_who_leaves_is_written_for_no_longer(writer):
    ask = asked(writer)
    order, count = asyncio.run(_two(ask.app, leaves_after=3))
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")  # neither waited for the other's end
    assert count["a"] < 8 and running(ask) == 0


async def _two(app: App, leaves_after: int) -> tuple[list[str], dict[str, int]]:
    """Two streams at once, of which the first client leaves soon: the order of pieces, and how many each had."""
    order: list[str] = []

    async def stream(name: str, tokens: int, leaves: int) -> None:
        row = {"text": name, "tokens": tokens, "temperature": 0}
        body = json.dumps({"rows": [row]}).encode()
        gone, sent = asyncio.Event(), [{"type": "http.request", "body": body, "more_body": False}]
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"accept", b"text/event-stream")]

        async def receive() -> dict:
            if sent:
                return sent.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            if message.get("body", b"").startswith(b"event: piece"):
                order.append(name)
                if order.count(name) == leaves:
                    gone.set()

        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
        await app({**scope, "client": ("127.0.0.1", 1)}, receive, send)

    await asyncio.gather(stream("a", 4000, leaves_after), stream("b", 120, 10**6))
    return order, {name: order.count(name) for name in "ab"}


# --- other tasks -----------------------------------------------------------------------------------------------------


def test_texts_are_translated():
    model = of_texts("translate", "transformer", OTHER)
    texts = ["the cat", "", "a dog sat"]
    found = asked(model)("POST", "/predict", json={"rows": texts}).json()["predictions"]
    for one, text in zip(found, texts, strict=True):
        (alone,) = model.predict([{"text": text}])
        assert one["text"] == alone["text"] and one["score"] == pytest.approx(alone["score"], abs=1e-3)


def test_gaps_are_filled_and_names_are_found():
    fill, tag = of_texts("fill", "bert"), of_texts("tag", "bert", TAGS)
    rows = [{"text": "the [MASK] sat"}, {"text": "no gap"}, {"text": "[MASK]" * 65}]
    filled, missing, many = asked(fill)("POST", "/predict", json={"rows": rows}).json()["predictions"]
    assert filled["text"] == fill.predict(rows[:1])[0]["text"]
    assert "[MASK]" in missing["error"] and many["error"] == "the text has 65 gaps; the most is 64"
    ask = asked(tag)
    assert ask("POST", "/predict", json={"rows": ["the cat"]}).json()["predictions"] == tag.predict(["the cat"])
    assert ask("GET", "/schema").json()["targets"][0]["values"] == ["O", "B-PER", "I-PER"]


def test_words_near_a_word():
    model = of_words()
    ask = asked(model)
    near, unknown = ask("POST", "/predict", json={"rows": [{"word": "cat", "near": 2}, "bird"]}).json()["predictions"]
    assert near == model.predict([{"word": "cat", "near": 2}])[0] and len(near["near"]) == 2
    assert "bird" in unknown["error"]
    assert ask("POST", "/predict", json={"rows": [{"word": "cat", "near": 101}]}).status_code == 422


# --- SageMaker -------------------------------------------------------------------------------------------------------


def test_texts_as_clients_of_sagemaker_send_them(review):
    reader = Reader(Engine("m", review, None), Limits())
    expected = [{"text": "a good film"}, {"text": "bad"}]
    bodies = (
        ("application/json", b'{"instances": ["a good film", {"text": "bad"}]}'),
        ("application/json", b'[["a good film"], {"features": ["bad"]}]'),
        ("application/jsonlines", b'"a good film"\n{"text": "bad"}\n'),
        ("text/csv", b"a good film\nbad\n"),
    )
    for kind, body in bodies:
        assert rows_of(reader, kind, body) == expected
    assert rows_of(reader, "text/plain", b"a good film") == expected[:1]
    with pytest.raises(RefusedError) as refused:
        rows_of(reader, "application/x-npy", b"x")
    assert refused.value.status == 415


def test_texts_to_go_on_from_come_one_by_one(writer, review):
    assert execution_parameters(asked(writer).state.default)["BatchStrategy"] == "SINGLE_RECORD"
    assert execution_parameters(asked(review).state.default)["BatchStrategy"] == "MULTI_RECORD"
