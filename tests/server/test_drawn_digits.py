"""Digits drawn with a mouse on the page, in different hands, are read: at least nine of ten in each."""

import shutil
import sys
from pathlib import Path

import pytest
from asked import serving

import gipi

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("the page is tested in Chromium, which is not installed", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from hands import HANDS  # noqa: E402  # the strokes that are also read without a page

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A server's page, with a small network that learned scikit-learn's digits."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    gipi.fit("digits", run=folder, steps=700, seed=0, verdict=False, doctor=False, quiet=True)
    with (
        serving(str(folder), "--runtime", "torch") as server,
        playwright.sync_playwright() as started,
        started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(server.address)
        yield page


def read(page, strokes) -> str:
    """What is answered to a drawing."""
    paper = page.locator("canvas.paper")
    paper.scroll_into_view_if_needed()
    clear = page.get_by_role("button", name="Clear")
    if clear.is_enabled():
        clear.click()
    box = paper.bounding_box()
    for stroke in strokes:
        (x, y), *others = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(x, y)
        page.mouse.down()
        for x, y in others if len(others) < 16 else [*others[:-1:2], others[-1]]:  # curves have points to spare
            page.mouse.move(x, y)
        page.mouse.up()
    with page.expect_response("**/predict?drawing=1") as came:
        page.locator("button.main").click()
    return came.value.json()["predictions"][0]["label"]


@pytest.mark.parametrize("hand", ["round", "slanted", "hasty"])
def test_digits_drawn_on_the_page_are_read(page, hand):
    found = {digit: str(read(page, strokes)) for digit, strokes in HANDS[hand].items()}
    right = [digit for digit, said in found.items() if said == digit]
    assert len(found) == 10 and len(right) >= 9, found
