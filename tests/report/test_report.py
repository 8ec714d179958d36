"""Plots and report.html: they take whatever comes, escape it, need nothing from elsewhere, and are written whole."""

import base64
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.errors import RunError
from gipi.report import svg
from gipi.report.canvas import MOST_CORNERS, MOST_DOTS, log_ticks, standalone, thinned, ticks
from gipi.report.html import document, html, write_report
from gipi.report.inline import png
from gipi.report.page import (
    Baseline,
    Classification,
    Clusters,
    Mistake,
    Page,
    Pictures,
    Regression,
    Table,
    Values,
    as_interval,
)
from gipi.report.records import best_epoch, charts, measures
from gipi.report.text import clean, clock, duration, interval, metric, number, pad, sentences, shorten, width

EVIL = '<script>alert("1")</script>&\'\x1b[31m'
any_number = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, math.nan, math.inf]))


def drawn(picture: str) -> ElementTree.Element:
    """A plot is well-formed, and every coordinate in it is a finite number."""
    tree = ElementTree.fromstring(picture)
    for part in tree.iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "width", "height", "viewBox"):
            assert not re.search(r"nan|inf", part.attrib.get(name, "")), (name, part.attrib)
    assert all(
        float(part.attrib[side]) >= 0 for part in tree.iter() for side in ("width", "height") if side in part.attrib
    )
    return tree


def test_ticks_are_round_and_inside():
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-3.2e-9, 4.1e-9)
    for low, high in [(0.972, 0.996), (1e9, 1.0001e9), (-5, 1e-3), (0, 5e-324), (1.0, 1.0)]:
        found = ticks(low, high)
        assert found and all(low - 1e-9 * abs(low) <= t <= high + 1e-9 * abs(high) for t in found)
    assert log_ticks(0.01, 1000) == [0.01, 0.1, 1, 10, 100, 1000]
    assert log_ticks(2, 7) == [2, 5]


def test_curves_with_a_mark_a_gap_and_several_lines():
    plain = svg.curves(
        {"train": [(1, 2.0), (2, 1.0), (3, 0.5)], "valid": [(1, 2.1), (2, math.nan), (3, 0.7)]}, mark=(2, "best")
    )
    said = "".join(drawn(plain).itertext())
    assert "train" in said and "valid" in said and "best" in said and "not finite" in said
    assert plain.count('class="curve s0"') == 1 and 'class="curve s1"' not in plain  # two points alone, as dots
    members = svg.curves({"valid": [[(1, 2.0), (2, 1.0)], [(1, 1.9), (2, 1.1)]]})
    assert drawn(members) is not None and members.count('class="thin s0"') == 2


def test_curves_turn_logarithmic_where_that_is_needed():
    steep = [(e, 10.0**-e) for e in range(8)]
    heights = [
        float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", re.findall(r'd="M([^"]+)"', svg.curves({"a": steep}, None))[0])
    ]
    steps = np.diff(heights)
    assert np.allclose(steps, steps[0], atol=0.11)
    assert svg.curves({"a": steep}, False) != svg.curves({"a": steep}, None)
    drawn(svg.curves({"a": [(1, -1.0), (2, 5.0)]}, True))  # a logarithm of what is negative is not asked for


@pytest.mark.parametrize(
    "line", [[], [(1, math.nan)], [(1, 1.0)], [(1, 0.0), (2, 0.0)], [(1, 1e308), (2, -1e308)], [(1, math.inf)]]
)
def test_curves_of_nearly_nothing(line):
    drawn(svg.curves({"loss": line}, None, (1, "best"), "epoch"))
    drawn(svg.histogram([y for _x, y in line]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(any_number, any_number), max_size=20), st.booleans())
def test_plots_of_any_numbers(points, several):
    drawn(svg.curves({EVIL: [points] if several and points else points}, None, (0, EVIL), EVIL, EVIL))
    drawn(svg.scatter([x for x, _y in points], [y for _x, y in points], EVIL))
    drawn(svg.scatter2d(points, [EVIL] * len(points)))
    drawn(svg.histogram([x for x, _y in points], EVIL))
    drawn(svg.bars_with_intervals([(EVIL, y, x, y) for x, y in points], EVIL, EVIL))
    drawn(svg.calibration([x for x, _y in points], [y > 0 for _x, y in points]))


def test_many_points_are_thinned_without_losing_the_peaks():
    line = [(float(i), 1.0) for i in range(100_000)]
    line[77_777] = (77_777.0, 50.0)
    kept = thinned(line)
    assert len(kept) <= MOST_CORNERS and (77_777.0, 50.0) in kept
    assert thinned(line[:10]) == line[:10]
    r = np.random.default_rng(0)
    cloud = svg.scatter(r.normal(size=50_000), r.normal(size=50_000))
    assert cloud.count("h0") == MOST_DOTS and len(cloud) < 60_000
    assert cloud == svg.scatter(*np.random.default_rng(0).normal(size=(2, 50_000)))  # the same ones each time


def test_confusion_shows_each_count_where_it_belongs():
    tree = drawn(svg.confusion([[5, 0], [2, 3]], ["no", "yes"]))
    titles = [part.text for part in tree.iter() if part.tag.endswith("title")]
    assert titles == [
        "no said to be no: 5 (100.0 %)",
        "yes said to be no: 2 (40.0 %)",
        "yes said to be yes: 3 (60.0 %)",
    ]
    cells = {part[0].text: part.attrib for part in tree.iter() if len(part) and part.tag.endswith("rect")}
    wrong = cells["yes said to be no: 2 (40.0 %)"]
    right = cells["yes said to be yes: 3 (60.0 %)"]
    assert float(wrong["x"]) < float(right["x"]) and wrong["y"] == right["y"]
    assert wrong["class"] == "wrong" and right["class"] == "right"


def test_confusion_of_many_classes_and_of_none():
    counts = np.eye(200) * 5
    counts[150, 7] = 40
    said = svg.confusion(counts, [f"class {i}" for i in range(200)])
    assert "class 150 said to be class 7: 40" in said and "40 of 200 classes" in said
    drawn(svg.confusion([], []))
    drawn(svg.confusion([[0, 0], [0, 0]], ["a", "b"]))


def test_calibration_of_a_perfect_forecast():
    r = np.random.default_rng(0)
    p = r.random(20_000)
    said = svg.calibration(p, r.random(20_000) < p)
    assert float(re.findall(r"calibration error ([\d.]+)", said)[0]) < 0.02
    assert "calibration error 0.5<" in svg.calibration([1.0] * 10, [True, False] * 5)


def test_the_calibration_error_shown_is_the_one_returned():
    from gipi.tasks.metrics import calibration_error

    r = np.random.default_rng(0)
    chance = r.dirichlet([0.5, 0.5, 0.5], 200)
    y = r.integers(0, 3, 200)
    said = svg.calibration(chance.max(1), chance.argmax(1) == y)
    assert f"calibration error {number(float(calibration_error(chance, y)))}<" in said


def test_a_value_far_off_does_not_squeeze_the_others():
    rows = [
        ("ours", 0.99, 0.98, 0.995),
        ("linear", 0.96, 0.95, 0.97),
        ("knn", 0.98, 0.97, 0.99),
        ("majority", 0.1, 0.08, 0.12),
    ]
    tree = drawn(svg.bars_with_intervals(rows, "ours", "accuracy"))
    across = [float(part.attrib["cx"]) for part in tree.iter() if part.tag.endswith("circle")]
    assert len(across) == 3 and max(across) - min(across) > 80
    assert "10.3 %" not in "".join(tree.itertext()) and "10.0 %" in "".join(tree.itertext())


def test_wilson_is_wilson():
    low, high = svg.wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)  # Wilson 1927; also statsmodels


def test_a_plot_can_stand_alone():
    tree = drawn(standalone(svg.histogram([1.0, 2.0])))
    assert "prefers-color-scheme" in (tree[0].text or "")


def example() -> Page:
    r = np.random.default_rng(0)
    picture = r.integers(0, 255, (8, 8), dtype=np.uint8)
    return Page(
        title=EVIL,
        subtitle=[EVIL],
        verdict=[EVIL, EVIL],
        tone="warn",
        warnings=[EVIL],
        data=[EVIL],
        model=[(EVIL, (16, 8, 8), 160), ("ELU", EVIL, 0)],
        loss=EVIL,
        algorithm=[EVIL],
        history=[{"epoch": e, "train": {EVIL: 1 / e}, "valid": {"loss": 2 / e, EVIL: 1.0}} for e in range(1, 4)],
        best=2,
        metrics={EVIL: 1.0, "accuracy": (0.9, 0.8, 0.95), "rmse": math.nan},
        results=[
            Classification(
                [EVIL, "b"], [[3, 1], [0, 4]], [0.9, 0.6], [True, False], [Mistake(EVIL, EVIL, 0.9, picture)]
            ),
            Classification(mistakes=[Mistake(EVIL, EVIL, None, None, {EVIL: EVIL, "n": None}, 7)]),
            Regression([1.0, 2.0], [1.1, math.nan], [Mistake(1.0, 2.0, row={EVIL: 1})], EVIL),
            Clusters([(0, 1), (1, 0)], [EVIL, 1], EVIL, [EVIL]),
            Pictures([picture, np.zeros((4, 4, 3))], [EVIL], EVIL),
            Values([1.0, 2.0], EVIL),
            Table([EVIL], [[EVIL]], EVIL),
        ],
        baselines=[Baseline(EVIL, 0.9, 0.8, 0.95, 0.1, True), Baseline("linear", 0.8)],
        baseline_metric=EVIL,
        configuration={EVIL: {EVIL: EVIL, "empty": {}}, "list": [1, EVIL]},
        profile=[(EVIL, 0.5)],
    )


class Reader(HTMLParser):
    """Collects what a browser would act upon, and checks that elements close."""

    void = ("meta", "img", "br", "link", "input")

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("write", [document, html])
def test_foreign_text_is_text_and_nothing_comes_from_elsewhere(write):
    written = write(example())
    reader = Reader()
    reader.feed(written)
    assert not reader.open
    assert not {"script", "iframe", "link", "object", "embed", "form", "base"} & set(reader.tags)
    for name, value in reader.attributes:
        assert not name.startswith("on") and name != "style"  # the policy would not let a style through
        assert name not in ("src", "href") or (value or "").startswith("data:image/png;base64,")
    assert "\x1b" not in written
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", written) and "url(" not in written


def test_the_policy_names_the_style_sheet_by_its_hash():
    import hashlib

    written = document(example())
    sheet = re.findall(r"<style>(.*?)</style>", written, re.S)
    digest = base64.b64encode(hashlib.sha256(sheet[0].encode()).digest()).decode()
    assert len(sheet) == 1 and f"style-src 'sha256-{digest}'" in written and "default-src 'none'" in written


def test_every_part_of_the_page_is_there():
    page = example()
    page.title = "digits-1"
    written = document(page)
    for said in (
        "How it learned",
        "kept: epoch 2",
        "90.0 %",
        "80.0 … 95.0 %",
        "The worst mistakes",
        "Against simpler ways",
    ):
        assert said in written
    for said in ("16 × 8 × 8", "Where the time went", "Configuration", "100 ms", "Predicted against true"):
        assert said in written
    assert "Configuration" not in html(page)


def test_folds_have_no_common_best_epoch_and_many_targets_have_names():
    history = [{"epoch": e, "member": m, "valid": {"loss": 1.0}, "is_best": e == 1} for m in (0, 1) for e in (1, 2)]
    said = document(Page("folds", history=history, best=1, results=[Regression([1.0], [2.0], name=n) for n in "ab"]))
    assert "kept: epoch" not in said and "One thin line for each of 2 members" in said
    assert "Errors · a" in said and "Errors · b" in said


def test_validation_has_one_colour_in_all_plots():
    history = [
        {"epoch": e, "train": {"learner": 1.0 / e}, "valid": {"loss": 2.0 / e, "r2": 0.1 * e}} for e in (1, 2, 3)
    ]
    for plot in re.findall(r"<svg.*?</svg>", document(Page("a", history=history)), re.S):
        assert 'class="curve s1"' in plot


def test_an_empty_page_is_a_page():
    written = document(Page("nothing"))
    assert "<h1>nothing</h1>" in written and "<h2>" not in written


def test_the_language_of_the_page_is_its_own(monkeypatch):
    from gipi import messages

    monkeypatch.setattr(
        messages, "_translation", lambda code: type("T", (), {"gettext": lambda self, text: f"{code}:{text}"})()
    )
    assert 'lang="ko"' in document(Page("a", language="ko", verdict=["b"]))
    assert "ko:Verdict" in document(Page("a", language="ko", verdict=["b"]))
    assert messages.language() == "en"


def test_pictures_survive_as_they_are():
    from io import BytesIO

    from PIL import Image

    def read(address):
        return np.asarray(Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))))

    r = np.random.default_rng(0)
    for shape in ((8, 8), (5, 7, 3)):
        picture = r.integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(read(png(picture)), picture)
    assert np.array_equal(read(png(np.array([[0.0, 1.0], [math.nan, 0.5]]))), [[0, 255], [0, 128]])
    assert read(png(np.zeros((1000, 500, 1), np.uint8))).shape == (192, 96)


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch):
    path = write_report(tmp_path / "report.html", Page("first"))
    assert "first" in path.read_text("utf-8") and len(list(tmp_path.iterdir())) == 1

    def fail(_number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(RunError, match="No space left"):
        write_report(path, Page("second"))
    assert "first" in path.read_text("utf-8") and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(RunError, match="could not be written"):
        write_report(tmp_path / "no such folder" / "report.html", Page("third"))


def test_records_as_training_gives_them():
    record = {
        "epoch": 3,
        "step": 9,
        "train": {"learner": 0.5},
        "step_size": 0.1,
        "valid": {"loss": 0.6, "r2": 0.9},
        "is_best": True,
        "seconds": 1.0,
    }
    assert measures(record) == {"loss": {"train": 0.5, "valid": 0.6}, "r2": {"valid": 0.9}}
    assert measures({"epoch": 1, "train_loss": 1.0, "valid_accuracy": 0.5, "return": 20.0}) == {
        "loss": {"train": 1.0},
        "accuracy": {"valid": 0.5},
        "return": {"": 20.0},
    }
    assert charts([{**record, "member": m} for m in (0, 1)])["loss"]["valid"] == [[(3, 0.6)], [(3, 0.6)]]
    assert best_epoch([record, {"epoch": 4}]) == 3
    assert best_epoch([{**record, "member": 0}, {**record, "member": 1}]) is None


def test_numbers_as_people_read_them():
    assert [number(v) for v in (0.1 + 0.2, 1e-12, 1e12, 99999.9, True, -0.00005)] == [
        "0.3",
        "1e-12",
        "1e+12",
        "100,000",
        "yes",
        "-5e-05",
    ]
    assert (
        metric("valid_accuracy", 0.98765) == "98.8 %"
        and metric("rmse", 54.321) == "54.32"
        and metric("accuracy", None) == "–"
    )
    assert interval("accuracy", 0.5, 0.75) == "50.0 … 75.0 %" and interval("rmse", None, None) == ""
    assert [duration(s) for s in (0.0121, 3.44, 59.97, 125, 4320, None)] == [
        "12 ms",
        "3.4 s",
        "1 min 0 s",
        "2 min 5 s",
        "1 h 12 min",
        "–",
    ]
    assert clock(3725) == "1:02:05" and clock(11.2) == "0:12"
    assert width("깊이 a") == 6 and pad("깊이", 6) == "깊이  " and shorten("깊이깊이", 5) == "깊이…"
    assert clean("a\x1b[2Jb\rc") == "a�[2Jb�c"
    assert sentences(["a", "b"]) == ["a", "b"] and sentences(type("V", (), {"sentence": "x"})()) == ["x"]
    assert as_interval((0.5, 0.4, 0.6)) == (0.5, 0.4, 0.6) and as_interval(0.5) == (0.5, None, None)


def test_nothing_heavy_is_imported():
    heavy = ("torch", "rich", "numpy", "PIL", "matplotlib")
    code = f"import sys, gipi.report.html, gipi.report.display; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
