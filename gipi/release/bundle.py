"""The bundle: one `.gipi` file with all that a kept model needs; opening it runs no code from the file.

A stored zip (release/stored.py) of

    bundle.json          what it is: format, task, system and its configuration, sizes, schema, card (described.py)
    weights.safetensors  every member's weights, once
    program.onnx         the same model as a graph that points into the weights, where it can be one (program.py)
    examples.json        inputs, made up from the schema, with the answers they must give (examples.py)

Its comment is the sha256 of all before it. A file is opened in one of two ways: its networks are built anew from the
configuration and get the weights (networks.py), or its program is run (runtime.py); the second needs no PyTorch and no
source. Whichever it is must answer the examples as they were stored before anybody gets to see it.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gipi.errors import RunError, UsageError, reason_of
from gipi.messages import _
from gipi.release import safe_json, stored, tensor_file
from gipi.release.alike import difference
from gipi.release.described import ANY_SIZE, Described, described
from gipi.release.examples import check_examples, shortened, unit, unpacked
from gipi.release.refused import Refused

if TYPE_CHECKING:
    from gipi.release.model import Model
    from gipi.release.runtime import Program

Runtime = Literal["torch", "onnx"]

RUNTIMES = ("torch", "onnx")
LARGEST = {
    "bundle.json": 16 << 20,
    "weights.safetensors": 1 << 40,  # as large as the file is, which is what stored.py holds it to
    "program.onnx": 32 << 20,
    "examples.json": 32 << 20,
}
DEEPEST = 24  # of JSON
CHECKED = 1 << 24  # elements of pictures that are answered as examples, but one picture at least
DAMAGED = (
    *(LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError),
    *(AssertionError, StopIteration),
)


@dataclass
class Held:
    """A bundle that was read, and is whole; nothing of it has run.

    Attributes:
        path: The file.
        described: What it says of itself.
        parts: The bytes of weights and program.
        examples: `rows` and `answers`, or nothing.
        bytes: How large each part is.
        sum: The checksum of the file.
    """

    path: Path
    described: Described
    parts: dict[str, np.ndarray]
    examples: dict[str, Any]
    bytes: dict[str, int]
    sum: str

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The tensors, `0.name` of the first member; those of `bundle.parts`, not copied."""
        return tensor_file.arrays(self.parts["weights.safetensors"])


def held(path: str | Path) -> Held:
    """Read a bundle and verify all of it that is not run.

    Raises:
        RunError: There is no such file, or it is no bundle, is damaged, or of another format.
    """
    path = Path(path)
    try:
        parts = stored.read(path, LARGEST)
        for name in ("bundle.json", "weights.safetensors", "examples.json"):
            if name not in parts:
                raise Refused(_("{part} is missing", part=name))
        sizes = {name: len(content) for name, content in parts.items()}
        said = described(safe_json.loads(parts.pop("bundle.json").data, LARGEST["bundle.json"], DEEPEST))
        examples = safe_json.loads(parts.pop("examples.json").data, LARGEST["examples.json"], DEEPEST)
        examples = unpacked(examples)
        check_examples(examples, said.task, said.schema)
        return Held(path, said, parts, examples, sizes, _sum(path))
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except DAMAGED as error:
        raise damaged(path, error) from error


def _sum(path: Path) -> str:
    """The checksum of a file that was verified."""
    with open(path, "rb") as file:
        file.seek(-stored.SUM, 2)
        return file.read().decode("ascii", "replace")


def read_bundle(
    path: str | Path, own: Any = None, system: Any = None, runtime: Runtime | None = None, threads: int = 0
) -> "Model | Program":
    """Open a bundle and check that it still gives the answers it was stored with.

    Args:
        path: The file.
        own: For a module of a person's own: one of the same make, or the function of sizes that makes it; its weights
            are taken from the file.
        system: For a system of a person's own: the system.
        runtime: "torch": build the networks; "onnx": run the program; None: the networks where that can be.
        threads: That a program may use; 0: as many as there are cores.

    Raises:
        RunError: It is no bundle, is damaged, is of another format, or answers differently.
        UsageError: It has no program, or what runs one is not installed.
    """
    if runtime not in (None, *RUNTIMES):
        raise UsageError(_("runtime is {known}; {came} came", known=" | ".join(RUNTIMES), came=runtime))
    opened = held(path)
    is_own = opened.described.system == "own"
    runs = runtime == "onnx" or (runtime is None and is_own and own is None and "program.onnx" in opened.parts)
    try:
        if runs:
            from gipi.release.opened import program_of

            model = program_of(opened, threads)
            check(model, opened)
        else:
            from gipi.release.networks import rebuilt, within_bounds

            model = rebuilt(opened, own, system)
            with within_bounds(is_own or system is not None):
                check(model, opened)
    except (RunError, UsageError):
        raise
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except (*DAMAGED, *_of_polars()) as error:
        raise damaged(opened.path, error) from error
    return model


def _of_polars() -> tuple[type[BaseException], ...]:
    """What polars raises, where it has read rows: it takes as long to import as all else that reads a file."""
    polars = sys.modules.get("polars")
    return (polars.exceptions.PolarsError, polars.exceptions.PanicException) if polars else ()


def damaged(path: Path, error: BaseException) -> RunError:
    """The sentence for a file that is not what it should be."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return RunError(_("{path} is not a gipi bundle or is damaged: {reason}", path=path, reason=reason))


def check(model: "Model | Program", opened: Held, count: int | None = None) -> None:
    """The stored inputs give the stored answers.

    Args:
        model: Made of what was opened.
        opened: The bundle.
        count: How many of the inputs; None: all.

    Raises:
        RunError: They do not; says where.
    """
    if not opened.examples:  # a stream of a person's own, kept before its shape was known
        return
    if opened.described.schema.is_picture and opened.described.task not in ANY_SIZE:
        most = max(1, CHECKED // math.prod(opened.described.schema.inputs[0].shape))
        count = most if count is None else min(count, most)
    found = shortened(model.predict(opened.examples["rows"][:count]))
    gap = difference(found, opened.examples["answers"][:count], unit(opened.described.schema))
    if gap is not None:
        raise RunError(_("{path} does not give the answers it was stored with: {gap}", path=opened.path, gap=gap))
