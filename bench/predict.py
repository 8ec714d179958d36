"""What one row costs a kept model: from an encoded array, and from a dict to a label with its probability.

An MLP 20-64-2 on one thread. The control is the network itself, `net(x)` under `torch.inference_mode`, and the general
path through frames and tensors that batches take. Each figure is the best of many short turns, in microseconds,
so that a busy machine has quiet moments among them.

    python bench/predict.py [--turns 200] [--calls 100]
"""

import argparse
import time
from collections.abc import Callable
from datetime import datetime

import torch
from torch import nn

from gipi.data.schema import Field, Schema, sizes
from gipi.models.dense import Expand, hidden_layer, linear
from gipi.release.model import Model
from gipi.release.rows import as_rows


def model_of(fields: list[Field], members: int = 1) -> Model:
    torch.manual_seed(0)
    schema = Schema(tuple(fields), (Field("y", "class", values=("no", "yes")),))
    sized = sizes(schema, 2)
    nets: list[nn.Module] = []
    for _number in range(members):
        expand = Expand(sized)
        nets.append(nn.Sequential(expand, hidden_layer(expand.outputs, 64), nn.Dropout(0.1), linear(64, 2)))
    return Model("classify", "mlp", schema, sized, {}, nets)


def clock(call: Callable[[], object], turns: int, calls: int) -> float:
    """Microseconds a call."""
    times = []
    for _turn in range(turns):
        begin = time.perf_counter()
        for _call in range(calls):
            call()
        times.append((time.perf_counter() - begin) / calls * 1e6)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)

    def show(name: str, call: Callable[[], object], share: int = 1) -> float:
        call()
        micros = clock(call, max(5, options.turns // share), max(1, options.calls // share))
        print(f"{name:<52}{micros:>10.2f} µs")
        return micros

    numbers = [Field(f"x{place}", "number", center=0.1, scale=2.0) for place in range(20)]
    row: dict[str, object] = {field.name: 0.37 * place - 3.0 for place, field in enumerate(numbers)}
    model = model_of(numbers)
    (x,) = model.encode(as_rows(model.schema, row))
    encoded = x[0].numpy()
    with torch.inference_mode():
        bare = show("net(x), inference mode", lambda: model.members[0](x))
    general = show("dict, general path", lambda: model.said(model.encode(as_rows(model.schema, row))[0]), 20)
    array = show("encoded array", lambda: model.answer(encoded))
    ours = show("dict to label and probability", lambda: model.predict(row))
    print(f"array to bare network {array / bare:.2f}, dict to bare network {ours / bare:.2f}, to general path", end=" ")
    print(f"1/{general / ours:.0f}")
    several = model_of(numbers, 5)
    show("dict, 5 members", lambda: several.predict(row))
    mixed = [
        *numbers[:10],
        *(Field(f"gap{place}", "number", fill=0.3, scale=2.0, has_missing=True) for place in range(3)),
        *(Field(f"c{place}", "category", values=("a", "b", "c")) for place in range(5)),
        Field("b", "boolean"),
        Field("d", "date", center=1.6e9, scale=1e7),
    ]
    names = [field.name for field in mixed]
    values = [1.5, 2, -0.5, 4.0, 0, 3, 2.5, 1.0, 7.5, 8, None, 2.0, 1, *"abcaz", True, datetime(2020, 7, 1, 12)]
    table, one = model_of(mixed), dict(zip(names, values, strict=True))
    show("dict of numbers, gaps, categories, a date", lambda: table.predict(one))
    show("the same, general path", lambda: table.said(table.encode(as_rows(table.schema, one))[0]), 20)


if __name__ == "__main__":
    main()
