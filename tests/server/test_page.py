"""The page in a real browser, against the real server: every task, by mouse and by keyboard, in both languages.

Whatever the console says, whatever the page's policy refuses and whatever error nobody caught fails the test in which
it happens.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import gipi
from gipi.data.images import read_picture
from tests.server.served_models import CASES, HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("the page is tested in Chromium, which is not installed", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")
expect = playwright.expect

PAGE = Path(gipi.__file__).parent / "server" / "page"
ROOT = Path(__file__).parents[2]
KEY = "the-key-of-the-tests-of-the-page"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
ARGUMENTS += ("--disable-component-update", "--disable-sync")
WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective));
"""
PHONE = {"width": 360, "height": 740}
NAMELESS = """
[...document.querySelectorAll("button, select, input, textarea, canvas, summary")]
    .filter((one) => one.ariaHidden !== "true" && one.checkVisibility())
    .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel || one.querySelector("img[alt]")))
    .map((one) => one.outerHTML)
"""  # controls that do not say what they are
MODULES = sorted(PAGE.glob("*.js"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that holds a small model of every task and asks for a key."""
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "tests.server.served_models", str(folder), KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the server has not begun"
        yield address
        process.terminate()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def tab(browser):
    """A page that most tests share: to begin a new one for each would take longer than they do."""
    return begun(browser)


def begun(browser, is_keyed: bool = True, **context) -> "Page":
    headers = {"X-API-Key": KEY} if is_keyed else {}
    made = browser.new_context(**{"locale": "en-US", "extra_http_headers": headers, **context})
    made.add_init_script(WATCH)
    made.set_default_timeout(8000)
    return made.new_page()


@pytest.fixture
def opened(server, browser, tab):
    """Opens a model's page; at the end nothing may have gone wrong in it."""
    pages, said = [], []

    def opening(name: str, is_keyed: bool = True, **context) -> "Page":
        page = tab if is_keyed and not context else begun(browser, is_keyed, **context)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{server}#{name}")
        if is_keyed:
            expect(page.locator("h1")).to_have_text(name)
        return page

    opening.said = said
    yield opening
    refused = [page.evaluate("window.refused") for page in pages]
    for page in pages:
        if page is not tab:
            page.context.close()
    tab.unroute_all()
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.goto("about:blank")  # or the next address would differ in its # alone, and load nothing
    assert not any(refused), refused
    assert not said, said


def ask(page: "Page") -> None:
    page.locator("button.main").click()


def answer(page: "Page"):
    """The answer's panel, when an answer stands in it."""
    expect(page.locator(".result .answer")).to_be_visible()
    expect(page.locator(".result")).not_to_have_attribute("aria-busy", "true")
    return page.locator(".result")


def draw(page: "Page") -> None:
    """A stroke across the canvas."""
    page.locator("canvas.paper").scroll_into_view_if_needed()
    box = page.locator("canvas.paper").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=6)
    page.mouse.up()


# --- every task ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CASES, "hostile"])
def test_every_task_is_answered(opened, name):
    page = opened(name)
    if page.locator(".thumb").count():
        page.locator(".thumb").first.click()  # an example is asked at once
    else:
        ask(page)
    found = answer(page)
    expect(found).not_to_contain_text("undefined")
    expect(found.locator(".trouble")).to_have_count(0)
    for image in found.locator("img").all():
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(NAMELESS) == []
    assert page.locator("h1").count() == 1


def test_a_class_has_bars_and_its_share(opened):
    page = opened("classes")
    ask(page)
    found = answer(page)
    expect(found.locator(".bars li")).to_have_count(3)
    label = found.locator(".big").inner_text()
    expect(found.locator(".bars li").first).to_contain_text(label)
    expect(page.locator("#live")).to_contain_text(label)  # read aloud


def test_a_number_has_its_interval(opened):
    page = opened("interval")
    ask(page)
    expect(answer(page).locator("svg.interval")).to_have_attribute("aria-label", re.compile("nine chances in ten"))


def test_several_targets_have_a_number_each(opened):
    page = opened("numbers")
    ask(page)
    expect(answer(page).locator(".headline")).to_have_count(2)


def test_pictures_are_made_as_many_as_asked_and_come_as_events(opened):
    page = opened("maker")
    page.get_by_label("How many").fill("5")
    with page.expect_request("**/predict") as sent:
        ask(page)
    assert sent.value.headers["accept"] == "text/event-stream"
    expect(answer(page).locator(".gallery img")).to_have_count(5)
    before = answer(page).locator("img").first.get_attribute("src")
    page.get_by_role("button", name="Another").click()  # another seed, asked at once
    expect(page.locator(".gallery img").first).not_to_have_attribute("src", before or "")


def test_numbers_of_ones_own_are_answered(opened):
    page = opened("model")
    text = page.get_by_role("textbox", name="Numbers")
    text.fill("[1, 2")
    ask(page)
    expect(page.get_by_text("This is no JSON yet.")).to_be_visible()
    text.fill("[1, 2, 3]")
    ask(page)
    expect(answer(page).get_by_role("img", name="A vector of 2 numbers")).to_be_visible()


def test_a_mask_has_its_legend(opened):
    page = opened("masks")
    page.locator(".thumb").first.click()
    legend = answer(page).locator(".legend li")
    expect(legend.first).to_contain_text("%")
    expect(legend.first.locator(".swatch")).to_have_css("background-color", re.compile(r"rgb\((9|200), (9|200), 9\)"))
    before = page.locator(".stack img").get_attribute("src")
    page.locator(".result").get_by_text("Mask", exact=True).click()
    expect(page.locator(".stack img")).not_to_have_attribute("src", before or "")


def test_before_and_after_are_compared_by_keyboard(opened):
    page = opened("larger")
    page.locator(".thumb").first.click()
    slider = answer(page).get_by_label("Before")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator(".stack .over")).to_have_css("clip-path", "inset(0px 0px 0px 100%)")


def test_what_decided_is_shown(opened):
    page = opened("pictures")
    page.locator(".thumb").first.click()
    answer(page).get_by_role("button", name="What decided?").click()
    expect(page.locator(".decided img")).to_be_visible()


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_is_answered_and_follows_changes(opened):
    page = opened("classes")
    page.get_by_label("length").fill("2.5")
    page.get_by_role("radio", name="red").check()
    page.get_by_label("weight").fill("")
    with page.expect_request("**/predict") as sent:
        ask(page)
    row = json.loads(sent.value.post_data or "")["rows"][0]
    assert (row["length"], row["weight"], row["colour"]) == (2.5, None, "red")
    answer(page)
    page.get_by_label("kind").select_option("c")
    with page.expect_response("**/predict") as came:  # answered once, it follows
        page.get_by_role("radio", name="no", exact=True).check()
    sent_now = json.loads(came.value.request.post_data or "")["rows"][0]
    assert (sent_now["kind"], sent_now["is new"]) == ("c", False)


def test_an_example_fills_the_form_and_is_answered(opened):
    page = opened("classes")
    before = page.get_by_label("length").input_value()
    page.get_by_role("button", name="Example 2").click()
    assert page.get_by_label("length").input_value() != before
    answer(page)


def test_what_is_no_number_is_said_beside_its_field(opened):
    page = opened("classes")
    field = page.get_by_label("length")
    field.fill("")
    field.press_sequentially("1e")  # not yet a number
    ask(page)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(page.get_by_text("A number is expected here.")).to_be_visible()
    described = (field.get_attribute("aria-describedby") or "").split()
    assert "A number is expected here." in [page.locator(f"#{one}").text_content() for one in described]


def test_what_training_did_not_see_is_remarked(opened):
    page = opened("classes")
    page.get_by_label("length").fill("7")
    expect(page.get_by_text("Training only saw 1 to 5: the answer is a guess.")).to_be_visible()
    page.get_by_label("length").fill("3")
    expect(page.get_by_text("Training only saw")).to_be_hidden()


def test_many_rows_are_answered_as_a_table(opened):
    page = opened("interval")
    page.get_by_text("Many rows").click()
    page.get_by_role("button", name="Use the examples").click()  # asked at once
    page.get_by_label("Rows as CSV").fill(
        "length\tweight\tcolour\tis new\tday\tkind\n1\t2\t=cmd()\ttrue\t2020-01-01\ta\n\t\t\t\t\t"
    )
    ask(page)  # tabs, as they come out of a spreadsheet
    found = page.locator(".result table")
    expect(found.locator("tbody tr")).to_have_count(2)
    expect(found).to_contain_text("the value was not among the training rows")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save as CSV").click()
    text = Path(kept.value.path()).read_text(encoding="utf-8-sig")
    assert "'=cmd()" in text  # no formula in a spreadsheet
    assert text.splitlines()[0].startswith("length,weight,colour,is new,day,kind,price,")


def test_a_wrong_cell_is_named_by_row_and_column(opened):
    page = opened("interval")
    page.get_by_text("Many rows").click()
    area = page.get_by_label("Rows as CSV")
    area.fill("length,weight,colour,is new,day,kind\n1,2,red,true,2020-01-01,a\nlong,2,red,true,2020-01-01,a\n")
    ask(page)
    expect(area).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Row 2, length:")).to_be_visible()
    area.fill("length,weight\n1,2\n")
    ask(page)
    expect(page.get_by_text("These columns are missing: colour, is new, day, kind")).to_be_visible()
    opened.said[:] = [text for text in opened.said if "422" not in text]  # the browser's note of it


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ink", ["light", "dark"])
def test_a_drawing_is_sent_in_its_ink_and_answered(opened, ink):
    page = opened(ink)
    with page.expect_response("**/predict?drawing=1") as came:
        draw(page)  # answered when the pen rests
    assert came.value.ok
    with page.expect_download() as kept:  # what was sent
        page.get_by_role("button", name="Save drawing.png").click()
    picture = read_picture(Path(kept.value.path()).read_bytes(), (1, 336, 336), 255.0)
    ground, drawn = (0, 255) if ink == "light" else (255, 0)
    assert picture[5, 5, 0] == ground
    assert picture[168, 168, 0] == drawn
    answer(page)


def test_a_drawing_is_sent_before_the_pen_has_rested(opened):
    page = opened("light")
    draw(page)
    ask(page)
    expect(page.locator(".drawing")).not_to_contain_text("Draw something first")
    answer(page)


def test_strokes_are_taken_back(opened):
    page = opened("light")
    undo, clear = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Clear")
    expect(undo).to_be_disabled()
    draw(page)
    answer(page)
    undo.click()
    expect(clear).to_be_disabled()
    ask(page)
    expect(page.get_by_text("Draw something first.")).to_be_visible()


def test_a_file_is_opened_and_a_camera_is_missing(opened):
    page = opened("pictures")
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "JPEG")
    file: FilePayload = {"name": "red.jpg", "mimeType": "image/jpeg", "buffer": content.getvalue()}
    with page.expect_response("**/predict") as came:
        page.locator("input[type=file]").set_input_files(file)
    headers = {"Content-Type": "image/jpeg", "X-API-Key": KEY}
    same = page.request.post(came.value.url, data=content.getvalue(), headers=headers)
    assert came.value.json() == same.json()  # sent as it is
    answer(page)
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_text(re.compile("No camera was found|The camera was not allowed"))).to_be_visible()


# --- nobody gets in --------------------------------------------------------------------------------------------------


def test_names_that_are_markup_stay_text(opened):
    page = opened("hostile")
    ask(page)
    found = answer(page)
    expect(page.get_by_label(HOSTILE, exact=True)).to_be_visible()
    expect(found.locator(".bars li")).to_have_count(3)
    expect(found).to_contain_text("<b>bold</b>")
    page.get_by_text("Many rows").click()
    page.get_by_role("button", name="Use the examples").click()
    expect(page.locator(".result table")).to_contain_text(HOSTILE)
    assert page.locator("main img, main script, main b, main iframe").count() == 0
    expect(page).to_have_title("hostile · gipi")  # no handler of theirs ran


def test_the_key_is_asked_for_and_kept_nowhere(opened, tmp_path):
    page = opened("classes", is_keyed=False)
    field = page.get_by_label("Key")
    expect(field).to_be_focused()
    field.fill("not the key of this server")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The server does not know this key.")).to_be_visible()
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("h1")).to_have_text("classes")
    ask(page)
    answer(page)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert KEY not in kept
    assert KEY not in page.content()
    _call_from_code(page, tmp_path)
    opened.said[:] = [text for text in opened.said if "401" not in text]


def _call_from_code(page: "Page", folder: Path) -> None:
    """The lines that the page shows give the page's answer."""
    shown = page.locator(".result .big").inner_text()
    curl, python = (page.locator("pre code").nth(place).inner_text() for place in (0, 1))
    environment = {**os.environ, "GIPI_KEY": KEY}
    for command in ([sys.executable, "-c", python], *([["sh", "-c", curl]] if shutil.which("curl") else [])):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=30)
        assert f"'label': '{shown}'" in done.stdout.replace('"', "'").replace("':'", "': '"), done.stderr


# --- trouble ---------------------------------------------------------------------------------------------------------


TROUBLE = (
    (503, {"Retry-After": "3"}, "The server is busy, or about to stop. Try again in 3 s."),
    (429, {}, "Too many questions at once."),
    (413, {}, "This is too large for the server."),
    (0, {}, "The server cannot be reached"),
)


def test_trouble_is_said_in_a_sentence(opened):
    page = opened("classes")
    left = [*TROUBLE]

    def trouble(route):
        if not left:
            route.continue_()
        elif left[0][0]:
            route.fulfill(status=left[0][0], headers=left[0][1], json={"error": "<i>its own words</i>"})
        else:
            route.abort()

    page.route("**/predict", trouble)
    ask(page)
    alert = page.locator(".result [role=alert]")
    for status, _headers, sentence in TROUBLE:
        expect(alert).to_contain_text(sentence)
        if status not in (0, 503):
            expect(alert).to_contain_text("<i>its own words</i>")
        left.pop(0)
        page.get_by_role("button", name="Try again").click()
    answer(page)
    opened.said.clear()  # the browser's notes of what failed


def test_fields_that_the_server_refuses_are_marked(opened):
    page = opened("classes")
    details = [{"row": 0, "field": "weight", "error": "the number is too large"}]
    page.route("**/predict", lambda route: route.fulfill(status=422, json={"error": "row 0", "details": details}))
    ask(page)
    field = page.get_by_label("weight")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(page.get_by_text("the number is too large")).to_be_visible()
    opened.said.clear()


# --- everybody can use it --------------------------------------------------------------------------------------------


def test_by_keyboard_alone(opened):
    page = opened("classes")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the model")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.get_by_label("length").evaluate("field => field === document.activeElement"):
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("3.25")
    with page.expect_request("**/predict") as sent:
        page.keyboard.press("Enter")
    assert json.loads(sent.value.post_data or "")["rows"][0]["length"] == 3.25
    answer(page)


def test_in_korean(opened):
    page = opened("interval", locale="ko-KR")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    ask(page)
    expect(answer(page)).to_contain_text("열에 아홉은")
    page.get_by_label("length").fill("4.5")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#language")).to_be_focused()
    expect(page.get_by_label("length")).to_have_value("4.5")  # nothing that was typed is lost
    expect(page.locator(".result")).to_contain_text("9 times in 10")


def test_in_the_dark(opened):
    page = opened("classes", color_scheme="dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(16, 20, 28)")
    page.get_by_role("button", name="Use light colours").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(246, 247, 249)")
    page.reload()
    expect(page.locator("body")).to_have_css("background-color", "rgb(246, 247, 249)")


def test_another_model_is_chosen(opened):
    page = opened("classes")
    page.get_by_role("combobox", name="Model").select_option("masks")
    expect(page.locator("h1")).to_have_text("masks")
    page.reload()
    expect(page.locator("h1")).to_have_text("masks")


def test_the_card_is_readable(opened):
    page = opened("classes")
    card = page.locator(".card")
    expect(card).to_contain_text("How good it is: test part, 79 rows")
    expect(card.locator("tr", has_text="Accuracy")).to_contain_text("80.0% … 95.0%")
    expect(card.locator("tr", has_text="Log loss")).to_contain_text("–")
    expect(card).to_contain_text("a table of <b>insects</b>")


# --- the files -------------------------------------------------------------------------------------------------------


def test_both_languages_say_the_same(opened):
    page = opened("classes")
    words = page.evaluate("async () => (await import('/page/words.js')).allWords()")
    particles = re.compile(r"\}(을|를|이|가|은|는|와|과|로|으로)(?![가-힣])")
    for key, (english, korean) in words.items():
        assert english.strip() and korean.strip(), key
        assert set(re.findall(r"\{(\w+)\}", korean)) <= set(re.findall(r"\{(\w+)\}", english)), key
        assert not particles.search(korean), key
    text = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    said = set(re.findall(r"""say\("(\w+)"[,)]""", text)) | set(re.findall(r'^export const word = "(\w+)"', text, re.M))
    assert said <= set(words), said - set(words)
    built = ("trouble_", "about_", "card_", "metric_", "type_", "hint_")
    unused = [key for key in words if key not in built and not key.startswith(built) and f'"{key}"' not in text]
    assert unused == []


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_a_file_opens_with_its_story_and_makes_no_markup(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    if path.suffix in (".js", ".css"):
        assert text.startswith(("//", "/*"))
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in text.replace("there is no innerHTML", "")
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)  # nothing from elsewhere
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_all_modules_are_asked_for_at_once():
    named = re.findall(r'modulepreload" href="page/([\w.]+)"', (PAGE / "index.html").read_text(encoding="utf-8"))
    assert sorted(named) == [path.name for path in MODULES if path.name not in ("main.js", "theme.js")]


def test_letters_stand_out_in_both_themes():
    """Contrast of 4.5 and more (WCAG 2.2, 1.4.3) of all letters on all grounds that they stand on."""
    colours = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (PAGE / "style.css").read_text())
    themes = [{name: pair[theme] for name, *pair in colours} for theme in (0, 1)]
    pairs = [(letters, ground) for letters in ("ink", "soft", "deep") for ground in ("card", "page", "faint")]
    pairs += [("on", "accent"), ("on", "deep"), ("warn", "warn-ground"), ("bad", "bad-ground"), ("bad", "card")]
    pairs += [("warn", "card"), ("deep", "tint")]
    for theme in themes:
        for letters, ground in pairs:
            assert _contrast(theme[letters], theme[ground]) >= 4.5, (letters, ground, theme[letters], theme[ground])


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_light(one), _light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _light(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
