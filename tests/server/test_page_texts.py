"""The page for texts in a real browser: boxes, words that decided, a text that grows, a talk; by keyboard too."""

import json
import re
import subprocess
import sys

import pytest

from tests.server.test_page import KEY, NAMELESS, PHONE, ROOT, answer, ask, browser, expect, opened, tab

__all__ = ["browser", "opened", "tab"]  # fixtures

HOSTILE = '<img src=x onerror="document.title=1"> a good film'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that holds models of texts and asks for a key."""
    folder = tmp_path_factory.mktemp("texts")
    command = [sys.executable, "-m", "tests.server.served_texts", str(folder), KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the server has not begun"
        yield address
        process.terminate()


def test_a_text_is_answered_and_its_words_are_coloured(opened):
    page = opened("review")
    box = page.get_by_role("textbox", name="text")
    expect(page.locator(".pane:not([hidden]) .size")).to_have_text("0 characters")
    ask(page)
    expect(page.get_by_text("Type a text first.")).to_be_visible()
    expect(box).to_be_focused()
    box.fill(HOSTILE)
    expect(page.get_by_text(f"{len(HOSTILE)} characters")).to_be_visible()
    with page.expect_request("**/predict") as sent:
        box.press("Control+Enter")
    assert json.loads(sent.value.post_data or "") == {"rows": [{"text": HOSTILE}]}
    expect(answer(page).locator(".bars li")).to_have_count(2)
    page.get_by_role("button", name="Which words decided?").click()
    read = page.locator(".decided .prose")
    expect(read).to_be_visible()
    expect(read).to_have_text(re.compile("^<img src=x"))  # the model reads 32 tokens of it
    assert read.locator("mark").count() > 0
    assert page.locator(".decided .bars li").count() == read.inner_text().count(" ") + 1
    expect(page.locator("#live")).to_have_text("The words that decided are shown.")
    assert page.title() != "1"
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(NAMELESS) == []


def test_a_text_that_is_too_long_is_not_sent(opened):
    page = opened("review")
    box = page.get_by_role("textbox", name="text")
    box.fill("x" * 50_001)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    ask(page)
    expect(page.locator(".wrong:visible")).to_have_text("The text is too long: at most 50,000 characters.")
    assert not [url for url in sent if url.endswith("predict")]
    box.fill("x" * 5000)  # it is cut, and that is said
    ask(page)
    expect(answer(page).locator(".warnings")).to_contain_text("5,002 tokens".replace(",", ""))


def test_a_number_of_a_text_is_explained(opened):
    page = opened("stars")
    page.get_by_role("textbox", name="text").fill("a good film")
    ask(page)
    expect(answer(page).locator("svg.interval")).to_be_visible()
    page.get_by_role("button", name="Which words decided?").click()
    expect(page.locator(".decided .bars li")).to_have_count(3)


def test_a_pair_has_two_boxes(opened):
    page = opened("pair")
    page.get_by_role("textbox", name="one").fill("the cat sat")
    ask(page)
    expect(page.get_by_role("textbox", name="two")).to_be_focused()
    page.get_by_role("textbox", name="two").fill("on the mat")
    ask(page)
    answer(page)
    page.get_by_role("button", name="Which words decided?").click()
    expect(page.locator(".decided .prose")).to_have_text(["the cat sat", "on the mat"])


def test_many_texts_are_answered_as_a_table(opened):
    page = opened("review")
    page.get_by_text("Many rows").click()
    page.get_by_label("Rows as CSV").fill('text\n"good, and fine"\nbad\n')
    ask(page)
    expect(answer(page).locator("tbody tr")).to_have_count(2)
    expect(answer(page)).to_contain_text("good, and fine")


def test_a_text_grows_and_is_the_same_again(opened):
    page = opened("writer")
    page.get_by_label("Beginning").fill("the cat")
    page.get_by_label("Length").fill("30")
    with page.expect_request("**/predict") as sent:
        ask(page)
    assert sent.value.headers["accept"] == "text/event-stream"
    row = {"text": "the cat", "tokens": 30, "temperature": 0.8, "top_k": 0, "top_p": 1, "seed": 0}
    assert json.loads(sent.value.post_data or "") == {"rows": [row]}
    expect(answer(page).locator(".prose .soft")).to_have_text("the cat")
    first = page.locator(".result .prose").inner_text()
    ask(page)
    expect(page.locator(".result .growing")).to_have_count(0)
    assert answer(page).locator(".prose").inner_text() == first
    page.get_by_label("Temperature").fill("-1")
    ask(page)
    expect(page.get_by_label("Temperature")).to_be_focused()
    expect(page.get_by_label("Temperature")).to_have_attribute("aria-invalid", "true")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(NAMELESS) == []


def test_what_is_written_is_stopped_and_stays(opened):
    page = opened("writer")
    page.get_by_label("Length").fill("4000")
    page.get_by_label("Temperature").fill("0")  # it never comes to an end
    ask(page)
    growing = page.locator(".result .growing")
    expect(growing).not_to_be_empty()
    page.get_by_role("button", name="Stop").click()
    expect(growing).to_have_count(0)
    assert 0 < len(page.locator(".result .prose").inner_text()) < 3000
    with page.expect_response("**/healthz") as beside:
        page.evaluate("fetch('healthz')")
    assert beside.value.status == 200


def test_a_talk_goes_on(opened):
    page = opened("talker")
    box = page.get_by_label("You say")
    box.fill("hello")
    box.press("Enter")
    answer(page)
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    expect(page.locator(".talk li")).to_have_count(2)
    said = page.locator(".talk .it bdi").inner_text()
    box.fill("how are you")
    with page.expect_request("**/predict") as sent:
        ask(page)
    row = json.loads(sent.value.post_data or "")["rows"][0]
    assert row["question"] == "how are you" and [turn[0] for turn in row["before"]] == ["hello"]
    assert row["before"][0][1].strip() == said.strip()
    expect(page.locator(".talk li")).to_have_count(4)
    answer(page)
    page.get_by_role("button", name="New talk").click()
    expect(page.locator(".talk")).to_have_count(0)
    assert page.evaluate(NAMELESS) == []


OTHERS = {
    "german": ("the cat", ".prose"),
    "gaps": ("the [MASK] sat", ".bars li >> nth=0"),
    "names": ("the cat \U0001f468 sat", ".prose"),
    "words": ("cat", ".bars li >> nth=0"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_tasks_are_answered(opened, name):
    text, found = OTHERS[name]
    page = opened(name)
    page.locator("textarea.text").fill(text)
    ask(page)
    expect(answer(page).locator(found)).to_be_visible()
    expect(page.locator(".result")).not_to_contain_text("undefined")
    expect(page.locator(".result .trouble")).to_have_count(0)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(NAMELESS) == []


def test_names_stand_where_they_are_in_the_text(opened):
    page = opened("names")
    text = "\U0001f468 Ada met Bob"
    found = [(2, 5, "PER"), (10, 13, "<b>")]  # places count characters, of which the first takes two of the browser's
    spans = [{"start": a, "stop": b, "text": text[a:b], "label": one, "probability": 0.9} for a, b, one in found]
    page.route("**/predict", lambda route: route.fulfill(json={"predictions": [{"text": text, "spans": spans}]}))
    page.locator("textarea.text").fill(text)
    ask(page)
    expect(answer(page).locator(".prose mark bdi")).to_have_text(["Ada", "Bob"])
    expect(page.locator(".result .legend")).to_contain_text("<b> 90.0%")


def test_texts_in_korean(opened):
    page = opened("review", locale="ko-KR")
    page.get_by_role("textbox", name="text").fill("좋은 영화")
    ask(page)
    answer(page)
    page.get_by_role("button", name="어떤 말이 결정했나?").click()
    expect(page.locator(".decided .prose")).to_have_text("좋은 영화")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("textbox", name="text")).to_have_value("좋은 영화")
