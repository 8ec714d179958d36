"""`gipi inspect`: what a kept model says of itself, read from its file; nothing of it runs, and no torch is needed."""

import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import RunError, UsageError, reason_of
from gipi.messages import _

if TYPE_CHECKING:
    from gipi.data.schema import Field
    from gipi.release.bundle import Held
    from gipi.release.graph import Value

RUNS = Path("runs")  # training.folder.RUNS, whose room imports torch
KEPT = "model.gipi"
OF_PROGRAM = "program."  # before the names of tensors that are no weights: release.program.OWN


def inspect(source: Any) -> dict[str, Any]:
    """What a bundle is: what goes in and comes out, how good it is, when it was made, what is in the file.

    The file is read whole and verified as `gipi.load` verifies it, but no network is built and no program is run.

    Args:
        source: A `.gipi` file, or a run, its folder or its name (`last` too), whose kept model is meant.

    Returns:
        What `gipi inspect FILE --json` prints: plain lists and dicts.

    Raises:
        RunError: There is no such file, or it is damaged; says where.

    Example:
        >>> import gipi
        >>> gipi.inspect("grades.gipi")["task"]     # doctest: +SKIP
        'regress'
    """
    from gipi.release.bundle import DAMAGED, damaged, held

    path = bundle_of(source)
    opened = held(path)
    try:
        return _found(opened)
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except DAMAGED as error:
        raise damaged(path, error) from error


def _found(opened: "Held") -> dict[str, Any]:
    from gipi.release.described import FORMAT

    said, card = opened.described, opened.described.card
    return {
        "file": str(opened.path),
        "bytes": opened.path.stat().st_size,
        "checksum": opened.sum,
        "format": FORMAT,
        "gipi": said.gipi,
        "task": said.task,
        "system": said.system,
        "config": said.config,
        "inputs": _inputs(opened),
        "outputs": _outputs(opened),
        "networks": said.members,
        "weights": _weights(opened),
        "metrics": card.get("metrics", {}),
        **{name: card.get(name) for name in ("metrics_of", "run", "data", "made", "versions")},
        "extra": {name: value for name, value in said.extra.items() if name not in ("centers", "classes")},
        "parts": opened.bytes,
        "examples": len(opened.examples.get("answers", [])),
        "program": _program(opened),
    }


def bundle_of(source: Any) -> Path:
    """The bundle that is meant: a file, or what a run has kept.

    Raises:
        RunError: There is none.
        UsageError: It is a file of another kind.
    """
    path = Path(getattr(source, "path", source))
    if path.is_file() or path.suffix == ".gipi":
        if path.suffix != ".gipi":
            raise UsageError(_("{path} is no .gipi file and no run", path=path))
        return path
    for folder in (path, RUNS / path):
        if (folder / "run.json").is_file():
            return _kept(folder)
    if str(path) == "last":
        found = [one.parent for one in RUNS.glob("*/run.json")]
        if found:
            return _kept(max(found, key=lambda one: (one.joinpath("run.json").stat().st_mtime_ns, one.name)))
    from gipi.training.folder import find  # it names the nearest run, and takes a second to import

    return _kept(find(path))


def _kept(folder: Path) -> Path:
    path = folder / KEPT
    if not path.is_file():
        hint = f"gipi resume {folder}"
        raise RunError(_("the run {name} has no model yet; finish it with: {hint}", name=folder.name, hint=hint))
    return path


# --- what goes in, what comes out ------------------------------------------------------------------------------------


def _inputs(opened: "Held") -> list[dict[str, Any]]:
    said = opened.described
    if said.task == "generate":
        return [{"name": "noise", "kind": "noise", "length": _whole(said.config.get("latent"))}]
    if said.task == "stream":
        return [{"name": "x", "kind": "batch", "shape": said.extra.get("shape")}]
    return [_field(one) | _size_of(one, said.task) for one in said.schema.inputs]


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _size_of(field: "Field", task: str) -> dict[str, Any]:
    """What happens to pictures of another size."""
    from gipi.release.described import ANY_SIZE

    if field.kind != "picture":
        return {}
    return {"any_size": True} if task in ANY_SIZE else {"resized": True}


def _field(field: "Field") -> dict[str, Any]:
    """A column or picture as a person asks for it."""
    found: dict[str, Any] = {"name": field.name, "kind": field.kind}
    if field.kind in ("picture", "mask"):
        if field.shape:
            channels, height, width = field.shape
            found |= {"channels": channels, "height": height, "width": width}
        return found | ({"classes": list(field.values)} if field.values else {"white": field.white})
    if field.kind in ("class", "labels", "category"):
        name = "values" if field.kind == "category" else "classes"
        found |= {name: [value for value in field.values if value != ""]}
        return found | ({"positive": field.positive} if field.positive is not None else {})
    if field.kind == "date":
        found |= {"mean": _day(field.center), "spread_days": field.scale / 86400}
    elif field.kind != "boolean":
        found |= {"mean": field.center, "spread": field.scale}
    if field.range:
        found["range"] = [_day(end) if field.kind == "date" else end for end in field.range]
    if field.kind == "quantiles":
        found["quantiles"] = list(field.values)
    return found | ({"may_be_missing": True} if field.has_missing else {})


def _day(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return None


def _outputs(opened: "Held") -> list[dict[str, Any]]:
    said = opened.described
    if said.schema.targets:
        return [_field(one) for one in said.schema.targets]
    if said.task == "cluster":
        return [{"name": "cluster", "kind": "cluster", "count": len(said.extra.get("centers", []))}]
    if said.task == "embed":
        return [{"name": "vector", "kind": "vector", "length": said.sizes["output"]}]
    if said.task == "stream":
        return [{"name": "output", "kind": "batch"}]
    fields = [{**_field(one), "name": "picture"} for one in said.schema.inputs if one.kind == "picture"]
    return fields or [{"name": "answer", "kind": said.task}]


# --- what is in the file ---------------------------------------------------------------------------------------------


def _weights(opened: "Held") -> dict[str, Any]:
    from gipi.release.tensor_file import header

    entries = header(opened.parts["weights.safetensors"])
    of_networks = {name: entry for name, entry in entries.items() if not name.startswith(OF_PROGRAM)}
    return {
        "numbers": sum(math.prod(entry.shape) for entry in of_networks.values()),
        "tensors": len(of_networks),
        "type": opened.described.dtype,
    }


def _program(opened: "Held") -> dict[str, Any]:
    """What the program is made of, or why there is none."""
    from gipi.release import graph
    from gipi.release.graph_rules import check
    from gipi.release.tensor_file import header

    if "program.onnx" not in opened.parts:
        why = str(opened.described.program.get("none", "")) or _("it was kept by a run; gipi save RUN FILE makes one")
        return {"none": why}
    read = graph.read(opened.parts["program.onnx"].tobytes())
    check(read, header(opened.parts["weights.safetensors"]))
    counted = Counter(node.operator for node in read.nodes)
    return {
        "opset": read.opset,
        "operators": dict(counted.most_common()),
        "inputs": [_port(one) for one in read.inputs],
        "outputs": [_port(one) for one in read.outputs],
    }


def _port(value: "Value") -> dict[str, Any]:
    from gipi.release.graph import DTYPES

    names = {number: name for name, number in DTYPES.items()}
    return {"name": value.name, "type": names.get(value.dtype, str(value.dtype)), "shape": list(value.shape)}
