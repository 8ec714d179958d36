"""A classifier taught by few labels, in a moment: what vectors that were learned without labels are compared with.

B batch, C H W a picture, K classes
"""

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
from gipi.release.model import Model
from gipi.training.loop import fit

STEPS, EPOCHS = (
    600,
    40,
)  # at most of each, but for FEWEST: a decision by rule, so the figure does not hang on the machine
FEWEST = 200
BATCH = 64


def taught(
    name: str, schema: Schema, train: tuple[Tensor, Tensor], test: Tensor, classes: int, seed: int, device: torch.device
) -> tuple[np.ndarray, int]:
    """`(m, K)` probabilities of test pictures from a system of this name, and how many steps it was taught.

    Args:
        name: Of a system that classifies pictures; it learns as it does by itself, in fewer steps.
        schema: Of the pictures.
        train: Encoded pictures `(n, C, H, W)` and their classes `(n,)`.
        test: Encoded pictures `(m, C, H, W)`.
        classes: K.
        seed: Of the weights and the order.
        device: Where it learns.
    """
    system, defaults = systems.load(name), systems.defaults(systems.load(name))
    own = replace(schema, targets=(Field("label", "class", values=tuple(range(classes))),))
    every = -(-len(train[0]) // BATCH)
    steps = max(FEWEST, min(STEPS, EPOCHS * every))
    augment, count = compose(tuple(defaults.get("augment", ())), schema.inputs[0].white)

    def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
        return normalize(schema, augment(batch[0], draws)), batch[1]

    size_of = schedule(defaults.get("schedule", "constant"), steps, 0.0)
    stream = Stream((train[0].to(device), train[1].to(device)), BATCH, seed, prepare, count)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(generator(seed, "taught").initial_seed())
        shape, config = sizes(own, classes), system.Config()
        net: nn.Module = system.Net(shape, config).to(device)
        for _step, _losses in fit(system.players(net, config, cross_entropy, size_of), stream, steps):
            pass
    model = Model("classify", name, own, shape, {}, [net])
    return model.answers(test)[0].double().numpy(), steps
