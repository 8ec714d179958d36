"""A server with a small model of every task, for the tests of its page.

    python -m tests.server.served_models FOLDER KEY

Writes the models into the folder, serves them at any free port, prints the address, and answers until it is ended.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import torch

from gipi.data.drawing import Drawing
from gipi.data.schema import Field, Schema, Sizes
from gipi.release.keep import write_bundle
from gipi.release.model import Model
from gipi.verbs.serve import serve
from tests.release.released import released

HOSTILE = '<img src=x onerror="document.title=1">'
TURNED = "\u202eevil"  # makes text run the other way
CASES = {
    "classes": "mlp classify table class",
    "labels": "mlp classify table labels",
    "numbers": "mlp regress table number",
    "interval": "mlp regress table normal",
    "quantiles": "mlp regress table quantiles",
    "groups": "autoencoder cluster table -",
    "actions": "dqn act environment -",
    "pictures": "convnet classify picture class",
    "vectors": "simclr embed picture -",
    "codes": "autoencoder compress picture -",
    "cleaner": "autoencoder denoise picture -",
    "masks": "unet segment picture -",
    "larger": "edsr upscale picture -",
    "maker": "gan generate picture -",
}
CARD = {
    "data": "a table of <b>insects</b>",
    "run": "insects",
    "made": "2026-11-22T00:47:12+00:00",
    "metrics_of": "test part, 79 rows",
    "metrics": {
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "higher_is_better": True},
        "log_loss": {"value": None, "low": None, "high": None, "higher_is_better": False},
    },
    "versions": {"gipi": "0.1.0"},
}


def hostile() -> Model:
    """A model whose columns, categories and classes are markup."""
    model = released("mlp classify table class", seed=3)
    first, *others = model.schema.inputs
    fields = [dataclasses.replace(first, name=HOSTILE)]
    for field in others:
        values = tuple(HOSTILE + str(place) if value else "" for place, value in enumerate(field.values))
        fields.append(dataclasses.replace(field, name=f"{TURNED}</script>{field.name}", values=values))
    target = Field("<script>document.title=2</script>", "class", values=(HOSTILE, "<b>bold</b>", TURNED))
    return dataclasses.replace(model, schema=Schema(tuple(fields), (target,)))


def with_card() -> Model:
    """A model with a card to read, that knows between what its first column was when it learned."""
    model = released(CASES["classes"])
    first, *others = model.schema.inputs
    schema = dataclasses.replace(model.schema, inputs=(dataclasses.replace(first, range=(1.0, 5.0)), *others))
    return dataclasses.replace(model, schema=schema, card=CARD)


def of_drawings(ink: Literal["light", "dark"]) -> Model:
    """A model whose pictures are drawings."""
    model = released(CASES["pictures"])
    drawing = Drawing(ink, 1.0, 0.1, "longer", 0.8, (0.3, 0.3), (-0.5, 0.5), "mass", (0.5, 0.5))
    return dataclasses.replace(model, extra=model.extra | {"drawing": drawing.to_json()})


def own() -> Model:
    """A network of a person's own, whose batches only they know: three numbers in, two out. Its name is `model`."""
    torch.manual_seed(0)
    extra = {"takes_floats": True, "shape": [3]}
    return Model("stream", "own", Schema((), ()), Sizes((), 0), {}, [torch.nn.Linear(3, 2)], {"metrics": {}}, extra)


def main(folder: Path, key: str) -> None:
    made = {name: released(case) for name, case in CASES.items()}
    made |= {"hostile": hostile(), "classes": with_card(), "light": of_drawings("light"), "dark": of_drawings("dark")}
    sources = [f"{name}={write_bundle(model, folder / name)}" for name, model in made.items()]
    keys = folder / "keys"
    keys.write_text(f"{key}\n", encoding="utf-8")
    serve(*sources, own(), port=0, threads=1, runtime="torch", keys=keys, begun=lambda where: print(where, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
