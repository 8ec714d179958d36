"""A bundle's program in onnxruntime: the graph is read and judged by our own rules before anything native sees it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gipi.errors import UsageError
from gipi.messages import _
from gipi.release import graph
from gipi.release.bundle import Held
from gipi.release.graph_rules import check
from gipi.release.refused import Refused
from gipi.release.runtime import Program
from gipi.release.tensor_file import header

if TYPE_CHECKING:
    from gipi.release.model import Model
    from gipi.release.program import Made

Array = np.ndarray


def program_of(opened: Held, threads: int = 0) -> Program:
    """The program of a bundle, ready to answer.

    Args:
        opened: The bundle.
        threads: That it may use; 0: as many as there are cores.

    Raises:
        UsageError: It has none, or onnxruntime is not installed.
        Refused: The program is not one that we run.
    """
    said = opened.described
    if "program.onnx" not in opened.parts:
        why = str(said.program.get("none", "")) or _("it was kept by a run; gipi save RUN FILE makes one")
        raise UsageError(_("{path} has no program: {reason}", path=opened.path, reason=why))
    reach = said.program.get("reach", 0)
    if type(reach) is not int or not 0 <= reach < 1 << 12:
        raise Refused(_("bundle.json is not as it should be: {what}", what="program"))
    content = opened.parts["program.onnx"].tobytes()
    read = graph.read(content)
    check(read, header(opened.parts["weights.safetensors"]))
    run = session(content, [one.name for one in read.tensors if one.place], opened.weights, threads)
    return Program(said.task, said.system, said.schema, said.config, run, said.card, said.extra, reach)


def program_from(model: "Model", made: "Made") -> Program:
    """The program of a model that is about to be kept."""
    from gipi.release.keep import reach_of

    run = session(made.program, made.outside, made.weights, 0)
    return Program(model.task, model.system, model.schema, model.config, run, model.card, model.extra, reach_of(model))


def session(
    content: bytes, outside: list[str], weights: Mapping[str, Array], threads: int = 0
) -> Callable[[dict[str, Array]], dict[str, Array]]:
    onnxruntime = runtime_library()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weights[name])) for name in outside]
    options.add_external_initializers(outside, values)
    made = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in made.get_outputs()]

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        return dict(zip(names, made.run(names, inputs), strict=True))

    return run


def runtime_library() -> Any:
    try:
        import onnxruntime
    except Exception as error:  # a broken installation raises anything
        hint = "pip install 'gipi[export]'"
        raise UsageError(_("this needs {package}: {hint}", package="onnxruntime", hint=hint)) from error
    return onnxruntime
