"""A supervised job in memory: arrays in, a model out; no folder, no test part, no verdict, nothing said.

This is what the scikit-learn estimators stand on: they are fitted hundreds of times in a search, on parts that somebody
else has cut. The global random state of a person's program is left as it was.

N rows, d features, K targets
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor, nn

from gipi.data.dataset import Dataset
from gipi.data.split import Parts, split
from gipi.jobs.begin import find_step_size_of, groups, threads_for
from gipi.jobs.material import FEWEST, Material
from gipi.jobs.request import Request, make_job
from gipi.jobs.supervised import Supervised
from gipi.release.model import Model
from gipi.report.display import Silent
from gipi.signals import Stopped
from gipi.training.chance import own_random_state
from gipi.training.log import Log
from gipi.training.prepare import choose_device, threads
from gipi.training.train import train

FEWEST_STEPS = 300  # by default; `gipi fit` takes 2000 on few rows, but a search fits hundreds of models

# Networks draw from torch's one global generator (first weights, dropout). It is given back as it was, but two fits in
# two threads of one process would draw from it in turns, and the same seed would not give the same model any more.
_one_at_a_time = threading.Lock()


def fit_arrays(
    X: np.ndarray,
    y: np.ndarray,
    request: Request,
    names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    weights: np.ndarray | None = None,
) -> tuple[Model, int]:
    """Train a model on arrays; gives the model, on the CPU, and the epochs it took.

    Args:
        X: `(N, d)` numbers without gaps.
        y: `(N,)` codes of classes; `(N, K)` zeros and ones of labels; `(N,)` or `(N, K)` numbers.
        request: The task and all options. Its data is not looked at.
        names: Of the features; x1, x2 ... if not given.
        classes: What the codes stand for, in order; None where y has no codes.
        weights: `(N,)` of the rows, in the loss.

    Raises:
        UsageError: An option is unknown or does not apply.
        TrainingError: Training diverged.
        KeyboardInterrupt: Ctrl-C, between two steps.
    """
    options = request.options
    assert options.task in ("classify", "regress")
    target_kind = "number" if options.task == "regress" else "labels" if classes is None else "class"
    data, inputs = _dataset(X, y, names)
    parts = _parts(len(X), options.seed, options.valid_share, y if target_kind == "class" else None)
    material = Material(data, options.task, target_kind, dict.fromkeys(inputs, "number"), parts, weights=weights)
    device = choose_device(options.device)
    with _one_at_a_time, own_random_state(options.seed, device):
        job = make_job(replace(request, data=material), device)
        assert isinstance(job, Supervised)
        if options.epochs is None and options.steps is None:
            suggested = job.defaults.get("epochs", 50) * job.plan.every
            job.plan = replace(job.plan, steps=max(suggested, FEWEST_STEPS))
        if getattr(job.setting.config, "lr", None) == "auto":
            find_step_size_of(job, Silent())
        nets, epochs = _train(job)
    schema = job.schema
    if classes is not None:  # the model answers with the classes themselves, as JSON can hold them
        values = tuple(one if isinstance(one, str | int | float | bool) else str(one) for one in classes)
        schema = replace(schema, targets=(replace(schema.targets[0], values=values),))
    config = job.setting.config_of_file
    # in float64, a row's answer does not depend on the rows beside it; a person's own module may not be asked for that
    kept = [net.cpu() if "model" in request.own else net.cpu().double() for net in nets]
    return Model(options.task, job.setting.system_name, schema, job.sizes, config, kept), epochs


def answers(model: Model, X: np.ndarray) -> Tensor:
    """What the model says of the rows X `(N, d)`: probabilities, or numbers in the targets' own units; float64."""
    frame = pl.from_numpy(X, schema=[field.name for field in model.schema.inputs])
    (x,) = model.encode(Dataset("rows", frame))
    said, _disagreement = model.answers(x)
    return said.double()


def _train(job: Supervised) -> tuple[list[nn.Module], int]:
    """Every member, trained, and the most epochs that one took."""
    nets, epochs = [], 0
    display, log = Silent(), Log(None, job.members)
    for group in groups(job):
        try:
            with threads(job.setting.options.threads or threads_for(job, group.members[0])):
                train(group, display, log)
        except Stopped:  # nothing was saved, and no search may take it for a fit that failed
            raise KeyboardInterrupt from None
        for member in group.members:
            nets.append(member.net)
            epochs = max(epochs, -(-member.progress.step // member.plan.every))
    return nets, epochs


def _dataset(X: np.ndarray, y: np.ndarray, names: Sequence[str] | None) -> tuple[Dataset, list[str]]:
    """Features and targets as a data set, and the names of the features."""
    inputs = [f"x{number + 1}" for number in range(X.shape[1])]
    if names is not None and len(set(names)) == len(names):
        inputs = [str(name) for name in names]
    stem = "y"
    while any(name.startswith(stem) for name in inputs):
        stem += "_"
    targets = [stem] if y.ndim == 1 else [f"{stem}{number + 1}" for number in range(y.shape[1])]
    columns = pl.from_numpy(y[:, None] if y.ndim == 1 else y, schema=targets)
    return Dataset("data", pl.from_numpy(X, schema=inputs).hstack(columns), target=tuple(targets)), inputs


def _parts(rows: int, seed: int, share: float, strata: np.ndarray | None) -> Parts:
    """Training and validation rows; each class keeps a training row, and of too few rows none is set aside."""
    are_too_few = rows < FEWEST or (strata is not None and np.bincount(strata).max() < 2)
    if are_too_few or share == 0:
        return {"train": np.arange(rows)}
    return split(rows, seed, test=0.0, valid=share, strata=strata)
