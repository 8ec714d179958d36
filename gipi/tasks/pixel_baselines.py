"""What simpler ways reach on masks: the most frequent class, that of each place, and trees on what a pixel looks like.

They learn from all pictures but those of the test part. The trees see of each pixel its colour, its place, and the mean
and spread of the colours around it at three sizes: what one could do before convolutional networks. They learn from a
sample of pixels, as many as the seconds that they may take allow; how many stands in `settings`.

N pictures, C channels, H W of the canvas, h w of a picture, K classes, F features
"""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from gipi.data.masks import IGNORED
from gipi.messages import _
from gipi.tasks.compared import Way
from gipi.tasks.intervals import Array
from gipi.tasks.segment import confusion

REACHES = (2, 6, 18)  # pixels to each side that a mean is taken over
PIXELS_A_SECOND = 4000  # learned from, for each second that the trees may take: 100 trees of 2 classes
MOST_PIXELS = 60_000
TREES = 330  # in all: a round of boosting has one for each class, or one for two classes
ROUNDS = (20, 100)  # fewest and most
GRID = 96  # places along each side that are counted apart


def pixel_baselines(
    x: Tensor, y: Tensor, sizes: Tensor, train: Array, test: Array, classes: int, seconds: float, seed: int
) -> list[Way]:
    """The three ways, with a confusion `(n, K * K)` of each test picture.

    Args:
        x: `(N, C, H, W)` uint8.
        y: `(N, H, W)` class numbers, 255 where nothing counts.
        sizes: `(N, 2)`: how far each picture reaches.
        train: Row numbers to learn from.
        test: Row numbers to be judged on.
        classes: K.
        seconds: That the trees may take.
        seed: Which pixels they see.
    """
    reach = sizes.tolist()
    truth = [y[row, : reach[row][0], : reach[row][1]].numpy() for row in test]
    counts = np.stack([np.bincount(y[row].reshape(-1).numpy(), minlength=256)[:classes] for row in train]).sum(0)

    def way(name: str, title: str, masks: list[Array], fit: float, began: float, settings: str) -> Way:
        sums = np.stack([confusion(mask, true, classes) for mask, true in zip(masks, truth, strict=True)])
        return Way(name, title, sums, fit, time.perf_counter() - began, settings)

    began = time.perf_counter()
    most = int(counts.argmax())
    found = [way("majority", _("majority class"), [np.full(true.shape, most) for true in truth], 0.0, began, "")]
    began = time.perf_counter()
    common = _at_each_place(y, reach, train, classes)
    fit, began = time.perf_counter() - began, time.perf_counter()
    placed = [
        common[_places(height, GRID)][:, _places(width, GRID)] for height, width in (true.shape for true in truth)
    ]
    found.append(way("place", _("most frequent class of each place"), placed, fit, began, ""))
    title = _("trees on colours, place and surroundings")
    began = time.perf_counter()
    model, pixels = _trees(x, y, reach, train, classes, seconds, seed)
    fit, began = time.perf_counter() - began, time.perf_counter()
    masks = [_mask(model, x[row : row + 1, :, : reach[row][0], : reach[row][1]]) for row in test.tolist()]
    settings = _("{rounds} rounds, {pixels} pixels of the training pictures", rounds=_rounds(classes), pixels=pixels)
    found.append(way("trees", title, masks, fit, began, settings))
    return found


def _places(length: int, count: int) -> Array:
    """Which of `count` places each of `length` pixels is at."""
    return np.arange(length) * count // length


def _at_each_place(y: Tensor, reach: list, rows: Array, classes: int) -> Array:
    """`(GRID, GRID)`: the most frequent class; where nothing was ever counted, the most frequent of all."""
    counts = np.zeros((classes, GRID * GRID))
    for row in rows:
        height, width = reach[row]
        mask = y[row, :height, :width].numpy()
        place = _places(height, GRID)[:, None] * GRID + _places(width, GRID)[None]
        counted = mask != IGNORED
        codes = mask[counted].astype(np.int64) * (GRID * GRID) + place[counted]
        counts += np.bincount(codes, minlength=counts.size).reshape(counts.shape)
    total = counts.sum(1)
    return (counts + 1e-6 * total[:, None] / max(total.sum(), 1)).argmax(0).reshape(GRID, GRID)


def features(picture: Tensor) -> Array:
    """What each pixel of a picture `(1, C, h, w)` looks like: `(h * w, F)` float32.

    Colours; means and standard deviations around it; how far down and right it is, from 0 to 1.
    """
    colours = picture.float() / 255
    height, width = colours.shape[2:]
    columns = [colours]
    for reach in REACHES:
        near = (min(reach, width - 1), min(reach, width - 1), min(reach, height - 1), min(reach, height - 1))
        window = (near[2] * 2 + 1, near[0] * 2 + 1)
        mean = avg_pool2d(pad(colours, near, mode="reflect"), window, stride=1)
        square = avg_pool2d(pad(colours**2, near, mode="reflect"), window, stride=1)
        columns += [mean, (square - mean**2).clamp_min(0).sqrt()]
    down = torch.linspace(0, 1, height)[:, None].expand(height, width)
    right = torch.linspace(0, 1, width)[None].expand(height, width)
    columns.append(torch.stack([down, right])[None])
    return torch.cat(columns, 1)[0].flatten(1).T.contiguous().numpy()


def _trees(x: Tensor, y: Tensor, reach: list, rows: Array, classes: int, seconds: float, seed: int):
    """Gradient boosting fitted on a sample of pixels, and how many those were."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    count = int(min(MOST_PIXELS, max(2000, PIXELS_A_SECOND * seconds / max(1.0, classes / 4))))
    random = np.random.default_rng([seed, *b"pixels"])
    each = max(1, count // len(rows))
    seen, answers = [], []
    for row in rows.tolist():
        height, width = reach[row]
        mask = y[row, :height, :width].reshape(-1).numpy()
        known = np.flatnonzero(mask != IGNORED)
        chosen = random.choice(known, min(each, len(known)), replace=False)
        seen.append(features(x[row : row + 1, :, :height, :width])[chosen])
        answers.append(mask[chosen])
    never: Any = False  # its stub says text
    model = HistGradientBoostingClassifier(max_iter=_rounds(classes), early_stopping=never, random_state=seed)
    labels = np.concatenate(answers)
    if len(np.unique(labels)) < 2:  # all that was drawn is of one class
        return int(labels[0]) if len(labels) else 0, len(labels)
    return model.fit(np.concatenate(seen), labels), len(labels)


def _rounds(classes: int) -> int:
    return min(ROUNDS[1], max(ROUNDS[0], TREES // (classes if classes > 2 else 1)))


def _mask(model, picture: Tensor) -> Array:
    height, width = picture.shape[2:]
    if isinstance(model, int):
        return np.full((height, width), model)
    return model.predict(features(picture)).reshape(height, width)
