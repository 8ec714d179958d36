"""What is drawn on a canvas is brought to look as the training pictures do, and then it is read."""

import gzip
import io
import json

import numpy as np
import pytest
from hands import HANDS, PENS, Stroke, drawn  # beside this file
from PIL import Image

import gipi
from gipi.data import drawing as own
from gipi.data.drawing import Drawing, kept_of, learned, prepared
from gipi.data.embedded import open_embedded
from gipi.data.images import read_picture
from gipi.errors import DataError

DIGITS = open_embedded("digits", ("label",)).pictures
LIKE = Drawing("light", 1.0, 0.1, "longer", 20 / 28, (0.3, 0.3), (-0.4, 0.6), "mass", (0.5, 0.5))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A small convolutional network that learned scikit-learn's digits, as it is kept."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    run = gipi.fit("digits", run=folder, steps=700, seed=0, verdict=False, doctor=False)
    assert run.metrics["accuracy"] > 0.97
    return gipi.load(folder)


def canvas(hand: str, digit: str, **how) -> np.ndarray:
    return np.asarray(drawn(HANDS[hand][digit], how.pop("pen", PENS[hand]), **how))[:, :, None]


def scanned(side: int, pen: float, longer: int) -> np.ndarray:
    """All hands' digits as scans lie: of one size, their center of mass in the middle; `(N, side, side, 1)`."""
    found = []
    for strokes in (strokes for digits in HANDS.values() for strokes in digits.values()):
        fine = np.asarray(drawn(_fitted(strokes, (longer - pen) / side), pen / side, side * 8))
        down, right = own._mass(fine[None])[0]
        moved = np.roll(fine, (round(side * 4 - down), round(side * 4 - right)), (0, 1))
        found.append(np.asarray(Image.fromarray(moved).reduce(8)))
    return np.stack(found)[..., None]


def _fitted(strokes: list[Stroke], longer: float) -> list[Stroke]:
    points = np.array([point for stroke in strokes for point in stroke])
    low, high = points.min(0), points.max(0)
    factor = longer / (high - low).max()
    return [[(x, y) for x, y in 0.5 + factor * (np.array(stroke) - (low + high) / 2)] for stroke in strokes]


# --- drawings are read ---------------------------------------------------------------------------------------------


def test_there_are_ten_digits_in_each_hand():
    assert len(HANDS) >= 3 and set(HANDS) == set(PENS)
    for digits in HANDS.values():
        assert sorted(digits) == sorted("0123456789")
        points = np.array([point for strokes in digits.values() for stroke in strokes for point in stroke])
        assert points.min() > 0 and points.max() < 1


@pytest.mark.parametrize("hand", HANDS)
def test_nine_of_ten_digits_are_read_in_each_hand(digits, hand):
    drawing = Drawing.from_json(digits.extra["drawing"])
    shape = digits.schema.inputs[0].shape
    rows = [prepared(canvas(hand, digit), drawing, shape) for digit in HANDS[hand]]
    read = [str(answer["label"]) for answer in digits.predict(rows)]
    assert sum(found == digit for found, digit in zip(read, HANDS[hand], strict=True)) >= 9, read


def test_without_it_they_are_not(digits):
    canvases = {(hand, digit): canvas(hand, digit) for hand in HANDS for digit in HANDS[hand]}
    read = digits.predict(list(canvases.values()))
    right = sum(str(answer["label"]) == digit for answer, (_hand, digit) in zip(read, canvases, strict=True))
    assert right <= 0.5 * len(canvases)


def test_the_page_may_draw_with_any_pen_that_leaves_holes_open(digits):
    drawing = Drawing.from_json(digits.extra["drawing"])
    for pen in (0.02, 0.04, 0.06, 0.08):
        rows = [prepared(canvas("round", digit, pen=pen), drawing, (1, 8, 8)) for digit in HANDS["round"]]
        read = [str(answer["label"]) for answer in digits.predict(rows)]
        assert sum(found == digit for found, digit in zip(read, HANDS["round"], strict=True)) >= 9, (pen, read)


# --- what is learned -----------------------------------------------------------------------------------------------


def test_digits_as_high_as_their_pictures():
    assert DIGITS is not None
    drawing = learned(DIGITS)
    assert drawing is not None
    assert (drawing.ink, drawing.fits, drawing.side, drawing.center) == ("light", "height", 1.0, "box")
    assert 1.3 / 8 < drawing.pen < 1.6 / 8 and drawing.most[1] < drawing.most[0] < 0.35
    assert drawing.place == pytest.approx((0.5, 0.5), abs=0.03)


@pytest.mark.parametrize("pen", [1.5, 2.0, 2.5, 3.0])
def test_digits_centered_by_their_mass(pen):
    tall = scanned(28, pen, 20)
    drawing = learned(np.concatenate([tall, tall[:10].transpose(0, 2, 1, 3)]))  # some are wider than high
    assert drawing is not None
    assert (drawing.fits, drawing.center) == ("longer", "mass")
    assert drawing.side == pytest.approx(20 / 28, abs=1 / 28)
    assert drawing.place == pytest.approx((0.5, 0.5), abs=0.01)
    assert drawing.pen * 28 == pytest.approx(pen, rel=0.1)


def test_ink_may_be_dark_and_white_any_number():
    light = scanned(28, 2.5, 20)
    drawing = learned(light)
    assert drawing is not None and drawing.ink == "light"
    dark = learned(255 - light)
    assert dark is not None and dark.ink == "dark"
    assert dark.pen == pytest.approx(drawing.pen, abs=1e-5) and dark.place == pytest.approx(drawing.place, abs=1e-5)
    for white in (1.0, 16.0):
        other = learned(light.astype(np.float32) * np.float32(white / 255), white)
        assert other is not None and other.pen == pytest.approx(drawing.pen, abs=1e-5)
    grey = learned(np.repeat(light, 3, axis=3))
    assert grey is not None and grey.pen == drawing.pen


def test_what_is_no_drawing():
    draws = np.random.default_rng(0)
    strokes = scanned(28, 2.5, 20)
    assert learned(draws.integers(0, 256, (50, 28, 28, 1), np.uint8)) is None  # no paper
    assert learned(np.zeros((50, 28, 28, 1), np.uint8)) is None  # no ink
    assert learned(strokes[:0]) is None
    assert learned(np.pad(strokes, ((0, 0), (20, 20), (20, 20), (0, 0)))) is None  # larger than anybody scans digits
    colours = np.repeat(strokes, 3, axis=3)
    colours[..., 0] //= 2
    assert learned(colours) is None
    filled = np.zeros((20, 28, 28, 1), np.uint8)
    filled[:, 6:22, 7:21] = 255
    assert learned(filled) is None  # no strokes
    shaded = filled // 2 * draws.uniform(0.2, 2, filled.shape)
    assert learned(shaded.astype(np.uint8)) is None


def test_clothes_are_no_drawings(shared_data):
    file = shared_data / "fashion_mnist" / "t10k-images-idx3-ubyte.gz"
    pictures = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    assert learned(pictures) is None


def test_only_a_sample_is_read():
    class Watched:
        """Pictures on disk, of which each row that is read is remembered."""

        shape = (60_000, 8, 8, 1)
        read: np.ndarray

        def __len__(self):
            return self.shape[0]

        def __getitem__(self, rows):
            self.read = rows
            return DIGITS[rows % len(DIGITS)]  # type: ignore[index]

    watched = Watched()
    rows = np.random.default_rng(0).permutation(60_000)[:48_000]
    assert learned(watched, 255.0, rows) is not None  # type: ignore[arg-type]
    assert 1000 < len(watched.read) <= own.SAMPLE
    assert set(watched.read) <= set(rows.tolist()) and watched.read.max() > 50_000
    assert (np.diff(watched.read) > 0).all()  # in the order in which they lie on disk


def test_it_is_kept_as_json():
    pictures = scanned(28, 2.5, 20)
    kept = kept_of(pictures, 255.0, np.arange(len(pictures)))
    assert Drawing.from_json(json.loads(json.dumps(kept["drawing"]))) == learned(pictures)
    assert kept_of(None, 255.0, np.arange(3)) == {}
    assert kept_of(np.zeros((5, 28, 28, 1), np.uint8), 255.0, np.arange(5)) == {}


@pytest.mark.parametrize("task", ["compress", "embed"])
def test_other_models_of_pictures_keep_it_too(tmp_path, task):
    run = gipi.fit("digits", task=task, run=tmp_path / "run", steps=2, verdict=False, doctor=False)
    found = gipi.load(run.path / "model.gipi").extra["drawing"]
    assert (found["ink"], found["fits"]) == ("light", "height")


# --- what is made of a drawing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pen", [0.015, 0.03, 0.06, 0.1])
def test_every_pen_becomes_the_learned_one(pen):
    """The measures of what is made are those that were learned, whatever it was drawn with."""
    for like in (LIKE, learned(scanned(28, 1.5, 20)), learned(scanned(28, 3.0, 20))):
        assert like is not None
        made = np.stack([prepared(canvas("round", digit, pen=pen), like, (1, 28, 28)) for digit in HANDS["round"]])
        ink = made[..., 0] / np.float32(255)
        assert np.median(own._pen(ink)) / own.BLURRED == pytest.approx(like.pen * 28, rel=0.1)
        top, bottom, left, right = own._box(ink >= own.IS_INK)
        assert np.abs(np.maximum(bottom - top, right - left) - 20).max() <= 1
        assert np.abs(own._mass(ink) - 14).max() < 0.3


def test_place_size_paper_and_ink_do_not_matter():
    first = prepared(canvas("round", "5"), LIKE, (1, 28, 28)).astype(int)
    strokes = HANDS["round"]["5"]
    moved = [[(0.45 * x - 0.05, 0.45 * y + 0.4) for x, y in stroke] for stroke in strokes]
    small = np.asarray(drawn(moved, 0.45 * PENS["round"], 600))[:, :, None]
    others = [
        small,
        canvas("round", "5", side=2400),
        canvas("round", "5", ink=0, paper=255),
        canvas("round", "5", ink=90, paper=40),
        np.repeat(canvas("round", "5"), 3, axis=2) // np.array([1, 3, 255], np.uint8),  # red on black
        np.pad(canvas("round", "5"), ((0, 100), (300, 0), (0, 0))),
    ]
    for other in others:
        made = prepared(other, LIKE, (1, 28, 28))
        assert made.dtype == np.uint8 and made.shape == (28, 28, 1)
        assert np.abs(made - first).mean() < 3 and np.abs(made - first).max() < 80


def test_what_comes_out_has_the_pictures_paper_and_channels():
    light = prepared(canvas("bold", "3"), LIKE, (1, 28, 28))
    dark = Drawing(**{**vars(LIKE), "ink": "dark", "level": 0.8})
    made = prepared(canvas("bold", "3"), dark, (3, 28, 28))
    assert made.shape == (28, 28, 3) and (made == made[..., :1]).all()
    assert np.abs(made[..., :1] - (255 - 0.8 * light)).max() < 2
    tall = prepared(canvas("bold", "3"), LIKE, (1, 40, 20))
    assert tall.shape == (40, 20, 1)
    _top, _bottom, left, right = own._box(tall[None, ..., 0] >= 64)
    assert right - left <= 20


def test_a_drawing_that_leans_far_is_made_more_upright():
    stroke = [[(0.8, 0.1), (0.2, 0.9)]]
    narrow = Drawing(**{**vars(LIKE), "slants": (-0.1, 0.3)})
    ink = np.stack([prepared(np.asarray(drawn(stroke, 0.05))[..., None], one, (1, 28, 28)) for one in (LIKE, narrow)])
    slants = own._slant(ink[..., 0] / np.float32(255))
    assert slants == pytest.approx([0.6, 0.3], abs=0.05)


def test_a_drawing_that_is_wide_is_made_as_narrow_as_the_learned():
    high = Drawing(**{**vars(LIKE), "fits": "height", "most": (0.3, 0.15)})
    made = [prepared(canvas("bold", "0"), one, (1, 28, 28))[None, ..., 0] / np.float32(255) for one in (LIKE, high)]
    assert own._spread(made[0])[0, 1] > 4.8 > 4.4 > own._spread(made[1])[0, 1]
    for one in made:
        top, bottom, _left, _right = own._box(one >= own.IS_INK)
        assert abs(bottom - top - 20) <= 1


def test_odd_drawings():
    for size in ((280, 280), (1, 40), (40, 1), (3, 3)):
        with pytest.raises(DataError, match="nothing is drawn on the canvas"):
            prepared(np.full((*size, 1), 7, np.uint8), LIKE, (1, 28, 28))
    dot, line, full = (np.zeros((280, 280, 1), np.uint8) for _number in range(3))
    dot[100, 100] = 255
    line[140, 20:260] = 255
    full[20:260, 20:260] = 255
    for odd in (dot, line, full, np.eye(200, dtype=np.uint8)[:, :, None] * 255):
        made = prepared(odd, LIKE, (1, 28, 28))
        assert made.max() > 100 and made.min() == 0
        assert own._mass(made[None, ..., 0].astype(np.float32)) == pytest.approx(np.array([[14.0, 14.0]]), abs=0.6)
    draws = np.random.default_rng(0)
    for _number in range(20):  # whatever comes, a picture comes out
        noise = draws.integers(0, 256, (*draws.integers(1, 300, 2), draws.choice([1, 3])), np.uint8)
        for like in (LIKE, Drawing(**{**vars(LIKE), "fits": "width", "center": "box"})):
            assert prepared(noise, like, (1, 28, 28)).shape == (28, 28, 1)


def test_from_the_bytes_of_a_canvas():
    """The one line that a server needs."""
    file = io.BytesIO()
    drawn(HANDS["round"]["7"], 0.05).convert("RGBA").save(file, "PNG")
    made = prepared(read_picture(file.getvalue(), None), LIKE, (1, 28, 28))
    assert np.abs(made.astype(int) - prepared(canvas("round", "7"), LIKE, (1, 28, 28))).max() <= 1


# --- measures ------------------------------------------------------------------------------------------------------


def test_distances_are_exact():
    draws = np.random.default_rng(0)
    for size in ((1, 1), (1, 9), (9, 1), (17, 23)):
        there = draws.random(size) < 0.05
        there[0, 0] = True
        places = np.argwhere(there)
        grid = np.indices(size).reshape(2, -1).T
        exact = np.sqrt(((grid[:, None] - places[None]) ** 2).sum(2).min(1)).reshape(size)
        near = exact <= 6
        assert np.allclose(own._distance(there, 6)[near], exact[near])
        assert (own._distance(there, 6)[~near] > 6).all()
