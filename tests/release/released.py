"""Models of every task that is released, small and untrained but with weights and statistics of no special kind.

What a network has learned does not matter to whether it answers alike everywhere; that its numbers are not zeros and
ones does.
"""

import dataclasses
from functools import cache

import numpy as np
import torch

from gipi import systems, tasks
from gipi.data.schema import CYCLES, Field, Schema
from gipi.data.schema import sizes as sizes_of
from gipi.data.tokenizers import train
from gipi.release.described import IN_STEPS
from gipi.release.model import Model

EVERY_TARGET = ("mlp", "tabm", "convnet")  # the others end in the same few lines
SMALL = {"hidden": (8, 6), "width": 4, "size": "mini", "patch": 4, "latent": 5, "depth": 2, "blocks": 1, "buckets": 512}
TABLE = (
    Field("length", "number", center=3.0, scale=2.0, fill=2.5),
    Field("weight", "number", center=-1e3, scale=0.125, fill=-999.0, has_missing=True),
    Field("colour", "category", values=("", "blue", "red")),
    Field("is new", "boolean", center=0.5, scale=0.5, fill=1.0),
    Field("day", "date", center=1.6e9, scale=4e7, fill=1.6e9, has_missing=True),
    Field("kind", "category", values=("a", "b", "c", "d")),
)
CLASSES = ("ant", "bee", "cat")
TARGETS = {
    "class": (Field("what", "class", values=CLASSES),),
    "labels": (Field("what", "labels", values=CLASSES),),
    "number": (Field("price", "number", center=40.0, scale=12.0), Field("age", "number", center=3.0, scale=0.5)),
    "normal": (Field("price", "normal", center=40.0, scale=12.0),),
    "quantiles": (Field("price", "quantiles", values=(0.05, 0.5, 0.95), center=40.0, scale=12.0),),
}
PICTURE = Field("picture", "picture", (1, 8, 8), center=90.0, scale=60.0)
COLOUR = Field("picture", "picture", (3, 8, 8), centers=(120.0, 110.0, 90.0), scales=(60.0, 55.0, 50.0))
SAID = ("a good film", "영화가 좋아요", "", "seen twice, and twice too often " * 3, "\U00010348 ? \n")
TEXT = Field("said", "text", (24,), tokenizer=train(SAID, "characters", 300).to_json())
TRANSLATED = Field("means", "text", (24,))  # by the tokenizer of the source
WORDS = ("the", "film", "good", "bad", "seen", "twice", "영화")
SEEN = tuple(Field(f"observation_{n}", "number") for n in range(4))
MASKS = {"names": ["sky", "road", "tree"], "values": [0, 1, 2], "ignored": []}
MASKS |= {"colours": [[9, 9, 9], [200, 9, 9], [9, 200, 9]], "is_colour": False}


@cache
def cases() -> tuple[str, ...]:
    """Those of `all_cases` whose networks have a program."""
    return tuple(c for c in all_cases() if c.split()[1] not in IN_STEPS)


@cache
def all_cases() -> tuple[str, ...]:
    """`system task kind target` of all that are released."""
    found = []
    for name in systems.names():
        described = systems.describe(name)
        for task in described.tasks:
            for kind in described.kinds:
                if kind not in tasks.load(task).default:
                    continue
                for target in _targets(task) if name in EVERY_TARGET else _targets(task)[:1]:
                    found.append(f"{name} {task} {kind} {target}")
    return tuple(found)


def _targets(task: str) -> tuple[str, ...]:
    if task == "classify":
        return ("class", "labels")
    return ("number", "normal", "quantiles") if task == "regress" else ("-",)


@cache
def released(case: str, members: int = 1, seed: int = 0) -> Model:
    """The model of a case, see `cases`."""
    name, task, kind, target = case.split()
    system = systems.load(name)
    known = {field.name for field in dataclasses.fields(system.Config)}
    chosen = {option: value for option, value in SMALL.items() if option in known}
    if name == "unet":
        chosen["depth"] = 2
    if name == "bert":
        chosen |= {"size": "tiny", "width": 8, "heads": 2}
    if name == "vit":
        chosen.pop("depth", None)
    inputs, targets, extra = _what(task, kind, target)
    if system.__name__.endswith(("alexnet", "googlenet")):
        inputs = (dataclasses.replace(COLOUR, shape=(3, 32, 32)),)
    schema = Schema(inputs, targets)
    if hasattr(system.Config, "bins") and hasattr(tasks.load(task), "truth") and kind == "table":
        edges = tuple(np.linspace(-2, 2, 6).tolist())
        inputs = tuple(
            dataclasses.replace(f, edges=edges) if f.kind in ("number", "date") else f for f in schema.inputs
        )
        schema = Schema(inputs, targets)
    config = system.Config(**chosen)
    output = tasks.load(task).output(schema)
    sizes = sizes_of(schema, output)
    nets = []
    for number in range(members):
        torch.manual_seed(100 * seed + number)
        net = system.Net(sizes, config)
        _stir(net)
        nets.append(net)
    as_json = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    model = Model(task, name, schema, sizes, as_json, nets, {"metrics": {}}, extra)
    if task == "cluster":
        width = len(sizes.categories) and sum(sizes.categories)
        random = np.random.default_rng(seed)
        model.extra["centers"] = random.normal(size=(3, sizes.input[0] + width)).tolist()
    return model


def _what(task: str, kind: str, target: str):
    if kind == "table":
        return TABLE, TARGETS.get(target, ()), {}
    if kind == "text":
        return _what_of_text(task, target)
    if kind == "environment":
        return SEEN, (Field("action", "class", values=(0, 1)),), {}
    if task == "segment":
        return (COLOUR,), (Field("mask", "mask", values=CLASSES),), {"classes": MASKS, "longest": 24}
    if task == "upscale":
        return (COLOUR,), (Field("picture", "picture", (3, 16, 16)),), {"factor": 2}
    return (COLOUR if task in ("classify", "embed") else PICTURE,), TARGETS.get(target, ()), {"noise": 0.1, "seed": 0}


def _what_of_text(task: str, target: str):
    if task == "relate":
        return (Field("word", "text", (1,), values=WORDS),), (), {}
    targets = {"tag": (Field("tags", "tags", values=("O", "B-LC", "I-LC")),), "translate": (TRANSLATED,)}
    extra = {"seed": 0, "begin": 10, "answer": "answer"} if task in ("write", "chat") else {}
    return (TEXT,), targets.get(task, TARGETS.get(target, ())), extra


def _stir(net: torch.nn.Module) -> None:
    """Every number of the network moved a little, so that none is zero or one by its beginning."""
    with torch.no_grad():
        for name, held in net.state_dict().items():
            if held.is_floating_point():
                held.add_(0.1 * torch.randn(held.shape).abs() if "var" in name else 0.1 * torch.randn(held.shape))


ROWS_OF_TABLE = 7


def rows(model: Model, seed: int = 0) -> list:
    """What a person might give such a model: rows with gaps and unknown words, pictures of several sizes, a count."""
    random = np.random.default_rng(seed)
    if model.schema.is_picture and model.task != "generate":
        channels = model.schema.inputs[0].shape[0]
        sizes = [(8, 8), (8, 8), (13, 9), (30, 41), (5, 8)]
        return [random.integers(0, 256, (*size, channels), dtype=np.uint8) for size in sizes]
    if model.task == "relate":
        return ["film", "good - bad + 영화", {"word": "seen", "near": 3}]
    if model.task in ("write", "chat"):  # what is drawn differs from machine to machine: the likeliest
        return [{"said": text, "temperature": 0, "tokens": 12} for text in SAID if text]
    if model.task == "fill":
        return ["a good [MASK]", "[MASK][MASK] 영화"]
    if model.schema.is_text:
        return [{"said": text} for text in SAID]
    if model.task == "act":
        return [{f"observation_{n}": float(v) for n, v in enumerate(row)} for row in random.normal(size=(5, 4))]
    found = []
    for number in range(ROWS_OF_TABLE):
        found.append(
            {
                "length": float(random.normal(3, 2)),
                "weight": None if number % 3 == 1 else float(random.normal(-1e3, 0.1)),
                "colour": [None, "red", "green", "blue"][number % 4],
                "is new": [True, False, None][number % 3],
                "day": None if number == 4 else f"20{10 + number}-03-{1 + number:02} 07:30",
                "kind": "abcde"[number % 5],
            }
        )
    return found


assert CYCLES
