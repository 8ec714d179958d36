"""What a stranger needs who holds an exported model alone: what goes in, what comes out, and lines that call it.

It stands in the file itself, in English, whatever language the person speaks who exported it. The model may be its
networks or its program.

B rows, H W C a picture, K classes, T targets, Q numbers that describe one target
"""

import json
from typing import Any

import numpy as np

from gipi import __version__
from gipi.data.schema import MISSING, Field
from gipi.release.examples import example_rows
from gipi.release.runtime import Program

MOST_SHOWN = 12  # columns of an example that are written out
COLOURS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}
WHAT = {  # of columns that are numbers
    "number": "a number; NaN where there is none",
    "boolean": "1 for yes, 0 for no; NaN where there is none",
    "date": "seconds since 1970-01-01 00:00; NaN where there is none",
}

Said = dict[str, Any]


def notes(model: Any, names: list[str]) -> dict[str, str]:
    """What an exported program says of itself: words, and JSON where there is more to say.

    Args:
        model: A Model or a Program.
        names: Of what comes out of the program.
    """
    found = {
        "made_by": f"gipi {__version__}",
        "task": model.task,
        "system": model.system,
        "inputs": _json(inputs(model)),
        "outputs": _json(outputs(model, names)),
    }
    if (classes := _classes(model)) is not None:
        found["classes"] = _json(classes)
    if model.schema.is_text:
        found["tokenizer"] = model.schema.inputs[0].tokenizer
    for name in ("metrics", "metrics_of", "data"):
        if held := model.card.get(name):
            found[name] = held if isinstance(held, str) else _json(held)
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _classes(model: Any) -> list[Any] | None:
    if model.task == "segment":
        return model.extra["classes"]["names"]
    target = model.schema.targets[0] if model.schema.targets else Field("", "")
    return list(target.values) if target.kind in ("class", "labels") else None


# --- what goes in ----------------------------------------------------------------------------------------------------


def inputs(model: Any) -> dict[str, Said]:
    """Each input by name: its type, its axes, what stands in it."""
    if model.task == "generate":
        return {"noise": _port("float32", [model.config["latent"]], "draws of the standard normal distribution")}
    if model.task == "stream":
        kind = "float32" if model.extra.get("takes_floats", True) else "int64"
        return {"x": _port(kind, model.extra.get("shape", []), "a batch as the stream gave them")}
    if model.schema.is_picture:
        return _pictures(model)
    if model.schema.is_text:
        what = "what the tokenizer makes of each text, its marks of begin and end around it; -1 behind the end"
        columns = {"columns": [field.name for field in model.schema.inputs], "most": model.schema.inputs[0].shape[0]}
        return {"tokens": _port("int64", ["tokens"], what) | columns}
    numeric = [field for field in model.schema.inputs if field.kind != "category"]
    worded = [field for field in model.schema.inputs if field.kind == "category"]
    found = {}
    if numeric:
        columns = [{"name": field.name, "what": WHAT[field.kind]} for field in numeric]
        found["numbers"] = {**_port("float64", [len(numeric)], "columns as they are, not scaled"), "columns": columns}
    if worded:
        columns = [{"name": field.name, "codes": _codes(field)} for field in worded]
        what = "the code of each category; 0 for one that is not known"
        found["codes"] = {**_port("int64", [len(worded)], what), "columns": columns}
    return found


def _codes(field: Field) -> dict[str, int]:
    return {str(value) if value != MISSING else "(no value)": place for place, value in enumerate(field.values, 1)}


def _pictures(model: Any) -> dict[str, Said]:
    (field,) = model.schema.inputs
    channels = field.shape[0]
    what = f"{COLOURS[channels]} of 0 to {field.white:g}, of any size"
    if model.task == "segment":
        what += f"; made smaller before, so that no side is longer than {model.extra['longest']}"
    kind = "uint8" if field.white == 255 else "float32"
    found = {"pictures": _port(kind, ["height", "width", channels], what)}
    if model.task == "segment":
        found["size"] = {"type": "int64", "axes": [2], "what": "height and width that the mask shall have"}
    return found


def _port(kind: str, axes: list[Any], what: str) -> Said:
    return {"type": kind, "axes": ["rows", *axes], "what": what}


# --- what comes out --------------------------------------------------------------------------------------------------


def outputs(model: Any, names: list[str]) -> dict[str, Said]:
    """Each output by name: its axes, what stands in it, in which unit."""
    known = {
        "cluster": {"axes": ["rows"], "what": "the number of the nearest cluster, from 1"},
        "vector": {"axes": ["rows", "numbers"], "what": "where the row lies"},
        "mask": {"axes": ["rows", "height", "width"], "what": "the place of each pixel's class among the classes"},
        "picture": {"axes": ["rows", "height", "width", "channels"], "what": "bytes, 0 to 255"},
        "code": {"axes": ["rows", "numbers"], "what": "what the picture was compressed to"},
        "output": {"axes": ["rows", "..."], "what": "what the network gives"},
        "disagreement": {"what": "the standard deviation of the answer over the networks"},
        "answer": _answer(model),
    }
    if model.task == "generate":
        known["picture"]["axes"] = ["networks", *known["picture"]["axes"]]
    return {name: known[name] for name in names}


def _answer(model: Any) -> Said:
    if not model.schema.targets:
        return {}
    first = model.schema.targets[0]
    if model.task == "act":
        return {"axes": ["rows", "actions"], "what": "what each action is worth", "actions": list(first.values)}
    if first.kind in ("class", "labels"):
        thing = "class" if first.kind == "class" else "label"
        return {"axes": ["rows", "classes"], "what": f"how likely each {thing} is", "classes": list(first.values)}
    numbers = {"normal": ["mean", "standard deviation"], "quantiles": [f"quantile {level}" for level in first.values]}
    return {
        "axes": ["rows", "targets", "numbers"],
        "what": "numbers in the targets' own units",
        "targets": [field.name for field in model.schema.targets],
        "numbers": numbers.get(first.kind, ["value"]),
    }


# --- lines that call it ----------------------------------------------------------------------------------------------


def of_onnx(model: Any, name: str, names: list[str]) -> str:
    """Lines of Python that run the exported program in onnxruntime."""
    given = ", ".join(f'"{one}": {text}' for one, text in _examples(model).items())
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "",
        f"session = onnxruntime.InferenceSession({_json(name)})",
        f"inputs = {{{given}}}",
        f"{', '.join(names)}{',' * (len(names) == 1)} = session.run(None, inputs)",
    ]
    return "\n".join(lines)


def of_torch(model: Any, name: str, names: list[str], is_guarded: bool) -> str:
    """Lines of Python that run the exported program in PyTorch."""
    given = ", ".join(f"torch.from_numpy({text})" for text in _examples(model).values())
    lines = [
        "import numpy as np",
        "import torch",
        "",
        f"program = torch.export.load({_json(name)}).module({'' if is_guarded else 'check_guards=False'})",
        f"outputs = program({given})",
        f"{', '.join(names)}{',' * (len(names) == 1)} = (outputs[name] for name in {_json(names)})",
    ]
    return "\n".join(lines)


def _examples(model: Any) -> dict[str, str]:
    """One row of each input, as Python."""
    told = inputs(model)
    if told.keys() & {"numbers", "codes", "tokens"}:
        program = Program(model.task, model.system, model.schema, model.config, lambda given: given)
        arrays = program.inputs(example_rows(model)[:1])
        return {name: _array(array) for name, array in arrays.items()}
    return {name: "np.array([30, 40])" if name == "size" else _zeros(one) for name, one in told.items()}


def _array(array: np.ndarray) -> str:
    if array.shape[1] > MOST_SHOWN:
        return _zeros({"axes": [*array.shape], "type": str(array.dtype)})
    return f"np.array({[list(row) for row in array.tolist()]})".replace("nan", "np.nan")


def _zeros(told: Said) -> str:
    sides = {"height": 30, "width": 40, "rows": 1}
    return f"np.zeros(({', '.join(str(sides.get(axis, axis)) for axis in told['axes'])}), np.{told['type']})"
