"""Writing a bundle: see release/bundle.py for what stands in it."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from gipi import __version__
from gipi.errors import ProgramWarning, UsageError, cannot_write
from gipi.messages import _
from gipi.release import stored
from gipi.release.alike import difference
from gipi.release.described import FORMAT, IN_STEPS
from gipi.release.examples import example_rows, packed, shortened, unit
from gipi.release.model import Model
from gipi.release.opened import program_from
from gipi.release.program import Made, made_program
from gipi.release.runtime import Program
from gipi.release.safe_json import plain
from gipi.training.checkpoint import write_atomically
from gipi.training.tensors import pieces

Parts = list[tuple[str, list[bytes | memoryview]]]


def write_bundle(model: Model, path: Path) -> Path:
    """Keep a model without its program, which takes seconds to make: what a run does when it ends.

    Returns:
        The path, with `.gipi` at its end.

    Raises:
        RunError: It cannot be written; what was there before is untouched.
    """
    rows, answers = _examples(model)
    return _written(path, _parts(model, weights_of(model), rows, answers, None, ""))


def write_release(model: Model, path: Path) -> Path:
    """Keep a model with its program, for others and for long; where there can be none, a warning says why.

    Raises:
        RunError: It cannot be written; what was there before is untouched.
    """
    rows, answers = _examples(model)
    weights = weights_of(model)
    made, why = None, ""
    try:
        made = checked_program(model, weights, rows, answers)
        weights |= made.constants
    except UsageError as error:
        why = str(error)
        if model.task not in IN_STEPS:  # of those nobody expects one
            text = _("{path} is kept without a program: {reason}", path=path, reason=why)
            warnings.warn(ProgramWarning(text), stacklevel=3)
    return _written(path, _parts(model, weights, rows, answers, made, why))


def checked_program(model: Model, weights: dict[str, Tensor], rows: Any, answers: list) -> Made:
    """The model's program, when it gives the answers that the model gives.

    Raises:
        UsageError: There can be none, or it answers differently; says why.
    """
    if rows is None:
        raise UsageError(_("nothing is known of the batches that this model takes: it was kept by an older gipi"))
    made = made_program(model, weights)
    found = shortened(program_from(model, made).predict(rows))
    gap = difference(found, answers, unit(model.schema))
    if gap is not None:
        raise UsageError(_("its program answers differently: {gap}", gap=gap))
    return made


def program_beside(model: Model, threads: int = 0) -> Program:
    """The model's program, made and checked now, for a model that is open.

    Raises:
        UsageError: There can be none; says why.
    """
    rows, answers = _examples(model)
    return program_from(model, checked_program(model, weights_of(model), rows, answers), threads)


def weights_of(model: Model) -> dict[str, Tensor]:
    """Every member's weights, `0.name` of the first."""
    return {
        f"{number}.{name}": tensor.detach()
        for number, member in enumerate(model.members)
        for name, tensor in member.state_dict().items()
    }


def _examples(model: Model) -> tuple[Any, list]:
    """Rows and the answers to them; nothing where nobody knows what goes in."""
    rows = example_rows(model)
    return (None, []) if rows is None else (rows, shortened(model.predict(rows)))


def _parts(model: Model, weights: dict[str, Tensor], rows: Any, answers: list, made: Made | None, why: str) -> Parts:
    said = {
        "format": FORMAT,
        "gipi": __version__,
        "task": model.task,
        "system": model.system,
        "config": model.config,
        "sizes": {name: value for name, value in asdict(model.sizes).items() if name != "edges"},  # the schema has them
        "schema": model.schema.to_json(),
        "members": len(model.members),
        "dtype": str(next(model.members[0].parameters()).dtype).removeprefix("torch."),
        "card": model.card,
        "extra": model.extra,
        "program": {"reach": reach_of(model)} if made is not None else {"none": why},
    }
    examples = {} if rows is None else {"rows": packed(rows), "answers": packed(answers)}
    parts: Parts = [("bundle.json", [_json(said)]), ("weights.safetensors", pieces(weights))]
    if made is not None:
        parts.append(("program.onnx", [made.program]))
    return [*parts, ("examples.json", [_json(examples)])]


def reach_of(model: Model) -> int:
    """Small pixels that a large one depends on, of a network that says so."""
    return max(int(getattr(member, "reach", 0)) for member in model.members)


def _written(path: Path, parts: Parts) -> Path:
    if path.suffix != ".gipi":
        path = path.with_name(path.name + ".gipi")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_atomically(path, *stored.packed(parts))
    return path


def _json(value: Any) -> bytes:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode()
