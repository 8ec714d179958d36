"""Each augmentation beside a slow one in NumPy and plain loops, element by element, written from its definition.

Bytes agree exactly where nothing is mixed, and within one level where products are rounded down; floats within 1e-5.
"""

import colorsys
import math

import numpy as np
import pytest
import torch

from gipi.data import geometry, light
from gipi.data.augment import AUGMENTATIONS, DRAWS, alternating, compose, cutout, following
from gipi.data.mapped_stream import MappedStream
from gipi.data.randaugment import OPERATIONS, STRENGTH, randaugment
from gipi.data.stream import Stream

RANDOM = np.random.default_rng(0)


def pictures(kind: str, B: int = 24, C: int = 3, H: int = 12, W: int = 10) -> torch.Tensor:
    """Bytes, or numbers from 0 to 1 or to 255; some pictures are flat or nearly so."""
    x = np.random.default_rng(1).integers(0, 256, (B, C, H, W))
    x[0] = 77
    x[1] = 100 + x[1] % 5
    if kind == "bytes":
        return torch.from_numpy(x.astype(np.uint8))
    return torch.from_numpy((x / 255).astype(np.float32))


def draws(name: str, B: int = 24) -> torch.Tensor:
    return torch.rand(B, DRAWS[name], generator=torch.Generator().manual_seed(3))


kinds = pytest.mark.parametrize("kind", ["bytes", "floats"])
channels = pytest.mark.parametrize("C", [1, 3])


def agree(found: torch.Tensor, expected: np.ndarray, kind: str, slack: int = 0) -> None:
    assert found.shape == expected.shape
    if kind == "bytes":
        assert found.dtype == torch.uint8
        apart = np.abs(found.numpy().astype(int) - expected.astype(int))
        assert apart.max() <= slack and (apart > 0).mean() <= 0.01
    else:
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


# --- places ------------------------------------------------------------------------------------------------------


def shifted(picture, draw, part, outside):
    _C, H, W = picture.shape
    reach = max(1, round(H / part)), max(1, round(W / part))
    move = [int(d * (2 * r + 1)) - r for d, r in zip(draw, reach, strict=True)]
    out = np.empty_like(picture)
    for i in range(H):
        for j in range(W):
            out[:, i, j] = picture[:, outside(i + move[0], H), outside(j + move[1], W)]
    return out


def repeated(place, size):
    return min(max(place, 0), size - 1)


def reflected(place, size):
    return -place if place < 0 else 2 * (size - 1) - place if place >= size else place


@kinds
@channels
@pytest.mark.parametrize(("name", "part", "outside"), [("shift", 8, repeated), ("crop", 16, reflected)])
def test_moved_by_whole_elements(kind, C, name, part, outside):
    x, d = pictures(kind, C=C, H=32, W=24), draws(name)
    expected = np.stack([shifted(p, u, part, outside) for p, u in zip(x.numpy(), d.numpy(), strict=True)])
    agree(compose((name,))[0](x, d), expected, kind)


def mixture(picture, row, column):
    """Bilinear, with the edge repeated."""
    C, H, W = picture.shape
    i, j = math.floor(row), math.floor(column)
    out = np.zeros(C)
    for a, share_a in ((i, 1 - (row - i)), (i + 1, row - i)):
        for b, share_b in ((j, 1 - (column - j)), (j + 1, column - j)):
            out += share_a * share_b * picture[:, repeated(a, H), repeated(b, W)]
    return out


def turned(picture, degrees):
    C, H, W = picture.shape
    out, angle = np.empty((C, H, W)), math.radians(degrees)
    for i in range(H):
        for j in range(W):
            y, x = i + 0.5 - H / 2, j + 0.5 - W / 2
            row = math.sin(angle) * x + math.cos(angle) * y + H / 2 - 0.5
            column = math.cos(angle) * x - math.sin(angle) * y + W / 2 - 0.5
            out[:, i, j] = mixture(picture, min(max(row, 0), H - 1), min(max(column, 0), W - 1))
    return out


def test_rotation():
    x, d = pictures("floats", B=6), draws("rotate", 6)
    expected = np.stack([turned(p, (2 * u - 1) * 15) for p, (u,) in zip(x.numpy(), d.double().numpy(), strict=True)])
    np.testing.assert_allclose(geometry.rotate(x, d).numpy(), expected, atol=1e-4)


def box(draw, H, W):
    """torchvision's RandomResizedCrop.get_params, with these draws in place of its own."""
    for one, other in zip(draw[:10], draw[10:20], strict=True):
        area = H * W * (0.08 + one * 0.92)
        ratio = math.exp(math.log(3 / 4) + other * (math.log(4 / 3) - math.log(3 / 4)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= W and 0 < h <= H:
            return int(draw[20] * (H - h + 1)), int(draw[21] * (W - w + 1)), h, w
    ratio = W / H
    h, w = (round(W / (3 / 4)), W) if ratio < 3 / 4 else (H, round(H * 4 / 3)) if ratio > 4 / 3 else (H, W)
    return (H - h) // 2, (W - w) // 2, h, w


@pytest.mark.parametrize("size", [(32, 32), (12, 40), (40, 12)])
def test_boxes_of_the_resized_crop(size):
    """Of whole numbers and so exact; the long pictures need several tries, and some have none that fits."""
    d = draws("resized-crop", 2000)
    found = geometry.crop_boxes(d.double(), *size).tolist()
    assert found == [list(box(u, *size)) for u in d.double().numpy()]


@kinds
def test_resized_crop(kind):
    x, d = pictures(kind, B=6), draws("resized-crop", 6)
    _B, _C, H, W = x.shape
    expected = np.empty(x.shape)
    for n, (picture, draw) in enumerate(zip(x.numpy(), d.double().numpy(), strict=True)):
        top, left, h, w = box(draw, H, W)
        part = picture[:, top : top + h, left : left + w].astype(np.float64)
        for i in range(H):
            for j in range(W):
                row, column = (i + 0.5) * h / H - 0.5, (j + 0.5) * w / W - 0.5
                expected[n, :, i, j] = mixture(part, max(row, 0), max(column, 0))
    np.testing.assert_allclose(geometry.resized_crop(x, d), expected, atol=2e-5 * (255 if kind == "bytes" else 1))


@kinds
@channels
def test_cutout(kind, C):
    x, d = pictures(kind, C=C), draws("cutout")
    expected = x.numpy().copy()
    for picture, (down, across) in zip(expected, d.numpy(), strict=True):
        H, W = picture.shape[1:]
        top, left = int(down * H) - H // 4, int(across * W) - (W // 2) // 2
        picture[:, max(top, 0) : max(top + H // 2, 0), max(left, 0) : max(left + W // 2, 0)] = 3
    agree(cutout(x, d, fill=3), expected, kind)


# --- light -------------------------------------------------------------------------------------------------------


class Slow:
    """One picture's operations as torchvision's tensor code defines them; white is 255, or 1."""

    def __init__(self, kind: str):
        self.kind, self.white = kind, 255 if kind == "bytes" else 1.0

    def kept(self, values):
        values = np.clip(values, 0, self.white)
        return np.floor(values).astype(np.uint8) if self.kind == "bytes" else values

    def blend(self, p, other, f):
        return other + (p.astype(float) - other) * f

    def grey(self, p):
        if len(p) == 1:
            return p.astype(np.float64)
        g = 0.2989 * p[0].astype(float) + 0.587 * p[1] + 0.114 * p[2]
        return (np.floor(g + 1e-6) if self.kind == "bytes" else g)[None]

    def brightness(self, p, f):
        return self.kept(p * f)

    def contrast(self, p, f):
        return self.kept(self.blend(p, self.grey(p).mean(), f))

    def saturation(self, p, f):
        return p if len(p) == 1 else self.kept(self.blend(p, self.grey(p), f))

    def sharpness(self, p, f):
        dull = p.astype(float)
        for c in range(len(p)):
            for i in range(1, p.shape[1] - 1):
                for j in range(1, p.shape[2] - 1):
                    around = p[c, i - 1 : i + 2, j - 1 : j + 2].astype(float)
                    value = (around.sum() + 4 * around[1, 1]) / 13
                    dull[c, i, j] = round(value) if self.kind == "bytes" else value
        return self.kept(self.blend(p, dull, f))

    def hue(self, p, turn):
        if len(p) == 1:
            return p
        out = np.empty(p.shape)
        for i in range(p.shape[1]):
            for j in range(p.shape[2]):
                h, s, v = colorsys.rgb_to_hsv(*(p[:, i, j] / self.white))
                out[:, i, j] = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
        return np.floor(out * 255.999).astype(np.uint8) if self.kind == "bytes" else out

    def posterize(self, p, bits):
        levels = p if self.kind == "bytes" else np.floor(p * 255 + 1e-4)
        kept = (levels.astype(int) >> (8 - bits)) << (8 - bits)
        return kept.astype(np.uint8) if self.kind == "bytes" else kept / 255

    def solarize(self, p, threshold):
        return np.where(p >= threshold * self.white / 255, self.white - p, p).astype(p.dtype)

    def autocontrast(self, p):
        out = p.astype(float)
        for c in range(len(p)):
            low, high = float(p[c].min()), float(p[c].max())
            if high > low:
                out[c] = (p[c] - low) * (self.white / (high - low))
        return self.kept(out)

    def equalize(self, p):
        out = p.copy()
        for c in range(len(p)):
            codes = p[c].astype(int) if self.kind == "bytes" else (p[c] * np.float32(255)).astype(int)
            counts = np.bincount(codes.ravel(), minlength=256)
            step = counts[counts > 0][:-1].sum() // 255
            if step:
                table = np.concatenate([[0], (np.cumsum(counts)[:-1] + step // 2) // step]).clip(0, 255)
                out[c] = table[codes] * (1 if self.kind == "bytes" else 1 / 255)
        return out


FACTORS = torch.from_numpy(RANDOM.uniform(0, 2, 24).astype(np.float32))
TURNS = torch.from_numpy(RANDOM.uniform(-0.5, 0.5, 24).astype(np.float32))
BITS = torch.from_numpy(RANDOM.integers(1, 9, 24).astype(np.float32))
OF_LIGHT = {
    "brightness": (light.brightened, FACTORS),
    "contrast": (light.contrasted, FACTORS),
    "saturation": (light.saturated, FACTORS),
    "sharpness": (light.sharpened, FACTORS),
    "hue": (light.tinted, TURNS),
    "posterize": (light.posterized, BITS),
    "solarize": (light.solarized, 255 * FACTORS / 2),
    "autocontrast": (light.autocontrasted, None),
    "equalize": (light.equalized, None),
}


@kinds
@channels
@pytest.mark.parametrize("name", OF_LIGHT)
def test_light(kind, C, name):
    """Larger pictures for equalize: with fewer than 255 elements it changes nothing."""
    x, slow = pictures(kind, C=C, H=24, W=24), Slow(kind)
    change, numbers = OF_LIGHT[name]
    if kind == "floats" and name == "posterize":  # the levels themselves, so that rounding does not decide
        x = (x * 255).round() / 255 + 1e-3
    plain = int if name == "posterize" else float
    own = [()] * len(x) if numbers is None else [(plain(number),) for number in numbers]
    expected = np.stack([getattr(slow, name)(p, *n) for p, n in zip(x.numpy(), own, strict=True)])
    found = change(x, white=slow.white) if numbers is None else change(x, numbers, white=slow.white)
    agree(found, expected, kind, slack=1)


@kinds
def test_jitter_takes_each_row_in_its_own_order(kind):
    x, d, slow = pictures(kind, H=8, W=8), draws("colour"), Slow(kind)
    expected = []
    for picture, draw in zip(x.numpy(), d.double().numpy(), strict=True):
        changes = [
            (slow.brightness, 1 + 0.4 * (2 * draw[0] - 1)),
            (slow.contrast, 1 + 0.4 * (2 * draw[1] - 1)),
            (slow.saturation, 1 + 0.4 * (2 * draw[2] - 1)),
            (slow.hue, 0.1 * (2 * draw[3] - 1)),
        ]
        for number in np.argsort(draw[4:]):
            change, size = changes[number]
            picture = change(picture, size)
        expected.append(picture)
    found = light.jitter(x, d, white=slow.white)
    apart = np.abs(found.numpy().astype(float) - np.stack(expected).astype(float))
    if kind == "bytes":  # a level that was rounded the other way is carried along, and multiplied
        assert apart.max() <= 3 and (apart > 0).mean() < 0.01
    else:
        assert apart.max() < 1e-5


# --- RandAugment -------------------------------------------------------------------------------------------------


def nearest(picture, fill, source):
    """`source(column, row)` in elements from the upper left corner."""
    _C, H, W = picture.shape
    out = np.full_like(picture, fill)
    for i in range(H):
        for j in range(W):
            column, row = (math.floor(v) for v in source(j + 0.5, i + 0.5))
            if 0 <= column < W and 0 <= row < H:
                out[:, i, j] = picture[:, row, column]
    return out


def operated(slow, picture, name, sign, fill):
    _C, H, W = picture.shape
    strength = sign * STRENGTH
    angle = math.radians(30 * strength)
    cosine, sine = math.cos(angle), math.sin(angle)
    across, down = (sign * int(STRENGTH * 150 / 331 * size) for size in (W, H))
    return {
        "identity": lambda: picture,
        "shear-x": lambda: nearest(picture, fill, lambda x, y: (x + 0.3 * strength * y, y)),
        "shear-y": lambda: nearest(picture, fill, lambda x, y: (x, y + 0.3 * strength * x)),
        "translate-x": lambda: nearest(picture, fill, lambda x, y: (x + across, y)),
        "translate-y": lambda: nearest(picture, fill, lambda x, y: (x, y + down)),
        "rotate": lambda: nearest(
            picture,
            fill,
            lambda x, y: (
                cosine * (x - W / 2) - sine * (y - H / 2) + W / 2,
                sine * (x - W / 2) + cosine * (y - H / 2) + H / 2,
            ),
        ),
        "brightness": lambda: slow.brightness(picture, 1 + 0.9 * strength),
        "colour": lambda: slow.saturation(picture, 1 + 0.9 * strength),
        "contrast": lambda: slow.contrast(picture, 1 + 0.9 * strength),
        "sharpness": lambda: slow.sharpness(picture, 1 + 0.9 * strength),
        "posterize": lambda: slow.posterize(picture, 8 - round(4 * STRENGTH)),
        "solarize": lambda: slow.solarize(picture, 255 * (1 - STRENGTH)),
        "autocontrast": lambda: slow.autocontrast(picture),
        "equalize": lambda: slow.equalize(picture),
    }[name]()


@channels
def test_randaugment_bytes(C):
    """Every operation is among them; bytes, so that only what is rounded down the other way may differ."""
    x, slow = pictures("bytes", B=96, C=C, H=20, W=16), Slow("bytes")
    d = draws("randaugment", 96)
    expected, seen = [], set()
    for picture, draw in zip(x.numpy(), d.numpy(), strict=True):
        for choice, way in (draw[:2], draw[2:]):
            name = OPERATIONS[int(choice * len(OPERATIONS))]
            seen.add(name)
            picture = operated(slow, picture, name, -1 if way < 0.5 else 1, fill=128)
        expected.append(picture)
    assert seen == set(OPERATIONS)
    found = randaugment(x, d, fill=128).numpy().astype(int)
    apart = np.abs(found - np.stack(expected).astype(int))
    assert (apart > 0).mean() < 0.01
    wrong = (apart.max((1, 2, 3)) > 3).sum()  # a level rounded the other way can move a posterized step, or a fold
    assert wrong <= 2


# --- what all have in common -------------------------------------------------------------------------------------


@kinds
@channels
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_layout_and_company_do_not_matter(kind, C, name):
    """A row alone, and channels last, give what the batch gives; nothing leaves the range; the input stays."""
    x = pictures(kind, C=C, H=16, W=16)
    white = 255.0 if kind == "bytes" else 1.0
    augment, count = compose((name,), white=white, fill=white / 2)
    d = draws(name)
    before = x.clone()
    both = augment(x, d)
    assert torch.equal(x, before)
    assert torch.equal(augment(x.contiguous(memory_format=torch.channels_last), d), both) or torch.allclose(
        augment(x.contiguous(memory_format=torch.channels_last), d).float(), both.float(), atol=1e-5 * white
    )
    alone = torch.cat([augment(x[i : i + 1], d[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(alone, both, atol=1e-5 * white if both.is_floating_point() else 0, rtol=0)
    assert both.min() >= 0 and both.max() <= white * (1 + 1e-6)
    assert count == DRAWS[name] and not torch.equal(both.float(), x.float())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_without_the_short_cut_of_a_cpu(name, monkeypatch):
    """On a GPU all rows are computed and the chosen ones taken: the same bits."""
    x, d = pictures("bytes", H=16, W=16), draws(name)
    augment, _count = compose((name,))
    usual = augment(x, d)

    def all_rows(x, chosen, change):
        return torch.where(chosen[:, None, None, None], change(x, slice(None)), x)

    for module in ("light", "randaugment"):
        monkeypatch.setattr(f"gipi.data.{module}.in_chosen", all_rows)
    assert torch.equal(augment(x, d), usual)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_mask_follows_its_picture(name):
    """A picture that has a channel for each region says, once it was moved, which region each element is mostly of."""
    regions = torch.zeros(24, 1, 16, 16, dtype=torch.int64)
    regions[:, :, :, 8:] = 1
    regions[:, :, 8:, :] += 2
    d = draws(name)
    mask = following((name,))(regions, d)
    assert mask.dtype == torch.int64 and mask.shape == regions.shape and set(mask.unique().tolist()) <= {0, 1, 2, 3}
    if name in ("colour", "cutout"):
        assert torch.equal(mask, regions)
        return
    shown = torch.cat([regions == region for region in range(4)], 1).float()
    moved = randaugment(shown, d, follows=True) if name == "randaugment" else compose((name,))[0](shown, d)
    share, most = moved.max(1, keepdim=True)
    is_sure = share > 0.6
    assert is_sure.float().mean() > 0.8 and torch.equal(most[is_sure], mask[is_sure])


def test_alternate_flips_each_picture_in_every_other_epoch():
    names = ("shift", "alternate")
    assert alternating(names) == (2,) and alternating(("flip",)) == ()
    x = torch.arange(40)
    flipped = []
    with_it = Stream((x,), 8, seed=5, prepare=lambda batch, d: (batch[0], d), draws=3, alternating=(2,))
    without = Stream((x,), 8, seed=5, prepare=lambda batch, d: (batch[0], d), draws=3)
    for _epoch in range(4):
        sides = torch.empty(40, dtype=torch.bool)
        for _batch in range(5):
            (rows, d), (_rows, other) = next(with_it), next(without)
            sides[rows] = d[:, 2] < 0.5
            assert torch.equal(d[:, :2], other[:, :2])  # the other draws are those of runs without it
        flipped.append(sides)
    on_disk = MappedStream((x,), 8, 5, lambda batch, d: (batch[0], d), 3, workers=0, alternating=(2,))
    with_it.load_state_dict({"position": 0})
    assert all(torch.equal(a, b) for _n in range(20) for a, b in zip(next(on_disk), next(with_it), strict=True))
    assert torch.equal(flipped[0], ~flipped[1]) and torch.equal(flipped[0], flipped[2])
    assert torch.equal(flipped[1], flipped[3]) and 8 < flipped[0].sum() < 32
