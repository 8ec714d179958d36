"""Which pictures a dense task learns from, is validated and tested on: by share, by files of their own, by folds."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gipi.data.canvas import MASK, on_one_canvas
from gipi.data.dataset import Dataset
from gipi.data.split import Parts, folds, given_to_folds, split
from gipi.errors import DataError
from gipi.jobs.options import Fit
from gipi.jobs.pieces import Piece, files_of, joined
from gipi.losses.dense import IGNORED
from gipi.messages import _
from gipi.tasks.compared import FEWEST

SMALLEST = 5  # pictures; of fewer nothing is set aside

Folds = list[tuple[np.ndarray, np.ndarray]]


def with_files(data: Dataset, options: Fit, open_one: Callable[[str], Dataset]) -> Dataset:
    """The pictures with those of `--test` and `--valid` behind them; what the data had itself for a part gives way.

    Args:
        data: Opened.
        options: Name the files or folders.
        open_one: Opens one of them as the data was opened.

    Raises:
        DataError: There is one picture to learn from, or a file cannot be used.
        UsageError: `--valid` beside `--folds`.
    """
    if len(data) < 2:
        raise DataError(_("{count} pictures to learn from; at least two are needed", count=len(data)))
    files = files_of(options)
    if not files:
        return data
    sets = [data, *(open_one(path) for path in files.values())]
    own, *others = (
        Piece(one, lambda row: f"{row + 1}") for one in on_one_canvas(sets, IGNORED if MASK in data.target else None)
    )
    others = [Piece(replace(one.data, parts={}), one.where) for one in others]
    return joined(own, dict(zip(files, others, strict=True)), own.data.notes).data


def parts_of(data: Dataset, options: Fit) -> tuple[Parts, Folds]:
    """Training, validation and test pictures, and with `--folds` what each fold learns from and is validated on.

    By itself the test part has at least six pictures where there are eighteen or more: fewer cannot tell two models
    apart, whatever they say (tasks/compared.py).
    """
    count, test = len(data), options.test_share
    if count < SMALLEST and not data.parts and not options.folds:
        return {"train": np.arange(count)}, []
    if count >= 3 * FEWEST and test > 0 and "test" not in data.parts:
        test = max(test, FEWEST / count)
    if not options.folds:
        return split(count, options.seed, test=test, valid=options.valid_share, given=data.parts), []
    parts = split(count, options.seed, test=test, valid=0.0, given=given_to_folds(data.parts))
    return parts, folds(parts["train"], options.folds, options.seed)
