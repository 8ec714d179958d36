"""A classifier taught by few labels in few seconds: what vectors that were learned without labels are compared with.

B batch, C H W a picture, K classes
"""

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.augment import compose
from gipi.data.encode import normalize
from gipi.data.schema import Field, Schema, sizes
from gipi.data.stream import Stream, generator
from gipi.jobs.job import layers_of, multiplications
from gipi.messages import _
from gipi.release.model import Model
from gipi.tasks.baselines import BEYOND, PATIENCE
from gipi.training.loop import fit

# Steps are decided by rule, so that the figure does not hang on the machine: at most of each, but for FEW; and LEAST if
# the time allows no more. 600 labels of Fashion-MNIST are learned to 72 % in 30 steps, 77 % in 120, 79 % in 240.
STEPS, EPOCHS = 600, 40
FEW, LEAST = 200, 30
BATCH = 64
SHARE = 0.25  # of the verdict's seconds: three probes have the rest
STEP, RATE = 5e-3, 1.5e10  # seconds that a step takes beside its multiplications, and how many a core does in a second
BACK = 3  # times the multiplications of the way forward: the way back takes twice as many


def taught(
    name: str,
    schema: Schema,
    train: tuple[Tensor, Tensor],
    test: Tensor,
    classes: int,
    budget: float,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray | None, str, str]:
    """`(m, K)` probabilities of test pictures from a system of this name, how it was taught, and what time cut off.

    Args:
        name: Of a system that classifies pictures; it learns as it does by itself, in fewer steps.
        schema: Of the pictures.
        train: Encoded pictures `(n, C, H, W)` and their classes `(n,)`.
        test: Encoded pictures `(m, C, H, W)`.
        classes: K.
        budget: Seconds of the whole verdict, of which a share is for this. Where not all steps fit it is taught fewer;
            where too few fit, not at all.
        seed: Of the weights and the order.
        device: Where it learns.
    """
    began = time.perf_counter()
    most = max(PATIENCE, BEYOND * budget)
    system, defaults = systems.load(name), systems.defaults(systems.load(name))
    own = replace(schema, targets=(Field("label", "class", values=tuple(range(classes))),))
    every = -(-len(train[0]) // BATCH)
    wanted = max(FEW, min(STEPS, EPOCHS * every))
    shape, config = sizes(own, classes), system.Config()
    augment, count = compose(tuple(defaults.get("augment", ())), schema.inputs[0].white)

    def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
        return normalize(schema, augment(batch[0], draws)), batch[1]

    stream = Stream((train[0].to(device), train[1].to(device)), BATCH, seed, prepare, count)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(generator(seed, "taught").initial_seed())
        net: nn.Module = system.Net(shape, config).to(device)
        step = _seconds_of(net, normalize(schema, train[0][:2].to(device)), min(BATCH, len(train[0])))
        steps = min(wanted, max(LEAST, int(budget * SHARE / step)))
        if steps * step > most:
            said = _("left out: {steps} steps would take about {seconds} s", steps=steps, seconds=round(steps * step))
            return None, "", said + "; " + _("--verdict-seconds gives it more")
        size_of = schedule(defaults.get("schedule", "constant"), steps, 0.0)
        for _step, _losses in fit(system.players(net, config, cross_entropy, size_of), stream, steps):
            if time.perf_counter() - began > most:  # a much slower machine than foretold
                return None, "", _("left out: {seconds} s were used up", seconds=round(most))
    model = Model("classify", name, own, shape, {}, [net])
    how = _("{rows} labels, {steps} steps", rows=len(train[0]), steps=steps)
    cut = ""
    if steps < wanted:
        cut = _("taught {steps} of {wanted} steps to stay in time", steps=steps, wanted=wanted)
        cut += "; " + _("--verdict-seconds gives it more")
    return model.answers(test)[0].double().numpy(), how, cut


def _seconds_of(net: nn.Module, x: Tensor, rows: int) -> float:
    """What a step of so many rows takes, by rule."""
    return STEP + BACK * multiplications(layers_of(net, x)) * rows / RATE
