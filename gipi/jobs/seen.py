"""What a report shows of a model's inside: where it looked, or which words decided, in its worst mistakes; how its
pictures lie.

It is drawn after training, from random states of its own, and takes little of the time that training took.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from gipi.messages import _
from gipi.release.explain import looked_at, named, ready, shown
from gipi.release.inside import features, principal
from gipi.release.text_saliency import text_explanations
from gipi.report.heat import overlay
from gipi.report.page import Classification, Mistake, Regression, Whole
from gipi.training.chance import own_random_state

if TYPE_CHECKING:
    from gipi.jobs.job import Outcome
    from gipi.jobs.supervised import Supervised

SHARE = 0.01  # of the time of training that may be spent on this
LEAST = 0.5  # seconds that may be spent in any case
AT_ONCE = 4  # mistakes that are looked at together
MOST_ROWS = 400  # on the map
FEWEST_ROWS = 10


def add_looks(outcome: "Outcome", job: "Supervised", rows: np.ndarray, seconds: float) -> None:
    """Pictures: Grad-CAM beside the worst mistakes, and the test rows on a plane. Texts: the words that decided.

    Args:
        outcome: Gets them.
        job: Whose data and schema they are.
        rows: That the model was judged by.
        seconds: That training took.
    """
    if not (job.schema.is_picture or job.schema.is_text):
        return
    budget = max(LEAST, SHARE * seconds)
    with own_random_state(job.setting.options.seed, job.setting.device):
        try:
            if job.schema.is_text:
                _mark_words(outcome, job, budget)
                return
            _look_at_mistakes(outcome, job, budget / 2)
            _draw_plane(outcome, job, rows, budget / 2)
        except Exception as error:  # a module of a person's own may refuse hooks or gradients; its training is not lost
            reason = f"{type(error).__name__}: {error}"
            outcome.notes.append(_("what the network sees could not be drawn: {reason}", reason=reason))


def _look_at_mistakes(outcome: "Outcome", job: "Supervised", budget: float) -> None:
    """Where the model looked for what it said, of as many mistakes as there is time for."""
    began = time.perf_counter()
    schema = job.schema
    names = [*map(str, named(schema))]
    for result in outcome.results:
        if not isinstance(result, (Classification, Regression)):
            continue
        mistakes: Sequence[Mistake] = result.mistakes if isinstance(result, Classification) else result.worst
        start, count = 0, 1  # the first alone: it says what one costs
        while start < len(mistakes) and time.perf_counter() - began < budget:
            some = mistakes[start : start + count]
            places = torch.tensor([(one.number or 1) - 1 for one in some])
            x = job.of(job.x, places.numpy())
            x = x[:] if job.material.data.mapped else x
            said = [str(one.said) if isinstance(result, Classification) else result.name for one in some]
            wanted = torch.tensor([names.index(name) for name in said])
            found = looked_at(outcome.model, ready(outcome.model, x), wanted)
            if found is None:
                return
            for one, map_ in zip(some, found[0], strict=True):
                picture = np.asarray(one.picture)
                one.looked = overlay(picture if picture.ndim == 3 else picture[..., None], map_)
            start, count = start + count, AT_ONCE


def _mark_words(outcome: "Outcome", job: "Supervised", budget: float) -> None:
    """Which words spoke for what was said, in as many mistakes as there is time for."""
    began = time.perf_counter()
    names = [*map(str, named(job.schema))]
    for result in outcome.results:
        if not isinstance(result, (Classification, Regression)):
            continue
        is_class = isinstance(result, Classification)
        for one in result.mistakes if is_class else result.worst:
            if time.perf_counter() - began > budget:
                return
            row = job.material.data.rows(np.array([(one.number or 1) - 1]))
            place = names.index(str(one.said) if is_class else result.name)
            one.words = next(text_explanations(outcome.model, row, place)).marked()


def _draw_plane(outcome: "Outcome", job: "Supervised", rows: np.ndarray, budget: float) -> None:
    """As many of the judged rows as there is time for, where the network sees them."""
    from gipi.report.plane import plane

    if len(rows) < FEWEST_ROWS:
        return
    model, schema = outcome.model, job.schema
    chosen = np.random.default_rng(job.setting.options.seed).permutation(rows)[:MOST_ROWS]
    began = time.perf_counter()
    features(model, _encoded(job, chosen[:8]))
    each = (time.perf_counter() - began) / 8
    chosen = np.sort(chosen[: max(FEWEST_ROWS, int(budget / each))])
    x = _encoded(job, chosen)
    places, shares = principal(features(model, x))
    y = job.task.truth(job.y[torch.from_numpy(chosen)], schema)
    is_number = schema.targets[0].kind not in ("class", "labels")
    groups = y if y.ndim == 1 else y[:, 0] if is_number else y.argmax(1)
    image = plane(places, shares, shown(x, schema.inputs[0].white), groups, () if is_number else named(schema))
    note = _(
        "Rows that lie near each other are alike for the network: what it makes of them before its last layer, along"
        " the two directions in which they differ most. Frames and dots have the colour of the true answer."
    )
    outcome.results.append(Whole(np.asarray(image), _("How the network sees {count} rows", count=len(chosen)), note))


def _encoded(job: "Supervised", rows: np.ndarray) -> torch.Tensor:
    found = job.of(job.x, rows)
    return found[:] if job.material.data.mapped else found
